"""Gemini's wire: the fields of requests and answers that the gateway reads when it passes them on, and its errors.

https://ai.google.dev/api/generate-content, https://cloud.google.com/apis/design/errors
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routeiq.core.errors import GatewayError, UpstreamError
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers import errors
from routeiq.providers.dialects import openai
from routeiq.providers.dialects.face import EVENTS, Watch
from routeiq.providers.dialects.invalid import UNREADABLE, invalid_request
from routeiq.providers.dialects.splice import Piece

_TIERS = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex", "PRIORITY": "priority", "FLEX": "flex"}
"""Vertex AI's `trafficType` and the Gemini API's `serviceTier`, where they are billed apart."""


class Wire(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True, gc=False):
    """Members in camelCase; `null` is as good as absent, as protobuf's JSON has it."""


class ModalityCount(Wire, gc=False):
    modality: str | None = None
    token_count: int | None = None


class UsageMetadata(Wire, gc=False):
    """https://ai.google.dev/api/generate-content#UsageMetadata"""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    traffic_type: str | None = None
    service_tier: str | None = None

    def usage(self, searches: int = 0) -> Usage:
        """The same in our words. What tools put into the prompt belongs to it, thoughts to the completion."""
        reasoning = _count(self.thoughts_token_count)
        usage = Usage(
            prompt=_count(self.prompt_token_count) + _count(self.tool_use_prompt_token_count),
            completion=_count(self.candidates_token_count) + reasoning,
            cached=_count(self.cached_content_token_count),
            reasoning=reasoning,
            searches=searches,
        )
        if self.prompt_tokens_details is not None:
            usage.audio_in = _of(self.prompt_tokens_details, "AUDIO")
            usage.image_in = _of(self.prompt_tokens_details, "IMAGE")
        if self.cache_tokens_details is not None:
            usage.cached_audio = _of(self.cache_tokens_details, "AUDIO")
            usage.cached_image = _of(self.cache_tokens_details, "IMAGE")
        if self.candidates_tokens_details is not None:
            usage.audio_out = _of(self.candidates_tokens_details, "AUDIO")
            usage.image_out = _of(self.candidates_tokens_details, "IMAGE")
        tier = self.traffic_type or self.service_tier
        if tier is not None:
            usage.service_tier = _TIERS.get(tier.upper(), "")
        return usage


def _count(tokens: int | None) -> int:
    return min(max(tokens, 0), MOST_TOKENS) if tokens else 0


def _of(details: list[ModalityCount], modality: str) -> int:
    return sum(_count(found.token_count) for found in details if found.modality == modality)


class Grounding(Wire, gc=False):
    web_search_queries: list[str] | None = None


def searches(model: str, queries: int) -> int:
    """Web searches that are billed: from Gemini 3 on each query, before that a grounded answer.

    https://ai.google.dev/gemini-api/docs/google-search#pricing
    """
    return min(queries, 1) if "gemini-2" in model or "gemini-1" in model else queries


class PeekedConfig(msgspec.Struct, gc=False):
    max_output_tokens: int | None = None
    maxOutputTokens: int | None = None  # noqa: N815 - both spellings are taken


class Request(Wire, gc=False):
    """What a request must be: the model and whether it streams stand in the path."""

    contents: Raw | UnsetType = UNSET
    content: Raw | UnsetType = UNSET
    requests: Raw | UnsetType = UNSET
    generate_content_request: Raw | UnsetType = UNSET
    generation_config: PeekedConfig | None = None


class _SnakeRequest(msgspec.Struct, gc=False):
    generation_config: PeekedConfig | None = None


_decode_request = msgspec.json.Decoder(Request, strict=False).decode
_decode_snake = msgspec.json.Decoder(_SnakeRequest, strict=False).decode


def peek(body: bytes) -> int | None:
    """The most tokens the answer may have, where the request says. Raises `BadRequest` for what is no request."""
    try:
        request: Request = _decode_request(body)
        config = request.generation_config
        if config is None and b'"generation_config"' in body:
            config = _decode_snake(body).generation_config
    except UNREADABLE as error:
        raise invalid_request(error) from None
    if config is None:
        return None
    return config.maxOutputTokens if config.maxOutputTokens is not None else config.max_output_tokens


class PeekedCandidate(Wire, gc=False):
    finish_reason: str | None = None
    grounding_metadata: Grounding | None = None


class PeekedFeedback(Wire, gc=False):
    block_reason: str | None = None


class PeekedAnswer(Wire, gc=False):
    candidates: list[PeekedCandidate] | None = None
    prompt_feedback: PeekedFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    error: Raw | UnsetType = UNSET


_decode_answer = msgspec.json.Decoder(PeekedAnswer, strict=False).decode


class Event(msgspec.Struct, gc=False):
    """One event of a stream, or a whole answer."""

    model: str
    usage: Usage | None
    finished: bool
    """Whether a candidate says why it ended, or the prompt was blocked: the wire has no other end marker."""
    failed: bool
    """Whether it is an error instead: `from_event` reads it."""


