"""Converse and ConverseStream, held against botocore's model of the service."""

from __future__ import annotations

import base64
import json
from typing import Any

from matrix.scenes import ANSWER_TOKENS, PROMPT_TOKENS, Call, Say, Seen
from matrix.wires.wire import REFUSED, Wire, take_answer_tool, unfolded
from support import bedrock
from support.tokens import Asked

SIGNATURE = "proof of a thought"
_USAGE = {
    "inputTokens": PROMPT_TOKENS,
    "outputTokens": ANSWER_TOKENS,
    "totalTokens": PROMPT_TOKENS + ANSWER_TOKENS,
}


class BedrockWire(Wire):
    stream_kind = "application/vnd.amazon.eventstream"

    def see(self, asked: Asked) -> Seen:
        operation = {"converse": "Converse", "converse-stream": "ConverseStream"}[asked.path.rpartition("/")[2]]
        assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        body = bedrock.check(operation, asked.body)
        config = body.get("inferenceConfig", {})
        thinking = body.get("additionalModelRequestFields", {}).get("thinking", {})
        out = Seen(
            stream=operation == "ConverseStream",
            system="".join(block.get("text", "") for block in body.get("system", ())),
            max_tokens=config.get("maxTokens"),
            temperature=config.get("temperature"),
            stop=config.get("stopSequences", []),
            thinks=thinking.get("type") == "enabled",
        )
        for message in body["messages"]:
            for block in message["content"]:
                if "text" in block and message["role"] == "user":
                    out.text = block["text"]
                if "image" in block:
                    assert block["image"]["format"] == "png"
                    out.images.append(base64.b64decode(block["image"]["source"]["bytes"]))
                if "toolUse" in block:
                    use = block["toolUse"]
                    out.calls.append(Call(use["name"], use["input"], use["toolUseId"]))
                if "toolResult" in block:
                    told = block["toolResult"]
                    out.results[told["toolUseId"]] = "".join(part["text"] for part in told["content"])
        for tool in body.get("toolConfig", {}).get("tools", ()):
            out.tools[tool["toolSpec"]["name"]] = tool["toolSpec"]["inputSchema"]["json"]
        take_answer_tool(out)
        if "outputConfig" in body:
            out.schema = json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
        return out

    def whole(self, say: Say, seen: Seen) -> bytes:
        say = unfolded(say, seen)
        content: list[dict[str, Any]] = []
        if say.thought:
            content.append({"reasoningContent": {"reasoningText": {"text": say.thought, "signature": SIGNATURE}}})
        calls = [(f"tooluse_{at}", call) for at, call in enumerate(say.calls)]
        if say.text:
            content.append({"text": "".join(say.text)})
        for ident, call in calls:
            content.append({"toolUse": {"toolUseId": ident, "name": call.name, "input": call.arguments}})
        members = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "tool_use" if calls else "end_turn",
            "usage": _USAGE,
            "metrics": {"latencyMs": 5},
        }
        return bedrock.answer("Converse", members)

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        say = unfolded(say, seen)
        out = [bedrock.event("messageStart", {"role": "assistant"})]
        index = 0
        if say.thought:
            told = ({"text": say.thought[:5]}, {"text": say.thought[5:]}, {"signature": SIGNATURE})
            out += [_delta(index, {"reasoningContent": delta}) for delta in told]
            out.append(bedrock.event("contentBlockStop", {"contentBlockIndex": index}))
            index += 1
        calls = [(f"tooluse_{at}", call) for at, call in enumerate(say.calls)]
        if say.text:
            out += [_delta(index, {"text": piece}) for piece in say.text]
            out.append(bedrock.event("contentBlockStop", {"contentBlockIndex": index}))
            index += 1
        for ident, call in calls:
            start = {"toolUse": {"toolUseId": ident, "name": call.name}}
            out.append(bedrock.event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
            written = json.dumps(call.arguments)
            out += [_delta(index, {"toolUse": {"input": part}}) for part in (written[:6], written[6:])]
            out.append(bedrock.event("contentBlockStop", {"contentBlockIndex": index}))
            index += 1
        out.append(bedrock.event("messageStop", {"stopReason": "tool_use" if calls else "end_turn"}))
        out.append(bedrock.event("metadata", {"usage": _USAGE, "metrics": {"latencyMs": 5}}))
        return out

    def refuse(self) -> bytes:
        return json.dumps({"message": REFUSED, "__type": "ThrottlingException"}).encode()


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return bedrock.event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
