"""Spend logs and the price of a request: https://docs.litellm.ai/docs/proxy/cost_tracking"""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict

from routeiq.control.access import Access
from routeiq.control.management.bodies import Dollars
from routeiq.control.management.spend_common import EPOCH, answer, digest, moment, need, seen_by, usd
from routeiq.control.routes import Route
from routeiq.core.errors import BadRequest
from routeiq.core.snapshot import CHAT, COMPLETION, EMBEDDING, MESSAGES, RERANK, RESPONSES
from routeiq.core.usage import Usage
from routeiq.providers.dialects.openai import read_answer
from routeiq.store.activity import Wanted
from routeiq.store.spend_logs import Logs

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.plane import Plane
    from routeiq.core.money import Prices
    from routeiq.core.snapshot import Snapshot

MOST_LOGS = 10_000
"""Of an answer without pages."""
BYTES_PER_TOKEN = 4
CALL_TYPES = {
    CHAT: "acompletion", COMPLETION: "atext_completion", EMBEDDING: "aembedding", RESPONSES: "aresponses",
    MESSAGES: "anthropic_messages", RERANK: "arerank",
}  # fmt: skip
"""LiteLLM's names for our endpoints; the others keep ours."""


class Calculation(BaseModel):
    """What a request would cost, or did: one of `messages` and `completion_response`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    model: str | None = None
    messages: list[Any] | None = None
    completion_response: dict[str, Any] | None = None


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""

    def get_logs(
        request: Request,
        api_key: str | None = None,
        user_id: str | None = None,
        request_id: str | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
        summarize: bool = True,
    ) -> Response:
        """Requests, the newest first; with dates and `summarize` their sums by day."""
        caller: Caller = request.state.caller
        if (start_date is None) != (end_date is None):
            raise BadRequest("start_date and end_date belong together", param="end_date", code="missing_parameter")
        filters = {"key": digest(api_key) if api_key else None, "user_id": user_id, "request_id": request_id}
        given = {name: value for name, value in filters.items() if value}
        if start_date and end_date and summarize and not request_id:
            return answer(_summary(plane, caller, start_date, end_date, given))
        logs = _logs(caller, start_date, end_date, given)
        return answer([_log(row) for row in plane.spend.logs.page(logs, limit=MOST_LOGS)])

    def get_logs_paged(
        request: Request,
        api_key: str | None = None,
        user_id: str | None = None,
        request_id: str | None = None,
        session_id: str | None = None,
        team_id: str | None = None,
        min_spend: Dollars | None = None,
        max_spend: Dollars | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
        status_filter: Literal["success", "failure"] | None = None,
        model: str | None = None,
        model_id: str | None = None,
        model_group: str | None = None,
        key_alias: str | None = None,
        end_user: str | None = None,
        sort_order: Literal["asc", "desc"] = "desc",
    ) -> Response:
        """Requests in pages. `total` stops counting at 10,000."""
        filters = {
            "key": digest(api_key) if api_key else None, "user_id": user_id, "request_id": request_id,
            "run_id": session_id, "team_id": team_id, "model": model, "deployment": model_id, "group": model_group,
            "key_name": key_alias, "end_user": end_user,
            "min_cost": None if min_spend is None else round(min_spend * 1e9),
            "max_cost": None if max_spend is None else round(max_spend * 1e9),
        }  # fmt: skip
        given = {name: value for name, value in filters.items() if value is not None and value != ""}
        logs = _logs(request.state.caller, start_date, end_date, given, status_filter or "")
        rows = plane.spend.logs.page(
            logs, limit=page_size, offset=(page - 1) * page_size, oldest_first=sort_order == "asc"
        )
        total = plane.spend.logs.count(logs)
        return answer(
            {
                "data": [_log(row) for row in rows],
                "total": total,
                "page": page,
                "page_size": page_size,
                "total_pages": math.ceil(total / page_size),
            }
        )

    def post_calculate(body: Calculation) -> Response:
        """What a request costs, by the prices of the deployment that is dearest for it."""
        return answer({"cost": usd(_calculated(plane.current(), body))})

    def post_reset(request: Request) -> Response:
        """Let all keys and teams have spent nothing; the ledger stays as it is."""
        caller: Caller = request.state.caller
        plane.spend.reset_all(("key", "team"), caller.user_id or caller.name)
        if plane.leases is not None:
            plane.leases.renew()  # what workers count begins with what the ledger says now
        plane.changes.counted_anew()
        plane.changes.everything()
        return answer({"message": "Spend for all API Keys and Teams reset successfully", "status": "success"})

    read = "spend:read"
    return (
        Route("GET", "/spend/logs", Access.MANAGE, get_logs, read),
        Route("GET", "/spend/logs/v2", Access.MANAGE, get_logs_paged, read),
        Route("GET", "/spend/logs/ui", Access.MANAGE, get_logs_paged, read),
        Route("POST", "/spend/calculate", Access.MANAGE, post_calculate, read),
        Route("POST", "/global/spend/reset", Access.ADMIN, post_reset),
    )


def _logs(caller: Caller, start: str | None, end: str | None, filters: dict[str, Any], status: str = "") -> Logs:
    """What a caller asks for and may see. Raises `BadRequest`, `Forbidden`."""
    seen = seen_by(caller)
    if not seen.all and "user_id" in filters and not (seen.teams or seen.organizations):
        need(filters["user_id"] in seen.users, "this user")
    return Logs(
        start=moment(start, "start_date") if start else None,
        end=moment(end, "end_date", end=True) if end else None,
        seen=seen,
        filters=filters,
        status=status,
    )


def _summary(plane: Plane, caller: Caller, start: str, end: str, filters: dict[str, str]) -> list[dict[str, Any]]:
    """A day each: what it cost, by user and by model; days after the last request with nothing."""
    logs = _logs(caller, start, end, filters)
    first, last = moment(start, "start_date") // 86_400_000_000, moment(end, "end_date") // 86_400_000_000
    only = {name: [value] for name, value in filters.items()}
    rows = plane.spend.activity.sums(
        Wanted(first, last, logs.seen, only=only), ("day", "user_id", "upstream_model", "key"), order="1"
    )
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        number = row.of["day"]
        entry = found.setdefault(
            number,
            {"startTime": EPOCH + datetime.timedelta(days=number), "spend": 0, "users": {}, "models": {}},
        )
        entry["spend"] += row.cost
        key = row.of["key"]
        entry[key] = entry.get(key, 0) + row.cost
        for name, table in (("user_id", "users"), ("upstream_model", "models")):
            entry[table][row.of[name]] = entry[table].get(row.of[name], 0) + row.cost
    for number in range(max(found) + 1, last + 1) if found else ():
        found[number] = {"startTime": EPOCH + datetime.timedelta(days=number), "spend": 0, "users": {}, "models": {}}
    return [{name: _dollars(value) for name, value in entry.items()} for entry in found.values()]


def _dollars(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: usd(nano) for name, nano in value.items()}
    return usd(value) if isinstance(value, int) else value


def _log(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `events` in the words of LiteLLM's `LiteLLM_SpendLogs`."""
    failed = row["status"] >= 400
    at = row["at"]
    return {
        "request_id": row["id"],
        "litellm_call_id": row["id"],
        "call_type": CALL_TYPES.get(row["endpoint"], row["endpoint"]),
        "api_key": row["key"],
        "spend": usd(row["cost"] or 0),
        "total_tokens": row["prompt_tokens"] + row["completion_tokens"],
        "prompt_tokens": row["prompt_tokens"],
        "completion_tokens": row["completion_tokens"],
        "startTime": _iso(at),
        "endTime": _iso(at + row["duration"]),
        "completionStartTime": _iso(at + row["ttft"]) if row["ttft"] else None,
        "request_duration_ms": row["duration"] // 1000,
        "model": row["upstream_model"] or row["model"],
        "model_id": row["deployment"],
        "model_group": row["group"],
        "custom_llm_provider": row["provider"],
        "api_base": "",
        "user": row["user_id"],
        "team_id": row["team_id"] or None,
        "organization_id": row["organization_id"] or None,
        "end_user": row["user"],
        "session_id": row["run_id"] or None,
        "request_tags": [*_words(row["tags"]), *_words(row["request_tags"])],
        "cache_hit": "False",
        "cache_key": "",
        "status": "failure" if failed else "success",
        "requester_ip_address": None,
        "mcp_namespaced_tool_name": None,
        "agent_id": None,
        **_said(row["prompt"], row["answer"]),
        "metadata": {
            "user_api_key": row["key"],
            "user_api_key_alias": row["key_name"] or None,
            "user_api_key_user_id": row["user_id"] or None,
            "user_api_key_team_id": row["team_id"] or None,
            "user_api_key_org_id": row["organization_id"] or None,
            "status": "failure" if failed else "success",
            "error_information": {"error_code": str(row["status"]), "error_class": row["error"]} if failed else None,
            "additional_usage_values": {
                "cache_read_input_tokens": row["cached_tokens"],
                "cache_creation_input_tokens": row["written_tokens"] + row["written_1h_tokens"],
                "reasoning_tokens": row["reasoning_tokens"],
            },
        },
    }


