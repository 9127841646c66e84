"""Cohere's wire: the fields of requests and answers that the gateway reads when it passes them on, and its errors.

https://docs.cohere.com/v2/reference/chat, /embed, /rerank, https://docs.cohere.com/v2/reference/errors
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routeiq.core.errors import GatewayError, UpstreamError
from routeiq.core.snapshot import COHERE_CHAT, COHERE_EMBED, RERANK
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers import errors
from routeiq.providers.dialects.anthropic import spliced
from routeiq.providers.dialects.face import EVENTS, Watch
from routeiq.providers.dialects.openai import Request, read_request
from routeiq.providers.dialects.splice import Piece


class Counts(msgspec.Struct, gc=False):
    """Floats on the wire, whole all the same."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    search_units: float | None = None


class WireUsage(msgspec.Struct, gc=False):
    """`billed_units` is what costs: `tokens` also counts what Cohere puts into the prompt itself."""

    billed_units: Counts | None = None
    tokens: Counts | None = None
    cached_tokens: float | None = None

    def usage(self) -> Usage:
        """The same in our words."""
        billed, counted = self.billed_units or Counts(), self.tokens or Counts()
        prompt = _whole(billed.input_tokens if billed.input_tokens is not None else counted.input_tokens)
        completion = _whole(billed.output_tokens if billed.output_tokens is not None else counted.output_tokens)
        usage = Usage(prompt, completion, min(_whole(self.cached_tokens), prompt))
        if billed.search_units:
            usage.units = _whole(billed.search_units)
        return usage


class WireTokens(WireUsage, gc=False):
    """Or of a reranker that counts as OpenAI does.

    https://jina.ai/reranker, https://docs.voyageai.com/reference/reranker-api
    """

    prompt_tokens: float | None = None
    total_tokens: float | None = None

    def usage(self) -> Usage:
        """All tokens of a reranker are its prompt's."""
        total = self.total_tokens if self.total_tokens is not None else self.prompt_tokens
        return WireUsage.usage(self) if total is None else Usage(prompt=_whole(total))


def _whole(count: float | None) -> int:
    return int(min(max(count, 0), MOST_TOKENS)) if count else 0


_QUOTE = ord('"')


class ChatRequest(Request, gc=False):
    messages: list[Raw] | UnsetType = UNSET


class EmbedRequest(Request, gc=False):
    input_type: Raw | UnsetType = UNSET


class RerankRequest(Request, gc=False):
    query: Raw | UnsetType = UNSET
    documents: list[Raw] | UnsetType = UNSET
    return_documents: Raw | UnsetType = UNSET
    rank_fields: Raw | UnsetType = UNSET
    max_chunks_per_doc: Raw | UnsetType = UNSET

    @property
    def plain(self) -> bool:
        """Whether it is as Cohere's version 2 has it: documents are texts, and not sent back."""
        older = (self.return_documents, self.rank_fields, self.max_chunks_per_doc)
        texts = self.documents is UNSET or all(memoryview(found)[0] == _QUOTE for found in self.documents)
        return texts and all(found is UNSET for found in older)


class WireAnswer(msgspec.Struct, gc=False):
    model: str | None = None
    usage: WireTokens | None = None
    meta: WireUsage | None = None
    finish_reason: str | None = None


class WireDelta(msgspec.Struct, gc=False):
    usage: WireUsage | None = None
    finish_reason: str | None = None


class WireEvent(msgspec.Struct, gc=False):
    type: str = ""
    delta: WireDelta | None = None
    message: Any = None


_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(WireAnswer, strict=False).decode
_decode_event = msgspec.json.Decoder(WireEvent, strict=False).decode
_REQUESTS: dict[str, tuple[Any, str]] = {
    COHERE_CHAT: (msgspec.json.Decoder(ChatRequest).decode, "messages"),
    COHERE_EMBED: (msgspec.json.Decoder(EmbedRequest).decode, "input_type"),
    RERANK: (msgspec.json.Decoder(RerankRequest).decode, "documents"),
}
FAILED = ("ERROR", "TIMEOUT")
"""Reasons to finish that tell of no answer: https://docs.cohere.com/v2/reference/chat#response.body.finish_reason"""
_BAD_KEY = 498
"""Cohere's status for a token that is not valid: https://docs.cohere.com/v2/reference/errors"""
_TOO_LONG = "too many tokens"


def error_body(error: GatewayError) -> bytes:
    """An error in Cohere's shape, with ours beside it."""
    return _encode({"message": error.message, **msgspec.json.decode(error.body())})


def error_event(error: GatewayError) -> bytes:
    """The event that ends a stream with an error."""
    delta = {"error": error.message, "finish_reason": "TIMEOUT" if error.status in (408, 504) else "ERROR"}
    return b"event: message-end\ndata: %b\n\n" % _encode({"type": "message-end", "delta": delta})


def from_answer(status: int, body: bytes, *, provider: str, retry_after: float | None) -> UpstreamError:
    """The error for an answer with a status of 300 or above. Never raises."""
    known = 401 if status == _BAD_KEY else status
    error = errors.from_answer(known, body, provider=provider, retry_after=retry_after)
    if status == 400 and _TOO_LONG in error.message.lower():
        error.fallback, error.class_name = "context_window", "ContextWindowExceededError"
        error.code = "context_length_exceeded"
    return error


def broken(reason: str, told: Any = None) -> UpstreamError:
    """The error for an answer that ends with one of `FAILED`; `told` is what was said about it."""
    message = told if isinstance(told, str) and told else f"the answer ended with {reason}"
    status = 504 if reason == "TIMEOUT" else 500
    return errors.from_answer(status, _encode({"message": message}), provider="", retry_after=None)


class CohereFace:
    """`Face` of Chat, Embed or Rerank."""

    forwarded: tuple[bytes, ...] = ()
    stream_type = EVENTS

    def __init__(self, endpoint: str) -> None:
        self._decode, self._required = _REQUESTS[endpoint]
        self._ranks = endpoint == RERANK

    def peek(self, body: bytes) -> Request:
        return read_request(self._decode, self._required, body)

    def upstream_body(self, request: Request, body: bytes, model: bytes) -> tuple[Piece, ...] | None:
        if isinstance(request, RerankRequest) and not request.plain:
            return None
        return spliced(request, body, model)

    def read_answer(self, body: bytes) -> tuple[str | None, Usage | None]:
        answer = _decode_answer(body)
        if answer.finish_reason in FAILED:
            raise broken(str(answer.finish_reason))
        told = answer.usage or answer.meta
        usage = told.usage() if told is not None else None
        if self._ranks:
            usage = usage or Usage()
            usage.units = usage.units or 1
        return answer.model, usage

    def watch(self) -> CohereWatch:
        return CohereWatch()

    def error(self, error: GatewayError) -> bytes:
        return error_body(error)

    def error_event(self, error: GatewayError) -> bytes:
        return error_event(error)


class CohereWatch(Watch):
    """`Watch` of a stream of Chat."""

    __slots__ = ()

    def see(self, payload: bytes) -> None:
        if payload.strip() == b"[DONE]":
            return
        event = _decode_event(payload)
        delta = event.delta
        if event.type == "message-end":
            if delta is not None and delta.usage is not None:
                self.usage = delta.usage.usage()
            self.failed = delta is not None and delta.finish_reason in FAILED
            self.done = not self.failed
        elif not event.type:
            self.failed = event.message is not None
