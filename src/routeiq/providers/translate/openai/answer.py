"""Chat Completions' answers, written."""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.providers.translate.chat import Answer, Choice, Media, Native, Refusal, Text, Thinking, ToolCall
from routeiq.providers.translate.openai import wire
from routeiq.providers.translate.openai.parts import annotation, audio, image, thinking_block, tool_call
from routeiq.providers.translate.openai.usage import usage_members

_encode = msgspec.json.Encoder().encode


def write_answer(answer: Answer) -> bytes:
    """A `chat.completion` object."""
    out: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_choice(choice) for choice in answer.choices],
    }
    if answer.usage is not None:
        out["usage"] = usage_members(answer.usage)
    if answer.service_tier:
        out["service_tier"] = answer.service_tier
    if answer.fingerprint:
        out["system_fingerprint"] = answer.fingerprint
    return _encode(out)


def _choice(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    text, thought, refusal = [], [], []
    calls, thinking_blocks, annotations, images = [], [], [], []
    for block in choice.content:
        if isinstance(block, Text):
            text.append(block.text)
            annotations += [annotation(citation) for citation in block.citations]
        elif isinstance(block, Thinking):
            thought.append(block.text)
            thinking_blocks.append(thinking_block(block))
        elif isinstance(block, ToolCall):
            calls.append(tool_call(block))
        elif isinstance(block, Refusal):
            refusal.append(block.text)
        elif isinstance(block, Media):
            if block.kind == "audio":
                message["audio"] = {"expires_at": 0, **audio(block)}
            else:
                images.append(image(block))
        elif isinstance(block, Native):
            message.setdefault("provider_specific_fields", {}).setdefault(block.dialect, []).append(block.value)
    if text:
        message["content"] = "".join(text)
    message["refusal"] = "".join(refusal) or None
    if any(thought):
        message["reasoning_content"] = "".join(thought)
    if any("signature" in block or "data" in block for block in thinking_blocks):
        message["thinking_blocks"] = thinking_blocks
    if calls:
        message["tool_calls"] = calls
    if annotations:
        message["annotations"] = annotations
    if images:
        message["images"] = images
    return {
        "index": choice.index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": wire.FINISH_OF[choice.finish],
    }
