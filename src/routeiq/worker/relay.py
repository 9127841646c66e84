"""Paths that are not the worker's own, passed on as bytes to the process that owns them over its Unix socket."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from routeiq.core.errors import GatewayError, Overloaded, UnknownPath
from routeiq.core.exchange import Header
from routeiq.pipeline.answer import error_head, reason
from routeiq.transport.call import Call, UpstreamBroken

if TYPE_CHECKING:
    from routeiq.process.heads import Request
    from routeiq.process.http import ClientConnection
    from routeiq.transport.pool import Origin
    from routeiq.worker.server import Worker

PRIVATE = b"/internal"
"""Paths that only processes of ours may ask."""
AGENTS = (
    b"/mcp", b"/mcp-rest", b"/mcp-proxy", b"/v1/mcp", b"/llmrouter/mcp", b"/v1/llmrouter/mcp",
    b"/a2a", b"/v1/a2a", b"/v1/agents", b"/.well-known/agent-card.json", b"/.well-known/agent.json",
)  # fmt: skip
"""What the process with MCP and A2A owns, with all below."""
_REGISTRY = b"/v1/mcp/server"
_AGENTS_REGISTRY = (b"/v1/agents", b"/a2a/agents")
_METADATA = (b"/.well-known/oauth-protected-resource", b"/.well-known/oauth-authorization-server")
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)


class Relay(Call):
    """One relayed request. The other process being down is the client's 503, never a hang."""

    __slots__ = ("_begun", "_connection", "_down", "_head", "_length", "_origin", "_request")

    def __init__(self, origin: Origin, connection: ClientConnection, request: Request, down: Overloaded) -> None:
        """`down` is what the client is told while nobody answers at `origin`."""
        super().__init__()
        self._origin = origin
        self._down = down
        self._connection = connection
        self._request = request
        self._begun = False
        self._head = b""
        """Of the answer to a HEAD, which is sent when the length is known."""
        self._length = 0
        connection.serve_as(self)

    def start(self) -> None:
        """Send it on."""
        request = self._request
        if _is_private(request.path):
            self._refuse(UnknownPath(f"There is no {request.path.decode('latin-1')[:200]} here."))
            return
        target = request.path + (b"?" + request.query if request.query else b"")
        # The others have no HEAD of their own, and an answer to one ends where no parser sees it.
        method = b"GET" if request.method == b"HEAD" else request.method
        head = [b"%b %b HTTP/1.1\r\n" % (method, target)]
        head += [
            b"%b: %b\r\n" % (name, value)
            for name, value in request.headers
            if name not in _HOP_BY_HOP and name != b"content-length" and name != b"expect"
        ]
        if request.http10 and not any(name == b"host" for name, _ in request.headers):
            head.append(b"host: routeiq\r\n")
        head.append(b"content-length: %d\r\n\r\n" % len(request.body))
        self.payload = (b"".join(head), request.body)
        self.size = len(request.body)
        self._origin.send(self)

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._begun = True
        head = b"HTTP/1.1 %d %b\r\n" % (status, reason(status))
        for name, value in headers:
            if name not in _HOP_BY_HOP and name != b"content-length":
                head += b"%b: %b\r\n" % (name, value)
        if self._request.method == b"HEAD":
            self._head = head
        else:
            self._connection.begin(self, head)

    def on_data(self, data: bytes) -> None:
        if self._head:
            self._length += len(data)
        else:
            self._connection.write(self, data)

    def on_done(self) -> None:
        if self._head:
            self._connection.respond(self, self._head, bytes(self._length))
        else:
            self._connection.end(self)

    def on_failure(self, failure: UpstreamBroken) -> None:
        if self._begun:
            self._connection.abort(self)
        else:
            self._refuse(self._down)

    def client_gone(self) -> None:
        """Stop asking."""
        self.cancel()

    def client_slow(self) -> None:
        """Stop reading the answer."""
        if self.carrier is not None:
            self.carrier.pause()

    def client_ready(self) -> None:
        """Read on."""
        if self.carrier is not None:
            self.carrier.resume()

    def _refuse(self, error: GatewayError) -> None:
        self._connection.respond(self, error_head(None, error), error.body())


def relay(worker: Worker, connection: ClientConnection, request: Request) -> None:
    """Pass a request on to the process that owns its path."""
    if worker.agents is not None and for_agents(request.method, request.path):
        down = Overloaded("MCP and A2A are not available right now.", code="agents_unavailable", retry_after=1.0)
        Relay(worker.agents, connection, request, down).start()
    else:
        down = Overloaded("The control plane is not available right now.", code="control_unavailable", retry_after=1.0)
        Relay(worker.control, connection, request, down).start()


def for_agents(method: bytes, path: bytes) -> bool:
    """Whether a path belongs to the process with MCP: `AGENTS`, one server's `/{server}/mcp`, metadata about them.

    What changes the registry is the control plane's, which has the database.
    """
    if method != b"GET" and path.startswith(_REGISTRY):
        rest = path[len(_REGISTRY) :].strip(b"/")
        if not rest or (method == b"DELETE" and b"/" not in rest):
            return False
    if method != b"GET" and path.startswith(_AGENTS_REGISTRY):
        return False
    if path.startswith(AGENTS):
        return any(path == prefix or path.startswith(prefix + b"/") for prefix in AGENTS)
    slashes = 3 if path.startswith(b"/toolset/") else 2
    return (path.endswith(b"/mcp") and path.count(b"/") == slashes) or path.startswith(_METADATA)


def _is_private(path: bytes) -> bool:
    """Whether a path is, or once decoded may be taken for, one of `PRIVATE`."""
    if not path.startswith(b"/"):
        return True
    plain = posixpath.normpath(unquote_to_bytes(path).replace(b"\\", b"/"))
    return (b"/" + plain.lstrip(b"/")).lower().startswith(PRIVATE)
