"""Gemini's requests and answers as they are read: typed, so that an error says where it is.

https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from routeiq.providers.dialects.gemini import UsageMetadata, Wire
from routeiq.providers.translate.codec import ROUTING


class Blob(Wire, gc=False):
    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(Wire, gc=False):
    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class FunctionCall(Wire, gc=False):
    id: str | None = None
    name: str | None = None
    args: Raw = Raw()

    @property
    def arguments(self) -> str:
        """The object as it was written."""
        text = str(self.args, "utf-8")
        return "{}" if text in ("", "null") else text


class MediaPart(Wire, gc=False):
    """What a tool hands over besides JSON."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(Wire, gc=False):
    id: str | None = None
    name: str | None = None
    response: dict[str, Any] | None = None
    parts: list[MediaPart] | None = None


class MediaResolution(Wire, gc=False):
    level: str | None = None


class Part(Wire, gc=False):
    """One of its data members is set."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: Any = None
    code_execution_result: Any = None
    tool_call: Any = None
    tool_response: Any = None
    video_metadata: Any = None
    media_resolution: MediaResolution | str | None = None


class Content(Wire, gc=False):
    role: str | None = None
    parts: list[Part] | Part | None = None
    """Google's own examples leave the brackets off a single one."""

    def all_parts(self) -> list[Part]:
        """The parts as a list."""
        parts = self.parts
        return parts if isinstance(parts, list) else [parts] if parts is not None else []


class FunctionDeclaration(Wire, gc=False):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: Any = None


class Tool(Wire, gc=False, forbid_unknown_fields=True):
    """Functions of the client, or one of Google's own tools."""

    function_declarations: list[FunctionDeclaration] | None = None
    google_search: Any = None
    google_search_retrieval: Any = None
    enterprise_web_search: Any = None
    google_maps: Any = None
    url_context: Any = None
    code_execution: Any = None
    file_search: Any = None
    computer_use: Any = None
    retrieval: Any = None
    mcp_servers: Any = None
    parallel_ai_search: Any = None
    exa_ai_search: Any = None


class FunctionCallingConfig(Wire, gc=False):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Wire, gc=False):
    function_calling_config: FunctionCallingConfig | None = None
    retrieval_config: Any = None
    include_server_side_tool_invocations: bool | None = None


class ThinkingConfig(Wire, gc=False):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Wire, gc=False):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: Any = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_modalities: list[str] | None = None
    thinking_config: ThinkingConfig | None = None
    speech_config: Any = None
    media_resolution: str | None = None
    image_config: Any = None
    audio_timestamp: bool | None = None
    routing_config: Any = None
    model_selection_config: Any = None
    enable_enhanced_civic_answers: bool | None = None


class Request(Wire, gc=False):
    """`GenerateContentRequest`."""

    model: str | None = None
    contents: list[Content] | Content | None = None
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    safety_settings: list[Any] | None = None
    generation_config: GenerationConfig | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    service_tier: str | None = None
    store: bool | None = None
    model_armor_config: Any = None


class CountRequest(Request, gc=False):
    """`CountTokensRequest`: the Gemini API nests the request, Vertex AI has its members at the top."""

    generate_content_request: Request | None = None


class EmbedRequest(Wire, gc=False):
    content: Content
    model: str | None = None
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class BatchEmbedRequest(Wire, gc=False):
    """`EmbedContentRequest`, or (with `requests`) `BatchEmbedContentsRequest`."""

    model: str | None = None
    content: Content | None = None
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None
    requests: list[EmbedRequest] | None = None


class Source(Wire, gc=False):
    """Of a citation or a grounding chunk."""

    uri: str | None = None
    title: str | None = None
    text: str | None = None


class CitationSource(Wire, gc=False):
    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class CitationMetadata(Wire, gc=False):
    citations: list[CitationSource] | None = None
    """Vertex AI's and the SDK's name of it."""
    citation_sources: list[CitationSource] | None = None
    """The Gemini API's."""


class GroundingChunk(Wire, gc=False):
    web: Source | None = None
    retrieved_context: Source | None = None
    maps: Source | None = None


class Segment(Wire, gc=False):
    """Offsets are in bytes of UTF-8."""

    part_index: int | None = None
    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class GroundingSupport(Wire, gc=False):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingMetadata(Wire, gc=False):
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None
    web_search_queries: list[str] | None = None


