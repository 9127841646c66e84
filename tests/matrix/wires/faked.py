"""Providers whose wires have fakes of their own: what is to be said is told to the fake, which says it in its words."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from matrix.scenes import PIECES, SYSTEM, Call, Seen, answer
from matrix.server import Reply
from matrix.wires.openai import seen_of
from matrix.wires.wire import REFUSED, Wire
from support.fake_ollama import Ollama
from support.fake_replicate import Replicate
from support.fake_sagemaker import Sagemaker, SagemakerText
from support.fake_watsonx import Watsonx
from support.native import Fake, Turn
from support.tokens import Asked

CUT = 30
"""Bytes whose loss cuts a stream before its end is told."""
See = Callable[[Asked, dict[str, Any]], Seen]
_SCENE = re.compile(r"scene: ([a-z ]+)")


class FakedWire(Wire):
    """`understand` reads a request of the fake's."""

    usage = (7, 5)

    def __init__(self, fake: Fake, understand: See) -> None:
        self.fake = fake
        self.thinks_aloud = fake.thinks
        self.streams = fake.streams
        self.understand = understand

    def serve(self, asked: Asked) -> Reply:
        seen = self.last = self.see(asked)
        if seen.scene == "error":
            turn = Turn(error=(429, REFUSED))
        elif seen.scene == "cut stream":
            turn = Turn(pieces=PIECES, cut=CUT)
        else:
            say = answer(seen)
            calls = tuple((call.name, call.arguments) for call in say.calls)
            turn = Turn(pieces=say.text, thought=say.thought if self.thinks_aloud else "", calls=calls)
        self.fake.turn = turn
        status, kind, body = self.fake(asked)
        return Reply(body if isinstance(body, list) else [body], kind, status)

    def see(self, asked: Asked) -> Seen:
        seen = self.understand(asked, json.loads(asked.body))
        if not self.fake.thinks:
            seen.thinks = True  # there is nothing to switch on: the wish is a hint, and is told to be dropped
        return seen


def _ollama(asked: Asked, body: dict[str, Any]) -> Seen:
    options = body.get("options", {})
    out = Seen(
        stream=body["stream"],
        max_tokens=options.get("num_predict"),
        temperature=options.get("temperature"),
        stop=options.get("stop", []),
        schema=body.get("format"),
        thinks=bool(body.get("think")),
        tools={tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", ())},
    )
    for message in body["messages"]:
        if message["role"] == "system":
            out.system += message["content"]
        elif message["role"] == "user":
            out.text = message["content"] or out.text
            out.images += [base64.b64decode(image) for image in message.get("images", ())]
        elif message["role"] == "tool":
            out.results[message["tool_name"]] = message["content"]
        for call in message.get("tool_calls", ()):
            out.calls.append(Call(call["function"]["name"], call["function"]["arguments"]))
    return out


def _chat(asked: Asked, body: dict[str, Any]) -> Seen:
    seen = seen_of(body)
    seen.stream = "stream" in asked.path
    return seen


def _prompt(asked: Asked, body: dict[str, Any]) -> Seen:
    found = body["parameters"]
    text = body["inputs"]
    [scene] = _SCENE.findall(text)
    return Seen(
        text=f"scene: {scene}",
        system=SYSTEM if SYSTEM in text else "",
        stream="stream" in asked.path,
        max_tokens=found.get("max_new_tokens"),
        temperature=found.get("temperature"),
        stop=found.get("stop", []),
    )


def _prediction(asked: Asked, body: dict[str, Any]) -> Seen:
    found = body["input"]
    [scene] = _SCENE.findall(found["prompt"])
    image = found.get("image", "").partition("base64,")[2]
    return Seen(
        text=f"scene: {scene}",
        system=found.get("system_prompt", ""),
        max_tokens=found.get("max_tokens"),
        temperature=found.get("temperature"),
        stop=[text for text in found.get("stop_sequences", "").split(",") if text],
        images=[base64.b64decode(image)] if image else [],
    )


OLLAMA = FakedWire(Ollama(), _ollama)
WATSONX = FakedWire(Watsonx(), _chat)
SAGEMAKER = FakedWire(Sagemaker(), _chat)
SAGEMAKER_TEXT = FakedWire(SagemakerText(), _prompt)
REPLICATE = FakedWire(Replicate(), _prediction)
