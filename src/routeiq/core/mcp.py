"""MCP servers behind the gateway, and how their tools are shown, as configuration was compiled to them."""

from __future__ import annotations

from typing import Any

import msgspec

HTTP = "http"
SSE = "sse"
STDIO = "stdio"
WEBSOCKET = "websocket"
OPENAPI = "openapi"
"""Transports: streamable HTTP, HTTP+SSE of 2024-11-05, a process of ours, text frames, and no MCP server at all."""

ALWAYS = "always"
CONDITIONAL = "conditional"
NEVER = "never"
"""When names of tools and prompts have their server's in front: wherever several servers are shown, where a name is
taken by two of them, or not at all."""


OFF = "off"
WARN = "warn"
BLOCK = "block"
"""What becomes of a definition that is not as it should be: nothing, a line in the log, or it is held back too."""


INSIDE_TOOLS = "/internal/mcp/tools"
INSIDE_CALL = "/internal/mcp/call"
"""Where workers ask for what models use, with the headers of the caller: POST."""


class InsideQuestion(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is asked there: the tools of a place, or a call of one of them."""

    place: str
    """A path, as clients of MCP would have it: `/mcp`, `/mcp/notes`."""
    name: str = ""
    arguments: dict[str, Any] = {}


class InsideAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The answer; errors are those of the gateway, in OpenAI's shape."""

    tools: list[dict[str, Any]] = []
    """As MCP lists them."""
    result: dict[str, Any] = {}
    """Of `tools/call`."""
    cost: int = 0
    """Nano-dollars."""


REDACT = "redact"
"""What becomes of secrets besides: they are masked."""


class Leaks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of secrets and personal data on their way: `OFF`, `WARN`, `REDACT`, `BLOCK`."""

    arguments: str = OFF
    results: str = OFF
    kinds: tuple[str, ...] = ("keys", "cards")
    """Of `observe.personal.HIDDEN`."""


class Jwt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The authorization server whose tokens MCP clients may come with."""

    issuer: str
    jwks_url: str
    jwks_host: str
    audience: tuple[str, ...] = ()
    """Empty is the gateway's own URLs."""
    algorithms: tuple[str, ...] = ()
    user_claim: str = "sub"
    team_claim: str = ""
    scopes: tuple[str, ...] = ()
    """For anything."""
    call_scopes: tuple[str, ...] = ()
    """And for calls of tools."""


class ToolLoop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far models may go with tools in one request."""

    rounds: int = 10
    """Times a model is asked again with what its calls gave."""
    cost: int | None = None
    """Nano-dollars of its requests and calls, after which none is begun."""


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request an HTTP API takes, offered as a tool. Names of parameters by the place they stand in."""

    name: str
    description: str
    method: str
    path: str
    in_path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    body: bool = False
    """Whether the argument `body` is sent as JSON."""
    schema: bytes = b"{}"
    """Of its arguments, JSON."""


class OAuth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a server's tokens are got. May hold a secret."""

    flow: str = "authorization_code"
    """Or `client_credentials`: one token for all."""
    client_id: str = ""
    client_secret: str = ""
    auth_method: str = ""
    """`client_secret_basic` or `client_secret_post`; empty is what the server supports."""
    scopes: tuple[str, ...] = ()
    issuer: str = ""
    authorization_url: str = ""
    token_url: str = ""
    registration_url: str = ""
    """Empty ones are found out."""
    resource: str = "auto"
    """Of RFC 8707: `auto` is the server's own URL, empty sends none."""
    trusted_hosts: tuple[str, ...] = ()
    """The operator has named these; others must be on the open network."""
    metadata_url: str = ""
    """Of the gateway's client ID metadata document."""

    def __repr__(self) -> str:
        return f"OAuth(flow={self.flow!r}, client_id={self.client_id!r})"


class McpServer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server. `headers`, `env` and `args` may hold secrets."""

    id: str
    name: str
    """As configured, unique; the path of its own surface."""
    prefix: str
    """What stands in front of its names: its alias, else its name."""
    transport: str = HTTP
    version: str = "auto"
    """The protocol revision it is spoken to in; `auto` finds out."""
    scheme: str = "https"
    host: str = ""
    port: int = 443
    target: str = "/"
    """Path and query."""
    host_header: str = ""
    trusted: bool = True
    """Whether its address was written by the operator: others must not lead into private networks."""
    verify_tls: bool = True
    ca_file: str | None = None
    headers: dict[str, str] = {}
    """Sent with every request: credentials, static headers."""
    oauth: OAuth | None = None
    operations: tuple[Operation, ...] = ()
    """Of an HTTP API."""
    forward: tuple[str, ...] = ()
    """Names (lower case) of the client's headers that are passed on."""
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    description: str = ""
    instructions: str = ""
    info: bytes = b"{}"
    """`mcp_info` as it is shown: a JSON object."""
    access_groups: tuple[str, ...] = ()
    open: bool = False
    """`allow_all_keys`: every key may use it."""
    allowed: tuple[str, ...] | None = None
    """Its own names of the tools there are; `None` is all of them."""
    denied: tuple[str, ...] = ()
    params: dict[str, tuple[str, ...]] = {}
    """Arguments a tool may be given, by its own name; tools that are not in it take any."""
    titles: dict[str, str] = {}
    """Other names for tools, by their own."""
    descriptions: dict[str, str] = {}
    timeout: float = 60.0
    """Seconds a request may take in which nothing comes."""
    parallel: int | None = None
    """Calls at once."""
    rpm: int | None = None
    """Calls a minute."""
    cost: int = 0
    """Nano-dollars a call."""
    costs: dict[str, int] = {}
    """The same by the tool's own name."""
    sampling: bool = True
    elicitation: bool = True
    """Whether it may ask clients for these."""

    def __repr__(self) -> str:
        return f"McpServer(name={self.name!r}, transport={self.transport!r})"


class Mcp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The MCP gateway."""

    servers: tuple[McpServer, ...] = ()
    """In the order they are shown in."""
    calls: bool = False
    """Whether tools may be called."""
    loop: ToolLoop = ToolLoop()
    ask_destructive: bool = False
    """Whether somebody has to say yes to a call of a tool that is marked as destructive."""
    leaks: Leaks = Leaks()
    jwt: Jwt | None = None
    prefix: str = ALWAYS
    separator: str = "-"
    hosts: tuple[str, ...] = ()
    """Values of `Host`, without ports, that are served; none serve any."""
    origins: tuple[str, ...] = ()
    """Values of `Origin` that are served besides those of `hosts`."""
    max_result: int = 16 * 1024 * 1024
    """Bytes of one message from a server."""
    page: int = 1000
    """Entries of a page of a list."""
    catalog_seconds: float = 300.0
    """How long a server's lists are good when it does not tell of changes."""
    session_seconds: float = 3600.0
    """How long a session without requests is kept."""
    max_sessions: int = 10_000
    public_url: str = ""
    """How browsers reach the gateway; empty is as the request did."""
    pinning: str = OFF
    """Of tools that change, or come to a server that is known."""
    scan: str = WARN
    """Of text in definitions that is hidden, or speaks to the model."""
    toolsets: dict[str, dict[str, tuple[str, ...]]] = {}
    """By name the servers of a set, by their id, and their tools in it by the server's names; none are all."""
    search_over: int | None = None
    """Places with more tools than this show three instead: to search, to describe, to call."""


def is_destructive(tool: dict[str, Any]) -> bool:
    """Whether a tool, as MCP lists it, says of itself that it may destroy something.

    https://modelcontextprotocol.io/specification/2026-07-28/schema#toolannotations
    """
    annotations = tool.get("annotations")
    return isinstance(annotations, dict) and annotations.get("destructiveHint") is True
