"""Daily activity, as https://docs.litellm.ai/docs/proxy/cost_tracking#daily-spend-breakdown-api has it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Request, Response

from routeiq.control.access import Access
from routeiq.control.management.spend_common import answer, digest, iso_day, listed, need, usd, wanted
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest
from routeiq.store.activity import Sum, Wanted

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane

KEYS = 1000
"""Keys told apart in an aggregated answer; the others' figures are in the totals."""
MOST_EXPORTED = 1_000_000
ENTITIES = {
    "user": ("user_id", "", "user_id"),
    "team": ("team_id", "", "team_ids"),
    "organization": ("organization_id", "", "organization_ids"),
    "tag": ("label", "tag", "tags"),
    "customer": ("label", "end_user", "end_user_ids"),
}
"""By the path's first word: the dimension, the kind of label, the parameter."""
_BREAKDOWN = {
    "models": "upstream_model", "model_groups": "model", "providers": "provider", "endpoints": "endpoint",
}  # fmt: skip
Page = Annotated[int, Query(ge=1, le=1_000_000)]
PageSize = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int | None, Query(ge=-14 * 60, le=14 * 60)]


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""
    found: list[Route] = []
    for entity in ENTITIES:
        for path, make in (("", _daily), ("/aggregated", _aggregated), ("/export", _export)):
            endpoint = make(plane, entity)
            found.append(Route("GET", f"/{entity}/daily/activity{path}", Access.MANAGE, endpoint, "spend:read"))
    daily = _daily(plane, "customer")
    found.append(Route("GET", "/end_user/daily/activity", Access.MANAGE, daily, "spend:read"))
    found.append(Route("GET", "/gateway/daily/activity", Access.ADMIN_VIEW, _gateway(plane)))
    return tuple(found)


def _daily(plane: Plane, entity: str) -> Callable[..., Response]:
    def get_daily_activity(
        request: Request,
        start_date: str | None = None,
        end_date: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        page: Page = 1,
        page_size: PageSize = 50,
        timezone: Offset = None,
    ) -> Response:
        """Spend and tokens by day, broken down; pages of sums, newest day first."""
        asked = asked_of(request, entity, start_date, end_date, model, api_key, timezone)
        dimension = ENTITIES[entity][0]
        by = ("day", *_BREAKDOWN.values(), "key", "key_name", "team_id", dimension)
        by = tuple(dict.fromkeys(by))
        places = ", ".join(str(number) for number in range(2, len(by) + 1))
        rows = plane.spend.activity.sums(
            asked, by, order=f"1 DESC, {places}", limit=page_size, offset=(page - 1) * page_size
        )
        pages = math.ceil(plane.spend.activity.count(asked, by) / page_size)
        return answer(_shape(rows, dimension, _total(rows), page, pages))

    return get_daily_activity


def _aggregated(plane: Plane, entity: str) -> Callable[..., Response]:
    def get_daily_activity_aggregated(
        request: Request,
        start_date: str | None = None,
        end_date: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        timezone: Offset = None,
        api_key_limit: Annotated[int, Query(ge=0, le=10_000)] = KEYS,
    ) -> Response:
        """The same in one page. The `api_key_limit` keys that spent most are told apart."""
        asked = asked_of(request, entity, start_date, end_date, model, api_key, timezone)
        dimension = ENTITIES[entity][0]
        top = (
            plane.spend.activity.sums(asked, ("key",), order="10 DESC, 1", limit=api_key_limit) if api_key_limit else []
        )
        by = tuple(dict.fromkeys(("day", *_BREAKDOWN.values(), "key", "key_name", "team_id", dimension)))
        rows = plane.spend.activity.sums(asked, by, order="1 DESC", keep_keys=[row.of["key"] for row in top])
        shaped = _shape(rows, dimension, _total(rows), 1, 1)
        shaped["metadata"]["api_key_limit"] = api_key_limit
        shaped["metadata"]["total_api_keys"] = plane.spend.activity.count(asked, ("key",))
        return answer(shaped)

    return get_daily_activity_aggregated


