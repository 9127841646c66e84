"""Messages as clients speak it."""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.usage import Usage
from routeiq.providers.translate.anthropic import wire
from routeiq.providers.translate.anthropic.citations import write_citation
from routeiq.providers.translate.anthropic.proof import write_call_proof, write_proof
from routeiq.providers.translate.anthropic.request import read_request
from routeiq.providers.translate.anthropic.writer import EventWriter, usage_members
from routeiq.providers.translate.chat import Answer, Block, Chat, Media, Native, Refusal, Text, Thinking, ToolCall
from routeiq.providers.translate.codec import DeltaWriter

_encode = msgspec.json.Encoder().encode


class AnthropicClient:
    """`ClientCodec` for `/v1/messages`."""

    def read(self, body: bytes) -> Chat:
        return read_request(body)

    def write(self, answer: Answer, chat: Chat) -> bytes:
        choice = answer.choices[0]
        usage = usage_members(answer.usage or Usage(), answer.service_tier)
        return _encode(
            {
                "id": answer.id,
                "type": "message",
                "role": "assistant",
                "model": answer.model,
                "content": [written for block in choice.content for written in _written(block)],
                "stop_reason": wire.FINISH_OF[choice.finish],
                "stop_sequence": choice.stop_sequence or None,
                "usage": usage,
            }
        )

    def writer(self, chat: Chat, model: str) -> DeltaWriter:
        return EventWriter(model)


class AnthropicCountClient:
    """`CountClientCodec` for `/v1/messages/count_tokens`."""

    def read(self, body: bytes) -> Chat:
        return read_request(body, counting=True)

    def write(self, tokens: int) -> bytes:
        return _encode({"input_tokens": tokens})


def _written(block: Block) -> list[dict[str, Any]]:
    if isinstance(block, Text):
        text: dict[str, Any] = {"type": "text", "text": block.text}
        if block.citations:
            text["citations"] = [write_citation(citation) for citation in block.citations]
        return [text]
    if isinstance(block, ToolCall):
        call = {"type": "tool_use", "id": block.id, "name": block.name, "input": _input(block)}
        if not block.signature:
            return [call]
        return [{"type": "thinking", "thinking": "", "signature": write_call_proof(block.signature)}, call]
    if isinstance(block, Thinking):
        if block.redacted:
            return [{"type": "redacted_thinking", "data": write_proof(block.redacted)}]
        return [{"type": "thinking", "thinking": block.text, "signature": write_proof(block.signature)}]
    if isinstance(block, Refusal):
        return [{"type": "text", "text": block.text}]
    if isinstance(block, Native) and block.dialect == "anthropic":
        return [block.value]
    if isinstance(block, Media) and block.kind == "image":
        source = (
            {"type": "base64", "media_type": block.media_type, "data": block.data}
            if block.data
            else {"type": "url", "url": block.url}
        )
        return [{"type": "image", "source": source}]
    if isinstance(block, Media) and block.text:
        return [{"type": "text", "text": block.text}]
    return []


def _input(call: ToolCall) -> Any:
    """The arguments as an object; a model's broken JSON is handed over as text."""
    text = call.arguments.strip() or "{}"
    if text.startswith("{"):
        try:
            msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            pass
        else:
            return msgspec.Raw(text.encode())
    return {"input": call.arguments}
