"""Replicate as its SDK knows it; what models take as `input` as their schemas say.

https://replicate.com/docs/reference/http#predictions.create
"""

from __future__ import annotations

import json
import re
from typing import Any

from replicate.prediction import Prediction, _create_prediction_body

from support.native import Fake, Turn
from support.tokens import Answer, Asked, TokenServer

VERSION = re.compile(r"[a-z0-9-]+/[a-z0-9._-]+(:[0-9a-f]{64})?|[0-9a-f]{64}")
INPUTS = {
    "meta": {
        *("prompt", "system_prompt", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "image"),
        *("stop_sequences", "presence_penalty", "frequency_penalty", "prompt_template", "min_tokens"),
    },
    "anthropic": {"prompt", "system_prompt", "max_tokens", "image", "temperature", "top_p", "top_k"},
    "openai": {
        *("messages", "image_input", "temperature", "top_p", "max_completion_tokens", "presence_penalty"),
        *("frequency_penalty", "reasoning_effort", "verbosity", "seed"),
    },
    "google": {
        *("prompt", "system_instruction", "images", "temperature", "top_p", "max_output_tokens", "thinking_budget"),
    },
}
"""Names of the input schemas of https://replicate.com/OWNER/MODEL/api/schema."""


def check(body: bytes, *, deployed: bool = False) -> dict[str, Any]:
    """A request as JSON. Raises `AssertionError` or `ValueError` for one that the SDK would not have sent."""
    found: dict[str, Any] = json.loads(body)
    assert _create_prediction_body(found.get("version"), found["input"]) == found, found
    assert set(found) == ({"input"} if deployed else {"version", "input"}), found
    assert deployed or VERSION.fullmatch(found["version"]), found["version"]
    family = found.get("version", "").partition("/")[0]
    allowed = INPUTS.get(family, INPUTS["meta"])
    assert set(found["input"]) <= allowed, set(found["input"]) - allowed
    return found


def prediction(turn: Turn, **members: Any) -> dict[str, Any]:
    """https://replicate.com/docs/topics/predictions/lifecycle"""
    found = {
        "id": "gm3qorzdhgbfurvjtvhg6dckhu",
        "model": "meta/meta-llama-3-70b-instruct",
        "version": "hidden",
        "input": {},
        "logs": "",
        "output": list(turn.pieces),
        "error": None,
        "status": "succeeded",
        "created_at": "2026-11-21T10:00:00.000Z",
        "urls": {"get": "https://api.replicate.com/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu"},
        "metrics": {"input_token_count": 7, "output_token_count": 5, "predict_time": 0.5},
        **members,
    }
    Prediction(**{"started_at": None, "completed_at": None, **found})
    return found


class Replicate(Fake):
    """`/v1/predictions`, waited for."""

    name = "replicate"
    tools = thinks = structured = streams = embeds = tells_length = False

    def __init__(self) -> None:
        super().__init__()
        self.running = 0
        """How often a prediction is not finished when it is asked for."""
        self.hiccups = 0
        """How often asking for one fails."""

    def params(self, server: TokenServer) -> dict[str, Any]:
        model = "replicate/meta/meta-llama-3-70b-instruct"
        return {"model": model, "api_base": f"{server.url}/v1", "api_key": "r8_key"}

    def serve(self, asked: Asked) -> Answer:
        assert asked.headers["authorization"] == "Bearer r8_key"
        if asked.method == "GET":
            assert (asked.path, asked.body) == ("/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu", b"")
            if self.hiccups:
                self.hiccups -= 1
                return self.failure(503, "Try again.")
        else:
            assert asked.path in ("/v1/predictions", "/v1/deployments/me/mine/predictions"), asked.path
            assert asked.headers["prefer"] == "wait=60"
            self.bodies.append(check(asked.body, deployed="deployments" in asked.path))
        if self.turn.error is not None and not self.running:
            return self.failure(*self.turn.error)
        members: dict[str, Any] = {"status": "failed", "error": self.turn.late} if self.turn.late else {}
        if self.running:
            self.running -= 1
            members = {"status": "processing", "output": None, "metrics": {}}
        found = json.dumps(prediction(self.turn, **members)).encode()
        status = 201 if asked.method == "POST" else 200
        return status, "application/json; charset=utf-8", found[: len(found) - self.turn.cut]

    def failure(self, status: int, message: str) -> Answer:
        told = {"title": "It failed", "detail": message, "status": status}
        return status, "application/problem+json", json.dumps(told).encode()

    def picture(self, body: dict[str, Any]) -> str:
        return str(body["input"]["image"].partition("base64,")[2])
