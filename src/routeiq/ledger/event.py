"""The Event: one request, as it was settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from routeiq.core.usage import Usage

Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A number that is still one when those of many Events are added: what is beyond comes from a broken disk."""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One line of the Journal, as JSON. Money in nano-dollars, durations in microseconds, times Unix microseconds.

    From `endpoint` on come the fields that are the same for all Events of one caller, deployment and worker: the
    ledger keeps them once (`ledger.rows`). The client can choose none of them freely.
    """

    id: str
    """Unique; `x-litellm-call-id` of the response."""
    at: Whole
    """When the request arrived."""
    request_id: str = ""
    """The client's `x-request-id`, where it sent one."""
    model: str = ""
    """As requested."""
    upstream_model: str = ""
    status: Whole = 200
    """The HTTP status sent; 499 when the client went away first."""
    error: str = ""
    """`GatewayError.kind`, or `""`."""
    prompt_tokens: Whole = 0
    completion_tokens: Whole = 0
    cached_tokens: Whole = 0
    written_tokens: Whole = 0
    reasoning_tokens: Whole = 0
    cost: Whole | None = None
    """`None` when the model has no price."""
    duration: Whole = 0
    ttft: Whole = 0
    """Arrival to first byte from the provider; 0 when none came."""
    overhead: Whole = 0
    """Time the gateway itself added before the upstream was called and after it answered."""
    retries: Whole = 0
    fallbacks: Whole = 0
    hedged: bool = False
    continued: Whole = 0
    """Times a stream that broke was gone on with by another deployment."""
    user: str = ""
    """The body's `user`: the end user."""
    run_id: str = ""
    """The agent's run the client says this request is of."""
    request_tags: tuple[str, ...] = ()
    """The client's own, beside those of the key."""
    prompt: str = ""
    """What was sent and what came back, where that is kept: cut to a bound, and with secrets hidden."""
    answer: str = ""
    decision_id: str = ""
    decision: str = ""
    """How the model was chosen, where a strategy ranked them: `core.decisions.Decision` as JSON."""
    written_1h_tokens: Whole = 0
    """From here to `service_tier`: what few requests use, each as in `Usage`."""
    audio_in_tokens: Whole = 0
    audio_out_tokens: Whole = 0
    cached_audio_tokens: Whole = 0
    image_in_tokens: Whole = 0
    image_out_tokens: Whole = 0
    cached_image_tokens: Whole = 0
    images_in: Whole = 0
    images: Whole = 0
    requests: Whole = 1
    searches: Whole = 0
    searches_low: Whole = 0
    searches_high: Whole = 0
    units: Whole = 0
    seconds: float = 0.0
    service_tier: str = ""
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
    worker: Whole = 0
    user_id: str = ""
    """The internal user the key belongs to; `user` is the end user."""
    team_id: str = ""
    organization_id: str = ""


COMMON_USAGE = {name: f"{name}_tokens" for name in ("prompt", "completion", "cached", "written", "reasoning")} | {
    "estimated": "estimated"
}
"""Fields of an Event by the field of `Usage` they take, for every request."""
RARE_USAGE = {
    name: f"{name}_tokens" if f"{name}_tokens" in Event.__struct_fields__ else name
    for name in Usage.__struct_fields__
    if name not in COMMON_USAGE
}
"""The same for what few requests use (`Usage.rare`)."""


def note_usage(event: Event, usage: Usage) -> None:
    """Put what a request used on its Event."""
    event.prompt_tokens = usage.prompt
    event.completion_tokens = usage.completion
    event.cached_tokens = usage.cached
    event.written_tokens = usage.written
    event.reasoning_tokens = usage.reasoning
    event.estimated = usage.estimated
    if usage.rare:
        for name, field in RARE_USAGE.items():
            setattr(event, field, getattr(usage, name))


def usage_of(event: Event | Mapping[str, Any]) -> Usage:
    """What the request of an Event, or of a row of the ledger, used: `Prices.cost` of it is the Event's cost."""
    if isinstance(event, Event):
        event = msgspec.structs.asdict(event)
    usage = Usage(**{name: event[field] for name, field in (COMMON_USAGE | RARE_USAGE).items()})
    usage.estimated = bool(usage.estimated)
    return usage


encode_line = msgspec.json.Encoder().encode
decode_line = msgspec.json.Decoder(Event).decode


class LineTemplate:
    """Writes the Events of one caller and one deployment that succeeded and used nothing rare, without building them.

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
            _details(usage) if usage.cached or usage.reasoning or usage.written else b"",
            (self._streamed if stream else self._constant)[usage.estimated],
        )


def _constants(event: Event) -> tuple[bytes, bytes]:
    """What is the same in all lines: with usage from the provider, and estimated."""
    start = len(encode_line(Event(id="", at=0, upstream_model=event.upstream_model))) - 1
    model = b',"upstream_model":%b}' % msgspec.json.encode(event.upstream_model)
    exact = encode_line(event)[start:-1]
    return exact + model, encode_line(msgspec.structs.replace(event, estimated=True))[start:-1] + model


def _details(usage: Usage) -> bytes:
    return b',"cached_tokens":%d,"written_tokens":%d,"reasoning_tokens":%d' % (
        usage.cached,
        usage.written,
        usage.reasoning,
    )
