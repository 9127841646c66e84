"""Puts what is in the database beside what is in the files, so that both pass the same checks.

A deployment becomes an entry of `model_list`, a credential one of `credential_list`, an MCP server one of
`mcp_servers`, an agent one of `agents`; where the files have an id or a
name too, theirs stays. Findings about them have the row in the place of a file.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from routeiq.config.context import Context
from routeiq.config.load import load
from routeiq.config.named import SECTION as CREDENTIALS
from routeiq.config.references import PREFIX
from routeiq.config.report import Mark, Path, Report
from routeiq.config.source import Node, Source, from_value
from routeiq.core.keys import UNLIMITED, BudgetLimit, Subject
from routeiq.core.policies import UsagePolicy
from routeiq.core.provider import ProviderSpec
from routeiq.core.stored import Stored, StoredAgent, StoredCredential, StoredDeployment, StoredMcpServer, StoredTag

_SETTINGS = ("general_settings", "litellm_settings", "routeiq", "environment_variables")
_OWN = re.compile(r"LITELLM_(MASTER|SALT)_KEY|DATABASE_URL|ADMIN_API_KEYS|REDIS_.*|ROUTEIQ_.*")
"""Variables of the gateway itself: no row of the database may send them to somebody's server."""
STORE_ENV = "STORE_MODEL_IN_DB"


MCP = "mcp_servers"
AGENTS = "agents"
AGENT_LIST = "agent_list"


@dataclass(frozen=True, slots=True)
class Joined:
    """Which rows stand where."""

    ids: dict[str, str] = field(default_factory=dict)
    """By the path of their entry: `model_list[3]`, `mcp_servers.notes`."""
    servers: set[str] = field(default_factory=set)
    """Names of MCP servers."""
    agents: set[str] = field(default_factory=set)
    """Ids of agents."""


def settings(
    source: Source, environ: Mapping[str, str], providers: Mapping[str, ProviderSpec], now: datetime.datetime
) -> Context:
    """The sections that say where the database is; what is wrong with them is told when all of it is looked at."""
    assert isinstance(source.root.value, dict)
    report = Report()
    value = source.root.value
    kept = {name: from_value(value[name].plain(), (name,), report) for name in _SETTINGS if name in value}
    root = Node({name: node for name, node in kept.items() if node is not None}, source.root.mark)
    return load(Source(root, ()), environ, providers, now, report)


def stores_models(ctx: Context) -> bool:
    """`store_model_in_db`, which the environment may say as well."""
    return ctx.config.general.store_model_in_db or ctx.environ.get(STORE_ENV, "").strip().lower() in ("true", "1")


def join(root: Node, stored: Stored, report: Report) -> Joined:
    """Put the rows into the tree."""
    joined = Joined()
    models = _list(root, "model_list") if stored.deployments else None
    if models is not None:
        ids = {_text(node.get(("model_info", "id"))) for node in models}
        for deployment in stored.deployments:
            if deployment.id in ids:
                report.warning(_mark(deployment), (), "has the id of a deployment in the files, which is served")
                continue
            joined.ids[f"model_list[{len(models)}]"] = deployment.id
            where: Path = ("model_list", len(models))
            models.append(_node(_entry(deployment), where, _mark(deployment), report))
    secrets = _list(root, CREDENTIALS) if stored.credentials else None
    if secrets is not None:
        names = {_text(node.get(("credential_name",))) for node in secrets}
        for credential in stored.credentials:
            if credential.name in names:
                report.warning(_mark(credential), (), "has the name of a credential in the files, which is used")
                continue
            value = {"credential_name": credential.name, "credential_values": credential.values}
            secrets.append(_node(value, (CREDENTIALS, len(secrets)), _mark(credential), report))
    if stored.mcp_servers:
        _join_servers(root, stored.mcp_servers, joined, report)
    if stored.agents:
        _join_agents(root, stored.agents, joined, report)
    return joined


def _join_servers(root: Node, servers: tuple[StoredMcpServer, ...], joined: Joined, report: Report) -> None:
    assert isinstance(root.value, dict)
    node = root.value.get(MCP)
    if node is None or node.value is None:
        node = root.value[MCP] = Node({}, root.mark)
        root.keys.setdefault(MCP, root.mark)
    if not isinstance(node.value, dict):
        return  # which others tell
    ids = {_text(entry.get(("server_id",))) for entry in node.value.values()}
    for server in servers:
        mark = _mark(server)
        if server.name in node.value or server.id in ids:
            report.warning(mark, (), "has the name or the id of an MCP server in the files, which is served")
            continue
        joined.ids[f"{MCP}.{server.name}"] = server_key(server.id)
        joined.servers.add(server.name)
        node.value[server.name] = _node({**server.settings, "server_id": server.id}, (MCP, server.name), mark, report)
        node.keys[server.name] = mark


