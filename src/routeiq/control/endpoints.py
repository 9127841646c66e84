"""The control plane's endpoints and the access each asks for, in one table."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response

import routeiq
from routeiq.control import a2a_push, a2a_tasks, counted, responses
from routeiq.control.access import Access
from routeiq.control.health import health
from routeiq.control.management import table
from routeiq.control.plane import Plane
from routeiq.control.routes import Route, add
from routeiq.core.errors import UnknownPath
from routeiq.observe.exposition import CONTENT_TYPE, render

_encode = msgspec.json.Encoder().encode


def mount(app: FastAPI, plane: Plane) -> None:
    """Put every route of the table on the app."""
    add(app, plane, routes(plane, app))


def routes(plane: Plane, app: FastAPI) -> tuple[Route, ...]:
    """Every endpoint there is. Synchronous ones run in a thread."""

    def get_health(request: Request, model: str | None = None) -> Response:
        """Deployments that are served and that are held out."""
        return _json(health(plane.current(), plane.table, request.state.caller, model))

    def get_metrics() -> Response:
        """Prometheus text, summed over all processes."""
        return Response(render(plane.table), media_type=CONTENT_TYPE)

    def get_openapi() -> Response:
        """This description."""
        return _json(app.openapi())

    def get_requests(
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
        model: str | None = None,
        key: str | None = None,
        status: Annotated[int | None, Query(ge=100, le=599)] = None,
    ) -> Response:
        """Requests from the ledger, newest first; `before` is the `seq` to go on from."""
        rows = plane.requests.page(limit=limit, before=before, model=model, key=key, status=status)
        for row in rows:
            for name in ("tags", "request_tags"):
                row[name] = msgspec.Raw((row[name] or "[]").encode())
        return _json({"data": rows, "next": rows[-1]["seq"] if len(rows) == limit else None})

    def get_status() -> Response:
        """What this gateway serves and how its ledger keeps up."""
        snapshot = plane.current()
        return _json(
            {
                "version": routeiq.__version__,
                "revision": snapshot.revision,
                "uptime_seconds": round(time.time() - plane.started, 3),
                "workers": plane.table.columns - 1,
                "models": sum(1 for group in snapshot.groups.values() if not group.hidden),
                "deployments": len(snapshot.deployments),
                "credentials": plane.credentials.status(),
                "database": {
                    "where": plane.database.where,
                    "connected": plane.database.trouble is None,
                    "trouble": plane.database.trouble,
                },
                "ledger": {
                    "newest": plane.requests.newest() if plane.database.trouble is None else None,
                    "ingested": plane.ingest.ingested,
                    "quarantined_lines": plane.ingest.quarantined,
                    "backlog_bytes": plane.ingest.backlog,
                },
            }
        )

    async def get_credentials(id: str) -> Response:
        """Credentials by the id of their `Signing`, for a worker that signs with them."""
        for signing in plane.current().signings():
            if signing.id == id:
                return _json(await plane.credentials.get(signing))
        raise UnknownPath("There are no such credentials.")

    return (
        Route("GET", "/health", Access.KEY, get_health),
        Route("GET", "/metrics", Access.METRICS, get_metrics, open=True),
        Route("GET", "/openapi.json", Access.ADMIN_VIEW, get_openapi, open=True),
        Route("GET", "/api/v1/routeiq/requests", Access.ADMIN_VIEW, get_requests, open=True),
        Route("GET", "/api/v1/routeiq/status", Access.ADMIN_VIEW, get_status, open=True),
        Route("GET", "/internal/credentials/{id}", Access.INTERNAL, get_credentials),
        *counted.routes(plane),
        *table.routes(plane),
        *(Route(method, path, Access.INTERNAL, endpoint) for method, path, endpoint in responses.endpoints(plane)),
        *(Route(method, path, Access.INTERNAL, endpoint) for method, path, endpoint in a2a_tasks.endpoints(plane)),
        *(Route(method, path, Access.INTERNAL, endpoint) for method, path, endpoint in a2a_push.endpoints(plane)),
    )


def _json(data: Any) -> Response:
    return Response(_encode(data), media_type="application/json")