def _export(plane: Plane, entity: str) -> Callable[..., Response]:
    def get_daily_activity_export(
        request: Request,
        start_date: str | None = None,
        end_date: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        format: Annotated[str, Query(pattern="^(csv|json)$")] = "csv",
        timezone: Offset = None,
    ) -> Response:
        """Sums by day, model, key and entity as a file."""
        asked = asked_of(request, entity, start_date, end_date, model, api_key, timezone)
        dimension = ENTITIES[entity][0]
        by = tuple(dict.fromkeys(("day", dimension, "key", "key_name", "model", "provider")))
        rows = plane.spend.activity.sums(asked, by, order="1, 2, 3", limit=MOST_EXPORTED)
        table = [
            {
                "date": iso_day(row.of["day"]), entity: row.of[dimension], "api_key": row.of["key"],
                "key_alias": row.of["key_name"], "model": row.of["model"], "provider": row.of["provider"],
                **metrics(row),
            }
            for row in rows
        ]  # fmt: skip
        if format == "json":
            return answer(table)
        return _csv(table, f"{entity}-activity.csv")

    return get_daily_activity_export


def _gateway(plane: Plane) -> Callable[..., Response]:
    def get_gateway_activity(
        request: Request, start_date: str | None = None, end_date: str | None = None, timezone: Offset = None
    ) -> Response:
        """All requests by day."""
        asked = _shifted(wanted(request.state.caller, start_date, end_date), timezone)
        rows = plane.spend.activity.sums(asked, ("day",), order="1 DESC")
        return answer(
            {
                "results": [{"date": iso_day(row.of["day"]), "metrics": metrics(row)} for row in rows],
                "metadata": _metadata(_total(rows), 1, 1),
            }
        )

    return get_gateway_activity


def asked_of(
    request: Request,
    entity: str,
    start: str | None,
    end: str | None,
    model: str | None,
    api_key: str | None,
    timezone: int | None,
    more: Mapping[str, list[str]] | None = None,
) -> Wanted:
    """What may be seen of what is asked; `more` are other values by dimension. Raises `BadRequest`, `Forbidden`."""
    caller: Caller = request.state.caller
    dimension, kind, parameter = ENTITIES[entity]
    ids = listed(request.query_params.get(parameter))
    without = listed(request.query_params.get(f"exclude_{parameter}"))
    if len(ids) > KEYS or len(without) > KEYS:
        raise BadRequest(f"{parameter} may have {KEYS} values", param=parameter, code="invalid_parameter")
    standing = caller.standing
    if not caller.sees_all:
        if entity == "user":
            allowed = {caller.user_id} if not (standing.admin_teams or standing.admin_organizations) else set(ids)
        elif entity == "team":
            allowed = {*standing.teams, *standing.admin_teams, caller.team_id}
            allowed = set(ids) if standing.admin_organizations else allowed
        elif entity == "organization":
            allowed = {*standing.organizations, *standing.admin_organizations, caller.organization_id}
        else:
            allowed = set(ids)
        need(set(ids) <= allowed, f"this {entity}")
    asked = wanted(
        caller, start, end, kind=kind,
        only={
            dimension: ids, "model": [model] if model else [], "key": [digest(api_key)] if api_key else [],
            **(more or {}),
        },
    )  # fmt: skip
    # A row without the entity is none of its activity; a user's page has those of keys without a user too.
    exclusions = {dimension: [*without, *([] if entity == "user" else [""])]}
    asked = Wanted(
        asked.first_day, asked.last_day, asked.seen, kind, asked.only, {k: v for k, v in exclusions.items() if v}
    )
    return _shifted(asked, timezone)


def _shifted(asked: Wanted, timezone: int | None) -> Wanted:
    """Days are UTC's: a local day that reaches into another of them takes it along, as LiteLLM does."""
    if not timezone:
        return asked
    first = asked.first_day - (timezone < 0)
    last = asked.last_day + (timezone > 0)
    return Wanted(first, last, asked.seen, asked.kind, asked.only, asked.without)


