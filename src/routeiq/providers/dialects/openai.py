"""OpenAI's wire: the fields of requests and answers that the gateway reads.

https://platform.openai.com/docs/api-reference/chat, /completions, /embeddings
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.core.snapshot import CHAT, COMPLETION, EMBEDDING
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers.dialects.invalid import UNREADABLE, invalid_request, misplaced
from routeiq.providers.dialects.splice import Piece, decode_model, replace_members, replace_model

if TYPE_CHECKING:
    from routeiq.providers.dialects.face import Watch

Optional = Raw | UnsetType


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Request(msgspec.Struct, gc=False):
    """What every hot request has in common. Unknown members are left alone: they are the provider's."""

    model: Optional = UNSET
    """A string, kept raw: where it stands is needed to replace it."""
    stream: bool | None = None
    stream_options: Optional = UNSET
    user: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    metadata: Optional = UNSET
    litellm_metadata: Optional = UNSET
    mock_response: Optional = UNSET
    mock_testing_fallbacks: bool | None = None
    # Where and as whom to call is the operator's to say, never the client's (CVE-2024-6587 in another gateway).
    # Typed so that any value fails to decode: nothing has to be looked at afterwards.
    api_base: None = None
    api_key: None = None
    api_version: None = None
    base_url: None = None
    custom_llm_provider: None = None
    extra_headers: None = None
    user_config: None = None


class ChatRequest(Request, gc=False):
    messages: list[Raw] | UnsetType = UNSET


class CompletionRequest(Request, gc=False):
    prompt: Optional = UNSET


class EmbeddingRequest(Request, gc=False):
    input: Optional = UNSET


OPERATOR_ONLY = (
    "api_base", "api_key", "api_version", "base_url", "custom_llm_provider", "extra_headers", "user_config",
)  # fmt: skip

_decode_options = msgspec.json.Decoder(StreamOptions | None).decode
_decode_string = msgspec.json.Decoder(str).decode


def model_name(request: Request) -> str:
    """The requested model, `""` without one. Raises `BadRequest` when it is no string."""
    if request.model is UNSET:
        return ""
    try:
        return _decode_string(request.model)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"Invalid request body: {error} at `model`", param="model", code="invalid_type") from None


def mock_text(request: Request) -> str:
    """The text of `mock_response`. Raises `BadRequest` when it is no string."""
    if request.mock_response is UNSET:
        return ""
    try:
        return _decode_string(request.mock_response)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"Invalid request body: {error} at `mock_response`", param="mock_response") from None


_REQUIRED = {CHAT: "messages", COMPLETION: "prompt", EMBEDDING: "input"}
_DECODERS: dict[str, Any] = {
    CHAT: msgspec.json.Decoder(ChatRequest).decode,
    COMPLETION: msgspec.json.Decoder(CompletionRequest).decode,
    EMBEDDING: msgspec.json.Decoder(EmbeddingRequest).decode,
}


def peek(endpoint: str, body: bytes) -> Request:
    """Read a request. Raises `BadRequest` for what is not JSON, has wrong types or lacks what the API requires."""
    return read_request(_DECODERS[endpoint], _REQUIRED[endpoint], body)


def read_request(decode: Callable[[bytes], Request], required: str, body: bytes) -> Request:
    """The same for any endpoint: `decode` knows its type, `required` is what it can't be without."""
    try:
        request = decode(body)
    except UNREADABLE as error:
        path = misplaced(error)[1] if isinstance(error, msgspec.ValidationError) else ""
        if path in OPERATOR_ONLY:
            raise BadRequest(
                f"'{path}' can't be set in a request: it is part of the gateway's configuration.",
                param=path,
                code="operator_only_parameter",
            ) from None
        raise invalid_request(error) from None
    if getattr(request, required) is UNSET:
        raise BadRequest(
            f"Missing required parameter: '{required}'.", param=required, code="missing_required_parameter"
        )
    return request


def wants_usage(request: Request) -> bool:
    """Whether the client asked for the usage chunk of a stream. Raises `BadRequest` for malformed options."""
    if request.stream_options is UNSET:
        return False
    try:
        options = _decode_options(request.stream_options)
    except msgspec.ValidationError as error:
        raise BadRequest(
            f"Invalid request body: {error} in `stream_options`", param="stream_options", code="invalid_type"
        ) from None
    return options is not None and bool(options.include_usage)


_USAGE_WANTED = b'"stream_options":{"include_usage":true},'


def upstream_body(request: Request, body: bytes, model: bytes, *, endpoint: str) -> tuple[Piece, ...]:
    """The client's bytes with `model` (a JSON string) spliced in, as pieces; a stream is made to report its usage."""
    extra = b""
    edits: dict[str, bytes | None] = {}
    if request.mock_response is not UNSET or request.mock_testing_fallbacks is not None:
        edits = {"mock_response": None, "mock_testing_fallbacks": None}
    if request.stream and endpoint != EMBEDDING:
        options = request.stream_options
        if options is UNSET:
            extra = _USAGE_WANTED
        elif not wants_usage(request):
            raw = msgspec.json.decode(options) or {}
            raw["include_usage"] = True
            edits["stream_options"] = msgspec.json.encode(raw)
    raw_model = request.model
    if edits or raw_model is UNSET:
        if raw_model is UNSET:
            brace = body.index(b"{") + 1
            body = body[:brace] + b'"model":"",' + body[brace:]
        body = replace_members(body, edits) if edits else body
        raw_model = decode_model(body).model
        assert raw_model is not UNSET
    return replace_model(body, raw_model, model, extra=extra)


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    cache_write_tokens: int | None = None
    """OpenRouter's: https://openrouter.ai/docs/guides/best-practices/prompt-caching"""


class CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's word for cached tokens: https://api-docs.deepseek.com/guides/kv_cache"""
    cached_tokens: int | None = None
    """Moonshot's: https://platform.moonshot.ai/docs/api/chat"""
    cache_creation_input_tokens: int | None = None
    """LiteLLM's and ours, of the prompt of a Claude: https://docs.litellm.ai/docs/completion/prompt_caching"""
    total_tokens: int | None = None

    def usage(self) -> Usage:
        """The same in our words."""
        cached = written = reasoning = audio_in = audio_out = 0
        of_prompt, of_completion = self.prompt_tokens_details, self.completion_tokens_details
        if of_prompt is not None:
            cached = of_prompt.cached_tokens or 0
            written = of_prompt.cache_write_tokens or 0
            audio_in = of_prompt.audio_tokens or 0
        if not cached:
            cached = self.prompt_cache_hit_tokens or self.cached_tokens or 0
        if self.cache_creation_input_tokens is not None:
            written = self.cache_creation_input_tokens
        if of_completion is not None:
            reasoning = of_completion.reasoning_tokens or 0
            audio_out = of_completion.audio_tokens or 0
        prompt, completion = self.prompt_tokens or 0, self.completion_tokens or 0
        if reasoning and self.total_tokens == prompt + completion + reasoning:
            completion += reasoning  # xAI counts it beside the completion: https://docs.x.ai/docs/guides/reasoning
        if prompt < 0 or completion < 0 or cached < 0 or reasoning < 0 or prompt + completion > MOST_TOKENS:
            prompt, completion, cached, reasoning = (
                min(max(n, 0), MOST_TOKENS) for n in (prompt, completion, cached, reasoning)
            )
        usage = Usage(prompt, completion, cached, max(written, 0), reasoning)
        if audio_in or audio_out:
            usage.audio_in, usage.audio_out = max(audio_in, 0), max(audio_out, 0)
        return usage


def _lenient_usage(value: Any) -> WireUsage | None:
    """What can be made of a `usage` that is not as OpenAI writes it."""
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    return WireUsage(
        int(prompt) if isinstance(prompt, (int, float)) and abs(prompt) < 1e18 else None,
        int(completion) if isinstance(completion, (int, float)) and abs(completion) < 1e18 else None,
    )


class Answer(msgspec.Struct, gc=False):
    """A non-streamed answer, or one event of a stream."""

    model: str | None = None
    usage: WireUsage | None = None
    service_tier: str | None = None

    def used(self) -> Usage | None:
        """What it used, with the tier it was served in where that is billed apart."""
        return used(self.usage, self.service_tier)


class Event(msgspec.Struct, gc=False):
    """One event of a stream, read only when it may carry usage, an error or the end."""

    model: str | None = None
    usage: WireUsage | None = None
    service_tier: str | None = None

    def used(self) -> Usage | None:
        """The same of a stream, whose last event counts."""
        return used(self.usage, self.service_tier)

    choices: list[Raw] | None = None
    error: Optional = UNSET


_TIERS = ("flex", "priority", "batch")
"""Service tiers with prices of their own: https://platform.openai.com/docs/pricing"""


def used(wire: WireUsage | None, tier: str | None) -> Usage | None:
    """Usage in our words, with the tier it was served in where that is billed apart."""
    if wire is None:
        return None
    usage = wire.usage()
    if tier is not None and tier in _TIERS:
        usage.service_tier = tier
    return usage


class LooseAnswer(msgspec.Struct, gc=False):
    """The same of a provider that is not strict about types."""

    model: Any = None
    usage: Any = None
    choices: Any = None
    error: Optional = UNSET


_decode_answer = msgspec.json.Decoder(Answer, strict=False).decode
_decode_event = msgspec.json.Decoder(Event, strict=False).decode
_decode_loose = msgspec.json.Decoder(LooseAnswer).decode


def read_answer(body: bytes) -> Answer:
    """Model and usage of an answer. Raises `msgspec.DecodeError` for what is no JSON object."""
    try:
        return _decode_answer(body)
    except msgspec.ValidationError:
        loose = _decode_loose(body)
        return Answer(loose.model if isinstance(loose.model, str) else None, _lenient_usage(loose.usage))


def read_event(payload: bytes) -> Event:
    """The same, and more, of one event of a stream."""
    try:
        return _decode_event(payload)
    except msgspec.ValidationError:
        loose = _decode_loose(payload)
        model = loose.model if isinstance(loose.model, str) else None
        choices = [Raw(b"{}")] if loose.choices else [] if isinstance(loose.choices, list) else None
        return Event(model, _lenient_usage(loose.usage), None, choices, loose.error)


class OpenAIFace:
    """`Face` of Chat Completions, Completions or Embeddings."""

    forwarded: tuple[bytes, ...] = ()
    stream_type = b"text/event-stream; charset=utf-8"

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def peek(self, body: bytes) -> Request:
        return peek(self._endpoint, body)

    def upstream_body(self, request: Request, body: bytes, model: bytes) -> tuple[Piece, ...]:
        return upstream_body(request, body, model, endpoint=self._endpoint)

    def read_answer(self, body: bytes) -> tuple[str | None, Usage | None]:
        answer = read_answer(body)
        return answer.model, answer.used()

    def watch(self) -> Watch | None:
        return None

    def error(self, error: GatewayError) -> bytes:
        return error.body()

    def error_event(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % error.body()
