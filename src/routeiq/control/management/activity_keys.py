"""Daily activity by key: a page of them, those that fit a search, and those that used a model most.

https://docs.litellm.ai/docs/proxy/cost_tracking#daily-spend-breakdown-api
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Request, Response

from routeiq.control.access import Access
from routeiq.control.management.activity import ENTITIES, Offset, asked_of, metrics
from routeiq.control.management.spend_common import answer
from routeiq.control.routes import Route

if TYPE_CHECKING:
    from routeiq.control.plane import Plane
    from routeiq.store.activity import Sum

MOST_SEARCHED = 10_000
"""Keys a search looks at: those that cost most."""
Limit = Annotated[int, Query(ge=1, le=100)]
_BY = ("key", "key_name", "team_id", "user_id")
_DEAREST = "13 DESC, 1"
"""By cost: after the dimensions come the sums, the cost is the ninth."""


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""
    made = (("keys", _keys), ("search", _search), ("model_top_keys", _top))
    return tuple(
        Route("GET", f"/{entity}/daily/activity/aggregated/{path}", Access.MANAGE, make(plane, entity), "spend:read")
        for entity in ENTITIES
        for path, make in made
    )


def _keys(plane: Plane, entity: str) -> Callable[..., Response]:
    def get_keys(
        request: Request,
        start_date: str | None = None,
        end_date: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        timezone: Offset = None,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Limit = 50,
    ) -> Response:
        """Keys, those that cost most first."""
        asked = asked_of(request, entity, start_date, end_date, model, api_key, timezone)
        rows = plane.spend.activity.sums(asked, _BY, order=_DEAREST, limit=limit, offset=offset)
        total = plane.spend.activity.count(asked, _BY)
        return answer({"api_keys": _shown(plane, rows), "total_api_keys": total, "offset": offset, "limit": limit})

    return get_keys


def _search(plane: Plane, entity: str) -> Callable[..., Response]:
    def search_keys(
        request: Request,
        search: Annotated[str, Query(min_length=1, max_length=1024)],
        start_date: str | None = None,
        end_date: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        timezone: Offset = None,
        limit: Limit = 100,
    ) -> Response:
        """Keys with this in their alias or hash."""
        asked = asked_of(request, entity, start_date, end_date, model, api_key, timezone)
        word = search.lower()
        rows = plane.spend.activity.sums(asked, _BY, order=_DEAREST, limit=MOST_SEARCHED)
        found = [row for row in rows if word in row.of["key_name"].lower() or word in row.of["key"]]
        return answer({"api_keys": _shown(plane, found[:limit])})

    return search_keys


def _top(plane: Plane, entity: str) -> Callable[..., Response]:
    def get_top_keys(
        request: Request,
        model_group: Annotated[str, Query(min_length=1, max_length=1024)],
        by_model_group: bool = True,
        start_date: str | None = None,
        end_date: str | None = None,
        api_key: str | None = None,
        timezone: Offset = None,
        limit: Limit = 5,
    ) -> Response:
        """The keys that spent most on a public model, or on one of a provider."""
        dimension = "model" if by_model_group else "upstream_model"
        asked = asked_of(request, entity, start_date, end_date, None, api_key, timezone, {dimension: [model_group]})
        rows = plane.spend.activity.sums(asked, _BY, order=_DEAREST, limit=limit)
        return answer({"model": model_group, "by_model_group": by_model_group, "api_keys": _shown(plane, rows)})

    return get_top_keys


def _shown(plane: Plane, rows: list[Sum]) -> list[dict[str, Any]]:
    with plane.accounts.read() as db:
        known = db.keys.many(row.of["key"] for row in rows)
        people = db.users.many(row.of["user_id"] for row in rows)
    found = []
    for row in rows:
        of = row.of
        user = people.get(of["user_id"])
        metadata = {
            "key_alias": of["key_name"] or None,
            "team_id": of["team_id"] or None,
            "user_id": of["user_id"] or None,
            "user_email": user.email or None if user is not None else None,
            "key_exists": of["key"] in known,
        }
        found.append({"api_key": of["key"], "metrics": metrics(row), "metadata": metadata})
    return found
