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

    Times are the event loop's seconds, except `at` (Unix microseconds). `headers` has lower-case names.
    """

    __slots__ = (
        "at",
        "attempt",
        "began",
        "body",
        "call_id",
        "client",
        "endpoint",
        "error",
        "fallbacks",
        "first_byte",
        "group",
        "headers",
        "hedged",
        "key",
        "model",
        "path_model",
        "peek",
        "pending_fallbacks",
        "plan",
        "public_model",
        "request_id",
        "reservation",
        "reserved_tokens",
        "retries",
        "retrying",
        "route",
        "settled",
        "stage",
        "started",
        "status",
        "stream",
        "tried",
        "upstream_model",
        "upstream_seconds",
        "usage",
    )

    def __init__(
        self,
        plan: Any,
        client: Client,
        endpoint: str,
        headers: dict[bytes, bytes],
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
        self.began = False
        """Whether a streamed answer has begun towards the client."""
        self.settled = False
        self.key: Any = None
        """The caller: `governance.keys.Caller`."""
        self.peek: Any = None
        self.model = ""
        """As requested."""
        self.public_model = ""
        """The name it is being served under: as requested, or the fallback's."""
        self.stream = False
        self.group: Any = None
        self.route: Any = None
        self.attempt: Any = None
        self.tried: list[Any] | None = None
        self.pending_fallbacks: list[str] | None = None
        self.reservation: Any = None
        self.reserved_tokens = 0
        self.request_id = b""
        self.status = 200
        self.error: GatewayError | None = None
        self.usage: Usage | None = None
        self.retries = 0
        self.retrying = False
        self.fallbacks = 0
        self.hedged = False
        self.first_byte = 0.0
        self.upstream_seconds = 0.0
        self.upstream_model = ""
