"""Whom a request is for, besides the owner of its key: the end user, the tags and the run it names.

All of it is for the ledger; what has limits also becomes accounts the request counts for (`Exchange.also`).
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from routeiq.core.errors import BadRequest
from routeiq.core.exchange import Exchange
from routeiq.core.own_tags import RESERVED
from routeiq.core.snapshot import Snapshot
from routeiq.governance.accounts import Account
from routeiq.governance.asked import Asked
from routeiq.governance.customers import Customer
from routeiq.governance.keys import Caller, allows_through
from routeiq.governance.policies import PolicyAccount
from routeiq.governance.runs import RunAccount
from routeiq.pipeline.plan import Plan, Stage, counts_more
from routeiq.pipeline.query import decoded
from routeiq.pipeline.ranking import LiveAuto
from routeiq.pipeline.services import Services
from routeiq.pipeline.waiting import wait
from routeiq.providers.dialects.splice import replace_members

END_USER_HEADERS = (b"x-litellm-end-user-id", b"x-litellm-customer-id")
"""https://docs.litellm.ai/docs/proxy/customers"""
RUN_HEADERS = (b"x-routeiq-run-id", b"x-litellm-trace-id", b"x-litellm-session-id")
MOST_TAGS, LONGEST = 32, 256
"""Tags of one request, and characters of a name: they are kept with the request."""
_MESSAGES = ("messages", "input", "contents")
"""Where the dialects have what was said so far."""
Question = tuple[Asked[str, Any], str]
"""Who knows, and whom about."""
_IDS = frozenset(("id", "tool_call_id", "tool_use_id", "call_id"))


def attribute(exchange: Exchange) -> bool:
    """Note whom it is for."""
    headers = exchange.headers
    request = exchange.peek
    plan: Plan = exchange.plan
    if request.metadata is not UNSET or request.litellm_metadata is not UNSET:
        _read_metadata(exchange)
    tags = headers.get(b"x-litellm-tags")
    if tags is not None:
        exchange.request_tags = _names(exchange.request_tags, tags.decode("latin-1").split(","))
    run = headers.get(b"x-routeiq-run-id")
    if run is not None:
        exchange.run_id = run.decode("latin-1")[:LONGEST]
    if plan.limits_more:
        _name(exchange, plan.snapshot)
    elif request.user:
        exchange.end_user = request.user[:LONGEST]
    return False


def accounting(snapshot: Snapshot) -> Stage | None:
    """Only where requests may count for others than their key's owners."""
    return account if counts_more(snapshot) else None


def _name(exchange: Exchange, snapshot: Snapshot) -> None:
    """Where it matters the end user and the run are looked for in all places they may be told in."""
    exchange.end_user = end_user_of(exchange, snapshot.end_user_header)
    if not exchange.run_id and snapshot.runs is not None:
        value = next((value for name in RUN_HEADERS if (value := exchange.headers.get(name))), b"")
        exchange.run_id = value.decode("latin-1")[:LONGEST] or _trace(exchange.headers.get(b"traceparent"))


def end_user_of(exchange: Exchange, header: str | None) -> str:
    """The end user: the configured header, LiteLLM's, or the body's."""
    names = END_USER_HEADERS if header is None else (header.encode("latin-1"), *END_USER_HEADERS)
    for name in names:
        value = exchange.headers.get(name)
        if value:
            return value.decode("latin-1")[:LONGEST]
    return (exchange.peek.user or "")[:LONGEST]


def account(exchange: Exchange) -> bool:
    """Find the accounts of those that have limits (`Exchange.also`); True where the control plane has to be asked."""
    plan: Plan = exchange.plan
    services: Services = plan.services
    now = services.now()
    questions = _questions(exchange, plan)
    found = []
    for asked, name in questions:
        known, again, answer = asked.get(name, now)
        if not known:
            services.start(wait(exchange, _ask(exchange, plan, questions)))
            return True
        if again:
            services.start(asked.refresh(name, now))
        found.append(answer)
    exchange.also = _accounts(exchange, plan, found)
    return False


async def _ask(exchange: Exchange, plan: Plan, questions: list[Question]) -> bool:
    services: Services = plan.services
    found = [await asked.ask(name, services.now()) for asked, name in questions]
    if not exchange.settled:
        exchange.also = _accounts(exchange, plan, found)
    return True


def _questions(exchange: Exchange, plan: Plan) -> list[Question]:
    """What has to be known about whom it is for."""
    services: Services = plan.services
    snapshot = plan.snapshot
    questions: list[Question] = []
    if snapshot.end_users and exchange.end_user:
        questions.append((services.customers.asked, exchange.end_user))
    if snapshot.runs is not None and exchange.run_id:
        caller: Caller = exchange.key
        questions.append((services.runs.asked, f"{caller.key.id}/{exchange.run_id}"))
    if snapshot.policies:
        questions += [(services.policies.asked, name) for name in services.policies.fitting(_attributes(exchange))]
    return questions


