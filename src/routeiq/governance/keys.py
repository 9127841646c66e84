"""Callers: from the digest of a key to what it may do and whom its requests count for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from hmac import compare_digest

from routeiq.core.errors import Forbidden, Unauthorized
from routeiq.core.keys import Key, ModelRule, Subject
from routeiq.core.snapshot import Auth
from routeiq.governance.accounts import Account, LimitBook, Parties
from routeiq.governance.asked import Asked
from routeiq.governance.directory import Directory
from routeiq.governance.reserving import Stock, Stocks

CACHED_MODELS = 1_000
RECENT = 2_000
RECENT_SECONDS = 1.0
"""How late it may be noticed that a key has expired."""

ANONYMOUS = Key(id="", name="anonymous")


def allows(rule: ModelRule, model: str) -> bool:
    """Whether a rule has this public name or a pattern for it, and does not deny it."""
    if rule.denied and _fits(model, rule.denied):
        return False
    return _fits(model, rule.models)


def allows_through(rules: Iterable[ModelRule], model: str, auto: str) -> bool:
    """Whether all rules allow this public name or the auto model that chooses it, and deny neither."""
    return all(
        (_fits(model, rule.models) or _fits(auto, rule.models))
        and not (rule.denied and (_fits(model, rule.denied) or _fits(auto, rule.denied)))
        for rule in rules
    )


def _fits(model: str, patterns: tuple[str, ...]) -> bool:
    return any(pattern == model or ("*" in pattern and fnmatchcase(model, pattern)) for pattern in patterns)


class Caller:
    """A key with the accounts of everyone its requests count for."""

    __slots__ = (
        "_allowed",
        "_by_model",
        "_parties",
        "_stock",
        "_stocks",
        "accounts",
        "aliases",
        "digest",
        "key",
        "leased",
        "limited",
        "name",
        "patience",
        "priced",
        "routing",
        "spend",
        "windowed",
    )  # fmt: skip

    def __init__(self, key: Key, book: LimitBook, stocks: Stocks) -> None:
        self.key = key
        self.name = key.name
        self.digest = bytes.fromhex(key.id)
        self.aliases = key.aliases
        self.routing = routing = key.routing
        self.patience = routing.timeout or 0.0 if routing is not None else 0.0
        """Seconds an answer may take; 0 where the gateway says."""
        self._allowed: dict[str, bool] = {}
        accounts = [book.account(subject) for subject in key.subjects]
        own = next((one for one in accounts if one.spend is not None), None)
        self.spend = own.spend if own is not None else None
        self.leased = tuple(one for one in accounts if one.subject.slot >= 0)
        self._parties = parties = Parties(accounts)
        self.accounts = parties.accounts
        """Of those with limits, the ones every request counts for."""
        limited = (*parties.accounts, *parties.shares)
        self._by_model: dict[str, tuple[tuple[Account, ...], Stock]] = {}
        self._stocks = stocks
        self._stock = Stock(self.accounts, stocks)
        self.limited = bool(limited)
        self.windowed = any(one.requests is not None or one.tokens is not None for one in limited)
        self.priced = any(one.budgets for one in limited)
        """Whether the cost of a request has to be expected."""

    def may_use(self, model: str) -> bool:
        """Whether all rules allow this public name."""
        return not self.key.rules or self.forbidding(model) is None

    def may_use_through(self, model: str, auto: str) -> bool:
        """Whether an auto model may choose this public name: `allows_through`."""
        return not self.key.rules or allows_through(self.key.rules, model, auto)

    def forbidding(self, model: str) -> ModelRule | None:
        """The first rule that does not allow this public name."""
        allowed = self._allowed.get(model)
        if allowed:
            return None
        for rule in self.key.rules:
            if not allows(rule, model):
                return rule
        if len(self._allowed) >= CACHED_MODELS:
            self._allowed.clear()
        self._allowed[model] = True
        return None

    def accounts_for(self, model: str) -> tuple[Account, ...]:
        """Those a request for this public name counts for."""
        return self._for(model)[0] if self._parties.shares else self.accounts

    def stock_for(self, model: str) -> Stock:
        """What is at hand of those."""
        return self._for(model)[1] if self._parties.shares else self._stock

    def _for(self, model: str) -> tuple[tuple[Account, ...], Stock]:
        found = self._by_model.get(model)
        if found is None:
            accounts = self._parties.of_model(model)
            if len(self._by_model) >= CACHED_MODELS:
                self._by_model.clear()
            found = self._by_model[model] = accounts, Stock(accounts, self._stocks)
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


class KeyRing:
    """Finds the caller of a key: the configuration's at once, others by asking the control plane."""

    def __init__(self, book: LimitBook, stocks: Stocks, directory: Directory) -> None:
        self._book = book
        self._stocks = stocks
        self._directory = directory
        self._groups: Mapping[str, tuple[str, ...]] = {}
        self._static: dict[bytes, Caller] = {}
        self._asked: Asked[bytes, Caller] = Asked(
            self._ask, lambda caller: caller.fresh, "The key can't be checked right now."
        )
        self._principals: Asked[tuple[str, str], Caller] = Asked(
            self._ask_principal, lambda caller: caller.fresh, "The user of the token can't be checked right now."
        )
        self._recent: dict[int, tuple[dict[bytes, bytes], Caller, float]] = {}
        self.anonymous = Caller(ANONYMOUS, book, stocks)

    def adopt(self, auth: Auth, groups: Mapping[str, tuple[str, ...]]) -> None:
        """Take the keys of a new Snapshot; callers whose key did not change keep their object.

        `groups` are access groups: rules of keys that were looked up before another change have the old ones.
        """
        self._recent.clear()
        keys = dict(auth.keys)
        if auth.master_key is not None:
            subject = Subject(kind="key", id=auth.master_key)
            keys[auth.master_key] = Key(id=auth.master_key, name="master", admin=True, subjects=(subject,))
        moved = self._book.zone != auth.timezone
        if moved or self._groups != groups:
            self._asked.clear()
            self._principals.clear()
        self._book.zone = auth.timezone
        self._groups = groups
        callers: dict[bytes, Caller] = {}
        for hexdigest, key in keys.items():
            digest = bytes.fromhex(hexdigest)
            caller = self._static.get(digest)
            if moved or caller is None or caller.key != key:
                caller = Caller(key, self._book, self._stocks)
            callers[digest] = caller
        self._static = callers

    def recent(self, headers: dict[bytes, bytes], now: float) -> Caller | None:
        """The caller these very headers were of within the last second: those of a head that comes again and again are
        one object, which nobody changes.
        """
        found = self._recent.get(id(headers))
        return found[1] if found is not None and found[0] is headers and now < found[2] else None

    def note(self, headers: dict[bytes, bytes], caller: Caller, now: float) -> None:
        """Remember whose headers these are: it was let in at monotonic `now`."""
        if len(self._recent) >= RECENT:
            self._recent.clear()
        self._recent[id(headers)] = headers, caller, now + RECENT_SECONDS

    def find(self, token: bytes) -> Caller | None:
        """The caller of a key of the configuration; `None` when it is not one."""
        digest = sha256(token).digest()
        caller = self._static.get(digest)
        # The dictionary finds by digest, which tells a guesser nothing about the key; the compare makes sure of it.
        if caller is not None and compare_digest(caller.digest, digest):
            return caller
        return None

    def known(self, token: bytes, now: float) -> tuple[bool, bool, Caller | None]:
        """(known, whether to ask again meanwhile, caller) of a key of the configuration, or one looked up before."""
        digest = sha256(token).digest()
        caller = self._static.get(digest)
        if caller is not None and compare_digest(caller.digest, digest):
            return True, False, caller
        return self._asked.get(digest, now)

    async def look_up(self, token: bytes, now: float) -> Caller | None:
        """Ask the control plane. Raises `Overloaded` when it can't be asked: fail closed."""
        return await self._asked.ask(sha256(token).digest(), now)

    async def refresh(self, token: bytes, now: float) -> None:
        """Ask again about a key that is known."""
        await self._asked.refresh(sha256(token).digest(), now)

    async def principal(self, user_id: str, team_id: str, now: float) -> Caller | None:
        """Who a token stands for: a user, a team, or a user in a team. Raises `Overloaded` when nobody can be asked."""
        who = (user_id, team_id)
        known, again, caller = self._principals.get(who, now)
        if not known:
            return await self._principals.ask(who, now)
        if again:
            await self._principals.refresh(who, now)
        return caller

    def forget(self, keys: Iterable[str], subjects: Iterable[str]) -> None:
        """Forget keys that were looked up: these (hex SHA-256) and who counts for one of `subjects`; all when empty."""
        self._recent.clear()
        digests = [bytes.fromhex(key) for key in keys]
        names = set(subjects)
        if not digests and not names:
            self._asked.clear()
            self._principals.clear()
        self._asked.forget(digests)
        if names:
            for asked in (self._asked, self._principals):
                asked.forget_where(lambda caller: any(one.name in names for one in caller.key.subjects))

    async def _ask_principal(self, who: tuple[str, str]) -> Caller | None:
        key = await self._directory.principal(*who)
        return Caller(key, self._book, self._stocks) if key is not None else None

    async def _ask(self, digest: bytes) -> Caller | None:
        key = await self._directory.key(digest.hex())
        if key is None or not compare_digest(key.digest, digest.hex()):
            return None
        return Caller(key, self._book, self._stocks)
