"""The Event: one request, as it was settled."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One line of the Journal, as JSON. Money in nano-dollars, durations in microseconds, times Unix microseconds."""

    id: str
    """Unique; `x-litellm-call-id` of the response."""
    at: int
    """When the request arrived."""
    request_id: str = ""
    """The client's `x-request-id`, where it sent one."""
    endpoint: str = ""
    key: str = ""
    """Hex SHA-256 of the key, `""` when none was asked for."""
    key_name: str = ""
    model: str = ""
    """As requested."""
    group: str = ""
    deployment: str = ""
    provider: str = ""
    upstream_model: str = ""
    strategy: str = ""
    status: int = 200
    """The HTTP status sent; 499 when the client went away first."""
    error: str = ""
    """`GatewayError.kind`, or `""`."""
    stream: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost: int | None = None
    """`None` when the model has no price."""
    duration: int = 0
    ttft: int = 0
    """Arrival to first byte from the provider; 0 when none came."""
    overhead: int = 0
    """Time the gateway itself added before the upstream was called and after it answered."""
    retries: int = 0
    fallbacks: int = 0
    hedged: bool = False
    user: str = ""
    """The body's `user`: the end user."""
    tags: tuple[str, ...] = ()
    revision: str = ""
    worker: int = 0


encode_line = msgspec.json.Encoder().encode
decode_line = msgspec.json.Decoder(Event).decode