def _accounts(exchange: Exchange, plan: Plan, found: list[Customer | Account | None]) -> tuple[Account, ...]:
    """The gateway's, those of tags, and those of what was `found`."""
    caller: Caller = exchange.key
    accounts: list[Account] = []
    if plan.gateway is not None:
        accounts.append(plan.gateway)
    if plan.tags and (caller.key.tags or exchange.request_tags):
        named = dict.fromkeys((*caller.key.tags, *exchange.request_tags))
        accounts += [plan.tags[tag] for tag in named if tag in plan.tags]
    for one in found:
        if isinstance(one, Customer):
            if exchange.auto is not None:
                _leave_out(exchange, exchange.auto, one)
            one.check(exchange.public_model, exchange.auto.spec.name if exchange.auto is not None else "")
            accounts += one.parties.of_model(exchange.public_model)
        elif one is not None:
            if isinstance(one, RunAccount):
                runs = plan.snapshot.runs
                one.message = _last_message(exchange.body) if runs is not None and runs.max_repeats is not None else 0
            accounts.append(one.of(exchange) if isinstance(one, PolicyAccount) else one)
    return tuple(accounts)


def _leave_out(exchange: Exchange, auto: LiveAuto, customer: Customer) -> None:
    """Take what an end user may not use out of an auto model's ranking, unless that is all."""
    ranked = [exchange.public_model, *(exchange.pending_fallbacks or ())]
    names = [name for name in ranked if allows_through(customer.end_user.rules, name, auto.spec.name)]
    if not names:
        return
    exchange.pending_fallbacks = names[1:]
    if names[0] != exchange.public_model:
        exchange.group = auto.group(names[0], exchange.query.wishes)
        exchange.public_model = exchange.decision.selected = names[0]


def _attributes(exchange: Exchange) -> dict[str, tuple[str, ...]]:
    """What policies look at: `core.policies.ATTRIBUTES`."""
    key = exchange.key.key
    auto = (exchange.auto.spec.name,) if exchange.auto is not None else ()
    tags = tuple(tag for tag in dict.fromkeys((*key.tags, *exchange.request_tags)) if not tag.startswith(RESERVED))
    return {
        "model": tuple(dict.fromkeys((exchange.public_model, exchange.model, *auto))),
        "key": (key.id,),
        "key_alias": (key.name,),
        "user_id": (key.user_id,),
        "team_id": (key.team_id,),
        "organization_id": (key.organization_id,),
        "end_user": (exchange.end_user,),
        "tag": tags or ("",),
        "endpoint": (exchange.endpoint,),
    }


def _trace(traceparent: bytes | None) -> str:
    """The trace of https://www.w3.org/TR/trace-context/#traceparent-header, which an agent's calls share."""
    parts = traceparent.split(b"-") if traceparent is not None else []
    return parts[1].decode("latin-1") if len(parts) >= 4 and len(parts[1]) == 32 else ""


def _read_metadata(exchange: Exchange) -> None:
    """Tags in the body, which are the gateway's: a provider takes no lists in `metadata`."""
    changes: dict[str, bytes | None] = {}
    for member in ("metadata", "litellm_metadata"):
        raw = getattr(exchange.peek, member)
        if not isinstance(raw, Raw):
            continue
        if member == "litellm_metadata":
            changes[member] = None
        if b'"tags"' not in bytes(raw):
            continue
        found = decoded(raw, member)
        if not isinstance(found, dict) or not isinstance(found.get("tags"), list):
            continue
        tags = found.pop("tags")
        if not all(isinstance(tag, str) for tag in tags):
            raise BadRequest("tags must be a list of strings", param=f"{member}.tags", code="invalid_parameter")
        exchange.request_tags = _names(exchange.request_tags, tags)
        if member == "metadata":
            changes[member] = msgspec.json.encode(found) if found else None
    if changes:
        exchange.body = replace_members(exchange.body, changes)
        exchange.peek = exchange.face.peek(exchange.body)


def _names(before: tuple[str, ...], more: list[str]) -> tuple[str, ...]:
    names = list(filter(None, (name.strip()[:LONGEST] for name in more)))
    if any(name.startswith(RESERVED) for name in names):
        raise BadRequest(f"tags may not begin with {RESERVED}", param="tags", code="invalid_parameter")
    return tuple(dict.fromkeys((*before, *names)))[:MOST_TAGS]


def _last_message(body: bytes) -> int:
    """A checksum of what is asked with last, but for ids; 0 where there is no conversation."""
    try:
        found = msgspec.json.decode(body)
        for name in _MESSAGES:
            said = found.get(name)
            if isinstance(said, list) and said:
                said = said[-1]
            if said:
                return zlib.crc32(msgspec.json.encode(_without_ids(said), order="sorted")) or 1
    except msgspec.DecodeError:
        return 0
    except RecursionError:
        return zlib.crc32(body) or 1
    return 0


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_ids(each) for name, each in value.items() if name not in _IDS}
    if isinstance(value, list):
        return [_without_ids(each) for each in value]
    return value