def read_event(payload: bytes) -> Event:
    """What the gateway wants to know of one event. Raises `msgspec.DecodeError` for what is no answer."""
    answer: PeekedAnswer = _decode_answer(payload)
    candidates = answer.candidates or ()
    model = answer.model_version or ""
    usage = None
    if answer.usage_metadata is not None:
        queries = sum(
            len(found.grounding_metadata.web_search_queries or ())
            for found in candidates
            if found.grounding_metadata is not None
        )
        usage = answer.usage_metadata.usage(searches(model, queries))
    feedback = answer.prompt_feedback
    finished = any(found.finish_reason for found in candidates) or bool(feedback is not None and feedback.block_reason)
    return Event(model, usage, finished, answer.error is not UNSET and not candidates)


class ErrorObject(msgspec.Struct):
    code: int
    message: str
    status: str
    details: list[Any] = []


class ErrorBody(msgspec.Struct):
    error: ErrorObject


_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""
_encode = msgspec.json.Encoder().encode


def error_body(error: GatewayError) -> bytes:
    """The error as Google's APIs tell it."""
    status = _STATUS.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
    details: list[Any] = []
    if error.code:
        details.append(
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code.upper(), "domain": "routeiq"}
        )
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        delay = f"{error.retry_after:.3f}".rstrip("0").rstrip(".")
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay}s"})
    return _encode(ErrorBody(ErrorObject(error.status, error.message, status, details)))


class _Detail(msgspec.Struct, rename={"kind": "@type", "delay": "retryDelay"}, gc=False):
    kind: str | None = None
    reason: str | None = None
    delay: str | None = None


class _WireError(msgspec.Struct, gc=False):
    message: str | None = None
    status: str | None = None
    details: list[_Detail] | None = None


class _WireErrorBody(msgspec.Struct, gc=False):
    error: _WireError


_decode_error = msgspec.json.Decoder(_WireErrorBody | list[_WireErrorBody]).decode
_BAD_KEY = ("API_KEY_INVALID", "API_KEY_EXPIRED")
_TOO_LONG = "exceeds the maximum number of tokens"


def from_answer(status: int, body: bytes, *, provider: str, retry_after: float | None) -> UpstreamError:
    """The error for an answer with a status of 300 or above, which may stand in a list. Never raises."""
    wire = _read(body)
    if wire is None:
        return errors.from_answer(status, body, provider=provider, retry_after=retry_after)
    reasons = [detail.reason for detail in wire.details or () if detail.reason]
    if status == 400 and any(reason in _BAD_KEY for reason in reasons):
        status = 401  # Google calls a wrong key an invalid argument
    shown = msgspec.json.encode({"error": {"message": wire.message, "code": wire.status}})
    error = errors.from_answer(status, shown, provider=provider, retry_after=retry_after)
    if error.retry_after is None:
        error.retry_after = _delay(wire.details or ())
    if status == 400 and _TOO_LONG in (wire.message or ""):
        error.fallback, error.class_name = "context_window", "ContextWindowExceededError"
        error.code = "context_length_exceeded"
    return error


def from_event(payload: bytes, *, provider: str) -> UpstreamError:
    """The error for an `error` object in place of an event of a stream. Never raises."""
    return errors.from_event(payload, provider=provider)


def _read(body: bytes) -> _WireError | None:
    try:
        found: _WireErrorBody | list[_WireErrorBody] = _decode_error(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, list):
        return found[0].error if found else None
    return found.error


def _delay(details: Any) -> float | None:
    for detail in details:
        if detail.delay and detail.delay.endswith("s"):
            return errors.retry_after(detail.delay[:-1].encode())
    return None


class GeminiFace:
    """`Face` of what is called below `models/{model}:`; the model and whether to stream stand in the path.

    `array` says that a stream is one JSON array instead of events.
    """

    forwarded: tuple[bytes, ...] = ()

    def __init__(self, *, array: bool = False) -> None:
        self.stream_type = b"application/json" if array else EVENTS

    def peek(self, body: bytes) -> openai.Request:
        return openai.Request(max_tokens=peek(body))

    def upstream_body(self, request: openai.Request, body: bytes, model: bytes) -> tuple[Piece, ...]:
        return (body,)

    def read_answer(self, body: bytes) -> tuple[str | None, Usage | None]:
        return None, read_event(body).usage

    def watch(self) -> GenerateWatch:
        return GenerateWatch()

    def error(self, error: GatewayError) -> bytes:
        return error_body(error)

    def error_event(self, error: GatewayError) -> bytes:
        return b"data: %b\r\n\r\n" % error_body(error)


class GenerateWatch(Watch):
    """`Watch` of a stream of `streamGenerateContent`."""

    __slots__ = ()
    lasting = True

    def see(self, payload: bytes) -> None:
        event = read_event(payload)
        if event.usage is not None:
            # Not every event repeats the searches of those before it.
            before = self.usage.searches if self.usage is not None else 0
            self.usage = event.usage
            self.usage.searches = max(self.usage.searches, before)
        self.done = self.done or event.finished
        if event.usage is not None:
            event.usage.estimated = not self.done  # until the answer is whole
        self.failed = event.failed
