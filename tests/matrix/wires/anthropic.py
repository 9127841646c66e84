"""Messages, with the types of the `anthropic` SDK: of Anthropic, on Vertex AI, and in Bedrock's InvokeModel."""

from __future__ import annotations

import base64
import json
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import TypeAdapter

from matrix.scenes import ANSWER_TOKENS, PROMPT_TOKENS, Call, Say, Seen
from matrix.wires.wire import REFUSED, Wire, data, decoded, dumped, take_answer_tool, unfolded
from routeiq.transport.eventstream import encode
from support.sdk_types import Held
from support.tokens import Asked

_WHOLE, _STREAM = Held(MessageCreateParamsNonStreaming), Held(MessageCreateParamsStreaming)
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_USAGE = {"input_tokens": PROMPT_TOKENS, "output_tokens": ANSWER_TOKENS}
SIGNATURE = base64.b64encode(b"proof of a thought").decode()


class AnthropicWire(Wire):
    def __init__(self, *, versioned: bool = True) -> None:
        self._versioned = versioned

    def see(self, asked: Asked) -> Seen:
        assert asked.path.endswith("/v1/messages"), asked.path
        assert not self._versioned or asked.headers["anthropic-version"]
        return self.read(decoded(asked.body))

    def read(self, body: dict[str, Any]) -> Seen:
        """A body as the API at home has it."""
        known = {name: value for name, value in body.items() if name != "temperature"}
        self.hold(_STREAM if body.get("stream") else _WHOLE, known)  # the API has it, the SDK no longer
        out = Seen(
            stream=bool(body.get("stream")),
            max_tokens=body["max_tokens"],
            temperature=body.get("temperature"),
            stop=body.get("stop_sequences", []),
            thinks=body.get("thinking", {}).get("type") in ("enabled", "adaptive"),
            system=_text(body.get("system", "")),
        )
        for message in body["messages"]:
            blocks = message["content"]
            blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
            for block in blocks:
                if block["type"] == "text" and message["role"] == "user":
                    out.text = block["text"]
                elif block["type"] == "image":
                    out.images.append(base64.b64decode(block["source"]["data"]))
                elif block["type"] == "tool_use":
                    out.calls.append(Call(block["name"], block["input"], block["id"]))
                elif block["type"] == "tool_result":
                    out.results[block["tool_use_id"]] = _text(block["content"])
        out.tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools", ())}
        take_answer_tool(out)
        wanted = body.get("output_config", {}).get("format")
        if wanted is not None:
            out.schema = wanted["schema"]
        return out

    def whole(self, say: Say, seen: Seen) -> bytes:
        say = unfolded(say, seen)
        head = _head()
        head["content"] = [block for block, _ in _blocks(say)]
        head["stop_reason"] = "tool_use" if say.calls else "end_turn"
        head["usage"] = _USAGE
        return dumped(Message.model_validate(head))

    def events(self, say: Say, seen: Seen) -> list[dict[str, Any]]:
        """The events of a stream."""
        say = unfolded(say, seen)
        out: list[dict[str, Any]] = [{"type": "message_start", "message": _head()}, {"type": "ping"}]
        for index, (block, deltas) in enumerate(_blocks(say)):
            emptied = {"text": "", "thinking": "", "signature": "", "input": {}}
            opening = {name: emptied.get(name, value) for name, value in block.items()}
            out.append({"type": "content_block_start", "index": index, "content_block": opening})
            out += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            out.append({"type": "content_block_stop", "index": index})
        reason = "tool_use" if say.calls else "end_turn"
        usage = {"output_tokens": ANSWER_TOKENS}
        out.append({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage})
        out.append({"type": "message_stop"})
        for event in out:
            if event["type"] != "ping":
                _EVENT.validate_python(event)
        return out

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        return [data(json.dumps(event, ensure_ascii=False).encode(), event["type"]) for event in self.events(say, seen)]

    def refuse(self) -> bytes:
        error = {"type": "rate_limit_error", "message": REFUSED}
        return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()


class VertexAnthropicWire(AnthropicWire):
    """https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai"""

    def see(self, asked: Asked) -> Seen:
        body = decoded(asked.body)
        assert body.pop("anthropic_version") == "vertex-2023-10-16"
        assert "model" not in body
        path = "/publishers/anthropic/models/claude-sonnet-4-5"
        assert asked.path.endswith(f"{path}:{'streamRawPredict' if body.get('stream') else 'rawPredict'}"), asked.path
        return self.read({"model": "in the path", **body})


class InvokeAnthropicWire(AnthropicWire):
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html"""

    stream_kind = "application/vnd.amazon.eventstream"

    def see(self, asked: Asked) -> Seen:
        body = decoded(asked.body)
        assert body.pop("anthropic_version") == "bedrock-2023-05-31"
        assert not {"model", "stream"} & body.keys()
        model, _, operation = asked.path.removeprefix("/model/").rpartition("/")
        assert model == "anthropic.claude-sonnet-4-5-20250929-v1%3A0"
        streams = {"invoke": False, "invoke-with-response-stream": True}[operation]
        return self.read({"model": "in the path", **body, "stream": streams})

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
        shown = [json.dumps(event).encode() for event in self.events(say, seen)]
        wrapped = [json.dumps({"bytes": base64.b64encode(event).decode()}).encode() for event in shown]
        return [encode(headers, event) for event in wrapped]

    def refuse(self) -> bytes:
        return json.dumps({"message": REFUSED}).encode()


def _head() -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "theirs",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": 1},
    }


def _blocks(say: Say) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Every block of an answer, and the deltas that tell it."""
    out: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if say.thought:
        block = {"type": "thinking", "thinking": say.thought, "signature": SIGNATURE}
        out.append(
            (
                block,
                [
                    {"type": "thinking_delta", "thinking": say.thought[:5]},
                    {"type": "thinking_delta", "thinking": say.thought[5:]},
                    {"type": "signature_delta", "signature": SIGNATURE},
                ],
            )
        )
    text = "".join(say.text)
    if text:
        deltas = [{"type": "text_delta", "text": piece} for piece in say.text]
        out.append(({"type": "text", "text": text, "citations": None}, deltas))
    for at, call in enumerate(say.calls):
        written = json.dumps(call.arguments)
        out.append(
            (
                {"type": "tool_use", "id": f"toolu_{at}", "name": call.name, "input": call.arguments},
                [{"type": "input_json_delta", "partial_json": part} for part in ("", written[:4], written[4:])],
            )
        )
    return out


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(block["text"] for block in content if block["type"] == "text")
