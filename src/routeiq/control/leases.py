"""Leases workers the slots they count subjects of the database in.

A slot begins with what the ledger says was spent in each period. It is taken back when its subject was idle for a
while, and given to another one some seconds after nobody may use it any more. So a million keys take as much room as
those of them that were used in the last minutes.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

import msgspec

from routeiq.core.counters import settled
from routeiq.core.errors import Overloaded
from routeiq.core.keys import BudgetLimit, EndUser, Key, Subject
from routeiq.core.periods import FOR_EVER, Period
from routeiq.core.slots import (
    BUDGET_WORDS,
    BUDGETS,
    MOST_BUDGETS,
    PARALLEL,
    SPEND,
    SlotTable,
    digest_of,
)
from routeiq.core.snapshot import Runs

IDLE_SECONDS = 120.0
"""How long nothing may have been counted before a slot is taken back: longer than any window."""
REST_SECONDS = 5.0
"""From then on until it is given away: longer than a worker may take from the look at its lease to the count."""
SWEEP_SECONDS = 15.0

MOST_RUNS = 100_000
"""Runs remembered that have paused."""

T = TypeVar("T", Key, EndUser)

Seeds = dict[int, tuple[int, int]]
"""Periods and amounts by the word they begin at."""

_COUNT = BUDGETS + BUDGET_WORDS
_BEGAN = BUDGETS + 2 * BUDGET_WORDS
"""Of a run: where its requests are counted, and where it says in which second it began."""


class Spent(Protocol):
    """What the ledger knows."""

    def spent(self, kind: str, id: str, since: float = 0.0, share: str = "") -> int:
        """Nano-dollars of a subject since a Unix time; `share` is one public model."""

    def counted(self, kind: str, id: str, since: float, what: str) -> int:
        """`cost`, `requests` or `tokens` of a subject since a Unix time."""


class _Lease:
    """One slot that is in use. `ready` is set once it can be counted in."""

    __slots__ = ("changed", "error", "number", "ready", "run", "slot", "subject", "sum", "watched")

    def __init__(self, slot: int, number: int, now: float) -> None:
        self.slot = slot
        self.number = number
        self.ready = threading.Event()
        self.error: Exception | None = None
        self.run = ""
        """Its name, where it is a run's."""
        self.subject = ""
        """Its name without a share, where this process knows it."""
        self.watched: Subject | None = None
        """Whom it is of, where it has a budget."""
        self.sum = 0
        """Checksum of its counts when they were looked at last."""
        self.changed = now
        """When they were seen to have changed last."""


