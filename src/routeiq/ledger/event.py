"""The Event: one request, as it was settled."""

from __future__ import annotations

import msgspec

from routeiq.core.usage import Usage


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One line of the Journal, as JSON. Money in nano-dollars, durations in microseconds, times Unix microseconds.

    From `endpoint` on come the fields that are the same for all Events of one caller, deployment and worker: the
    ledger keeps them once (`ledger.rows`). The client can choose none of them freely.
    """

    id: str
    """Unique; `x-litellm-call-id` of the response."""
    at: int
    """When the request arrived."""
    request_id: str = ""
    """The client's `x-request-id`, where it sent one."""
    model: str = ""
    """As requested."""
    upstream_model: str = ""
    status: int = 200
    """The HTTP status sent; 499 when the client went away first."""
    error: str = ""
    """`GatewayError.kind`, or `""`."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
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
    endpoint: str = ""
    key: str = ""
    """Hex SHA-256 of the key, `""` when none was asked for."""
    key_name: str = ""
    group: str = ""
    deployment: str = ""
    provider: str = ""
    strategy: str = ""
    stream: bool = False
    estimated: bool = False
    """Whether the tokens are the gateway's estimate."""
    tags: tuple[str, ...] = ()
    revision: str = ""
    worker: int = 0


encode_line = msgspec.json.Encoder().encode
decode_line = msgspec.json.Decoder(Event).decode


class LineTemplate:
    """Writes the Events of one caller and one deployment that succeeded, without building them.

    What is the same for all of them is encoded once, as an Event; what differs is put in front of it. Decoding a line
    gives the Event that `encode_line` would have written. `ledger.rows` knows such lines by their constant part, which
    begins with the endpoint and has, other than in `encode_line`, the upstream's model.
    """

    __slots__ = ("_constant", "_streamed")

    def __init__(self, constant: Event) -> None:
        """`constant` has an empty `id`, `at` 0 and defaults in every field `line` takes."""
        self._constant = _constants(constant)
        self._streamed = _constants(msgspec.structs.replace(constant, stream=True))

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


def _constants(event: Event) -> tuple[bytes, bytes]:
    """What is the same in all lines: with usage from the provider, and estimated."""
    start = len(encode_line(Event(id="", at=0, upstream_model=event.upstream_model))) - 1
    model = b',"upstream_model":%b}' % msgspec.json.encode(event.upstream_model)
    exact = encode_line(event)[start:-1]
    return exact + model, encode_line(msgspec.structs.replace(event, estimated=True))[start:-1] + model


def _details(usage: Usage) -> bytes:
    return b',"cached_tokens":%d,"reasoning_tokens":%d' % (usage.cached, usage.reasoning)
