"""Reports of spend, as LiteLLM gives them: https://docs.litellm.ai/docs/proxy/cost_tracking#-spend-tracking-api"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query, Request, Response

from routeiq.control.access import Access
from routeiq.control.management.spend_common import answer, days, digest, iso_day, listed, need, seen_by, usd, wanted
from routeiq.control.routes import Route
from routeiq.store.activity import Sum, Wanted

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane

LAST_DAYS = 30
"""Of what LiteLLM reports without dates."""
Limit = Annotated[int, Query(ge=1, le=10_000)]


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""

    def get_tags(request: Request, start_date: str | None = None, end_date: str | None = None) -> Response:
        """What each tag cost."""
        asked = _period(request.state.caller, start_date, end_date, kind="tag")
        rows = plane.spend.activity.sums(asked, ("label",), order="10 DESC, 1")
        return answer(
            [
                {"individual_request_tag": row.of["label"], "log_count": row.requests, "total_spend": usd(row.cost)}
                for row in rows
            ]
        )

    def get_global_tags(
        start_date: str | None = None, end_date: str | None = None, tags: str | None = None
    ) -> Response:
        """What each tag, or each of these, cost."""
        asked = _last(start_date, end_date, kind="tag", label=[tag for tag in listed(tags) if tag != "all-tags"])
        rows = plane.spend.activity.sums(asked, ("label",), order="10 DESC, 1")
        found = [{"name": row.of["label"], "spend": usd(row.cost), "log_count": row.requests} for row in rows]
        return answer({"spend_per_tag": found})

    def get_tag_names() -> Response:
        """Every tag there is."""
        rows = plane.spend.activity.sums(Wanted(0, _today(), kind="tag"), ("label",), order="1")
        return answer({"tag_names": [row.of["label"] for row in rows]})

    def get_global_spend() -> Response:
        """What everything cost, ever; the limit is not kept here."""
        return answer({"spend": usd(plane.spend.spent("global", "")), "max_budget": None})

    def get_global_logs(api_key: str | None = None) -> Response:
        """What each of the last days cost."""
        rows = plane.spend.activity.sums(_last(key=[digest(api_key)] if api_key else []), ("day",))
        return answer([{"date": iso_day(row.of["day"]), "spend": usd(row.cost)} for row in rows])

    def get_global_keys(limit: Limit = 100) -> Response:
        """The keys that cost most."""
        rows = plane.spend.activity.sums(_last(), ("key", "key_name"), order="11 DESC, 1", limit=limit)
        return answer(
            [
                {
                    "api_key": row.of["key"], "key_alias": row.of["key_name"] or None,
                    "key_name": row.of["key_name"] or None, "total_spend": usd(row.cost),
                }
                for row in rows
            ]
        )  # fmt: skip

    def get_global_models(limit: Limit = 100) -> Response:
        """The models that cost most."""
        rows = plane.spend.activity.sums(_last(), ("upstream_model",), order="10 DESC, 1", limit=limit)
        return answer([{"model": row.of["upstream_model"], "total_spend": usd(row.cost)} for row in rows])

    def get_global_teams() -> Response:
        """What each team cost, by day and in all."""
        rows = plane.spend.activity.sums(_last(), ("day", "team_id"), order="1, 2")
        daily: dict[int, dict[str, int]] = {}
        totals: dict[str, int] = {}
        for row in rows:
            team = row.of["team_id"] or "Unassigned"
            day = daily.setdefault(row.of["day"], {})
            day[team] = day.get(team, 0) + row.cost
            totals[team] = totals.get(team, 0) + row.cost
        return answer(
            {
                "daily_spend": [
                    {"date": iso_day(day), **{team: usd(cost) for team, cost in costs.items()}}
                    for day, costs in daily.items()
                ],
                "teams": list(totals),
                "total_spend_per_team": [
                    {"team_id": team, "total_spend": usd(cost)}
                    for team, cost in sorted(totals.items(), key=lambda item: -item[1])
                ],
            }
        )

    def get_provider(request: Request, start_date: str | None = None, end_date: str | None = None) -> Response:
        """What each provider cost."""
        asked = wanted(request.state.caller, start_date, end_date)
        rows = plane.spend.activity.sums(asked, ("provider",), order="10 DESC, 1")
        return answer([{"provider": row.of["provider"] or "Unassigned", "spend": usd(row.cost)} for row in rows])

    def get_activity(start_date: str | None = None, end_date: str | None = None) -> Response:
        """Requests and tokens by day."""
        return answer(_activity(plane.spend.activity.sums(_last(*_both(start_date, end_date)), ("day",))))

    def get_model_activity(start_date: str | None = None, end_date: str | None = None) -> Response:
        """The same of each public model."""
        rows = plane.spend.activity.sums(_last(*_both(start_date, end_date)), ("day", "model"))
        models: dict[str, list[Sum]] = {}
        for row in rows:
            models.setdefault(row.of["model"], []).append(row)
        return answer([{"model": model, **_activity(some)} for model, some in models.items()])

    def get_report(
        request: Request,
        start_date: str | None = None,
        end_date: str | None = None,
        group_by: Literal["team", "customer", "api_key"] = "team",
        api_key: str | None = None,
        internal_user_id: str | None = None,
        team_id: str | None = None,
        customer_id: str | None = None,
    ) -> Response:
        """Spend by day and team or customer, or by key; of one key, user, team or customer where it is named."""
        caller: Caller = request.state.caller
        if group_by == "api_key" or api_key or internal_user_id:
            only = {
                "key": [digest(api_key)] if api_key else [],
                "user_id": [internal_user_id] if internal_user_id else [],
                "team_id": [team_id] if team_id else [],
            }
            return answer(_by_key(plane, wanted(caller, start_date, end_date, only=only)))
        teams = [team_id] if team_id else []
        if group_by == "customer" or customer_id:
            customers = [customer_id] if customer_id else []
            asked = wanted(caller, start_date, end_date, kind="end_user", only={"label": customers, "team_id": teams})
            return answer(_by_day(plane, asked, "label", "customers", "customer"))
        return answer(
            _by_day(
                plane, wanted(caller, start_date, end_date, only={"team_id": teams}), "team_id", "teams", "team_name"
            )
        )

    read, manage, view = "spend:read", Access.MANAGE, Access.ADMIN_VIEW
    return (
        Route("GET", "/spend/tags", manage, get_tags, read),
        Route("GET", "/global/spend", view, get_global_spend),
        Route("GET", "/global/spend/logs", view, get_global_logs),
        Route("GET", "/global/spend/keys", view, get_global_keys),
        Route("GET", "/global/spend/models", view, get_global_models),
        Route("GET", "/global/spend/teams", view, get_global_teams),
        Route("GET", "/global/spend/tags", view, get_global_tags),
        Route("GET", "/global/spend/all_tag_names", view, get_tag_names),
        Route("GET", "/global/spend/provider", manage, get_provider, read),
        Route("GET", "/global/spend/report", manage, get_report, read),
        Route("GET", "/global/activity", view, get_activity),
        Route("GET", "/global/activity/model", view, get_model_activity),
        *(
            Route("GET", f"/{entity}/spend/report", manage, _report_of(plane, dimension, parameter), read)
            for entity, dimension, parameter in (
                ("key", "key", "api_key"), ("user", "user_id", "user_id"), ("team", "team_id", "team_id"),
                ("organization", "organization_id", "organization_id"),
            )
        ),
    )  # fmt: skip


def _report_of(plane: Plane, dimension: str, parameter: str) -> Callable[..., Response]:
    def get_report_of(request: Request, start_date: str | None = None, end_date: str | None = None) -> Response:
        """Spend by key and model, of one entity where its id is given."""
        caller: Caller = request.state.caller
        id = request.query_params.get(parameter)
        if id and dimension == "key":
            id = digest(id)
        seen = seen_by(caller)
        if id and not seen.all and not (seen.teams or seen.organizations):
            allowed = {"key": seen.keys, "user_id": seen.users}.get(dimension, frozenset())
            need(id in allowed or dimension not in ("key", "user_id"), f"this {dimension.removesuffix('_id')}")
        return answer(_by_key(plane, wanted(caller, start_date, end_date, only={dimension: [id] if id else []})))

    return get_report_of


def _by_key(plane: Plane, asked: Wanted) -> list[dict[str, Any]]:
    keys: dict[str, list[Sum]] = {}
    for row in plane.spend.activity.sums(asked, ("key", "upstream_model"), order="1, 2"):
        keys.setdefault(row.of["key"], []).append(row)
    return [
        {
            "api_key": key,
            "total_cost": usd(sum(row.cost for row in rows)),
            "total_input_tokens": sum(row.prompt_tokens for row in rows),
            "total_output_tokens": sum(row.completion_tokens for row in rows),
            "model_details": [
                {
                    "model": row.of["upstream_model"], "total_cost": usd(row.cost),
                    "total_input_tokens": row.prompt_tokens, "total_output_tokens": row.completion_tokens,
                }
                for row in rows
            ],
        }
        for key, rows in keys.items()
    ]  # fmt: skip


def _by_day(plane: Plane, asked: Wanted, dimension: str, group: str, name: str) -> list[dict[str, Any]]:
    found: dict[int, dict[str, list[Sum]]] = {}
    for row in plane.spend.activity.sums(asked, ("day", dimension, "upstream_model", "key"), order="1, 2, 3, 4"):
        if row.of[dimension] or dimension == "team_id":
            found.setdefault(row.of["day"], {}).setdefault(row.of[dimension], []).append(row)
    return [
        {
            "group_by_day": iso_day(day),
            group: [
                {
                    name: id,
                    "total_spend": usd(sum(row.cost for row in rows)),
                    "metadata": [
                        {
                            "model": row.of["upstream_model"], "api_key": row.of["key"], "spend": usd(row.cost),
                            "total_tokens": row.prompt_tokens + row.completion_tokens,
                        }
                        for row in rows
                    ],
                }
                for id, rows in entities.items()
            ],
        }
        for day, entities in found.items()
    ]  # fmt: skip


def _activity(rows: list[Sum]) -> dict[str, Any]:
    return {
        "daily_data": [
            {
                "date": iso_day(row.of["day"]), "api_requests": row.requests,
                "total_tokens": row.prompt_tokens + row.completion_tokens,
            }
            for row in rows
        ],
        "sum_api_requests": sum(row.requests for row in rows),
        "sum_total_tokens": sum(row.prompt_tokens + row.completion_tokens for row in rows),
    }  # fmt: skip


def _today() -> int:
    return int(time.time()) // 86_400


def _both(start: str | None, end: str | None) -> tuple[str | None, str | None]:
    """Dates that are there, checked. Raises `BadRequest`."""
    if start or end:
        days(start, end)
    return start, end


def _last(start: str | None = None, end: str | None = None, *, kind: str = "", **only: list[str]) -> Wanted:
    """An admin's question: the days given, or the last ones."""
    first, last = days(start, end) if start or end else (_today() - LAST_DAYS, _today())
    return Wanted(first, last, kind=kind, only={name: values for name, values in only.items() if values})


def _period(caller: Caller, start: str | None, end: str | None, *, kind: str) -> Wanted:
    """What a caller may see, in the days given or in all."""
    first, last = days(start, end) if start or end else (0, _today())
    return Wanted(first, last, seen_by(caller), kind)
