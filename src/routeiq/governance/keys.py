"""Callers: from the digest of a key to what it may do, with the limits it shares across workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from fnmatch import fnmatchcase
from hashlib import sha256
from hmac import compare_digest

from routeiq.core.counters import TableFull
from routeiq.core.errors import BudgetExceeded, Forbidden, LimitExceeded, Overloaded, Unauthorized
from routeiq.core.money import dollars
from routeiq.core.snapshot import Auth, Key
from routeiq.governance.windows import BUCKET_SECONDS, BUCKETS, LimitBook, Window

Lookup = Callable[[str], Awaitable[Key | None]]
"""Asks the control plane for the key with that hex SHA-256. Raises `OSError` when it can't be asked."""

POSITIVE_SECONDS = 60.0
NEGATIVE_SECONDS = 10.0
CACHED_KEYS = 10_000
CACHED_MODELS = 1_000

ANONYMOUS = Key(id="", name="anonymous")


class Reservation:
    """What one request has taken from its key; settled once."""

    __slots__ = ("cost", "requests_used", "settled", "tokens", "tokens_used")

    def __init__(self, tokens: int, cost: int, requests_used: int, tokens_used: int) -> None:
        self.tokens = tokens
        self.cost = cost
        self.requests_used = requests_used
        """Of the minute, over all workers, this request included; so with the tokens."""
        self.tokens_used = tokens_used
        self.settled = False


