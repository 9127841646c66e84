"""What users thought of a choice: `POST /v1/routing/feedback`; and what workers learn from it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from routeiq.control.access import Access
from routeiq.control.management.spend_common import answer, seen_by
from routeiq.control.routes import Route
from routeiq.core import lessons
from routeiq.core.errors import BadRequest, UnknownPath

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane


class Judgement(BaseModel):
    """How good the answer to a request was."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    decision_id: Annotated[str, Field(min_length=1, max_length=200)]
    """`x-routeiq-decision-id` of the answer."""
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    """0, no use at all, to 1, as good as can be."""


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""

    def post_feedback(request: Request, body: Judgement) -> Response:
        """Judge the answer to one of the caller's requests, once. Strategies that learn do so within seconds."""
        caller: Caller = request.state.caller
        if plane.decisions.find(body.decision_id, seen_by(caller)) is None:
            raise UnknownPath(
                f"There is no decision '{body.decision_id}', or none of this key's. A decision is there about a second "
                "after its request has ended.",
                code="not_found",
            )
        if not plane.feedback.add(body.decision_id, body.score, caller.digest, time.time()):
            raise BadRequest(
                f"The decision '{body.decision_id}' was judged before.", status=409, param="decision_id",
                code="already_judged",
            )  # fmt: skip
        return answer({"decision_id": body.decision_id, "score": body.score})

    def get_lessons(after: Annotated[int, Query(ge=-1, lt=2**63)] = 0) -> Response:
        """Judged decisions with higher numbers, for a worker whose strategies learn."""
        return Response(msgspec.json.encode(plane.feedback.lessons(after)), media_type="application/json")

    return (
        Route("POST", "/v1/routing/feedback", Access.MANAGE, post_feedback, "decision:judge"),
        Route("POST", "/routing/feedback", Access.MANAGE, post_feedback, "decision:judge"),
        Route("GET", lessons.PATH, Access.INTERNAL, get_lessons),
    )
