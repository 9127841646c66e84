"""Cohere's client side of the matrix: `ClientV2`, unchanged."""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar

import cohere
from cohere.core import ApiError

from matrix.scenes import ABOUT, MAX_TOKENS, PNG, RESULTS, SCHEMA, STOP, SYSTEM, TEMPERATURE, TOOLS, Call, Got

BUDGET = 2048


class StreamFailedError(Exception):
    """The last event of a stream tells of an error: the SDK leaves it to its user to look."""


class CohereClient:
    """Chat, version 2."""

    too_fast = cohere.TooManyRequestsError
    wrong = cohere.BadRequestError
    broken = (StreamFailedError, ApiError)
    finishes: ClassVar = {"stop": "COMPLETE", "tools": "TOOL_CALL"}
    stops: ClassVar = [STOP]

    def __init__(self, url: str, key: str) -> None:
        self._sdk = cohere.ClientV2(api_key=key, base_url=url)

    def text(self, model: str, scene: str, *, stream: bool) -> Got:
        messages = [{"role": "system", "content": SYSTEM}, _user(scene)]
        return self._ask(model, messages, stream, max_tokens=MAX_TOKENS, temperature=TEMPERATURE, stop_sequences=[STOP])

    def tools(self, model: str, scene: str, *, stream: bool) -> tuple[Got, Got]:
        declared = [
            {"type": "function", "function": {"name": name, "description": ABOUT[name], "parameters": schema}}
            for name, schema in TOOLS.items()
        ]
        messages = [_user(scene)]
        first = self._ask(model, messages, stream, tools=declared)
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in first.calls
        ]
        messages.append({"role": "assistant", "tool_calls": calls})
        messages += [{"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.name]} for call in first.calls]
        return first, self._ask(model, messages, stream, tools=declared)

    def image(self, model: str) -> Got:
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "scene: image"}]
        return self._ask(model, [{"role": "user", "content": content}], False)

    def structured(self, model: str, *, stream: bool) -> Got:
        wanted = {"type": "json_object", "json_schema": SCHEMA}
        got = self._ask(model, [_user("structured output")], stream, response_format=wanted)
        got.parsed = json.loads(got.text)
        return got

    def reasoning(self, model: str, *, stream: bool) -> Got:
        thinking = {"type": "enabled", "token_budget": BUDGET}
        return self._ask(model, [_user("reasoning")], stream, thinking=thinking, max_tokens=MAX_TOKENS)

    def _ask(self, model: str, messages: Any, stream: bool, **more: Any) -> Got:
        sdk: Any = self._sdk
        more["request_options"] = {"max_retries": 0}
        if stream:
            return _told(sdk.chat_stream(model=model, messages=messages, **more))
        answer = sdk.chat(model=model, messages=messages, **more)
        got = Got(finish=answer.finish_reason, usage=_usage(answer.usage))
        for part in answer.message.content or ():
            if part.type == "text":
                got.text += part.text
            else:
                got.thought += part.thinking
        for call in answer.message.tool_calls or ():
            got.calls.append(Call(call.function.name, json.loads(call.function.arguments), call.id))
        return got


def _told(events: Any) -> Got:
    """One block or call at a time is open: what comes belongs to the last that began."""
    got = Got(pieces=0)
    calls: list[list[str]] = []
    ended = 0
    for event in events:
        if event.type == "content-delta":
            content = event.delta.message.content
            got.text += content.text or ""
            got.thought += content.thinking or ""
            got.pieces += bool(content.text)
        elif event.type == "tool-call-start":
            call = event.delta.message.tool_calls
            assert (event.index, ended) == (len(calls), len(calls))
            calls.append([call.id, call.function.name, call.function.arguments or ""])
        elif event.type == "tool-call-delta":
            assert event.index == len(calls) - 1
            calls[-1][2] += event.delta.message.tool_calls.function.arguments
        elif event.type == "tool-call-end":
            ended += 1
        elif event.type == "message-end":
            got.finish = event.delta.finish_reason
            if got.finish == "ERROR":
                raise StreamFailedError(event.delta.error)
            got.usage = _usage(event.delta.usage)
    assert ended == len(calls)
    got.calls = [Call(name, json.loads(arguments), ident) for ident, name, arguments in calls]
    return got


def _usage(usage: Any) -> tuple[int, int]:
    return (usage.billed_units.input_tokens, usage.billed_units.output_tokens)


def _user(scene: str) -> dict[str, Any]:
    return {"role": "user", "content": f"scene: {scene}"}
