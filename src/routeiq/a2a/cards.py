"""Agent cards: where an agent says it is spoken to, and the card clients see in its place.

https://a2a-protocol.org/latest/specification/#441-agentcard, and the shape of 0.3, which clients of 1.0 pass over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from routeiq.a2a.wire import Json
from routeiq.core.a2a import AUTO, HTTP_JSON, JSONRPC, NEW, OLD, OLD_HTTP, Agent

WELL_KNOWN = ("/.well-known/agent-card.json", "/.well-known/agent.json")
"""Where cards are, the second one before 0.3."""
OLD_VERSION = "0.3.0"
_ADDRESSES = ("supportedInterfaces", "url", "preferredTransport", "additionalInterfaces", "protocolVersion")
_SECURITY = ("securitySchemes", "securityRequirements", "security", "signatures")
_SCHEME = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "httpAuthSecurityScheme": {"scheme": "Bearer", "description": "A key of the gateway."},
    }
}


class Interface(NamedTuple):
    """One way to speak to an agent. `version` is that of the JSON it is translated from and to."""

    version: str
    binding: str
    path: str
    tenant: str = ""


def interfaces(card: Json, agent: Agent) -> tuple[Interface, ...]:
    """How an agent is spoken to: only ever at its own address, of what its card says the path counts."""
    new = card.get("supportedInterfaces")
    if isinstance(new, list):
        told = [
            (one.get("protocolVersion"), one.get("protocolBinding"), one.get("url"), one.get("tenant"))
            for one in new
            if isinstance(one, dict)
        ]
    else:
        version = card.get("protocolVersion", OLD_VERSION)
        told = [(version, card.get("preferredTransport", JSONRPC), card.get("url"), None)]
        more = card.get("additionalInterfaces")
        told += [
            (version, one.get("transport"), one.get("url"), None)
            for one in (more if isinstance(more, list) else ())
            if isinstance(one, dict)
        ]
    found = (_interface(agent, *one) for one in told)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _interface(agent: Agent, version: Any, binding: Any, url: Any, tenant: Any) -> Interface | None:
    spoken = _version(version)
    if spoken is None or binding not in (JSONRPC, HTTP_JSON) or not isinstance(url, str):
        return None
    if agent.version not in (AUTO, spoken) or agent.binding not in (AUTO, binding):
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    if any(c <= " " or c >= "\x7f" for c in path):
        return None
    if spoken == OLD and binding == HTTP_JSON:
        return Interface(NEW, OLD_HTTP, path.rstrip("/"))
    return Interface(spoken, binding, path.rstrip("/") if binding == HTTP_JSON else path or "/", str(tenant or ""))


def _version(told: Any) -> str | None:
    """The version that is spoken for one that is told; `None` for what is not known."""
    text = told if isinstance(told, str) else ""
    if text.startswith("1."):
        return NEW
    return OLD if text.startswith("0.") else None


def assumed(agent: Agent) -> Interface:
    """How an agent is spoken to that has no card, or none that says."""
    version = OLD if agent.version == AUTO else agent.version
    binding = JSONRPC if agent.binding == AUTO else agent.binding
    if version == OLD and binding == HTTP_JSON:
        return Interface(NEW, OLD_HTTP, agent.path)
    return Interface(version, binding, agent.path if binding == HTTP_JSON else agent.path or "/")


def choose(found: Iterable[Interface], version: str) -> Interface | None:
    """The best of an agent's interfaces for a client of a version: nothing to translate, then JSON-RPC."""

    def cost(one: Interface) -> tuple[bool, bool, bool]:
        return (one.binding == OLD_HTTP, one.version != version, one.binding != JSONRPC)

    return min(found, key=cost, default=None)


def shown(card: Json, url: str) -> Json:
    """A card in both shapes with the gateway's addresses. `url` is where clients reach the agent."""
    capabilities = card.get("capabilities")
    capabilities = dict(capabilities) if isinstance(capabilities, dict) else {}
    extended = bool(capabilities.get("extendedAgentCard") or card.get("supportsAuthenticatedExtendedCard"))
    capabilities["extendedAgentCard"] = extended
    made = {name: value for name, value in card.items() if name not in _ADDRESSES and name not in _SECURITY}
    made |= {
        "capabilities": capabilities,
        "supportedInterfaces": [
            {"url": url, "protocolBinding": JSONRPC, "protocolVersion": NEW},
            {"url": url, "protocolBinding": HTTP_JSON, "protocolVersion": NEW},
            {"url": url, "protocolBinding": JSONRPC, "protocolVersion": OLD},
            {"url": url, "protocolBinding": HTTP_JSON, "protocolVersion": OLD},
        ],
        "url": url,
        "preferredTransport": JSONRPC,
        "additionalInterfaces": [{"url": url, "transport": binding} for binding in (JSONRPC, HTTP_JSON)],
        "protocolVersion": OLD_VERSION,
        "securitySchemes": _SCHEME,
        "securityRequirements": [{"schemes": {"bearer": {"list": []}}}],
        "security": [{"bearer": []}],
    }
    if extended:
        made["supportsAuthenticatedExtendedCard"] = True
    for name, default in _required(made):
        made.setdefault(name, default)
    return made


def _required(card: Json) -> tuple[tuple[str, Any], ...]:
    """Members every card must have, for agents that leave them out."""
    return (
        ("name", "agent"),
        ("description", str(card.get("name", ""))),
        ("version", "0"),
        ("defaultInputModes", ["text/plain"]),
        ("defaultOutputModes", ["text/plain"]),
        ("skills", []),
    )


def of_gateway(cards: Iterable[tuple[Agent, Json]], url: str) -> Json:
    """The gateway's own card: a skill for each agent, which is asked for by `tenant`."""
    skills = [
        {
            "id": agent.name,
            "name": str(card.get("name") or agent.name),
            "description": str(card.get("description") or agent.name),
            "tags": ["agent"],
        }
        for agent, card in cards
    ]
    card = {
        "name": "RouteIQ",
        "description": "Agents behind one gateway. Each skill is an agent: its id is the tenant to ask for.",
        "version": "1",
        "capabilities": {"streaming": True, "pushNotifications": False},
        "skills": skills,
    }
    return shown(card, url)