def _join_agents(root: Node, agents: tuple[StoredAgent, ...], joined: Joined, report: Report) -> None:
    node = root.get((AGENT_LIST,))
    section = AGENTS if root.get((AGENTS,)) is not None or node is None else AGENT_LIST
    entries = _list(root, section)
    if entries is None:
        return  # which others tell
    taken = {_text(entry.get((name,))) for entry in entries for name in ("agent_id", "agent_name")}
    for agent in agents:
        mark = _mark(agent)
        if agent.name in taken or agent.id in taken:
            report.warning(mark, (), "has the name or the id of an agent in the files, which is served")
            continue
        joined.ids[f"{section}[{len(entries)}]"] = agent_key(agent.id)
        joined.agents.add(agent.id)
        value = {**agent.settings, "agent_name": agent.name, "agent_id": agent.id}
        entries.append(_node(value, (section, len(entries)), mark, report))


def agent_key(id: str) -> str:
    """What an agent is called among what is left out."""
    return f"a2a:{id}"


def server_key(id: str) -> str:
    """What an MCP server is called among what is left out."""
    return f"mcp:{id}"


def subjects(tags: tuple[StoredTag, ...]) -> dict[str, Subject]:
    """Tags with limits, by name, as workers count for them."""
    return {tag.name: subject for tag in tags if (subject := _subject(tag)).limited}


def policies(stored: tuple[UsagePolicy, ...]) -> tuple[UsagePolicy, ...]:
    """Those that are enabled, the lowest priority first, without who wrote them when."""
    plain = (
        msgspec.structs.replace(policy, created_at=0.0, created_by="", updated_at=0.0, updated_by="")
        for policy in stored
        if policy.enabled
    )
    return tuple(sorted(plain, key=lambda policy: (policy.priority, policy.policy_id)))


def _subject(tag: StoredTag) -> Subject:
    budgets: tuple[BudgetLimit, ...] = ()
    if tag.max_budget is not None or tag.soft_budget:
        amount = tag.max_budget if tag.max_budget is not None else UNLIMITED
        budgets = (BudgetLimit(amount=amount, duration=tag.budget_duration, soft=tag.soft_budget or 0),)
    return Subject(
        kind="tag", id=tag.name, rpm=tag.rpm, tpm=tag.tpm, max_parallel_requests=tag.max_parallel_requests,
        budgets=budgets,
    )  # fmt: skip


def _list(root: Node, name: str) -> list[Node] | None:
    """A section that is a list, made where there is none; `None` where it is something else, which others tell."""
    assert isinstance(root.value, dict)
    node = root.value.get(name)
    if node is None or node.value is None:
        node = root.value[name] = Node([], root.mark)
        root.keys.setdefault(name, root.mark)
    return node.value if isinstance(node.value, list) else None


def _entry(deployment: StoredDeployment) -> dict[str, Any]:
    info = {
        **deployment.info, "id": deployment.id, "db_model": True,
        "created_at": moment(deployment.created_at), "created_by": deployment.created_by,
        "updated_at": moment(deployment.updated_at), "updated_by": deployment.updated_by,
    }  # fmt: skip
    if deployment.blocked:
        info["blocked"] = True
    return {"model_name": deployment.name, "litellm_params": deployment.params, "model_info": info}


def moment(seconds: float) -> str:
    """Unix seconds as LiteLLM writes times."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat().replace("+00:00", "Z")


def _node(value: dict[str, Any], where: Path, mark: Mark, report: Report) -> Node:
    node = from_value(value, where, report, mark=mark) or Node({}, mark)
    for path, child in node.walk(where):
        if isinstance(child.value, str) and child.value.startswith(PREFIX):
            name = child.value.removeprefix(PREFIX)
            if _OWN.fullmatch(name):
                report.error(mark, path, f"may not be {name}, which is the gateway's own")
                child.value = None
                child.broken = True
    return node


def _mark(row: StoredDeployment | StoredCredential | StoredMcpServer | StoredAgent) -> Mark:
    if isinstance(row, StoredDeployment):
        kind, name = "deployment", row.id
    else:
        kinds: dict[type, str] = {StoredCredential: "credential", StoredMcpServer: "MCP server", StoredAgent: "agent"}
        kind, name = kinds[type(row)], row.name
    return Mark(f"{kind} {name} in the database", 0, 0)


def _text(node: Node | None) -> str | None:
    return str(node.value) if node is not None and isinstance(node.value, (str, int)) else None
