"""What is talked about in every cell of the matrix, in nobody's dialect.

The client's text names the scene, so that a provider knows what to answer without being told by the test.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

SCENES = (
    "text",
    "stream",
    "tools",
    "parallel tools",
    "image",
    "structured output",
    "reasoning",
    "error",
    "cut stream",
)
SYSTEM = "Be brief."
MAX_TOKENS = 3000
TEMPERATURE = 0.5
STOP = "THE END"
PIECES = ("Once ", "upon a ", "time, é☃.")
STORY = "".join(PIECES)
THOUGHT = "Hm, let me think."
PROMPT_TOKENS, ANSWER_TOKENS = 21, 8
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
TOOLS: dict[str, dict[str, Any]] = {
    "weather": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Its name"}},
        "required": ["city"],
    },
    "clock": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
}
ABOUT = {"weather": "The weather of a city", "clock": "The time of day"}
RESULTS = {"weather": "18 degrees", "clock": "noon"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
PERSON = {"name": "Ada", "age": 36}


@dataclass
class Call:
    """A call of a tool."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass
class Say:
    """What a provider answers."""

    text: tuple[str, ...] = ()
    thought: str = ""
    calls: list[Call] = field(default_factory=list)
    structured: bool = False
    """Whether `text` is the object that was asked for."""


@dataclass
class Seen:
    """What a provider understood of a request."""

    text: str = ""
    """Of the user's last turn that has any."""
    system: str = ""
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    stop: list[str] = field(default_factory=list)
    tools: dict[str, Any] = field(default_factory=dict)
    """JSON Schema by name."""
    calls: list[Call] = field(default_factory=list)
    """Calls of the assistant's turns before."""
    results: dict[str, str] = field(default_factory=dict)
    """Text by the id, or where a dialect has none the name, of the call."""
    images: list[bytes] = field(default_factory=list)
    schema: dict[str, Any] | None = None
    answers_by_tool: bool = False
    """Whether structured output is the arguments of a tool."""
    thinks: bool = False

    @property
    def scene(self) -> str:
        return self.text.removeprefix("scene: ")


@dataclass
class Got:
    """What a client got out of its SDK's objects."""

    text: str = ""
    thought: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = ""
    """In the client's own words."""
    pieces: int = 1
    """Events that brought text."""
    usage: tuple[int, int] = (0, 0)
    parsed: Any = None


def digest(image: bytes) -> str:
    """A few letters that tell an image."""
    return hashlib.sha256(image).hexdigest()[:12]


def answer(seen: Seen) -> Say:
    """What a provider says to a request. Raises `AssertionError` where something of it was lost."""
    scene = seen.scene
    assert scene in SCENES, seen.text
    if scene in ("text", "stream"):
        assert seen.system == SYSTEM
        assert seen.max_tokens == MAX_TOKENS
        assert seen.temperature == TEMPERATURE
    if scene in ("tools", "parallel tools"):
        assert {name: _plain(schema) for name, schema in seen.tools.items()} == _plain(TOOLS)
        wanted = [Call("weather", {"city": "Paris"})]
        if scene == "parallel tools":
            wanted.append(Call("clock", {"zone": "CET"}))
        if not seen.results:
            return Say(calls=wanted)
        assert [(call.name, call.arguments) for call in seen.calls] == [(call.name, call.arguments) for call in wanted]
        told = {call.name: seen.results[call.id or call.name] for call in seen.calls}
        return Say(text=(f"It is {', '.join(told[call.name] for call in wanted)}.",))
    if scene == "image":
        return Say(text=(", ".join(digest(image) for image in seen.images),))
    if scene == "structured output":
        assert seen.schema is not None
        assert _plain(seen.schema)["properties"].keys() == SCHEMA["properties"].keys()
        return Say(text=(json.dumps(PERSON),), structured=True)
    if scene == "reasoning":
        assert seen.thinks
        return Say(text=PIECES, thought=THOUGHT)
    return Say(text=PIECES)


def _plain(schema: Any) -> Any:
    """A schema in lower-case types and without what some dialects add."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: _plain(value) for name, value in schema.items() if name not in ("propertyOrdering",)}
    if isinstance(out.get("type"), str):
        out["type"] = out["type"].lower()
    return out
