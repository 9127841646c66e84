"""Shares counters with other machines over Redis, a few times a second.

    worker columns ──► what this machine has counted ──► Redis ──► what all have ──► column 0: what the others have

Workers read column 0 as they read each other's, so a limit holds across machines but for what is admitted between two
rounds. What has changed here lately is told and asked for in every round, the rest of it more rarely.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from routeiq.core.counters import BUDGET, GAUGE, CounterTable
from routeiq.core.slots import (
    BUDGET_WORDS,
    BUDGETS,
    FRONT,
    MOST_BUDGETS,
    PARALLEL,
    REQUESTS,
    TOKENS,
    SlotTable,
)
from routeiq.core.snapshot import Shared
from routeiq.governance.windows import BUCKET_SECONDS, BUCKETS
from routeiq.governance.wire import KEEP_SECONDS, SYNC

if TYPE_CHECKING:
    from redis import Redis

ACTIVE_SECONDS = 3.0
"""How long after a change here a subject is still asked for."""
SILENT_SECONDS = 5.0
"""A machine that has not said how many requests it has in flight for so long has none."""
RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.5
"""How often it is looked who has a place now."""
QUIET_SECONDS, QUIET = 1.0, 100
"""How often those that are quiet here are asked for, and how many of them in one round."""
SLICE = 2_000
"""How many of those that were quiet are looked at in one round."""
PREFIX = "limit:"
"""Of the names of counters that are limits."""

_WINDOW = f"w{BUCKETS + 2}"
_SLOT = (
    (PARALLEL, GAUGE),
    (REQUESTS, _WINDOW),
    (TOKENS, _WINDOW),
    *((BUDGETS + BUDGET_WORDS * place, BUDGET) for place in range(MOST_BUDGETS)),
)

log = logging.getLogger("routeiq.control")


class _Subject:
    """One subject's counters here, and their names there: `governance.wire`."""

    __slots__ = ("_cells", "_columns", "_first", "_last", "_mine", "_words", "asked", "changed", "key", "sum")

    def __init__(
        self, key: str, mine: str, cells: memoryview[int], columns: int, words: list[tuple[int, int, str]]
    ) -> None:
        """`mine` names this machine's part; `words` are (first cell of column 0, word, kind), in order."""
        self.key = key
        self.sum = -1
        """Checksum of everything, when it was looked at last."""
        self.changed = 0.0
        self.asked = 0.0
        """When the others' counts were learned last."""
        self._mine = mine
        self._cells = cells
        self._columns = columns
        self._words = words
        self._first = words[0][0]
        last, _, kind = words[-1]
        self._last = last + (1 if kind == GAUGE else int(kind[1:])) * columns

    def checksum(self) -> int:
        """Of all that is counted here."""
        return zlib.crc32(self._cells[self._first : self._last])

    def tell(self, now: float) -> list[str]:
        """What the workers have counted, as operations of `wire.SYNC`: always the whole of it, never the change, so
        that an answer that got lost does no harm.
        """
        cells, columns, mine = self._cells, self._columns, self._mine
        tick = int(now) // BUCKET_SECONDS
        told: list[str] = []
        for base, word, kind in self._words:
            if kind == GAUGE:
                told += ("v", f"g:{mine}", f"{sum(cells[base + 1 : base + columns])}:{int(now)}")
            elif kind == BUDGET:
                number = max(cells[base : base + columns])
                if not number:
                    continue
                spent = base + columns
                if cells[base] == number:
                    told += ("s", f"b{word}:{number}:", str(cells[spent]))
                own = sum(cells[spent + c] for c in range(1, columns) if cells[base + c] == number)
                told += ("v", f"b{word}:{number}:{mine}", str(own))
            else:
                for bucket in range(tick - BUCKETS + 1, tick + 1):
                    at = base + (2 + bucket % BUCKETS) * columns
                    lasts = ((c, cells[base + c]) for c in range(1, columns))
                    own = sum(cells[at + c] for c, last in lasts if last - BUCKETS < bucket <= last)
                    if own:
                        told += ("v", f"w{word}:{bucket}:{mine}", str(own))
        return told

    def learn(self, found: dict[str, str], now: float) -> list[str]:
        """Put what the others have into column 0; gives operations that remove what is over."""
        tick = int(now) // BUCKET_SECONDS
        newest = self._newest(found)
        over: list[str] = []
        others: dict[tuple[str, int], int] = {}
        for field, value in found.items():
            what, _, rest = field.partition(":")
            if what == "g":
                count, _, said = value.partition(":")
                if int(said or 0) < now - SILENT_SECONDS:
                    over += ("d", field, "")
                elif rest != self._mine:
                    others["g", 0] = others.get(("g", 0), 0) + int(count)
                continue
            text, _, whose = rest.partition(":")
            number = int(text)
            if (what[0] == "w" and number <= tick - BUCKETS) or (what[0] == "b" and number < newest[int(what[1:])]):
                over += ("d", field, "")
            elif whose != self._mine:
                others[what, number] = others.get((what, number), 0) + int(value)
        self._write(others, newest, tick)
        return over

    def _newest(self, found: dict[str, str]) -> dict[int, int]:
        """The present period of each budget, here or elsewhere."""
        newest = {
            word: max(self._cells[base : base + self._columns]) for base, word, kind in self._words if kind == BUDGET
        }
        for field in found:
            if field[0] == "b":
                what, number, _ = field.split(":", 2)
                newest[int(what[1:])] = max(newest[int(what[1:])], int(number))
        return newest

    def _write(self, others: dict[tuple[str, int], int], newest: dict[int, int], tick: int) -> None:
        cells, columns = self._cells, self._columns
        for base, word, kind in self._words:
            if kind == GAUGE:
                cells[base] = others.get(("g", 0), 0)
            elif kind == BUDGET:
                number = newest[word]
                if number:
                    cells[base + columns] = others.get((f"b{word}", number), 0)
                    cells[base] = number
            else:
                total = 0
                for bucket in range(tick - BUCKETS + 1, tick + 1):
                    used = others.get((f"w{word}", bucket), 0)
                    cells[base + (2 + bucket % BUCKETS) * columns] = used
                    total += used
                cells[base + columns] = total
                cells[base] = tick


