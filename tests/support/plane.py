"""A control plane without its processes: everything it has over one database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from routeiq.control.changes import Changes
from routeiq.control.main import rules
from routeiq.control.plane import Plane
from routeiq.core.counters import CounterTable
from routeiq.core.snapshot import Snapshot
from routeiq.store.a2a_tasks import A2aTaskRepository
from routeiq.store.accounts import Accounts
from routeiq.store.decisions import DecisionRepository
from routeiq.store.feedback import FeedbackRepository
from routeiq.store.lookup import Lookup
from routeiq.store.requests import RequestRepository
from routeiq.store.responses import ResponseRepository
from routeiq.store.spend import SpendRepository


def make_plane(directory: Path, opened: Engine, snapshot: Snapshot, changes: Changes, **more: Any) -> Plane:
    """Over a migrated database; counters go to `directory`."""
    plane = Plane(
        CounterTable(directory, column=0, columns=2),
        Lookup(opened, rules=lambda: rules(plane.snapshot)),
        Accounts(opened),
        RequestRepository(opened),
        ResponseRepository(opened),
        A2aTaskRepository(opened),
        SpendRepository(opened),
        DecisionRepository(opened),
        FeedbackRepository(opened),
        snapshot,
        changes=changes,
        **more,
    )
    return plane
