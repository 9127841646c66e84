"""Converse's answers and events on the wire, as far as translation reads them.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and /API_runtime_ConverseStream.html;
blobs are base64 in JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers.translate.chat import FinishReason

FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "model_context_window_exceeded": "length",
}
"""`malformed_model_output`, `malformed_tool_use` and what is new count as `stop`: the answer is as it came."""


class Wire(msgspec.Struct, rename="camel", kw_only=True, gc=False):
    """Members in camelCase; `null` is as good as absent."""


class CacheDetail(Wire, gc=False):
    ttl: str | None = None
    input_tokens: int | None = None


class TokenUsage(Wire, gc=False):
    """https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html: `inputTokens` leaves out what was read
    from or written to the cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None

    def usage(self, tier: ServiceTier | None, performance: Performance | None) -> Usage:
        """The same in our words."""
        cached, total = _count(self.cache_read_input_tokens), _count(self.cache_write_input_tokens)
        long = sum(_count(detail.input_tokens) for detail in self.cache_details or () if detail.ttl == "1h")
        long = min(long, total)
        billed = tier.type if tier is not None and tier.type in ("flex", "priority") else ""
        if performance is not None and performance.latency == "optimized":
            billed = "fast"
        return Usage(
            prompt=min(_count(self.input_tokens) + cached + total, MOST_TOKENS),
            completion=_count(self.output_tokens),
            cached=cached,
            written=total - long,
            written_1h=long,
            service_tier=billed or "",
        )


def _count(tokens: int | None) -> int:
    return min(max(tokens, 0), MOST_TOKENS) if tokens else 0


class ServiceTier(Wire, gc=False):
    type: str | None = None


class Performance(Wire, gc=False):
    latency: str | None = None


class ToolUse(Wire, gc=False):
    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class ReasoningText(Wire, gc=False):
    text: str = ""
    signature: str | None = None


class Reasoning(Wire, gc=False):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Source(Wire, gc=False):
    bytes: str | None = None


class Image(Wire, gc=False):
    format: str = ""
    source: Source | None = None


class Words(Wire, gc=False):
    text: str | None = None


class Web(Wire, gc=False):
    url: str | None = None
    domain: str | None = None


class Location(Wire, gc=False):
    web: Web | None = None


class Citation(Wire, gc=False):
    title: str | None = None
    source: str | None = None
    source_content: list[Words] | None = None
    location: Location | None = None


class Cited(Wire, gc=False):
    content: list[Words] | None = None
    citations: list[Citation] | None = None


class Block(Wire, gc=False):
    """One of them is set."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    image: Image | None = None
    citations_content: Cited | None = None


class Message(Wire, gc=False):
    content: list[Block] = []


class Output(Wire, gc=False):
    message: Message


class Answer(Wire, gc=False):
    output: Output
    stop_reason: str | None = None
    usage: TokenUsage | None = None
    additional_model_response_fields: Any = None
    service_tier: ServiceTier | None = None
    performance_config: Performance | None = None


class DeltaToolUse(Wire, gc=False):
    input: str = ""


class DeltaReasoning(Wire, gc=False):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class DeltaBlock(Wire, gc=False):
    text: str | None = None
    tool_use: DeltaToolUse | None = None
    reasoning_content: DeltaReasoning | None = None
    citation: Citation | None = None
    image: Image | None = None


class Event(Wire, gc=False):
    """Any event of a stream: its kind stands in the message's headers."""

    content_block_index: int = 0
    start: Block | None = None
    delta: DeltaBlock | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Any = None
    usage: TokenUsage | None = None
    service_tier: ServiceTier | None = None
    performance_config: Performance | None = None


class Counted(Wire, gc=False):
    input_tokens: int


decode_answer = msgspec.json.Decoder(Answer, strict=False).decode
decode_event = msgspec.json.Decoder(Event, strict=False).decode
decode_count = msgspec.json.Decoder(Counted).decode


def stopped_by(fields: Any) -> str:
    """The stop sequence that was met, which Claude tells among its own fields."""
    found = fields.get("stop_sequence") if isinstance(fields, dict) else None
    return found if isinstance(found, str) else ""
