"""Ollama as its SDK knows it."""

from __future__ import annotations

import json
from typing import Any

from ollama._types import (
    ChatRequest,
    ChatResponse,
    EmbedRequest,
    EmbedResponse,
    Logprob,
    Message,
    Options,
    TokenLogprob,
)
from pydantic import BaseModel

from support.native import Fake
from support.tokens import Answer, Asked, TokenServer

AT = "2026-11-21T10:00:00.123456789Z"
OPTIONS = {*Options.model_fields, "min_p"}
"""The SDK's and, of the server's, the one it lacks: https://docs.ollama.com/modelfile#parameter"""


def check(body: bytes) -> dict[str, Any]:
    """A chat request as JSON. Raises `ValueError` or `AssertionError` for one the SDK would not have made."""
    found: dict[str, Any] = json.loads(body)
    assert set(found) <= set(ChatRequest.model_fields), found
    messages = [
        {**each, "images": [{"value": image} for image in each.get("images", ())]} for each in found["messages"]
    ]
    request = ChatRequest.model_validate({**found, "messages": messages})
    for message, shown in zip(found["messages"], messages, strict=True):
        told = Message.model_validate({**shown, "images": shown["images"] or None})
        assert told.model_dump(exclude_none=True) == message, message
    for tool in found.get("tools", ()):
        assert tool["type"] == "function"
        assert set(tool["function"]) <= {"name", "description", "parameters"}
    assert set(found.get("options", ())) <= OPTIONS
    Options.model_validate(found.get("options", {}))
    assert request.model
    return found


def dump(made: BaseModel) -> bytes:
    return json.dumps(made.model_dump(exclude_none=True)).encode()


def line(content: str = "", **members: Any) -> bytes:
    """A piece of a stream."""
    message = Message(role="assistant", content=content, thinking=members.pop("thinking", None))
    message.tool_calls = members.pop("tool_calls", None)
    return dump(ChatResponse(model="llama3", created_at=AT, message=message, done=False, **members)) + b"\n"


def last(reason: str = "stop", **members: Any) -> bytes:
    """The last line of a stream."""
    message = Message(role="assistant", content="")
    counts = {"prompt_eval_count": 7, "eval_count": 5, "total_duration": 9, **members}
    made = ChatResponse(model="llama3", created_at=AT, message=message, done=True, done_reason=reason, **counts)
    return dump(made) + b"\n"


def call(name: str, arguments: dict[str, Any]) -> Message.ToolCall:
    return Message.ToolCall(function=Message.ToolCall.Function(name=name, arguments=arguments))


def logprob(token: str, value: float, **others: float) -> Logprob:
    tops = [TokenLogprob(token=name, logprob=found) for name, found in others.items()]
    return Logprob(token=token, logprob=value, top_logprobs=tops)


class Ollama(Fake):
    """`/api/chat` and `/api/embed`."""

    name = "ollama"

    def params(self, server: TokenServer) -> dict[str, Any]:
        return {"model": "ollama_chat/llama3", "api_base": server.url}

    def serve(self, asked: Asked) -> Answer:
        if asked.path == "/api/embed":
            return self._embed(asked)
        assert asked.path == "/api/chat", asked.path
        body = check(asked.body)
        self.bodies.append(body)
        turn = self.turn
        if turn.error is not None:
            return self.failure(*turn.error)
        calls = [call(name, arguments) for name, arguments in turn.calls]
        reason = "length" if turn.long else "stop"
        if not body["stream"]:
            message = Message(
                role="assistant", content=turn.text, thinking=turn.thought or None, tool_calls=calls or None
            )
            whole = ChatResponse(
                model="llama3",
                created_at=AT,
                message=message,
                done=True,
                done_reason=reason,
                prompt_eval_count=7,
                eval_count=5,
            )
            return 200, "application/json; charset=utf-8", dump(whole)
        lines = [line(thinking=turn.thought)] if turn.thought else []
        lines += [line(piece) for piece in turn.pieces]
        lines += [line(tool_calls=[each]) for each in calls]
        lines.append(json.dumps({"error": turn.late}).encode() + b"\n" if turn.late else last(reason))
        return 200, "application/x-ndjson", self.parts(lines)

    def _embed(self, asked: Asked) -> Answer:
        body = json.loads(asked.body)
        assert EmbedRequest.model_validate(body).model_dump(exclude_none=True) == body
        self.bodies.append(body)
        vectors = [[float(len(text)), 0.5] for text in body["input"]]
        made = EmbedResponse(model="llama3", embeddings=vectors, prompt_eval_count=4)
        return 200, "application/json; charset=utf-8", dump(made)

    def failure(self, status: int, message: str) -> Answer:
        return status, "application/json; charset=utf-8", json.dumps({"error": message}).encode()

    def picture(self, body: dict[str, Any]) -> str:
        return str(next(message["images"][0] for message in body["messages"] if "images" in message))

    def schema(self, body: dict[str, Any]) -> Any:
        return body["format"]

    def offered(self, body: dict[str, Any]) -> list[str]:
        return [tool["function"]["name"] for tool in body.get("tools", ())]

    def results(self, body: dict[str, Any]) -> list[str]:
        return [message["content"] for message in body["messages"] if message["role"] == "tool"]
