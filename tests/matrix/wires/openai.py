"""Chat Completions, with the types of the `openai` SDK."""

from __future__ import annotations

import base64
import json
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from matrix.scenes import ANSWER_TOKENS, PROMPT_TOKENS, Call, Say, Seen
from matrix.wires.wire import REFUSED, Wire, data, decoded, dumped, take_answer_tool, unfolded
from support.sdk_types import Held
from support.tokens import Asked

_WHOLE, _STREAM = Held(CompletionCreateParamsNonStreaming), Held(CompletionCreateParamsStreaming)
_USAGE = CompletionUsage(
    prompt_tokens=PROMPT_TOKENS, completion_tokens=ANSWER_TOKENS, total_tokens=PROMPT_TOKENS + ANSWER_TOKENS
)


class OpenAIWire(Wire):
    def __init__(self, path: str = "/chat/completions", *, thinks_aloud: bool = False) -> None:
        self.path = path
        self.thinks_aloud = thinks_aloud

    def see(self, asked: Asked) -> Seen:
        assert asked.path.partition("?")[0].endswith(self.path), asked.path
        body = decoded(asked.body)
        self.hold(_STREAM if body.get("stream") else _WHOLE, {"model": "in the path", **body})
        return seen_of(body)

    def whole(self, say: Say, seen: Seen) -> bytes:
        say = unfolded(say, seen)
        message: dict[str, Any] = {"role": "assistant", "content": "".join(say.text) or None, "refusal": None}
        if say.calls:
            message["tool_calls"] = [_call(at, call) for at, call in enumerate(say.calls)]
        if say.thought and self.thinks_aloud:
            message["reasoning_content"] = say.thought
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if say.calls else "stop"}
        return dumped(
            ChatCompletion.model_validate(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "created": 1_700_000_000,
                    "model": "theirs",
                    "choices": [choice],
                    "usage": _USAGE,
                }
            )
        )

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        say = unfolded(say, seen)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        if say.thought and self.thinks_aloud:
            half = len(say.thought) // 2
            deltas += [{"reasoning_content": say.thought[:half]}, {"reasoning_content": say.thought[half:]}]
        deltas += [{"content": piece} for piece in say.text]
        for at, call in enumerate(say.calls):
            whole = _call(at, call)
            arguments: str = whole["function"]["arguments"]
            whole["function"]["arguments"] = ""
            deltas.append({"tool_calls": [{"index": at, **whole}]})
            parts = (arguments[:5], arguments[5:])
            deltas += [{"tool_calls": [{"index": at, "function": {"arguments": part}}]} for part in parts]
        out = [_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
        out.append(_chunk([{"index": 0, "delta": {}, "finish_reason": "tool_calls" if say.calls else "stop"}]))
        out.append(_chunk([], usage=_USAGE))
        return [data(chunk) for chunk in out] + [data(b"[DONE]")]

    def refuse(self) -> bytes:
        error = {"message": REFUSED, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        return json.dumps({"error": error}).encode()


def seen_of(body: dict[str, Any]) -> Seen:
    """What a request in OpenAI's words says."""
    out = Seen(
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        temperature=body.get("temperature"),
        stop=[body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or [],
        thinks=bool(body.get("reasoning_effort")),
    )
    for message in body["messages"]:
        content = message.get("content") or []
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        if message["role"] in ("system", "developer"):
            out.system += text
        elif message["role"] == "user":
            out.text = text or out.text
            urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
            out.images += [base64.b64decode(url.partition("base64,")[2]) for url in urls]
        elif message["role"] == "tool":
            out.results[message["tool_call_id"]] = text
        for call in message.get("tool_calls") or ():
            function = call["function"]
            out.calls.append(Call(function["name"], json.loads(function["arguments"]), call["id"]))
    for tool in body.get("tools") or ():
        out.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    take_answer_tool(out)
    if body.get("response_format"):
        out.schema = body["response_format"]["json_schema"]["schema"]
    return out


def _call(at: int, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": f"call_{at}_{call.name}", "type": "function", "function": function}


def _chunk(choices: list[dict[str, Any]], usage: CompletionUsage | None = None) -> bytes:
    return dumped(
        ChatCompletionChunk.model_validate(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1_700_000_000,
                "model": "theirs",
                "choices": choices,
                "usage": usage,
            }
        )
    )
