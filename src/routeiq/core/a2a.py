"""Agents behind the gateway, as configuration was compiled to them."""

from __future__ import annotations

import msgspec

from routeiq.core.signing import Signing

OLD = "0.3"
NEW = "1.0"
"""Versions of the protocol: https://a2a-protocol.org/latest/specification/#36-versioning"""
JSONRPC = "JSONRPC"
HTTP_JSON = "HTTP+JSON"
"""Bindings the gateway speaks, by the names agent cards have for them."""
OLD_HTTP = "HTTP+JSON 0.3"
"""The second one as it was in 0.3, with JSON of its own."""
AUTO = "auto"
"""A version or a binding that the agent's card tells."""

OPENAI = "openai"
LANGGRAPH = "langgraph"
AGENTCORE = "bedrock"
AGENT_ENGINE = "vertex_ai"
FOUNDRY = "azure_ai"
"""Agents that speak no A2A: a model behind Chat Completions, an assistant of LangGraph, a runtime of Bedrock AgentCore,
a reasoning engine of Vertex AI, an agent of Azure AI Foundry. LiteLLM's names."""
PYDANTIC_AI = "pydantic_ai_agents"
"""Those that speak A2A, and want to be asked after their tasks."""

DROP = "drop"
VERBATIM = "verbatim"
"""What becomes of a signed card: it is shown with the gateway's addresses and without its signatures, which would be
wrong then, or as its agent signed it, with the agent's own addresses."""


class Agent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent. `headers` may hold secrets."""

    id: str
    name: str
    """As configured, unique; the path of its own surface."""
    provider: str = ""
    """One of these; empty for one that just speaks A2A."""
    model: str = ""
    """What the provider is asked for: a model, an assistant, an ARN, a resource."""
    signing: Signing | None = None
    """Credentials that are made or renewed while serving."""
    scheme: str = "https"
    host: str = ""
    port: int = 443
    path: str = ""
    """Of its address, without a slash at the end."""
    host_header: str = ""
    trusted: bool = True
    """Whether its address was written by the operator: others must not lead into private networks."""
    verify_tls: bool = True
    ca_file: str | None = None
    headers: dict[str, str] = {}
    """Sent with every request: credentials, static headers."""
    forward: tuple[str, ...] = ()
    """Names (lower case) of the client's headers that are passed on."""
    card: bytes = b""
    """A JSON object: members that stand over those of the card the agent has itself; empty is none."""
    card_path: str = ""
    """Where its card is below `path`; empty tries the well-known ones."""
    version: str = AUTO
    binding: str = AUTO
    signatures: str = DROP
    access_groups: tuple[str, ...] = ()
    open: bool = False
    """`allow_all_keys`: every key may use it."""
    enabled: bool = True
    """False is the kill switch: it is shown to nobody and asked nothing."""
    timeout: float = 60.0
    """Seconds a request may take in which nothing comes."""
    parallel: int | None = None
    """Messages at once."""
    rpm: int | None = None
    """Messages a minute."""
    cost: int = 0
    """Nano-dollars a message."""

    def __repr__(self) -> str:
        return f"Agent(name={self.name!r})"


class A2a(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The A2A gateway."""

    agents: tuple[Agent, ...] = ()
    """In the order they are shown in."""
    public_url: str = ""
    """How clients reach the gateway, for cards; empty is as the request did."""
    max_message: int = 16 * 1024 * 1024
    """Bytes of one message from an agent."""
    card_seconds: float = 300.0
    """How long a card is good."""
    task_seconds: float = 30 * 86_400.0
    """How long a task is remembered after it was last heard of."""
    private_webhooks: bool = False
    """Whether clients may have agents tell them of tasks at addresses that are not of the open network."""