class Nodes:
    """The rounds of one machine. `run` in a thread of its own."""

    def __init__(
        self,
        table: CounterTable,
        slots: SlotTable,
        node: str,
        noted: Callable[[bool], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`node` names this machine; `noted` is told whether Redis is there."""
        self._table = table
        self._slots = slots
        self._node = node
        self._noted = noted
        self._clock = clock
        self._subjects: dict[str, _Subject] = {}
        self._order: list[_Subject] = []
        self._hot: list[_Subject] = []
        self._turn = 0
        self._looked = 0.0
        self._redis: Redis | None = None
        self._shared: Shared | None = None
        self._up: bool | None = None

    def adopt(self, shared: Shared | None) -> None:
        """Take the settings of a new Snapshot; may be called from any thread."""
        self._shared = shared

    def run(self, stop: threading.Event) -> None:
        """Rounds until `stop`; where Redis is away, what was learned last stays."""
        using: Shared | None = None
        while not stop.is_set():
            shared = self._shared
            if shared is None or shared.strict:
                stop.wait(RETRY_SECONDS)
                continue
            wait = shared.interval
            try:
                if shared != using:
                    self._open(shared)
                    using = shared
                self.round(self._clock())
                self._note(True, "")
            except Exception as error:
                self._note(False, f"{type(error).__name__}")
                wait = RETRY_SECONDS
            stop.wait(wait)
        if self._redis is not None:
            self._redis.close()

    def round(self, now: float) -> None:
        """Tell and ask once. Raises the client's errors."""
        redis, shared = self._redis, self._shared
        assert redis is not None
        assert shared is not None
        if now >= self._looked + LOOK_SECONDS:
            self._looked = now
            self._find(shared.namespace)
        active: list[_Subject] = []
        quiet: list[_Subject] = []
        for subject in self._some():
            if self._is_active(subject, now):
                active.append(subject)
            elif now - subject.asked >= QUIET_SECONDS and len(quiet) < QUIET:
                quiet.append(subject)
        self._hot = list(active)
        active += quiet
        if not active:
            redis.ping()
            return
        pipeline = redis.pipeline(transaction=False)
        for subject in active:
            pipeline.eval(SYNC, 1, subject.key, KEEP_SECONDS, *subject.tell(now))
        for subject, answer in zip(active, pipeline.execute(), strict=True):
            over = subject.learn(_pairs(answer), now)
            subject.asked = now
            subject.sum = subject.checksum()
            if over:
                redis.eval(SYNC, 1, subject.key, KEEP_SECONDS, *over)

    def _some(self) -> Iterator[_Subject]:
        """Those that were active in the last round, and some of the others in turn."""
        yield from self._hot
        hot = set(map(id, self._hot))
        subjects = self._order
        for _ in range(min(SLICE, len(subjects))):
            self._turn = (self._turn + 1) % len(subjects)
            if id(subjects[self._turn]) not in hot:
                yield subjects[self._turn]

    @staticmethod
    def _is_active(subject: _Subject, now: float) -> bool:
        found = subject.checksum()
        if found != subject.sum:
            subject.sum, subject.changed = found, now
        return now - subject.changed <= ACTIVE_SECONDS

    def _open(self, shared: Shared) -> None:
        from redis import Redis

        if self._redis is not None:
            self._redis.close()
        self._redis = Redis.from_url(
            shared.url, socket_timeout=2.0, socket_connect_timeout=2.0, decode_responses=True, health_check_interval=0
        )
        self._subjects.clear()
        self._looked = 0.0

    def _find(self, namespace: str) -> None:
        """Every subject that has a place here now."""
        slots, columns = self._slots, self._slots.columns
        there: dict[str, _Subject] = {}
        for slot in range(slots.used()):
            lease = slots.lease(slot)
            if not lease:
                continue
            name = f"{slot}:{lease}"
            subject = self._subjects.get(name)
            if subject is None:
                digest, _ = slots.owner(slot)
                start = slot * slots.size + FRONT
                words = [(start + word * columns, word, kind) for word, kind in _SLOT]
                key = f"{{{namespace}}}:{digest.hex()[:32]}"
                subject = _Subject(key, f"{self._node}.{lease}", slots.cells, columns, words)
            there[name] = subject
        columns = self._table.columns
        for name, kind, row in self._table.items():
            if not name.startswith(PREFIX):
                continue
            known = self._subjects.get(name)
            if known is None:
                words = [(row * columns, 0, kind)]
                known = _Subject(f"{{{namespace}}}:{name}", self._node, self._table.cells, columns, words)
            there[name] = known
        self._hot = [subject for subject in there.values() if subject.changed]
        self._subjects, self._order = there, list(there.values())

    def _note(self, up: bool, why: str) -> None:
        if up != self._up:
            if not up:
                log.error("limits are not shared with other machines now: %s", why)
            elif self._up is not None:
                log.info("limits are shared with other machines again")
            self._up = up
            self._noted(up)


def _pairs(answer: Any) -> dict[str, str]:
    """A hash as Redis tells it: a flat list, or a map."""
    if isinstance(answer, dict):
        return answer
    return dict(zip(answer[::2], answer[1::2], strict=True))
