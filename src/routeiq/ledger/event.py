"""The Event: one request, as it was settled."""

from __future__ import annotations

import msgspec

from routeiq.core.usage import Usage


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


class LineTemplate:
    """Writes the Events of one caller and one deployment that succeeded, without building them.

    What is the same for all of them is encoded once, as an Event; what differs is put in front of it. Decoding a line
    gives the Event that `encode_line` would have written. `ledger.rows` knows such lines by their constant part, which
    begins with the endpoint.
    """

    __slots__ = ("_constant", "_streamed")

    def __init__(self, constant: Event) -> None:
        """`constant` has an empty `id`, `at` 0 and defaults in every field `line` takes."""
        start = len(encode_line(Event(id="", at=0))) - 1
        self._constant = _constants(constant, start)
        self._streamed = _constants(msgspec.structs.replace(constant, stream=True), start)

    def line(
        self,
        ident: str,
        at: int,
        model: bytes,
        stream: bool,
        usage: Usage,
        cost: int | None,
        duration: int,
        ttft: int,
        overhead: int,
    ) -> bytes:
        """One line without its newline. `model` is a JSON string; the rest as in `Event`."""
        return (
            b'{"id":"%b","at":%d,"model":%b,"prompt_tokens":%d,"completion_tokens":%d,"duration":%d,"ttft":%d,'
            b'"overhead":%d%b%b%b'
        ) % (
            ident.encode(),
            at,
            model,
            usage.prompt,
            usage.completion,
            duration,
            ttft,
            overhead,
            b"" if cost is None else b',"cost":%d' % cost,
            _details(usage) if usage.cached or usage.reasoning else b"",
            (self._streamed if stream else self._constant)[usage.estimated],
        )


def _constants(event: Event, start: int) -> tuple[bytes, bytes]:
    """What follows the first `start` bytes of an Event: with usage from the provider, and estimated."""
    exact = encode_line(event)[start:]
    return exact, encode_line(msgspec.structs.replace(event, estimated=True))[start:]


def _details(usage: Usage) -> bytes:
    return b',"cached_tokens":%d,"reasoning_tokens":%d' % (usage.cached, usage.reasoning)