class Caller:
    """A key with its windows, gauge and budget."""

    __slots__ = (
        "_allowed",
        "_header_lines",
        "budget",
        "digest",
        "key",
        "limited",
        "name",
        "parallel",
        "requests",
        "spend",
        "tokens",
        "windowed",
    )

    def __init__(self, key: Key, book: LimitBook) -> None:
        self.key = key
        self.name = key.name
        self.digest = bytes.fromhex(key.id)
        self._allowed: dict[str, bool] = {}
        prefix = f"limit:key:{key.id[:32]}:"
        try:
            self.requests = book.window(prefix + "rpm") if key.rpm is not None else None
            self.tokens = book.window(prefix + "tpm") if key.tpm is not None else None
            self.parallel = book.gauge(prefix + "parallel") if key.max_parallel_requests is not None else None
            self.spend = book.budget(prefix + "spend", 0) if key.id else None
            self.budget = book.budget(prefix + "budget", key.budget_seconds) if key.max_budget is not None else None
        except TableFull as error:
            raise Overloaded(f"No room to count for another key: {error}.") from None
        self._header_lines = b"".join(
            f"x-ratelimit-limit-{what}: {limit}\r\n"
            f"x-ratelimit-remaining-{what}: %d\r\nx-ratelimit-reset-{what}: %ds\r\n".encode()
            for what, limit in (("requests", key.rpm), ("tokens", key.tpm))
            if limit is not None
        )
        self.windowed = self.requests is not None or self.tokens is not None
        self.limited = not (
            self.requests is None and self.tokens is None and self.parallel is None and self.budget is None
        )

    def may_use(self, model: str) -> bool:
        """Whether the key's list of models has this name or a pattern for it."""
        models = self.key.models
        if not models:
            return True
        allowed = self._allowed.get(model)
        if allowed is None:
            allowed = any(model == pattern or ("*" in pattern and fnmatchcase(model, pattern)) for pattern in models)
            if len(self._allowed) >= CACHED_MODELS:
                self._allowed.clear()
            self._allowed[model] = allowed
        return allowed

    def check(self, now: float) -> None:
        """Raise when the key is blocked or expired. `now` in Unix seconds."""
        key = self.key
        if key.blocked:
            raise Forbidden("This key is blocked.", code="key_blocked")
        if key.expires is not None and now >= key.expires:
            raise Unauthorized("This key has expired.", code="expired_key")

    def reserve(self, tokens: int, cost: int, now: float, budget_status: int) -> Reservation:
        """Take one request, `tokens` and `cost` (nano-dollars) from every limit, or from none and raise.

        Raises `LimitExceeded` or `BudgetExceeded` with `retry_after` and the rate-limit headers.
        """
        key = self.key
        tick = int(now) // BUCKET_SECONDS
        requests_used = tokens_used = 0
        parallel, requests, window, budget = self.parallel, self.requests, self.tokens, self.budget
        if parallel is not None and parallel.enter() > (key.max_parallel_requests or 0):
            parallel.leave()
            raise LimitExceeded(
                f"Too many parallel requests: this key may have {key.max_parallel_requests} in flight.",
                retry_after=1.0,
                headers=self.headers(now),
            )
        if requests is not None:
            requests_used = requests.add(1, tick)
            if requests_used > (key.rpm or 0):
                self._give_back(tick, 1, 0)
                raise self._exceeded("requests", key.rpm or 0, requests, 1, now)
        if window is not None:
            tokens_used = window.add(tokens, tick)
            if tokens_used > (key.tpm or 0):
                self._give_back(tick, 1, tokens)
                raise self._exceeded("tokens", key.tpm or 0, window, tokens, now)
        if budget is not None:
            limit = key.max_budget or 0
            spent = budget.add(cost, now)
            if spent > limit or spent - cost >= limit:
                budget.add(-cost, now)
                self._give_back(tick, 1, tokens)
                raise BudgetExceeded(
                    f"Budget has been exceeded! Current cost: {dollars(spent - cost)}, Max budget: {dollars(limit)}",
                    status=budget_status,
                )
        return Reservation(tokens, cost, requests_used, tokens_used)

    def settle(self, reservation: Reservation, tokens: int, cost: int, then: float, now: float) -> None:
        """Replace the reservation made at `then` by what was used; the second call does nothing."""
        if reservation.settled:
            return
        reservation.settled = True
        if self.parallel is not None:
            self.parallel.leave()
        if self.tokens is not None and tokens != reservation.tokens:
            more = tokens - reservation.tokens
            self.tokens.correct(more, int(then) // BUCKET_SECONDS, int(now) // BUCKET_SECONDS)
        if self.budget is not None and cost != reservation.cost:
            self.budget.correct(cost - reservation.cost, then, now)

    def headers(self, now: float, reservation: Reservation | None = None) -> bytes:
        """OpenAI's `x-ratelimit-*` headers as lines, for the limits the key has.

        What is used is as the reservation saw it, or looked up without one. `reset` is when the minute is empty again
        at the latest. https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
        """
        if not self.windowed:
            return b""
        tick = int(now) // BUCKET_SECONDS
        reset = (tick + BUCKETS) * BUCKET_SECONDS - int(now)
        key = self.key
        values: list[int] = []
        if self.requests is not None:
            used = reservation.requests_used if reservation is not None else self.requests.used(tick)
            values += (max(0, (key.rpm or 0) - used), reset if used else 0)
        if self.tokens is not None:
            used = reservation.tokens_used if reservation is not None else self.tokens.used(tick)
            values += (max(0, (key.tpm or 0) - used), reset if used else 0)
        return self._header_lines % tuple(values)

    def _give_back(self, tick: int, requests: int, tokens: int) -> None:
        if self.parallel is not None:
            self.parallel.leave()
        if self.requests is not None:
            self.requests.add(-requests, tick)
        if self.tokens is not None and tokens:
            self.tokens.add(-tokens, tick)

    def _exceeded(self, what: str, limit: int, window: Window, amount: int, now: float) -> LimitExceeded:
        if amount > limit:
            return LimitExceeded(
                f"Rate limit exceeded: this request needs about {amount} {what}, the key may use {limit} a minute.",
                headers=self.headers(now),
            )
        return LimitExceeded(
            f"Rate limit exceeded: this key may use {limit} {what} a minute.",
            retry_after=max(1.0, window.seconds_until_free(amount, limit, now)),
            headers=self.headers(now),
        )


class KeyRing:
    """Finds the caller of a key: the configuration's at once, others from a cache filled by `lookup`.

    The cache holds what was found for a minute and what was not for ten seconds, at most `CACHED_KEYS` of them;
    `forget` drops entries as soon as the control plane says that they changed.
    """

    def __init__(self, book: LimitBook) -> None:
        self._book = book
        self._static: dict[bytes, Caller] = {}
        self._cached: dict[bytes, tuple[float, Caller | None]] = {}
        self._asking: dict[bytes, asyncio.Future[Caller | None]] = {}
        self.anonymous = Caller(ANONYMOUS, book)

    def adopt(self, auth: Auth) -> None:
        """Take the keys of a new Snapshot; callers whose key did not change keep their object."""
        keys = dict(auth.keys)
        if auth.master_key is not None:
            keys[auth.master_key] = Key(id=auth.master_key, name="master", admin=True)
        callers: dict[bytes, Caller] = {}
        for hexdigest, key in keys.items():
            digest = bytes.fromhex(hexdigest)
            caller = self._static.get(digest)
            if caller is None or caller.key != key:
                caller = Caller(key, self._book)
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

    def cached(self, token: bytes, now: float) -> tuple[bool, Caller | None]:
        """(known, caller) of a key looked up before."""
        entry = self._cached.get(sha256(token).digest())
        if entry is None or entry[0] <= now:
            return False, None
        return True, entry[1]

    async def look_up(self, token: bytes, lookup: Lookup, now: float) -> Caller | None:
        """Ask, once for all who wait for the same key, and remember the answer.

        Raises `Overloaded` when nobody can be asked: fail closed.
        """
        digest = sha256(token).digest()
        asking = self._asking.get(digest)
        if asking is None:
            asking = self._asking[digest] = asyncio.ensure_future(self._ask(digest, lookup, now))
        return await asyncio.shield(asking)

    async def _ask(self, digest: bytes, lookup: Lookup, now: float) -> Caller | None:
        this = asyncio.current_task()
        try:
            key = await lookup(digest.hex())
            if key is not None and not compare_digest(key.id, digest.hex()):
                key = None
            caller = Caller(key, self._book) if key is not None else None
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
            while len(self._cached) >= CACHED_KEYS:
                self._cached.pop(next(iter(self._cached)))
            seconds = POSITIVE_SECONDS if caller is not None else NEGATIVE_SECONDS
            self._cached[digest] = (now + seconds, caller)
        return caller

    def forget(self, keys: Iterable[str]) -> None:
        """Drop cached keys (hex SHA-256), or all of them when `keys` is empty."""
        digests = [bytes.fromhex(key) for key in keys]
        if not digests:
            self._cached.clear()
            self._asking.clear()
        for digest in digests:
            self._cached.pop(digest, None)
            self._asking.pop(digest, None)
