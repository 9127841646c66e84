"""watsonx.ai as its reference describes it: there is no SDK of it among what is installed.

https://cloud.ibm.com/apidocs/watsonx-ai#text-chat-stream,
https://ibm.github.io/watsonx-ai-node-sdk/interfaces/1_7_x.WatsonXAI.TextChatParams.html
"""

from __future__ import annotations

import json
from typing import Any

from support import chunks
from support.native import Fake
from support.tokens import Answer, Asked, TokenServer

PARAMS = {
    *("messages", "model_id", "project_id", "space_id", "tools", "tool_choice", "tool_choice_option", "context"),
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "length_penalty", "logit_bias", "logprobs"),
    *("top_logprobs", "max_tokens", "max_completion_tokens", "n", "response_format", "seed", "stop", "temperature"),
    *("top_p", "time_limit", "guided_choice", "guided_grammar", "guided_json", "guided_regex", "include_reasoning"),
    *("reasoning_effort", "chat_template_kwargs"),
}
MESSAGES = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}


def check(body: bytes, *, deployed: bool = False) -> dict[str, Any]:
    """A chat request as JSON. Raises `AssertionError` or `ValueError` for one that is not in the reference."""
    found: dict[str, Any] = json.loads(body)
    assert set(found) <= PARAMS, set(found) - PARAMS
    placed = {"model_id", "project_id", "space_id"} & set(found)
    assert (not placed) if deployed else ("model_id" in placed and len(placed) == 2), placed
    assert found["messages"]
    for message in found["messages"]:
        assert set(message) <= MESSAGES[message["role"]], message
        content = message.get("content")
        if message["role"] == "user" and isinstance(content, list):
            kinds = {"text", "image_url", "input_audio", "video_url", "data_asset"}
            assert all(part["type"] in kinds for part in content), content
        else:
            assert content is None or isinstance(content, str), message
    for tool in found.get("tools", ()):
        assert tool["type"] == "function"
        assert set(tool["function"]) <= {"name", "description", "parameters"}
    assert found.get("tool_choice_option", "auto") in ("none", "auto", "required")
    assert not {"tool_choice", "tool_choice_option"} <= set(found)
    assert found.get("tool_choice", {"type": "function"})["type"] == "function"
    assert found.get("reasoning_effort", "low") in ("low", "medium", "high")
    return found


def event(number: int, data: dict[str, Any], kind: str = "message") -> bytes:
    """One event of a stream."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def named(found: dict[str, Any]) -> dict[str, Any]:
    """With the members that only watsonx's have."""
    system = {"warnings": [{"message": "This model is not IBM's.", "id": "disclaimer_warning"}]}
    return {
        **found,
        "model_id": "ibm/granite",
        "model_version": "1",
        "created_at": "2026-11-21T10:00:00Z",
        "system": system,
    }


class Watsonx(Fake):
    """`/ml/v1/text/chat`, its streamed form and embeddings."""

    name = "watsonx"
    refused = ("parallel_tool_calls", False)

    def params(self, server: TokenServer) -> dict[str, Any]:
        return {"model": "watsonx/ibm/granite", "api_base": server.url, "token": "t0ken", "project_id": "p-1"}

    def serve(self, asked: Asked) -> Answer:
        path, _, query = asked.path.partition("?")
        assert query == "version=2024-03-13", query
        assert asked.headers["authorization"] == "Bearer t0ken"
        if path == "/ml/v1/text/embeddings":
            return self._embed(asked)
        assert path in ("/ml/v1/text/chat", "/ml/v1/text/chat_stream"), path
        body = check(asked.body)
        self.bodies.append(body)
        turn = self.turn
        if turn.error is not None:
            return self.failure(*turn.error)
        if path.endswith("/chat"):
            return 200, "application/json", json.dumps(named(chunks.whole(turn))).encode()
        found = chunks.pieces(turn)
        if turn.late:
            late = {"errors": [{"code": "failure", "message": turn.late}], "status_code": 500}
            events = [event(number, named(chunk)) for number, chunk in enumerate(found[:-1])]
            return 200, "text/event-stream", [*events, event(len(events), late, "error")]
        if turn.cut:
            return 200, "text/event-stream", [event(number, named(chunk)) for number, chunk in enumerate(found[:3])]
        return (
            200,
            "text/event-stream",
            [event(number, named(chunk)) for number, chunk in enumerate([*found, chunks.used()])],
        )

    def _embed(self, asked: Asked) -> Answer:
        body = json.loads(asked.body)
        assert set(body) <= {"inputs", "model_id", "project_id", "space_id", "parameters"}
        self.bodies.append(body)
        results = [{"embedding": [float(len(text)), 0.5]} for text in body["inputs"]]
        made = {"model_id": "m", "results": results, "created_at": "2026-11-21T10:00:00Z", "input_token_count": 4}
        return 200, "application/json", json.dumps(made).encode()

    def failure(self, status: int, message: str) -> Answer:
        error = {"code": "some_code", "message": message, "more_info": "https://cloud.ibm.com/apidocs/watsonx-ai"}
        return status, "application/json", json.dumps({"errors": [error], "trace": "t", "status_code": status}).encode()

    def picture(self, body: dict[str, Any]) -> str:
        return chunks.picture(body)

    def schema(self, body: dict[str, Any]) -> Any:
        return body["response_format"]["json_schema"]["schema"]

    def offered(self, body: dict[str, Any]) -> list[str]:
        return chunks.offered(body)

    def results(self, body: dict[str, Any]) -> list[str]:
        return chunks.results(body)
