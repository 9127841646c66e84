"""The metrics a worker writes.

On the hot path a count is an addition to a plain list; once a second `flush` adds what came together to this worker's
column of the shared table. So a scrape is a second behind at most, and a killed worker takes at most a second of
metrics with it (never an Event: those are written before each answer).
"""

from __future__ import annotations

from bisect import bisect_left

from routeiq.core.counters import GAUGE, CounterTable, TableFull
from routeiq.observe import metrics
from routeiq.observe.metrics import Family, series


class Counts:
    """Counters by position: `counts.pending[counts.place(name)] += 1`."""

    def __init__(self, table: CounterTable) -> None:
        self._table = table
        self._slots: list[int] = []
        self._places: dict[str, int] = {}
        self.pending: list[int] = []
        """What was added since the last `flush`, by place."""

    def place(self, name: str) -> int:
        """Where to count a series, made when new. Raises `TableFull`."""
        place = self._places.get(name)
        if place is None:
            self._slots.append(self._table.slot(name))
            self.pending.append(0)
            place = self._places[name] = len(self.pending) - 1
        return place

    def flush(self) -> None:
        """Add what is pending to the shared table."""
        cells, pending = self._table.cells, self.pending
        for place, slot in enumerate(self._slots):
            amount = pending[place]
            if amount:
                cells[slot] += amount
                pending[place] = 0


class Histogram:
    """One series of a histogram. Values in the family's unit, integers."""

    __slots__ = ("bounds", "first", "sum")

    def __init__(self, counts: Counts, family: Family, **labels: str) -> None:
        self.bounds = family.buckets
        bounds = [f"{bound * family.scale:g}" for bound in family.buckets]
        places = [counts.place(series(family.name + "_bucket", **labels, le=le)) for le in [*bounds, "+Inf"]]
        self.first = places[0]
        """The place of the first bucket; the others follow."""
        self.sum = counts.place(series(family.name + "_sum", **labels))

    def observe(self, pending: list[int], value: int) -> None:
        """Count one value."""
        pending[self.first + bisect_left(self.bounds, value)] += 1
        pending[self.sum] += value


class GroupMeters:
    """The places of what is counted per public model name."""

    __slots__ = (
        "_counts",
        "_requests",
        "completion_tokens",
        "cost",
        "duration",
        "fallbacks",
        "name",
        "prompt_tokens",
        "retries",
        "ttfb",
        "unpriced",
    )

    def __init__(self, counts: Counts, name: str) -> None:
        self._counts = counts
        self.name = name
        self._requests: dict[tuple[str, int], int] = {}
        self.prompt_tokens = counts.place(series(metrics.TOKENS.name, model=name, direction="input"))
        self.completion_tokens = counts.place(series(metrics.TOKENS.name, model=name, direction="output"))
        self.cost = counts.place(series(metrics.COST.name, model=name))
        self.unpriced = counts.place(series(metrics.UNPRICED.name, model=name))
        self.retries = counts.place(series(metrics.RETRIES.name, model=name))
        self.fallbacks = counts.place(series(metrics.FALLBACKS.name, model=name))
        self.ttfb = Histogram(counts, metrics.TTFB, model=name)
        self.duration = Histogram(counts, metrics.DURATION, model=name)

    def request(self, endpoint: str, status: int) -> int:
        """The place for requests of an endpoint that ended with a status."""
        place = self._requests.get((endpoint, status))
        if place is None:
            place = self._requests[endpoint, status] = self._counts.place(
                series(metrics.REQUESTS.name, endpoint=endpoint, model=self.name, status=str(status))
            )
        return place


class Meters:
    """All of a worker's metrics. Labels come from configuration only, so their number is bounded."""

    def __init__(self, table: CounterTable) -> None:
        self._table = table
        self._counts = Counts(table)
        self.pending = self._counts.pending
        self.journal_dropped = self._counts.place(metrics.JOURNAL_DROPPED.name)
        self._groups: dict[str, GroupMeters] = {}
        self._overhead = {"": Histogram(self._counts, metrics.OVERHEAD, endpoint="")}
        self._gauges: dict[str, int] = {}
        self._uses: dict[tuple[str, str, str], tuple[int, Histogram]] = {}

    def group(self, name: str) -> GroupMeters:
        """The meters of a public model name; `""` for requests that named none we have."""
        meters = self._groups.get(name)
        if meters is None:
            meters = self._groups[name] = GroupMeters(self._counts, name)
        return meters

    def overhead(self, endpoint: str) -> Histogram:
        """The histogram of the gateway's own time."""
        histogram = self._overhead.get(endpoint)
        if histogram is None:
            histogram = self._overhead[endpoint] = Histogram(self._counts, metrics.OVERHEAD, endpoint=endpoint)
        return histogram

    def attempt(self, deployment: str) -> int:
        """The place for successful calls to a deployment."""
        return self._counts.place(series(metrics.ATTEMPTS.name, deployment=deployment, outcome="ok"))

    def used(self, endpoint: str, target: str, outcome: str, duration: int) -> None:
        """Count one use of an MCP server or an agent, which took so many microseconds. A full table loses the count."""
        found = self._uses.get((endpoint, target, outcome))
        if found is None:
            try:
                place = self._counts.place(series(metrics.USES.name, endpoint=endpoint, target=target, outcome=outcome))
                found = place, Histogram(self._counts, metrics.USE_DURATION, endpoint=endpoint, target=target)
            except TableFull:
                return
            self._uses[endpoint, target, outcome] = found
        self.pending[found[0]] += 1
        found[1].observe(self.pending, duration)

    def count(self, family: Family, **labels: str) -> None:
        """Add one to a counter that is not on the hot path. A full table loses the count, not the request."""
        try:
            place = self._counts.place(series(family.name, **labels))
        except TableFull:
            return
        self.pending[place] += 1

    def set_gauge(self, family: Family, value: int, **labels: str) -> None:
        """Set this worker's share of a gauge."""
        name = series(family.name, **labels)
        slot = self._gauges.get(name)
        if slot is None:
            try:
                slot = self._gauges[name] = self._table.slot(name, GAUGE)
            except TableFull:
                return
        self._table.cells[slot] = value

    def flush(self) -> None:
        """Put what is pending into the shared table."""
        self._counts.flush()
