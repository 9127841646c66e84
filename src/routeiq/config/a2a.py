"""Compiles `agents` and `routeiq.a2a`."""

from __future__ import annotations

import hashlib
import re

import msgspec

from routeiq.config import agent_providers
from routeiq.config.address import Address, parse_base
from routeiq.config.context import Context, flag_of
from routeiq.config.outbound import headers_of
from routeiq.config.report import Path
from routeiq.config.schema.a2a import AgentSettings
from routeiq.core.a2a import PYDANTIC_AI, A2a, Agent
from routeiq.core.money import nano

ENABLED_ENV = "A2A_GATEWAY_ENABLED"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TAKEN = frozenset(("agents", "push", ".", "..", ".well-known"))
"""Names under `/a2a/` that are no agent's."""
_OWN = ("", "a2a", PYDANTIC_AI)
"""`custom_llm_provider` of agents that speak A2A themselves."""
_DEFAULT = Agent(id="", name="")


def enabled(ctx: Context) -> bool:
    """Whether there is an A2A gateway: `A2A_GATEWAY_ENABLED`, else `routeiq.a2a.enabled`, else where it has agents."""
    asked = flag_of(ctx, ENABLED_ENV)
    if asked is None:
        asked = ctx.config.routeiq.a2a.enabled
    return bool(ctx.config.agents) if asked is None else asked


def compile_a2a(ctx: Context, host: str | None) -> A2a | None:
    """The gateway, or `None` where there is none. `host` is where the server listens."""
    if host is None or not enabled(ctx):
        return None
    own = ctx.config.routeiq.a2a
    agents: list[Agent] = []
    taken: dict[str, int] = {}
    for number, (path, settings) in enumerate(ctx.config.agents):
        agent = _agent(ctx, path, settings)
        if agent is None:
            continue
        agents.append(agent)
        for word in {agent.name.lower(), agent.id.lower()}:
            if taken.setdefault(word, number) != number:
                ctx.error(path, f"is called {word}, and so is another agent")
    if own.public_url is not None:
        try:
            parse_base(own.public_url)
        except ValueError as error:
            ctx.error(("routeiq", "a2a", "public_url"), str(error))
    names = ("public_url", "max_message", "card_seconds", "task_seconds", "private_webhooks")
    return A2a(agents=tuple(agents), **{name: value for name in names if (value := getattr(own, name)) is not None})


def digested(found: A2a | None) -> A2a | None:
    """The same without secrets, for a revision."""
    if found is None:
        return None
    return msgspec.structs.replace(
        found,
        agents=tuple(
            Agent(id=_digest(msgspec.json.encode(agent, order="sorted")), name=agent.name) for agent in found.agents
        ),
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _agent(ctx: Context, path: Path, settings: AgentSettings) -> Agent | None:
    name, params = settings.agent_name, settings.litellm_params
    if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        hint = f"it may not be {', '.join(sorted(_TAKEN))}"
        message = "is not a name for an agent: 1 to 64 letters, digits, dots, dashes and underscores"
        ctx.error((*path, "agent_name"), message, hint)
        return None
    provider = params.custom_llm_provider or ""
    if provider not in _OWN and provider not in agent_providers.NAMES:
        where = (*path, "litellm_params", "custom_llm_provider")
        ctx.error(where, "is not known", f"one of {', '.join((*_OWN[1:], *agent_providers.NAMES))}")
        return None
    address, right = _address(ctx, path, settings, required=provider in _OWN)
    if not right:
        return None
    provided = None
    if provider in agent_providers.NAMES:
        provided = agent_providers.compile_provided(ctx, path, settings, address)
        if provided is None:
            return None
        address, credential = provided.address, provided.access.header
    else:
        credential = ("Authorization", f"Bearer {params.api_key}") if params.api_key is not None else None
    assert address is not None
    trusted = settings.agent_id not in ctx.stored_agents or address.host in ctx.config.routeiq.a2a.stored_private_hosts
    if not trusted and not address.public:
        hint = "if it shall, name its host in routeiq.a2a.stored_private_hosts"
        ctx.error((*path, "url"), "leads into a private network, where agents of the database may not be", hint)
    headers = headers_of(ctx, settings, path)
    if credential is not None:
        headers.setdefault(*credential)
    if address.scheme == "http" and address.public and headers:
        ctx.warning((*path, "url"), "sends credentials without TLS")
    verify = ctx.config.litellm.ssl_verify
    card = settings.agent_card_params
    return Agent(
        id=settings.agent_id or _digest(f"{name}|{address.url}".encode())[:32],
        name=name,
        provider="" if provider == "a2a" else provider,
        model=provided.model if provided is not None else "",
        signing=provided.access.signing if provided is not None else None,
        scheme=address.scheme,
        host=address.host,
        port=address.port,
        path=address.path,
        host_header=address.host_header,
        trusted=trusted,
        verify_tls=verify is not False,
        ca_file=verify if isinstance(verify, str) else None,
        headers=headers,
        forward=tuple(header.lower() for header in settings.extra_headers),
        card=msgspec.json.encode(card) if card else b"",
        card_path=settings.card_path or "",
        version=settings.protocol_version,
        binding=settings.protocol_binding,
        signatures=settings.card_signatures,
        access_groups=tuple(settings.access_groups),
        open=settings.allow_all_keys,
        enabled=settings.enabled,
        timeout=settings.timeout or _DEFAULT.timeout,
        parallel=settings.max_concurrent_requests,
        rpm=settings.rpm_limit,
        cost=nano(params.cost_per_query),
    )


def _address(ctx: Context, path: Path, settings: AgentSettings, *, required: bool) -> tuple[Address | None, bool]:
    """Where the agent is: `url`, else `litellm_params.api_base`, else `url` of its card; and whether that is right."""
    told = settings.url or settings.litellm_params.api_base or settings.agent_card_params.get("url")
    if not isinstance(told, str) or not told:
        if required and not ctx.broken((*path, "url")):
            ctx.error((*path, "url"), "is required")
        return None, not required
    try:
        return parse_base(told), True
    except ValueError as error:
        ctx.error((*path, "url"), str(error))
        return None, False
