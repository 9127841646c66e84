"""One request on its way through the gateway: everything known about it, in one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from routeiq.core.errors import GatewayError
    from routeiq.core.usage import Usage

Header = tuple[bytes, bytes]


class Client(Protocol):
    """The caller's connection, as the pipeline sees it."""

    def respond(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """Send a whole answer. `head` is the status line and headers up to `Content-Length`, CRLF at its end."""

    def begin(self, exchange: Exchange, head: bytes) -> None:
        """Start a streamed answer (chunked)."""

    def write(self, exchange: Exchange, data: bytes) -> None:
        """One chunk of a streamed answer."""

    def end(self, exchange: Exchange) -> None:
        """The regular end of a streamed answer."""

    def abort(self, exchange: Exchange) -> None:
        """The irregular end: the connection closes without the last chunk, so that no client takes it for success."""

    def congested(self) -> bool:
        """Whether the client reads slower than it is sent to."""


class Exchange:
    """State of one request. `plan` is the compiled Snapshot it began under; it never changes on the way.

    Times are the event loop's seconds, except `at` (Unix microseconds).
    """

    __slots__ = (
        "at",
        "attempt",
        "body",
        "call_id",
        "client",
        "closed",
        "deployment_model",
        "endpoint",
        "error",
        "fallbacks",
        "first_byte",
        "group",
        "headers",
        "hedged",
        "key",
        "model",
        "parked",
        "path_model",
        "peek",
        "pending_fallbacks",
        "plan",
        "request_id",
        "reservation",
        "retries",
        "settled",
        "stage",
        "started",
        "status",
        "stream",
        "target",
        "tried",
        "upstream_seconds",
        "usage",
        "visited",
    )

    def __init__(
        self,
        plan: Any,
        client: Client,
        endpoint: str,
        headers: list[Header],
        body: bytes,
        started: float,
        at: int,
        call_id: str,
        path_model: str | None,
    ) -> None:
        self.plan = plan
        self.client = client
        self.endpoint = endpoint
        self.headers = headers
        self.body = body
        self.started = started
        self.at = at
        self.call_id = call_id
        self.path_model = path_model
        self.stage = 0
        self.parked = False
        self.closed = False
        self.settled = False
        self.key: Any = None
        self.peek: Any = None
        self.model = ""
        self.stream = False
        self.group: Any = None
        self.target: Any = None
        self.attempt: Any = None
        self.tried: list[Any] = []
        self.visited: list[str] | None = None
        self.pending_fallbacks: list[str] | None = None
        self.reservation: Any = None
        self.request_id = b""
        self.status = 0
        self.error: GatewayError | None = None
        self.usage: Usage | None = None
        self.retries = 0
        self.fallbacks = 0
        self.hedged = False
        self.first_byte = 0.0
        self.upstream_seconds = 0.0
        self.deployment_model = ""

    def header(self, name: bytes) -> bytes | None:
        """The first value of a request header; `name` in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None
