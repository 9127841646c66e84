"""What is served, and what a reload can't change about it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from routeiq.core import snapshot as snapshots
from routeiq.core.settings import WARNING, Finding, ServerSettings

SECRET = ("database_url", "secrets_key")
"""Settings that are not to be shown."""


@dataclass(slots=True)
class Serving:
    """What is served now."""

    snapshot: bytes
    revision: str
    models: int
    drain_seconds: float
    longtail: bool
    """Whether any deployment is called by LiteLLM's SDK."""


def describe(snapshot: bytes) -> Serving:
    """The few facts of an encoded Snapshot the supervisor needs."""
    decoded = snapshots.decode(snapshot)
    visible = sum(1 for group in decoded.groups.values() if not group.hidden)
    longtail = any(deployment.via == "longtail" for deployment in decoded.deployments)
    return Serving(snapshot, decoded.revision, visible, decoded.limits.drain_seconds, longtail)


def restart_needed(old: ServerSettings, new: ServerSettings) -> tuple[Finding, ...]:
    """A warning for each setting that can't change while the gateway runs."""
    was, now = msgspec.structs.asdict(old), msgspec.structs.asdict(new)
    return tuple(
        Finding(
            level=WARNING,
            path=f"routeiq.{name}",
            message=f"{name} changed{'' if name in SECRET else f' from {was[name]} to {value}'}, which takes a restart",
        )
        for name, value in now.items()
        if value != was[name]
    )