def _said(prompt: str, told: str) -> dict[str, Any]:
    """What was said, where it is kept: as JSON where it still is."""
    asked, came = _parsed(prompt), _parsed(told)
    messages = asked.get("messages") or asked.get("input") or asked.get("contents") if isinstance(asked, dict) else None
    return {"messages": messages or asked, "response": came, "proxy_server_request": asked}


def _parsed(text: str) -> Any:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text  # a stream, or cut to its bound


def _iso(micros: int) -> str:
    when = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=micros)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _words(text: str | None) -> list[str]:
    return msgspec.json.decode(text, type=list[str]) if text else []


def _calculated(snapshot: Snapshot, body: Calculation) -> int:
    """Nano-dollars. Raises `BadRequest`."""
    response = body.completion_response
    model = body.model or (response.get("model") if response else None)
    if not isinstance(model, str) or not model:
        raise BadRequest(
            "model is missing, and completion_response names none", param="model", code="missing_parameter"
        )
    prices = _prices(snapshot, model)
    if not prices:
        raise BadRequest(
            f"There is no price for {model!r} here: name a model of the configuration.", param="model",
            code="model_not_priced", status=404,
        )  # fmt: skip
    if response is not None:
        used = read_answer(msgspec.json.encode(response)).used()
        if used is None:
            raise BadRequest(
                "completion_response has no usage to work a price out of", param="completion_response",
                code="missing_parameter",
            )  # fmt: skip
        used.bound()
        return max(price.cost(used) for price in prices)
    if body.messages is None:
        raise BadRequest("Give messages or completion_response", param="messages", code="missing_parameter")
    return max(price.cost(Usage(len(msgspec.json.encode(body.messages)) // BYTES_PER_TOKEN)) for price in prices)


def _prices(snapshot: Snapshot, model: str) -> list[Prices]:
    """Those of the deployments that serve a name, public or the provider's own."""
    name = snapshot.aliases.get(model, model)
    found = []
    for deployment in snapshot.deployments:
        names = (deployment.group, deployment.model, deployment.litellm_model)
        if name in names and deployment.prices is not None:
            found.append(deployment.prices)
    if not found:
        provider, slash, rest = name.partition("/")
        tables = [snapshot.prices.get(provider, {})] if slash else list(snapshot.prices.values())
        found = [table[rest if slash else name] for table in tables if (rest if slash else name) in table]
    return found
