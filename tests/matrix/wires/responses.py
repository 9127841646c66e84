"""Responses, with the types of the `openai` SDK; and providers that have several APIs."""

from __future__ import annotations

import base64
import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

from matrix.scenes import ANSWER_TOKENS, PROMPT_TOKENS, Call, Say, Seen
from matrix.server import Reply
from matrix.wires.wire import REFUSED, Wire, data, decoded, dumped
from support.sdk_types import Held
from support.tokens import Asked

_WHOLE, _STREAM = Held(ResponseCreateParamsNonStreaming), Held(ResponseCreateParamsStreaming)
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


class ResponsesWire(Wire):
    def see(self, asked: Asked) -> Seen:
        assert asked.path.partition("?")[0].endswith("/responses"), asked.path
        body = decoded(asked.body)
        self.hold(_STREAM if body.get("stream") else _WHOLE, body)
        out = Seen(
            stream=bool(body.get("stream")),
            system=body.get("instructions", ""),
            max_tokens=body.get("max_output_tokens"),
            temperature=body.get("temperature"),
            thinks=bool(body.get("reasoning", {}).get("effort")),
            schema=body.get("text", {}).get("format", {}).get("schema"),
        )
        for item in body["input"]:
            if item.get("type") == "reasoning":
                continue
            if item.get("type") == "custom_tool_call":
                out.calls.append(Call(item["name"], {"input": item["input"]}, item["call_id"]))
            elif item.get("type") == "function_call":
                out.calls.append(Call(item["name"], json.loads(item["arguments"]), item["call_id"]))
            elif item.get("type") in ("function_call_output", "custom_tool_call_output"):
                out.results[item["call_id"]] = item["output"]
            elif item["role"] == "developer":
                out.system += item["content"][0]["text"]
            elif isinstance(item["content"], str):
                out.text = item["content"]
            else:
                for part in item["content"]:
                    if part["type"] == "input_text":
                        out.text = part["text"]
                    else:
                        out.images.append(base64.b64decode(part["image_url"].partition("base64,")[2]))
        out.tools = {tool["name"]: tool.get("parameters") for tool in body.get("tools", ())}
        return out

    def whole(self, say: Say, seen: Seen) -> bytes:
        return dumped(Response.model_validate(_response(_items(say), "completed")))

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        items = _items(say)
        out: list[dict[str, Any]] = [
            {"type": "response.created", "response": _response([], "in_progress")},
            {"type": "response.in_progress", "response": _response([], "in_progress")},
        ]
        for index, item in enumerate(items):
            at = {"output_index": index, "item_id": item["id"]}
            out.append(
                {
                    "type": "response.output_item.added",
                    "output_index": index,
                    "item": {**item, "status": "in_progress"},
                }
            )
            if item["type"] == "message":
                place = {**at, "content_index": 0}
                empty = {"type": "output_text", "text": "", "annotations": []}
                out.append({"type": "response.content_part.added", **place, "part": empty})
                shown = {"type": "response.output_text.delta", **place, "logprobs": []}
                out += [{**shown, "delta": piece} for piece in say.text]
                text = "".join(say.text)
                out.append({"type": "response.output_text.done", **place, "text": text, "logprobs": []})
                out.append({"type": "response.content_part.done", **place, "part": item["content"][0]})
            elif item["type"] == "function_call":
                written = item["arguments"]
                shown = {"type": "response.function_call_arguments.delta", **at}
                out += [{**shown, "delta": part} for part in (written[:4], written[4:])]
                done = {"arguments": written, "name": item["name"]}
                out.append({"type": "response.function_call_arguments.done", **at, **done})
            out.append({"type": "response.output_item.done", "output_index": index, "item": item})
        out.append({"type": "response.completed", "response": _response(items, "completed")})
        for number, event in enumerate(out):
            event["sequence_number"] = number
        events = [dumped(_EVENT.validate_python(event)) for event in out]
        return [data(event, told["type"]) for event, told in zip(events, out, strict=True)]

    def refuse(self) -> bytes:
        error = {"message": REFUSED, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        return json.dumps({"error": error}).encode()


class Either(Wire):
    """A provider of several APIs, by the last part of the path."""

    def __init__(self, **wires: Wire) -> None:
        self._wires = wires
        self._now = next(iter(wires.values()))

    def of(self, asked: Asked) -> Wire:
        return self._wires[asked.path.partition("?")[0].rpartition("/")[2]]

    def serve(self, asked: Asked) -> Reply:
        self._now = self.of(asked)
        reply = self._now.serve(asked)
        self.last = self._now.last
        return reply

    @property
    def thinks_aloud(self) -> bool:  # type: ignore[override]
        return self._now.thinks_aloud


def _items(say: Say) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    if say.thought:
        summary = [{"type": "summary_text", "text": say.thought}]
        out.append({"type": "reasoning", "id": "rs_1", "summary": summary})
    if say.text:
        content = [{"type": "output_text", "text": "".join(say.text), "annotations": []}]
        out.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
    for at, call in enumerate(say.calls):
        out.append(
            {
                "type": "function_call",
                "id": f"fc_{at}",
                "call_id": f"call_{at}",
                "name": call.name,
                "arguments": json.dumps(call.arguments),
                "status": "completed",
            }
        )
    return out


def _response(items: list[dict[str, Any]], status: str) -> dict[str, Any]:
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": ANSWER_TOKENS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + ANSWER_TOKENS,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "theirs",
        "status": status,
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if status == "completed" else None,
    }
