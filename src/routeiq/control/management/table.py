"""All routes of the management API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routeiq.control.management import (
    a2a_agents,
    access_groups,
    activity,
    activity_keys,
    budgets,
    credentials,
    customers,
    decisions,
    exports,
    feedback,
    keys,
    mcp_servers,
    models,
    organizations,
    spend,
    spend_owners,
    spend_reports,
    tags,
    teams,
    usage_policies,
    users,
    workspaces,
)

if TYPE_CHECKING:
    from routeiq.control.plane import Plane
    from routeiq.control.routes import Route


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""
    return (
        *models.routes(plane),
        *credentials.routes(plane),
        *mcp_servers.routes(plane),
        *a2a_agents.routes(plane),
        *tags.routes(plane),
        *access_groups.routes(plane),
        *keys.routes(plane),
        *users.routes(plane),
        *teams.routes(plane),
        *organizations.routes(plane),
        *customers.routes(plane),
        *workspaces.routes(plane),
        *exports.routes(plane),
        *usage_policies.routes(plane),
        *budgets.routes(plane),
        *spend.routes(plane),
        *spend_reports.routes(plane),
        *activity.routes(plane),
        *activity_keys.routes(plane),
        *spend_owners.routes(plane),
        *decisions.routes(plane),
        *feedback.routes(plane),
    )
