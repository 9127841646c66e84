"""All routes of the management API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routeiq.control.management import activity, keys, spend, spend_reports

if TYPE_CHECKING:
    from routeiq.control.plane import Plane
    from routeiq.control.routes import Route


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""
    return (
        *keys.routes(plane),
        *spend.routes(plane),
        *spend_reports.routes(plane),
        *activity.routes(plane),
    )
