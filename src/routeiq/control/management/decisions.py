"""How models were chosen for requests: `/v1/routing/decisions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Query, Request, Response

from routeiq.control.access import Access
from routeiq.control.management.spend_common import answer, seen_by
from routeiq.control.routes import Route
from routeiq.core.decisions import for_its_key
from routeiq.core.errors import UnknownPath
from routeiq.ledger.contract import router_decision
from routeiq.store.decisions import Decided

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""

    def get_decision(request: Request, decision_id: str) -> Response:
        """One decision: the candidates with what took them out, what was predicted, why; and how the request ended.

        It is there about a second after the request has ended.
        """
        caller: Caller = request.state.caller
        found = plane.decisions.find(decision_id, seen_by(caller))
        if found is None:
            raise UnknownPath(
                f"There is no decision '{decision_id[:200]}', or none of this key's. A decision is there about a "
                "second after its request has ended.",
                code="not_found",
            )
        return answer(_shown(found, caller))

    def get_decisions(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
        model: str | None = None,
    ) -> Response:
        """Decisions, the newest first; `next` is the `before` of the next page."""
        caller: Caller = request.state.caller
        found = plane.decisions.page(limit=limit, before=before, model=model, seen=seen_by(caller))
        more = found[-1].event["seq"] if len(found) == limit else None
        return answer({"data": [_shown(one, caller) for one in found], "next": more})

    return (
        Route("GET", "/v1/routing/decisions", Access.MANAGE, get_decisions, "decision:read"),
        Route("GET", "/v1/routing/decisions/{decision_id}", Access.MANAGE, get_decision, "decision:read"),
    )


def _shown(found: Decided, caller: Caller) -> dict[str, Any]:
    decision, event = found
    if not caller.sees_all:
        decision = for_its_key(decision)
    cost = event["cost"]
    return {
        **msgspec.to_builtins(decision),
        "at": event["at"] / 1e6,
        "outcome": {
            "status": event["status"],
            "error": event["error"] or None,
            "model": event["group"],
            "deployment": event["deployment"],
            "fallbacks": event["fallbacks"],
            "retries": event["retries"],
            "prompt_tokens": event["prompt_tokens"],
            "completion_tokens": event["completion_tokens"],
            "cost": cost / 1e9 if cost is not None else None,
            "duration": event["duration"] / 1e6,
        },
        "telemetry": router_decision(decision, event),
    }
