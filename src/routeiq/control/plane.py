"""What every endpoint of the control plane works with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from routeiq.control.changes import Changes
from routeiq.control.credentials import Keeper
from routeiq.control.exporting import Exporter
from routeiq.control.leases import Leases
from routeiq.control.nodes import Nodes
from routeiq.control.shelf import Shelf
from routeiq.core.counters import CounterTable
from routeiq.core.errors import Overloaded
from routeiq.core.messages import Message
from routeiq.core.snapshot import Snapshot
from routeiq.store.a2a_tasks import A2aTaskRepository
from routeiq.store.accounts import Accounts
from routeiq.store.decisions import DecisionRepository
from routeiq.store.feedback import FeedbackRepository
from routeiq.store.lookup import Lookup
from routeiq.store.requests import RequestRepository
from routeiq.store.responses import ResponseRepository
from routeiq.store.spend import SpendRepository


@dataclass(slots=True)
class IngestStatus:
    """How the ledger keeps up with the journal, since this process started."""

    ingested: int = 0
    quarantined: int = 0
    backlog: int = 0
    """Bytes."""


@dataclass(slots=True)
class DatabaseStatus:
    """Whether the database can be worked with, as the ledger's writer found it last."""

    where: str = ""
    """Without a password."""
    trouble: str | None = None
    """`None` when all is well."""


def _nobody(_: Message) -> bool:
    """Where there is no supervisor."""
    return False


@dataclass(slots=True)
class Plane:
    """The objects of one control plane; `snapshot` is replaced at every reload."""

    table: CounterTable
    keys: Lookup
    """Finds keys that are not in the configuration."""
    accounts: Accounts
    requests: RequestRepository
    responses: ResponseRepository
    a2a_tasks: A2aTaskRepository
    spend: SpendRepository
    decisions: DecisionRepository
    feedback: FeedbackRepository
    snapshot: Snapshot | None = None
    database: DatabaseStatus = field(default_factory=DatabaseStatus)
    ingest: IngestStatus = field(default_factory=IngestStatus)
    credentials: Keeper = field(default_factory=Keeper)
    changes: Changes = field(default_factory=lambda: Changes(_nobody))
    exporter: Exporter | None = None
    """Writes the ledger's days to files; `None` where there is none."""
    nodes: Nodes | None = None
    """Shares counters with other machines."""
    leases: Leases | None = None
    """Of the counters workers share; `None` where there are no workers."""
    stored: Shelf | None = None
    """What is stored beside the configuration files; `None` where there is no database."""
    started: float = field(default_factory=time.time)

    @property
    def shelf(self) -> Shelf:
        """`stored`, for those who can't do without. Raises `Overloaded`."""
        if self.stored is None:
            raise Overloaded("This gateway has no database.", code="database_unavailable")
        return self.stored

    def current(self) -> Snapshot:
        """The Snapshot served now. Raises `Overloaded` before the first one has come."""
        if self.snapshot is None:
            raise Overloaded("The control plane is starting.", code="starting", retry_after=1.0)
        return self.snapshot
