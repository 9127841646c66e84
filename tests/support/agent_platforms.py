"""The platforms agents run on, as far as an adapter asks them: each answers in its own words, in the text it is told.

`cut` breaks the answer off in its middle, `refuse` refuses it, `fail` fails the run after a word.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from support.addresses import free_port

Json = dict[str, Any]
ARN = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/doer"
ENGINE = "projects/p/locations/europe-west1/reasoningEngines/42"
BROKEN = object()
"""In the place of an event: the connection is cut."""


def strands(words: list[str], failed: bool) -> list[Any]:
    """Events of Strands behind AgentCore: pieces, and the whole once more."""
    said: list[Any] = [{"init_event_loop": True}, {"event": {"messageStart": {"role": "assistant"}}}]
    said += [{"event": {"contentBlockDelta": {"delta": {"text": word}}}} for word in (words[:1] if failed else words)]
    if failed:
        return [*said, {"error": "it broke", "error_type": "X"}]
    return [*said, {"message": {"role": "assistant", "content": [{"text": "".join(words)}]}}]


def adk(words: list[str], failed: bool) -> list[Any]:
    """Events of ADK: pieces, and the whole once more."""
    pieces = [{"content": {"role": "model", "parts": [{"text": word}]}, "partial": True} for word in words]
    if failed:
        return [pieces[0], {"error_code": "INTERNAL", "error_message": "it broke"}]
    return [*pieces, {"content": {"role": "model", "parts": [{"text": "".join(words)}]}}]


def foundry(words: list[str], failed: bool) -> list[Any]:
    """https://learn.microsoft.com/en-us/rest/api/aifoundry/aiagents/runs/create-run, streamed"""
    said: list[Any] = [{"object": "thread.run", "status": "in_progress"}]
    for word in words[:1] if failed else words:
        content = [{"index": 0, "type": "text", "text": {"value": word}}]
        said.append({"object": "thread.message.delta", "delta": {"content": content}})
    if failed:
        return [*said, {"object": "thread.run", "status": "failed", "last_error": {"message": "it broke"}}]
    return [*said, {"object": "thread.run", "status": "completed"}, "[DONE]"]


class Platforms:
    """All of them at one address; a context manager. `seen` is what came: path, head, body."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen: list[tuple[str, dict[str, str], Json]] = []
        app = Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/runtimes/{arn:path}/invocations", self._agentcore, methods=["POST"]),
                Route(f"/v1/{ENGINE}:query", self._session, methods=["POST"]),
                Route(f"/v1/{ENGINE}:streamQuery", self._agent_engine, methods=["POST"]),
                Route("/project/threads/runs", self._foundry, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    async def _token(self, request: Request) -> Response:
        return JSONResponse({"access_token": "ya29.made", "expires_in": 3600, "token_type": "Bearer"})

    async def _agentcore(self, request: Request) -> Response:
        body = await self._note(request)
        if body["prompt"] == "whole":
            return JSONResponse({"result": {"role": "assistant", "content": [{"text": "one two three"}]}})
        return self._told(body["prompt"], strands)

    async def _session(self, request: Request) -> Response:
        body = await self._note(request)
        return JSONResponse({"output": {"id": "session-1", "userId": body["input"]["user_id"]}})

    async def _agent_engine(self, request: Request) -> Response:
        body = await self._note(request)
        return self._told(body["input"]["message"], adk)

    async def _foundry(self, request: Request) -> Response:
        body = await self._note(request)
        return self._told(body["thread"]["messages"][-1]["content"], foundry)

    async def _note(self, request: Request) -> Json:
        body: Json = await request.json()
        path = request.scope["raw_path"].decode()
        query = f"?{request.url.query}" if request.url.query else ""
        self.seen.append((path + query, dict(request.headers), body))
        return body

    def _told(self, text: str, events: Any) -> Response:
        if text == "refuse":
            return JSONResponse({"error": "no"}, status_code=503)
        told = events(["one ", "two ", "three"], text == "fail")
        if text == "cut":
            told = [*told[: len(told) // 2], BROKEN]
        return StreamingResponse(_streamed(told), media_type="text/event-stream")

    def __enter__(self) -> Platforms:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.force_exit = True
        self._server.should_exit = True
        self._thread.join(5)


async def _streamed(events: list[Any]) -> AsyncIterator[bytes]:
    for event in events:
        if event is BROKEN:
            raise ConnectionError("cut")
        yield b"data: %b\n\n" % (event if isinstance(event, str) else json.dumps(event)).encode()
