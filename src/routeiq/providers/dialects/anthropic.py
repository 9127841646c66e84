"""Anthropic's wire: the fields of requests and answers that the gateway reads, and its form of an error.

https://docs.claude.com/en/api/messages, /messages-count-tokens, /errors
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routeiq.core.errors import GatewayError
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers.dialects.face import EVENTS, Watch
from routeiq.providers.dialects.openai import Request, read_request
from routeiq.providers.dialects.splice import Piece, decode_model, replace_model


class CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class ServerToolUse(msgspec.Struct, gc=False):
    web_search_requests: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    """https://docs.claude.com/en/api/messages#response-usage: `input_tokens` leaves out what the cache gave or took."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None
    service_tier: str | None = None


class Metadata(msgspec.Struct, gc=False):
    user_id: str | None = None


class MessagesRequest(Request, gc=False):
    messages: list[Raw] | UnsetType = UNSET
    metadata: Metadata | UnsetType | None = UNSET  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if isinstance(self.metadata, Metadata) and self.metadata.user_id:
            self.user = self.metadata.user_id


class WireAnswer(msgspec.Struct, gc=False):
    model: str | None = None
    usage: WireUsage | None = None


class Event(msgspec.Struct, gc=False):
    """One event of a stream, as far as it is looked at on its way through."""

    type: str = ""
    message: WireAnswer | None = None
    usage: WireUsage | None = None


_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
FOREIGN = "routeiq:"
"""Begins proofs of other providers' thoughts in the hands of clients."""
_FOREIGN = FOREIGN.encode()
_encode = msgspec.json.Encoder().encode
_DELTAS = (b'{"type":"content_block_delta"', b'{"type": "content_block_delta"')
_decode_request = msgspec.json.Decoder(MessagesRequest).decode
_decode_answer = msgspec.json.Decoder(WireAnswer, strict=False).decode
_decode_event = msgspec.json.Decoder(Event, strict=False).decode


def error_body(error: GatewayError) -> bytes:
    """An error in Anthropic's shape."""
    kind = _ERRORS.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    shown: dict[str, Any] = {"type": kind, "message": error.message}
    return _encode({"type": "error", "error": shown})


def spliced(request: Request, body: bytes, model: bytes) -> tuple[Piece, ...]:
    """The client's bytes with `model` (a JSON string) in place of theirs."""
    raw = request.model
    if raw is UNSET:
        brace = body.index(b"{") + 1
        body = body[:brace] + b'"model":"",' + body[brace:]
        raw = decode_model(body).model
        assert raw is not UNSET
    return replace_model(body, raw, model)


def holds_foreign(body: bytes) -> bool:
    """Whether a conversation goes on from another provider, whose proofs Anthropic would refuse."""
    return _FOREIGN in body


def usage_of(wire: WireUsage, before: Usage | None = None) -> Usage:
    """Usage in our words; what a later event of a stream does not repeat is taken from `before`."""
    cached = wire.cache_read_input_tokens
    total = wire.cache_creation_input_tokens
    long = wire.cache_creation.ephemeral_1h_input_tokens if wire.cache_creation is not None else None
    searches = wire.server_tool_use.web_search_requests if wire.server_tool_use is not None else None
    if before is not None:
        cached = before.cached if cached is None else cached
        total = before.written + before.written_1h if total is None else total
        long = before.written_1h if long is None else long
        searches = before.searches if searches is None else searches
    cached, total = max(cached or 0, 0), max(total or 0, 0)
    long = min(max(long or 0, 0), total)
    fresh, output = wire.input_tokens, wire.output_tokens
    prompt = before.prompt if fresh is None and before is not None else max(fresh or 0, 0) + cached + total
    completion = before.completion if output is None and before is not None else max(output or 0, 0)
    tier = wire.service_tier or (before.service_tier if before is not None else "")
    return Usage(
        prompt=min(prompt, MOST_TOKENS),
        completion=min(completion, MOST_TOKENS),
        cached=cached,
        written=total - long,
        written_1h=long,
        searches=max(searches or 0, 0),
        service_tier=tier if tier in ("batch", "priority") else "",
    )


class AnthropicFace:
    """`Face` of Messages, and of counting their tokens."""

    forwarded: tuple[bytes, ...] = (b"anthropic-beta",)

    stream_type = EVENTS

    def peek(self, body: bytes) -> Request:
        return read_request(_decode_request, "messages", body)

    def upstream_body(self, request: Request, body: bytes, model: bytes) -> tuple[Piece, ...] | None:
        return None if holds_foreign(body) else spliced(request, body, model)

    def read_answer(self, body: bytes) -> tuple[str | None, Usage | None]:
        found = _decode_answer(body)
        return found.model, usage_of(found.usage) if found.usage is not None else None

    def watch(self) -> MessagesWatch:
        return MessagesWatch()

    def error(self, error: GatewayError) -> bytes:
        return error_body(error)

    def error_event(self, error: GatewayError) -> bytes:
        return b"event: error\ndata: %b\n\n" % error_body(error)


class MessagesWatch(Watch):
    """`Watch` of a stream of Messages. Pieces of text, nearly all there is, are not decoded."""

    __slots__ = ()

    def see(self, payload: bytes) -> None:
        if payload.startswith(_DELTAS):
            return
        event = _decode_event(payload)
        if event.message is not None:
            self.model = event.message.model or ""
            if event.message.usage is not None:
                self.usage = usage_of(event.message.usage)
                self.usage.estimated = True  # until its end tells the tokens of the answer
        if event.usage is not None:
            self.usage = usage_of(event.usage, self.usage)
        if event.type == "message_stop":
            self.done = True
        elif event.type == "error":
            self.failed = True