class TokenLogprob(Wire, gc=False):
    token: str | None = None
    log_probability: float | None = None


class TopLogprobs(Wire, gc=False):
    candidates: list[TokenLogprob] | None = None


class LogprobsResult(Wire, gc=False):
    chosen_candidates: list[TokenLogprob] | None = None
    top_candidates: list[TopLogprobs] | None = None


class Candidate(Wire, gc=False):
    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    citation_metadata: CitationMetadata | None = None
    grounding_metadata: GroundingMetadata | None = None
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(Wire, gc=False):
    block_reason: str | None = None
    block_reason_message: str | None = None


class Answer(Wire, gc=False):
    """`GenerateContentResponse`, whole or one piece of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Raw = Raw()

    @property
    def failed(self) -> bool:
        """Whether it is an error instead."""
        return not self.candidates and bytes(self.error) not in (b"", b"null")


class CountAnswer(Wire, gc=False):
    total_tokens: int = 0
    """Absent for a prompt of no tokens: protobuf's JSON leaves zeros out."""


class Vector(Wire, gc=False):
    values: list[float] = msgspec.field(default_factory=list)


class EmbedAnswer(Wire, gc=False):
    embedding: Vector | None = None
    embeddings: list[Vector] | None = None
    usage_metadata: UsageMetadata | None = None


class PredictStatistics(msgspec.Struct, gc=False):
    token_count: float = 0


class PredictVector(msgspec.Struct, gc=False):
    values: list[float]
    statistics: PredictStatistics | None = None


class Prediction(msgspec.Struct, gc=False):
    embeddings: PredictVector


class PredictAnswer(msgspec.Struct, gc=False):
    """https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api"""

    predictions: list[Prediction]


decode_answer = msgspec.json.Decoder(Answer, strict=False).decode
decode_count = msgspec.json.Decoder(CountAnswer, strict=False).decode
decode_embedding = msgspec.json.Decoder(EmbedAnswer, strict=False).decode
decode_predictions = msgspec.json.Decoder(PredictAnswer, strict=False).decode


def camel(name: str) -> str:
    """`topP` of `top_p`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


_SNAKE = re.compile(rb'"[a-z]+(?:_[a-z]+)+"\s*:')
"""A member that protobuf's JSON would also take in camelCase, or a property of somebody's schema."""
_OPAQUE = frozenset(
    ("args", "response", "parameters", "parameters_json_schema", "response_schema", "response_json_schema", "labels")
) | {"parametersJsonSchema", "responseSchema", "responseJsonSchema", "headers"}
"""Members whose own members have names of their own."""


_REQUEST = frozenset(Request.__struct_fields__)
_CONFIG = frozenset(GenerationConfig.__struct_fields__)
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def others_of(body: bytes) -> dict[str, Any]:
    """The members of a request, and of its `generationConfig`, that are not read here, decoded."""
    members = _decode_members(body)
    found = _unread(members, _REQUEST)
    for name in ("generationConfig", "generation_config"):
        config = members.get(name)
        if config is not None and bytes(config) != b"null":
            found |= _unread(_decode_members(config), _CONFIG)
    return found


def _unread(members: dict[str, Raw], known: frozenset[str]) -> dict[str, Any]:
    names = known | {camel(name) for name in known} | ROUTING
    return {
        name: msgspec.json.decode(raw) for name, raw in members.items() if name not in names and bytes(raw) != b"null"
    }


class RequestDecoder:
    """Decodes with members in camelCase or snake_case, which the API takes alike (protobuf's JSON mapping).

    https://protobuf.dev/programming-guides/json/
    """

    def __init__(self, kind: type[Wire]) -> None:
        self._decode = msgspec.json.Decoder(kind, strict=False).decode
        self._decode_any = msgspec.json.Decoder().decode

    def decode(self, body: bytes) -> Any:
        """The request. Raises `msgspec.DecodeError`, or `ValidationError` with the place of what is wrong."""
        if _SNAKE.search(body) is None:
            return self._decode(body)
        return self._decode(msgspec.json.encode(_renamed(self._decode_any(body))))


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {camel(name): inner if name in _OPAQUE else _renamed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return value


chat_decoder = RequestDecoder(Request)
count_decoder = RequestDecoder(CountRequest)
embed_decoder = RequestDecoder(BatchEmbedRequest)