class Leases:
    """All leases of one gateway. Methods may be called from any thread; `grant` blocks while the ledger is asked."""

    def __init__(self, table: SlotTable, spend: Spent, clock: Callable[[], float] = time.time) -> None:
        """Takes up the leases a control plane before has made. `clock` gives Unix seconds."""
        self._table = table
        self._spend = spend
        self._clock = clock
        self._lock = threading.Lock()
        self._leases: dict[bytes, _Lease] = {}
        self._free: list[int] = []
        self._resting: list[tuple[float, int]] = []
        self._next = table.used()
        # No number twice, even where the table was begun anew: other machines know leases by them.
        self._number = int(clock() * 1000)
        self._ended: dict[str, Seeds] = {}
        """What runs had come to when their slots were taken back."""
        now = clock()
        for slot in range(self._next):
            digest, number = table.owner(slot)
            self._number = max(self._number, number)
            if number:
                lease = self._leases[digest] = _Lease(slot, number, now)
                lease.ready.set()
            else:
                self._resting.append((now, slot))

    def __len__(self) -> int:
        return len(self._leases)

    def grant(self, found: T, zone: str) -> T:
        """The same with a slot for each of its subjects that is counted. Raises `Overloaded` when none is left."""
        subjects = tuple(self.grant_subject(subject, zone) for subject in found.subjects)
        return msgspec.structs.replace(found, subjects=subjects)

    def grant_subject(self, subject: Subject, zone: str) -> Subject:
        """The subject with a slot, where it has limits or is a key."""
        if not subject.limited and (subject.kind != "key" or subject.share):
            return subject
        durations = [limit.duration for limit in subject.budgets]
        name = "\n".join((subject.name, zone, *durations, *filter(None, [subject.counts])))
        lease = self._lease(name, lambda now: self._spent(subject, zone, now))
        lease.subject = f"{subject.kind}:{subject.id}"
        if subject.budgets and subject.kind != "policy":
            lease.watched = subject
        return msgspec.structs.replace(subject, slot=lease.slot, lease=lease.number)

    def grant_run(self, name: str, limits: Runs) -> Subject:
        """A slot for a run of an agent, which begins now unless it did before."""
        known = f"run:{name}"
        lease = self._lease(known, lambda now: self._ended.pop(known, None) or {_BEGAN: (int(now), 0)}, run=True)
        budgets = (BudgetLimit(amount=limits.max_budget),) if limits.max_budget is not None else ()
        return Subject(
            kind="run",
            id=name,
            max_parallel_requests=limits.max_parallel_requests,
            budgets=budgets,
            began=float(self._table.seed(lease.slot, _BEGAN)),
            slot=lease.slot,
            lease=lease.number,
        )

    def _lease(self, name: str, seeds: Callable[[float], Seeds], *, run: bool = False) -> _Lease:
        """The lease of that name, made and seeded when new."""
        digest = digest_of(name)
        with self._lock:
            lease = self._leases.get(digest)
            mine = lease is None
            if lease is None:
                lease = self._leases[digest] = self._allot()
                lease.run = name if run else ""
            lease.changed = self._clock()
        if mine:
            try:
                self._table.begin(lease.slot, lease.number, digest, seeds(self._clock()))
            except Exception as error:
                lease.error = error
                with self._lock:
                    self._leases.pop(digest, None)
                    self._free.append(lease.slot)
                raise
            finally:
                lease.ready.set()
        lease.ready.wait()
        if lease.error is not None:
            raise lease.error
        return lease

    def renew(self, names: Collection[str] = ()) -> None:
        """Count anew, from what the ledger says now, for these subjects (`Subject.name`) or for all.

        To be called when the ledger's word on what was spent has been changed, before the workers are told.
        """
        with self._lock:
            now = self._clock()
            for digest, lease in list(self._leases.items()):
                # Whose a lease is that another process made is not known.
                concerned = not names or not lease.subject or lease.subject in names
                if concerned and not lease.run and lease.ready.is_set():
                    self._table.take_back(lease.slot)
                    del self._leases[digest]
                    self._resting.append((now, lease.slot))

    def budgets(self) -> list[tuple[Subject, int]]:
        """Subjects with budgets that are counted now, and their slots."""
        with self._lock:
            leases = list(self._leases.values())
        return [(lease.watched, lease.slot) for lease in leases if lease.watched is not None and lease.ready.is_set()]

    def settled(self, slot: int, place: int, number: int) -> int:
        """Nano-dollars that were spent of a slot's budget in the period with this number."""
        row = self._table.row(slot, BUDGETS + BUDGET_WORDS * place)
        return settled(row.cells, row.base, row.step, number)

    def sweep(self) -> None:
        """Take back what is idle; to be called every `SWEEP_SECONDS`, while the ledger has all that was counted."""
        now = self._clock()
        with self._lock:
            leases = list(self._leases.items())
        for digest, lease in leases:
            if not lease.ready.is_set():
                continue
            found = zlib.crc32(self._table.counts(lease.slot))
            if found != lease.sum or self._flying(lease.slot):
                lease.sum, lease.changed = found, now
            elif now - lease.changed >= IDLE_SECONDS:
                with self._lock:
                    if now - lease.changed < IDLE_SECONDS:
                        continue  # asked for in this very moment
                    if lease.run:
                        self._remember(lease)
                    self._table.take_back(lease.slot)
                    del self._leases[digest]
                    self._resting.append((now, lease.slot))
        with self._lock:
            while self._resting and self._resting[0][0] + REST_SECONDS <= now:
                self._free.append(self._resting.pop(0)[1])

    def _flying(self, slot: int) -> bool:
        """Whether requests are under way: a lease that began now would not know what they will have cost."""
        words = (PARALLEL, *(BUDGETS + BUDGET_WORDS * place + 2 for place in range(MOST_BUDGETS)))
        return any(self._table.total(slot, word) for word in words)

    def _allot(self) -> _Lease:
        """A slot nobody uses, under a new number; with the lock held."""
        if self._free:
            slot = self._free.pop()
        elif self._next < self._table.capacity:
            slot = self._next
            self._next += 1
            self._table.note_used(self._next)
        else:
            raise Overloaded(
                f"No room to count for another key, user or team: {self._table.capacity} are active.", retry_after=5.0
            )
        self._number += 1
        return _Lease(slot, self._number, self._clock())

    def _remember(self, lease: _Lease) -> None:
        """A run may go on after a pause; with the lock held."""
        spent, asked = (self._table.total(lease.slot, word + 1) for word in (BUDGETS, _COUNT))
        began = self._table.seed(lease.slot, _BEGAN)
        while len(self._ended) >= MOST_RUNS:
            del self._ended[next(iter(self._ended))]
        self._ended[lease.run] = {BUDGETS: (FOR_EVER, spent), _COUNT: (FOR_EVER, asked), _BEGAN: (began, 0)}

    def _spent(self, subject: Subject, zone: str, now: float) -> Seeds:
        """What the ledger has for each of the subject's periods."""
        periods = [Period(limit.duration, zone) for limit in subject.budgets[:MOST_BUDGETS]]
        wanted = {BUDGETS + BUDGET_WORDS * place: period for place, period in enumerate(periods)}
        if subject.kind == "key" and not subject.share:
            wanted[SPEND] = periods[0] if periods else Period("", zone)
        known: dict[float, int] = {}
        seeds: Seeds = {}
        for word, period in wanted.items():
            begin, _ = period.bounds(now)
            if begin not in known:
                known[begin] = (
                    self._spend.counted(subject.kind, subject.id, begin, subject.counts)
                    if subject.counts
                    else self._spend.spent(subject.kind, subject.id, begin, subject.share)
                )
            seeds[word] = (period.number(now), known[begin])
        return seeds
