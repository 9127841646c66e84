"""Turns in Chat Completions' words, made of the SDK's types, for fakes whose wire is nearly that."""

from __future__ import annotations

import json
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from support.native import Turn

USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def whole(turn: Turn) -> dict[str, Any]:
    """A `chat.completion`."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.thought:
        message["reasoning_content"] = turn.thought
    if turn.calls:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for index, (name, arguments) in enumerate(turn.calls)
        ]
    found = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "upstream",
        "choices": [{"index": 0, "message": message, "finish_reason": reason(turn), "logprobs": None}],
        "usage": USAGE,
    }
    ChatCompletion.model_validate(found, strict=True)
    return found


def pieces(turn: Turn) -> list[dict[str, Any]]:
    """The chunks of its stream, up to the one that tells why it ended."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if turn.thought:
        deltas.append({"reasoning_content": turn.thought})
    deltas += [{"content": piece} for piece in turn.pieces]
    for index, (name, arguments) in enumerate(turn.calls):
        text = json.dumps(arguments)
        start = {"index": index, "id": f"call_{index}", "type": "function"}
        deltas.append({"tool_calls": [{**start, "function": {"name": name, "arguments": text[:3]}}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"name": "", "arguments": text[3:]}}]})
    found = [_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    return [*found, _chunk([{"index": 0, "delta": {"content": ""}, "finish_reason": reason(turn)}])]


def used() -> dict[str, Any]:
    """The chunk with what was used."""
    return _chunk([], usage=USAGE)


def reason(turn: Turn) -> str:
    """Why it ended."""
    return "length" if turn.long else "tool_calls" if turn.calls else "stop"


def _chunk(choices: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    found = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "upstream",
        "choices": choices,
        **members,
    }
    ChatCompletionChunk.model_validate(found)
    return found


def picture(body: dict[str, Any]) -> str:
    """Base64 of the first image in a request."""
    parts = [
        part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    url = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
    return str(url.partition("base64,")[2])


def offered(body: dict[str, Any]) -> list[str]:
    """Names of the tools in a request."""
    return [tool["function"]["name"] for tool in body.get("tools", ())]


def results(body: dict[str, Any]) -> list[str]:
    """The results of tools in a request."""
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]
