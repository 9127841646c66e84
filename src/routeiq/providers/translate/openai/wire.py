"""Chat Completions on the wire, as far as translation reads it.

https://platform.openai.com/docs/api-reference/chat/create and /chat/object, /chat/streaming. `reasoning_content`,
`thinking_blocks` and `cache_control` are LiteLLM's additions: https://docs.litellm.ai/docs/reasoning_content
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from routeiq.providers.dialects.openai import WireUsage
from routeiq.providers.translate.chat import CacheMark, Effort, FinishReason
from routeiq.providers.translate.codec import unknown_members

FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "time_limit": "length",
}
"""OpenAI's finish reasons, and watsonx's for an answer that took too long; what others invent counts as `stop`."""
FINISH_OF: dict[FinishReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
}


def finish_of(reason: str | None, refused: bool, called: bool) -> FinishReason:
    """Why it ended; some servers say `stop` after tool calls."""
    found = FINISH.get(reason or "stop", "stop")
    if found == "stop":
        return "refusal" if refused else "tool_calls" if called else "stop"
    return found


class CacheControl(msgspec.Struct, gc=False):
    """https://docs.litellm.ai/docs/completion/prompt_caching"""

    type: str = "ephemeral"
    ttl: str = ""

    def mark(self) -> CacheMark:
        return CacheMark(self.ttl)


class ImageUrl(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None
    format: str | None = None


class InputAudio(msgspec.Struct, gc=False):
    data: str
    format: str = "wav"


class File(msgspec.Struct, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None
    format: str | None = None


class VideoUrl(msgspec.Struct, gc=False):
    url: str


class Part(msgspec.Struct, gc=False):
    """A piece of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None
    video_url: VideoUrl | str | None = None
    file: File | None = None
    cache_control: CacheControl | None = None


class Function(msgspec.Struct, gc=False):
    name: str
    arguments: str = ""


class Custom(msgspec.Struct, gc=False):
    name: str
    input: str = ""


class GoogleExtra(msgspec.Struct, gc=False):
    """https://ai.google.dev/gemini-api/docs/thought-signatures#openai"""

    thought_signature: str = ""


class Extra(msgspec.Struct, gc=False):
    google: GoogleExtra | None = None


class ToolCall(msgspec.Struct, gc=False):
    id: str = ""
    type: str = "function"
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Extra | None = None
    cache_control: CacheControl | None = None


class AudioRef(msgspec.Struct, gc=False):
    id: str


class ThinkingBlock(msgspec.Struct, gc=False):
    """Anthropic's, as LiteLLM hands them through."""

    type: str = "thinking"
    thinking: str = ""
    signature: str | None = None
    data: str = ""


class Message(msgspec.Struct, gc=False):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    audio: AudioRef | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    thinking_blocks: list[ThinkingBlock] | None = None
    cache_control: CacheControl | None = None


class FunctionDef(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None


class CustomDef(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    format: Any = None


class Tool(msgspec.Struct, gc=False):
    type: str
    function: FunctionDef | None = None
    custom: CustomDef | None = None
    cache_control: CacheControl | None = None


class Named(msgspec.Struct, gc=False):
    name: str


class AllowedTool(msgspec.Struct, gc=False):
    type: str = "function"
    function: Named | None = None
    custom: Named | None = None


class AllowedTools(msgspec.Struct, gc=False):
    mode: Literal["auto", "required"] = "auto"
    tools: list[AllowedTool] = []


class Choice(msgspec.Struct, gc=False):
    type: str
    function: Named | None = None
    custom: Named | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(msgspec.Struct, gc=False):
    name: str = ""
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, gc=False):
    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class Thinking(msgspec.Struct, gc=False):
    """Anthropic's parameter, which LiteLLM's clients send in OpenAI bodies too."""

    type: Literal["enabled", "disabled", "adaptive"] = "enabled"
    budget_tokens: int | None = None
    display: str | None = None


class Request(msgspec.Struct, gc=False):
    """A Chat Completions request; `extra_of` finds what is not here."""

    messages: list[Message]
    model: str = ""
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDef] | None = None
    function_call: str | Named | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None
    thinking: Thinking | None = None
    verbosity: str | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: Any = None
    web_search_options: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    safety_settings: Any = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class UrlCitation(msgspec.Struct, gc=False):
    url: str = ""
    title: str = ""
    start_index: int | None = None
    end_index: int | None = None


class Annotation(msgspec.Struct, gc=False):
    type: str = ""
    url_citation: UrlCitation | None = None


class Audio(msgspec.Struct, gc=False):
    id: str = ""
    data: str = ""
    transcript: str = ""
    expires_at: int | None = None


class AnswerImage(msgspec.Struct, gc=False):
    """OpenRouter's and LiteLLM's way to hand generated images over."""

    image_url: ImageUrl | None = None


class AnswerMessage(msgspec.Struct, gc=False):
    content: str | list[Part] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    annotations: list[Annotation] | None = None
    audio: Audio | None = None
    images: list[AnswerImage] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[ThinkingBlock] | None = None


class AnswerChoice(msgspec.Struct, gc=False):
    message: AnswerMessage
    index: int = 0
    finish_reason: str | None = None
    logprobs: Any = None


class Answer(msgspec.Struct, gc=False):
    choices: list[AnswerChoice]
    id: str = ""
    model: str = ""
    created: float = 0
    usage: WireUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


class DeltaFunction(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class DeltaCustom(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class DeltaCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: DeltaFunction | None = None
    custom: DeltaCustom | None = None
    extra_content: Extra | None = None


class DeltaMessage(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[DeltaCall] | None = None
    function_call: DeltaFunction | None = None
    annotations: list[Annotation] | None = None
    audio: Audio | None = None
    images: list[AnswerImage] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[ThinkingBlock] | None = None


class ChunkChoice(msgspec.Struct, gc=False):
    delta: DeltaMessage | None = None
    index: int = 0
    finish_reason: str | None = None
    logprobs: Any = None


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream."""

    choices: list[ChunkChoice] | None = None
    id: str = ""
    model: str = ""
    created: float = 0
    usage: WireUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    error: Any | UnsetType = UNSET
    errors: Any | UnsetType = UNSET
    """watsonx's."""


request_decoder = msgspec.json.Decoder(Request)
decode_answer = msgspec.json.Decoder(Answer, strict=False).decode
decode_chunk = msgspec.json.Decoder(Chunk, strict=False).decode
KNOWN = frozenset(Request.__struct_fields__)


def extra_of(body: bytes) -> dict[str, Any]:
    """The members of a body that Chat Completions does not have, decoded."""
    return unknown_members(body, KNOWN)
