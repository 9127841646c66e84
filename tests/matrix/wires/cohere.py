"""Cohere's Chat, with the types of the `cohere` SDK."""

from __future__ import annotations

import base64
import json
from typing import Any

from matrix.scenes import ANSWER_TOKENS, PROMPT_TOKENS, Call, Say, Seen
from matrix.wires.wire import REFUSED, Wire
from support import cohere_wire as wire
from support.tokens import Asked

_COUNTS = {"input_tokens": PROMPT_TOKENS, "output_tokens": ANSWER_TOKENS}
_USAGE = {"billed_units": _COUNTS, "tokens": {"input_tokens": PROMPT_TOKENS + 66, "output_tokens": ANSWER_TOKENS}}


class CohereWire(Wire):
    def see(self, asked: Asked) -> Seen:
        assert asked.path == "/v2/chat", asked.path
        body = wire.accept_chat(asked.body)
        thinking = body.get("thinking", {})
        out = Seen(
            stream=body.get("stream", False),
            max_tokens=body.get("max_tokens"),
            temperature=body.get("temperature"),
            stop=body.get("stop_sequences", []),
            thinks=thinking.get("type") == "enabled",
        )
        for message in body["messages"]:
            _read(message, out)
        for tool in body.get("tools", ()):
            out.tools[tool["function"]["name"]] = tool["function"]["parameters"]
        if "response_format" in body:
            out.schema = body["response_format"]["json_schema"]
        return out

    def whole(self, say: Say, seen: Seen) -> bytes:
        content = [{"type": "thinking", "thinking": say.thought}] if say.thought else []
        if say.text:
            content.append({"type": "text", "text": "".join(say.text)})
        message: dict[str, Any] = {"role": "assistant"}
        if content:
            message["content"] = content
        if say.calls:
            message["tool_calls"] = [_call(at, call) for at, call in enumerate(say.calls)]
        return json.dumps(wire.answer(finish_reason=_finish(say), message=message, usage=_USAGE)).encode()

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        out = [wire.start()]
        index = 0
        for kind, pieces in (
            ("thinking", (say.thought[:4], say.thought[4:]) if say.thought else ()),
            ("text", say.text),
        ):
            if pieces:
                out.append(wire.said("content-start", index, content={"type": kind, kind: ""}))
                out += [wire.said("content-delta", index, content={kind: piece}) for piece in pieces]
                out.append(wire.event("content-end", index=index))
                index += 1
        for at, call in enumerate(say.calls):
            whole = _call(at, call)
            arguments: str = whole["function"]["arguments"]
            whole["function"]["arguments"] = ""
            out.append(wire.said("tool-call-start", at, tool_calls=whole))
            for part in (arguments[:5], arguments[5:]):
                out.append(wire.said("tool-call-delta", at, tool_calls={"function": {"arguments": part}}))
            out.append(wire.event("tool-call-end", index=at))
        return [*out, wire.end(_finish(say), usage=_USAGE)]

    def refuse(self) -> bytes:
        return json.dumps({"id": "x", "message": REFUSED}).encode()


def _read(message: dict[str, Any], out: Seen) -> None:
    content = message.get("content") or []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    if message["role"] == "system":
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


def _call(at: int, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": f"{call.name}_{at}", "type": "function", "function": function}


def _finish(say: Say) -> str:
    return "TOOL_CALL" if say.calls else "COMPLETE"
