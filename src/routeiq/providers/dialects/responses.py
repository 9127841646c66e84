"""Responses' wire: the fields of requests and answers that the gateway reads when it passes them on, and its errors.

https://platform.openai.com/docs/api-reference/responses, /docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers.dialects.face import EVENTS, Watch
from routeiq.providers.dialects.openai import Optional, Request, read_request
from routeiq.providers.dialects.splice import Piece, replace_model

PROOF = "routeiq:"
"""Begins what stands for a proof of another provider in `encrypted_content`; what begins otherwise is OpenAI's own."""
_NAMELESS = frozenset(
    ("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output")
)
"""Items that need no id where they are input."""
_TIERS = ("flex", "priority", "batch")
"""Service tiers with prices of their own: https://platform.openai.com/docs/pricing"""


class ResponsesRequest(Request, gc=False):
    input: Optional = UNSET
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    conversation: Optional = UNSET
    prompt: Optional = UNSET
    safety_identifier: str | None = None

    def __post_init__(self) -> None:
        self.max_tokens = self.max_output_tokens
        self.user = self.user or self.safety_identifier


class Recalled(ResponsesRequest, gc=False):
    """A request whose input begins with items that the gateway has kept."""


class InputDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class OutputItem(msgspec.Struct, gc=False):
    type: str = ""


class Response(msgspec.Struct, gc=False):
    """The `response` object, as far as it is looked at on its way through."""

    id: str = ""
    model: str | None = None
    status: str | None = None
    store: bool | None = None
    usage: WireUsage | None = None
    service_tier: str | None = None
    output: list[OutputItem] | None = None

    def used(self) -> Usage | None:
        """What it used, with the web searches among its items."""
        wire = self.usage
        if wire is None:
            return None
        of_input, of_output = wire.input_tokens_details, wire.output_tokens_details
        usage = Usage(
            prompt=_count(wire.input_tokens),
            completion=_count(wire.output_tokens),
            cached=_count(of_input.cached_tokens) if of_input is not None else 0,
            written=_count(of_input.cache_write_tokens) if of_input is not None else 0,
            reasoning=_count(of_output.reasoning_tokens) if of_output is not None else 0,
            searches=sum(item.type == "web_search_call" for item in self.output or ()),
        )
        if self.service_tier in _TIERS:
            usage.service_tier = self.service_tier
        return usage


def _count(tokens: int | None) -> int:
    return min(max(tokens, 0), MOST_TOKENS) if tokens else 0


class Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    response: Response | None = None


ENDS = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))
"""Events after which nothing comes."""
_encode = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(ResponsesRequest).decode
decode_recalled = msgspec.json.Decoder(Recalled).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
decode_response = msgspec.json.Decoder(Response, strict=False).decode
decode_event = msgspec.json.Decoder(Event, strict=False).decode
_DELTAS = (b'{"type":"response.output_text.delta"', b'{"type": "response.output_text.delta"')


def portable(body: bytes) -> bytes:
    """A request whose items a provider has not seen before: without ids it would look for, and proofs of others."""
    members = _decode_members(body)
    items = []
    for item in msgspec.json.decode(members["input"]):
        if isinstance(item, dict):
            if str(item.get("encrypted_content") or "").startswith(PROOF):
                continue
            if item.get("type", "message") in _NAMELESS:
                item.pop("id", None)
        items.append(item)
    members["input"] = Raw(_encode(items))
    return _encode(members)


class ResponsesFace:
    """`Face` of Responses."""

    forwarded: tuple[bytes, ...] = ()
    stream_type = EVENTS

    def peek(self, body: bytes) -> Request:
        request = read_request(_decode_request, "model", body)
        assert isinstance(request, ResponsesRequest)
        if request.input is UNSET and request.prompt is UNSET and not request.previous_response_id:
            raise BadRequest("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
        return request

    def upstream_body(self, request: Request, body: bytes, model: bytes) -> tuple[Piece, ...]:
        if isinstance(request, Recalled):
            body = portable(body)
            request = decode_recalled(body)
        raw = request.model
        assert raw is not UNSET
        return replace_model(body, raw, model)

    def read_answer(self, body: bytes) -> tuple[str | None, Usage | None]:
        found = decode_response(body)
        return found.model, found.used()

    def watch(self) -> ResponsesWatch:
        return ResponsesWatch()

    def error(self, error: GatewayError) -> bytes:
        return error.body()

    def error_event(self, error: GatewayError) -> bytes:
        told: dict[str, Any] = {"message": error.message, "code": error.code, "param": error.param}
        shown = {"type": "error", "sequence_number": 0, **told, "error": {"type": error.type, **told}}
        return b"event: error\ndata: %b\n\n" % _encode(shown)


class ResponsesWatch(Watch):
    """`Watch` of a stream of Responses. Pieces of text, nearly all there is, are not decoded."""

    __slots__ = ()

    def see(self, payload: bytes) -> None:
        if payload.startswith(_DELTAS):
            return
        event = decode_event(payload)
        if event.response is not None:
            self.model = self.model or event.response.model or ""
            used = event.response.used()
            if used is not None:
                self.usage = used
        if event.type in ENDS:
            self.done = True
        elif event.type == "error":
            self.failed = True
