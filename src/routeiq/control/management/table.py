"""All routes of the management API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routeiq.control.management import keys

if TYPE_CHECKING:
    from routeiq.control.plane import Plane
    from routeiq.control.routes import Route


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""
    return keys.routes(plane)
