"""Messages on the wire, as far as translation reads it.

https://docs.claude.com/en/api/messages and /messages-streaming; server-side tools and their results are kept as they
are (`Native`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routeiq.providers.dialects.anthropic import WireUsage
from routeiq.providers.translate.chat import CacheMark, Effort, FinishReason

FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
FINISH_OF: dict[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}


class CacheControl(msgspec.Struct, gc=False):
    type: str = "ephemeral"
    ttl: str = ""

    def mark(self) -> CacheMark:
        return CacheMark(self.ttl)


class Source(msgspec.Struct, gc=False):
    """Of an image or a document: `base64`, `url`, `file`, `text` or `content`."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    content: Any = None


class Cited(msgspec.Struct, gc=False):
    enabled: bool = False


class Block(msgspec.Struct, gc=False):
    """A block of a message's content, in a request or an answer, which hold them as they came: what only Anthropic
    has is kept so."""

    type: str
    text: str = ""
    source: Source | None = None
    title: str | None = None
    context: str | None = None
    citations: Cited | list[dict[str, Any]] | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")
    tool_use_id: str = ""
    content: Raw = Raw(b"null")
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class Message(msgspec.Struct, gc=False):
    role: Literal["user", "assistant", "system"]
    content: str | list[Raw]


class Tool(msgspec.Struct, gc=False):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None


class ToolChoice(msgspec.Struct, gc=False):
    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, gc=False):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: str | None = None


class OutputFormat(msgspec.Struct, gc=False):
    type: str = "json_schema"
    schema: dict[str, Any] | None = None


class OutputConfig(msgspec.Struct, gc=False):
    effort: Effort | None = None
    format: OutputFormat | None = None


class Metadata(msgspec.Struct, gc=False):
    user_id: str | None = None


class Request(msgspec.Struct, gc=False):
    messages: list[Message]
    model: str = ""
    max_tokens: int | None = None
    system: str | list[Raw] | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None
    stream: bool | None = None
    cache_control: CacheControl | None = None


HINTS = frozenset(("context_management", "diagnostics", "speed", "inference_geo", "anthropic_beta", "cache_control"))
"""Members that steer how an answer is made, not what it says: other providers do without them."""


class Answer(msgspec.Struct, gc=False):
    content: list[Raw]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: WireUsage | None = None


class StartMessage(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    usage: WireUsage | None = None


class Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str
    index: int = 0
    message: StartMessage | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: WireUsage | None = None
    error: Any | UnsetType = UNSET


class Counted(msgspec.Struct, gc=False):
    input_tokens: int


request_decoder = msgspec.json.Decoder(Request)
tool_decoder = msgspec.json.Decoder(Tool)
decode_block = msgspec.json.Decoder(Block).decode
decode_answer_block = msgspec.json.Decoder(Block, strict=False).decode
decode_result = msgspec.json.Decoder(str | list[Raw] | None).decode
decode_answer = msgspec.json.Decoder(Answer, strict=False).decode
decode_event = msgspec.json.Decoder(Event, strict=False).decode
decode_count = msgspec.json.Decoder(Counted).decode
KNOWN = frozenset(Request.__struct_fields__) | {"mock_response", "mock_testing_fallbacks"}
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


_TOOL = frozenset(Tool.__struct_fields__)


def tool_hints(tools: Sequence[Raw]) -> list[str]:
    """What a client's own tools hold that only Anthropic has (examples, who may call them), as `tools.MEMBER`."""
    found: dict[str, None] = {}
    for raw in tools:
        members = _decode_members(raw)
        if bytes(members.get("type", b"null")) in (b"null", b'"custom"'):
            found |= {f"tools.{name}": None for name in members if name not in _TOOL}
    return list(found)


def others_of(body: bytes) -> dict[str, Any]:
    """The members of a body that no other dialect has, decoded."""
    return {
        name: msgspec.json.decode(raw)
        for name, raw in _decode_members(body).items()
        if name not in KNOWN and bytes(raw) != b"null"
    }
