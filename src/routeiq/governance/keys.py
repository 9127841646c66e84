"""Callers: from the digest of a key to what it may do and whom its requests count for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from hmac import compare_digest

from routeiq.core.errors import BudgetExceeded, Forbidden, LimitExceeded, Overloaded, Unauthorized
from routeiq.core.keys import Key, ModelRule, Subject
from routeiq.core.snapshot import Auth
from routeiq.governance.accounts import Account, LimitBook, Reservation, reserve
from routeiq.governance.windows import BUCKET_SECONDS, BUCKETS

Lookup = Callable[[str], Awaitable[Key | None]]
"""Asks the control plane for the key with that hex SHA-256. Raises `OSError` when it can't be asked."""

FRESH_SECONDS = 60.0
"""How long an answer is good without asking again."""
STALE_SECONDS = 6 * 3600.0
"""How long a known key is still served where nobody can be asked."""
RETRY_SECONDS = 5.0
"""How soon it is asked again then."""
NEGATIVE_SECONDS = 10.0
CACHED_KEYS = 10_000
CACHED_MODELS = 1_000

ANONYMOUS = Key(id="", name="anonymous")


class Caller:
    """A key with the accounts of everyone its requests count for."""

    __slots__ = (
        "_allowed",
        "_by_model",
        "_groups",
        "_shares",
        "accounts",
        "digest",
        "key",
        "leased",
        "limited",
        "name",
        "priced",
        "spend",
        "windowed",
    )  # fmt: skip

    def __init__(self, key: Key, book: LimitBook, groups: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """`groups` are access groups: names that a rule may have in place of public models."""
        self.key = key
        self.name = key.name
        self.digest = bytes.fromhex(key.id)
        self._allowed: dict[str, bool] = {}
        self._groups = groups or {}
        accounts = [book.account(subject) for subject in key.subjects]
        own = next((one for one in accounts if one.spend is not None), None)
        self.spend = own.spend if own is not None else None
        self.leased = tuple(one for one in accounts if one.subject.slot >= 0)
        limited = [one for one in accounts if one.subject.limited]
        self.accounts = tuple(one for one in limited if not one.subject.share)
        """Of those with limits, the ones every request counts for."""
        self._shares = tuple(one for one in limited if one.subject.share)
        self._by_model: dict[str, tuple[Account, ...]] = {}
        self.limited = bool(limited)
        self.windowed = any(one.requests is not None or one.tokens is not None for one in limited)
        self.priced = any(one.budgets for one in limited)
        """Whether the cost of a request has to be expected."""

    def may_use(self, model: str) -> bool:
        """Whether all rules allow this public name."""
        return not self.key.rules or self.forbidding(model) is None

    def forbidding(self, model: str) -> ModelRule | None:
        """The first rule that does not allow this public name."""
        allowed = self._allowed.get(model)
        if allowed:
            return None
        for rule in self.key.rules:
            if not self._allows(rule, model):
                return rule
        if len(self._allowed) >= CACHED_MODELS:
            self._allowed.clear()
        self._allowed[model] = True
        return None

    def _allows(self, rule: ModelRule, model: str) -> bool:
        groups = self._groups
        for pattern in rule.models:
            names = groups.get(pattern)
            if pattern == model or ("*" in pattern and fnmatchcase(model, pattern)):
                return True
            if names is not None and any(name == model or ("*" in name and fnmatchcase(model, name)) for name in names):
                return True
        return False

    def accounts_for(self, model: str) -> tuple[Account, ...]:
        """Those a request for this public name counts for."""
        if not self._shares:
            return self.accounts
        found = self._by_model.get(model)
        if found is None:
            shares = (one for one in self._shares if fnmatchcase(model, one.subject.share))
            if len(self._by_model) >= CACHED_MODELS:
                self._by_model.clear()
            found = self._by_model[model] = (*self.accounts, *shares)
        return found

    @property
    def fresh(self) -> bool:
        """Whether all that is counted for it is still counted where it was."""
        return all(account.fresh for account in self.leased)

    def check(self, now: float) -> None:
        """Raise when the key is blocked or expired. `now` in Unix seconds."""
        key = self.key
        if key.blocked:
            raise Forbidden("This key is blocked.", code="key_blocked")
        if key.expires is not None and now >= key.expires:
            raise Unauthorized("This key has expired.", type="expired_key", code="expired_key")
        if key.refused is not None:
            raise Forbidden(key.refused.message, code=key.refused.code)
        if not key.calls:
            raise Forbidden("This key may manage, not call models.", code="key_not_for_calls")

    def reserve(
        self, accounts: tuple[Account, ...], tokens: int, cost: int, now: float, book: LimitBook, budget_status: int
    ) -> Reservation:
        """Take one request, `tokens` and `cost` (nano-dollars) from every account, or from none and raise.

        Raises `LimitExceeded`, or `BudgetExceeded` with `budget_status`; both with the rate-limit headers.
        """
        try:
            return reserve(accounts, tokens, cost, now, book.turns)
        except BudgetExceeded as error:
            error.status = budget_status
            raise
        except LimitExceeded as error:
            error.headers = rate_headers(accounts, now)
            raise


def rate_headers(accounts: tuple[Account, ...], now: float, *, reserved: bool = False) -> bytes:
    """OpenAI's `x-ratelimit-*` headers as lines, of the account that is nearest to its limit.

    What is used is as the last reservation saw it (`reserved`), or looked up. `reset` is when the minute is empty again
    at the latest. https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    tick = int(now) // BUCKET_SECONDS
    reset = (tick + BUCKETS) * BUCKET_SECONDS - int(now)
    requests_left = tokens_left = -1
    requests_limit = tokens_limit = 0
    for account in accounts:
        limit = account.subject.rpm
        if limit is not None:
            left = limit - (account.requests_used if reserved else account.requests_now(tick))
            if requests_left < 0 or left < requests_left:
                requests_left, requests_limit = max(left, 0), limit
        limit = account.subject.tpm
        if limit is not None:
            left = limit - (account.tokens_used if reserved else account.tokens_now(tick))
            if tokens_left < 0 or left < tokens_left:
                tokens_left, tokens_limit = max(left, 0), limit
    lines = b""
    if requests_left >= 0:
        lines = (
            b"x-ratelimit-limit-requests: %d\r\n"
            b"x-ratelimit-remaining-requests: %d\r\nx-ratelimit-reset-requests: %ds\r\n"
        ) % (requests_limit, requests_left, reset if requests_left < requests_limit else 0)
    if tokens_left >= 0:
        lines += (
            b"x-ratelimit-limit-tokens: %d\r\nx-ratelimit-remaining-tokens: %d\r\nx-ratelimit-reset-tokens: %ds\r\n"
        ) % (tokens_limit, tokens_left, reset if tokens_left < tokens_limit else 0)
    return lines


class _Known:
    """What was found for one digest. Times are monotonic seconds."""

    __slots__ = ("caller", "due", "until")

    def __init__(self, caller: Caller | None, due: float, until: float) -> None:
        self.caller = caller
        self.due = due
        """When it is asked again, while this answer still serves."""
        self.until = until


class KeyRing:
    """Finds the caller of a key: the configuration's at once, others from a cache filled by `lookup`.

    A key that was found is asked for again after a minute, and served meanwhile; where nobody can be asked it is
    served for hours. What was not found is remembered for ten seconds. `forget` drops entries as soon as the control
    plane says that they changed.
    """

    def __init__(self, book: LimitBook) -> None:
        self._book = book
        self._groups: Mapping[str, tuple[str, ...]] = {}
        self._static: dict[bytes, Caller] = {}
        self._cached: dict[bytes, _Known] = {}
        self._asking: dict[bytes, asyncio.Future[Caller | None]] = {}
        self.anonymous = Caller(ANONYMOUS, book)

    def adopt(self, auth: Auth, groups: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Take the keys of a new Snapshot; callers whose key did not change keep their object."""
        keys = dict(auth.keys)
        if auth.master_key is not None:
            subject = Subject(kind="key", id=auth.master_key)
            keys[auth.master_key] = Key(id=auth.master_key, name="master", admin=True, subjects=(subject,))
        changed = self._book.zone != auth.timezone or self._groups != (groups or {})
        self._book.zone = auth.timezone
        self._groups = groups or {}
        if changed:
            self.forget((), ())
        callers: dict[bytes, Caller] = {}
        for hexdigest, key in keys.items():
            digest = bytes.fromhex(hexdigest)
            caller = self._static.get(digest)
            if changed or caller is None or caller.key != key:
                caller = Caller(key, self._book, self._groups)
            callers[digest] = caller
        self._static = callers

    def find(self, token: bytes) -> Caller | None:
        """The caller of a key of the configuration; `None` when it is not one."""
        digest = sha256(token).digest()
        caller = self._static.get(digest)
        # The dictionary finds by digest, which tells a guesser nothing about the key; the compare makes sure of it.
        if caller is not None and compare_digest(caller.digest, digest):
            return caller
        return None

    def cached(self, token: bytes, now: float) -> tuple[bool, bool, Caller | None]:
        """(known, whether to ask again meanwhile, caller) of a key looked up before."""
        known = self._cached.get(sha256(token).digest())
        if known is None or known.until <= now or (known.caller is not None and not known.caller.fresh):
            return False, False, None
        return True, known.due <= now, known.caller

    async def look_up(self, token: bytes, lookup: Lookup, now: float) -> Caller | None:
        """Ask, once for all who wait for the same key, and remember the answer.

        Raises `Overloaded` when nobody can be asked: fail closed.
        """
        digest = sha256(token).digest()
        asking = self._asking.get(digest)
        if asking is None:
            asking = self._asking[digest] = asyncio.ensure_future(self._ask(digest, lookup, now))
        return await asyncio.shield(asking)

    async def refresh(self, token: bytes, lookup: Lookup, now: float) -> None:
        """Ask again about a key that is known; where nobody can be asked, what is known goes on to serve."""
        known = self._cached.get(sha256(token).digest())
        if known is not None:
            known.due = now + RETRY_SECONDS
        try:
            await self.look_up(token, lookup, now)
        except Overloaded:
            pass

    async def _ask(self, digest: bytes, lookup: Lookup, now: float) -> Caller | None:
        this = asyncio.current_task()
        try:
            key = await lookup(digest.hex())
            if key is not None and not compare_digest(key.id, digest.hex()):
                key = None
            caller = Caller(key, self._book, self._groups) if key is not None else None
        except OSError as error:
            raise Overloaded(
                "The key can't be checked right now.", code="key_lookup_unavailable", retry_after=1.0
            ) from error
        finally:
            # Forgotten meanwhile, the answer may be older than the change: it is good for those who asked, no longer.
            current = self._asking.get(digest) is this
            if current:
                del self._asking[digest]
        if current:
            self._cached.pop(digest, None)
            while len(self._cached) >= CACHED_KEYS:
                self._cached.pop(next(iter(self._cached)))
            if caller is not None:
                self._cached[digest] = _Known(caller, now + FRESH_SECONDS, now + STALE_SECONDS)
            else:
                self._cached[digest] = _Known(None, now + NEGATIVE_SECONDS, now + NEGATIVE_SECONDS)
        return caller

    def forget(self, keys: Iterable[str], subjects: Iterable[str]) -> None:
        """Drop cached keys: these (hex SHA-256) and who counts for one of `subjects`; all where both are empty."""
        digests = [bytes.fromhex(key) for key in keys]
        names = set(subjects)
        if not digests and not names:
            self._cached.clear()
            self._asking.clear()
        if names:
            # An answer that is under way may be older than the change.
            self._asking.clear()
            digests += [
                digest
                for digest, known in self._cached.items()
                if known.caller is not None and any(one.name in names for one in known.caller.key.subjects)
            ]
        for digest in digests:
            self._cached.pop(digest, None)
            self._asking.pop(digest, None)
