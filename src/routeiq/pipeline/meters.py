"""The metrics a worker writes, as cells of the shared table, found once and then added to."""

from __future__ import annotations

from bisect import bisect_left

from routeiq.core.counters import GAUGE, CounterTable, TableFull
from routeiq.observe import metrics
from routeiq.observe.metrics import Family, series


class Histogram:
    """One series of a histogram. Values in the family's unit, integers."""

    __slots__ = ("_bounds", "_cells", "_first", "_step", "_sum")

    def __init__(self, table: CounterTable, family: Family, **labels: str) -> None:
        self._bounds = family.buckets
        self._cells = table.cells
        self._step = table.columns
        scaled = [f"{bound * family.scale:g}" for bound in family.buckets]
        slots = [table.slot(series(family.name + "_bucket", **labels, le=le)) for le in [*scaled, "+Inf"]]
        self._first = slots
        self._sum = table.slot(series(family.name + "_sum", **labels))

    def observe(self, value: int) -> None:
        """Count one value."""
        cells = self._cells
        cells[self._first[bisect_left(self._bounds, value)]] += 1
        cells[self._sum] += value


class GroupMeters:
    """What is counted per public model name."""

    __slots__ = (
        "_requests",
        "_table",
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

    def __init__(self, table: CounterTable, name: str) -> None:
        self._table = table
        self.name = name
        self._requests: dict[tuple[str, int], int] = {}
        self.prompt_tokens = table.slot(series(metrics.TOKENS.name, model=name, direction="input"))
        self.completion_tokens = table.slot(series(metrics.TOKENS.name, model=name, direction="output"))
        self.cost = table.slot(series(metrics.COST.name, model=name))
        self.unpriced = table.slot(series(metrics.UNPRICED.name, model=name))
        self.retries = table.slot(series(metrics.RETRIES.name, model=name))
        self.fallbacks = table.slot(series(metrics.FALLBACKS.name, model=name))
        self.ttfb = Histogram(table, metrics.TTFB, model=name)
        self.duration = Histogram(table, metrics.DURATION, model=name)

    def request(self, endpoint: str, status: int) -> int:
        """The cell for requests of an endpoint that ended with a status."""
        slot = self._requests.get((endpoint, status))
        if slot is None:
            slot = self._requests[endpoint, status] = self._table.slot(
                series(metrics.REQUESTS.name, endpoint=endpoint, model=self.name, status=str(status))
            )
        return slot


class Meters:
    """All of a worker's metrics. Labels come from configuration only, so their number is bounded."""

    def __init__(self, table: CounterTable) -> None:
        self.table = table
        self.cells = table.cells
        self.in_flight = table.slot(metrics.IN_FLIGHT.name, GAUGE)
        self.connections = table.slot(metrics.CONNECTIONS.name, GAUGE)
        self.journal_dropped = table.slot(metrics.JOURNAL_DROPPED.name)
        self._groups: dict[str, GroupMeters] = {}
        self._overhead: dict[str, Histogram] = {}
        self._slots: dict[str, int] = {}
        self._upstream: dict[str, int] = {}

    def group(self, name: str) -> GroupMeters:
        """The meters of a public model name; `""` for requests that named none we have."""
        meters = self._groups.get(name)
        if meters is None:
            meters = self._groups[name] = GroupMeters(self.table, name)
        return meters

    def overhead(self, endpoint: str) -> Histogram:
        """The histogram of the gateway's own time."""
        histogram = self._overhead.get(endpoint)
        if histogram is None:
            histogram = self._overhead[endpoint] = Histogram(self.table, metrics.OVERHEAD, endpoint=endpoint)
        return histogram

    def count(self, family: Family, **labels: str) -> None:
        """Add one to a counter that is not on the hot path. A full table loses the count, not the request."""
        name = series(family.name, **labels)
        slot = self._slots.get(name)
        if slot is None:
            try:
                slot = self._slots[name] = self.table.slot(name)
            except TableFull:
                return
        self.cells[slot] += 1

    def attempt(self, deployment: str) -> int:
        """The cell for successful calls to a deployment."""
        return self.table.slot(series(metrics.ATTEMPTS.name, deployment=deployment, outcome="ok"))

    def set_gauge(self, family: Family, value: int, **labels: str) -> None:
        """Set this worker's share of a gauge."""
        name = series(family.name, **labels)
        slot = self._upstream.get(name)
        if slot is None:
            try:
                slot = self._upstream[name] = self.table.slot(name, GAUGE)
            except TableFull:
                return
        self.cells[slot] = value