def metrics(row: Sum) -> dict[str, Any]:
    """https://docs.litellm.ai/docs/proxy/cost_tracking: the figures of one entry."""
    return {
        "spend": usd(row.cost),
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cache_read_input_tokens": row.cached_tokens,
        "cache_creation_input_tokens": row.written_tokens,
        "total_tokens": row.prompt_tokens + row.completion_tokens,
        "successful_requests": row.requests - row.failed,
        "failed_requests": row.failed,
        "api_requests": row.requests,
        "total_response_time_ms": row.duration // 1000,
        "timed_requests": row.requests,
    }


def _total(rows: list[Sum]) -> Sum:
    total = nothing()
    for row in rows:
        total.add(row)
    return total


def nothing(**of: Any) -> Sum:
    """A sum to add to."""
    return Sum(
        of=of, requests=0, failed=0, unpriced=0, prompt_tokens=0, completion_tokens=0, cached_tokens=0,
        written_tokens=0, reasoning_tokens=0, cost=0, duration=0,
    )  # fmt: skip


def _metadata(total: Sum, page: int, pages: int) -> dict[str, Any]:
    figures = {name if name.startswith("total_") else f"total_{name}": value for name, value in metrics(total).items()}
    return {**figures, "page": page, "total_pages": max(1, pages), "has_more": page < pages}


class _Entry:
    """One entry of a breakdown: its figures, and those of each key in it."""

    __slots__ = ("keys", "row")

    def __init__(self) -> None:
        self.row = nothing()
        self.keys: dict[str, Sum] = {}

    def add(self, row: Sum) -> None:
        self.row.add(row)
        if row.of["key"]:
            self.keys.setdefault(row.of["key"], nothing(**row.of)).add(row)

    def shown(self) -> dict[str, Any]:
        keys = {key: _key(row) for key, row in self.keys.items()}
        return {"metrics": metrics(self.row), "metadata": {}, "api_key_breakdown": keys}


def _key(row: Sum) -> dict[str, Any]:
    metadata = {"key_alias": row.of["key_name"] or None, "team_id": row.of["team_id"] or None}
    return {"metrics": metrics(row), "metadata": metadata}


def _shape(rows: list[Sum], dimension: str, total: Sum, page: int, pages: int) -> dict[str, Any]:
    by_day: dict[int, list[Sum]] = {}
    for row in rows:
        by_day.setdefault(row.of["day"], []).append(row)
    results = []
    for number, some in by_day.items():
        tables: dict[str, dict[str, _Entry]] = {name: {} for name in (*_BREAKDOWN, "entities")}
        keys: dict[str, Sum] = {}
        for row in some:
            for name, column in (*_BREAKDOWN.items(), ("entities", dimension)):
                if row.of[column]:
                    tables[name].setdefault(row.of[column], _Entry()).add(row)
            if row.of["key"]:
                keys.setdefault(row.of["key"], nothing(**row.of)).add(row)
        breakdown: dict[str, Any] = {
            name: {id: entry.shown() for id, entry in table.items()} for name, table in tables.items()
        }
        breakdown["mcp_servers"] = {}
        breakdown["api_keys"] = {key: _key(row) for key, row in keys.items()}
        results.append({"date": iso_day(number), "metrics": metrics(_total(some)), "breakdown": breakdown})
    return {"results": results, "metadata": _metadata(total, page, pages)}


def _csv(table: list[dict[str, Any]], name: str) -> Response:
    out = io.StringIO()
    if table:
        writer = csv.DictWriter(out, list(table[0]))
        writer.writeheader()
        writer.writerows({column: _cell(value) for column, value in row.items()} for row in table)
    return Response(
        out.getvalue(), media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _cell(value: Any) -> Any:
    """A name that a spreadsheet would take for a formula is shown as text: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
