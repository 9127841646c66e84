"""One request on its way through the gateway: everything known about it, in one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

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

    def end(self, exchange: Exchange, data: bytes = b"") -> None:
        """The regular end of a streamed answer, `data` its last chunk; leaves after the Event is written."""

    def abort(self, exchange: Exchange) -> None:
        """The irregular end: the connection closes without the last chunk, so that no client takes it for success."""


class Exchange(msgspec.Struct, eq=False):
    """State of one request. `plan` is the compiled Snapshot it began under; it never changes on the way.

    Times are monotonic seconds, except `at` (Unix microseconds). `headers` has lower-case names. A msgspec struct
    because making one is three times faster than a class with slots.
    """

    plan: Any
    client: Client
    endpoint: str
    headers: dict[bytes, bytes]
    body: bytes
    started: float
    at: int
    call_id: str
    path_model: str | None = None
    stream: bool = False
    face: Any = None
    """How the endpoint looks to its clients: `providers.dialects.face.Face`."""
    asked: Any = None
    """The request in neutral words, once an attempt needed it."""
    dropped: list[str] | None = None
    """Parameters the provider was not sent."""
    thread: Any = None
    """Where it belongs to a conversation the gateway may keep: `providers.translate.chat.Thread`."""
    stage: int = 0
    began: bool = False
    """Whether a streamed answer has begun towards the client."""
    settled: bool = False
    key: Any = None
    """The caller: `governance.keys.Caller`."""
    peek: Any = None
    model: str = ""
    """As requested."""
    public_model: str = ""
    """The name it is being served under: as requested, or the fallback's."""
    auto: Any = None
    """The auto model that was asked for: `pipeline.choose.LiveAuto`."""
    query: Any = None
    """What is asked, where a strategy looks at it: `routing.strategy.Query`."""
    considered: Any = None
    """What an auto model was decided by: `pipeline.ranking.Considered`."""
    decision: Any = None
    """How the model, or the deployment, was chosen, where a strategy ranked them: `core.decisions.Decision`."""
    group: Any = None
    route: Any = None
    attempt: Any = None
    tried: list[Any] | None = None
    pending_fallbacks: list[str] | None = None
    left: list[Any] | None = None
    """Groups that have failed: a fallback does not lead back to one of them."""
    end_user: str = ""
    """Whom the client says it is for."""
    also: tuple[Any, ...] = ()
    """Accounts it counts for besides its key's: `governance.accounts.Account`."""
    reservation: Any = None
    reserved_tokens: int = 0
    wanted_tokens: int = 0
    """Of those, what its answer may have."""
    held: Any = None
    """What was taken from the budgets of the deployment that is chosen: `routing.target.Held`; an attempt takes it
    along."""
    continuation: Any = None
    """Of a stream that broke and goes on elsewhere: `pipeline.continuing.Continuation`."""
    carried_prompt: int = 0
    carried_completion: int = 0
    carried_cost: int = 0
    """What the attempts before used and cost (nano-dollars), when an answer went on elsewhere."""
    request_id: bytes = b""
    note: Any = None
    """Where prompts are kept: `pipeline.noting.Note`."""
    run_id: str = ""
    """The agent's run the client says this is of."""
    request_tags: tuple[str, ...] = ()
    """The client's own, beside those of the key."""
    status: int = 200
    error: GatewayError | None = None
    usage: Usage | None = None
    retries: int = 0
    retrying: bool = False
    fallbacks: int = 0
    hedged: bool = False
    first_byte: float = 0.0
    upstream_seconds: float = 0.0
    upstream_model: str = ""
    settled_at: float = 0.0
    cost: int | None = None
    """Nano-dollars, once settled; `None` when unpriced."""
    key_spend: int = 0
    """Nano-dollars this key has spent, this request included, once settled."""
