"""The embedded provider: deterministic answers without a network, and LiteLLM's `mock_response`.

What it says depends on the request alone, so tests and first steps always see the same. Tokens are counted as one
per four bytes, rounded up. Answers have OpenAI's shapes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from routeiq.core.snapshot import CHAT, EMBEDDING

CREATED = 1_700_000_000
DIMENSIONS = 32
STREAM_INTERVAL = 0.01
"""Seconds between the chunks of a demo stream."""

_encode = msgspec.json.Encoder().encode


class DemoRequest(msgspec.Struct):
    """What the demo reads of a request; anything else is ignored."""

    model: str = "demo"
    messages: list[Any] = []
    prompt: Any = ""
    input: Any = ""
    stream: bool | None = None
    dimensions: int | None = None
    encoding_format: str | None = None


_decode = msgspec.json.Decoder(DemoRequest).decode


def tokens(text: str) -> int:
    """The demo's token count of a text."""
    return (len(text.encode()) + 3) // 4


def answer(endpoint: str, body: bytes, *, text: str | None = None) -> bytes:
    """A whole answer as JSON; `text` replaces what the demo would say. Raises `msgspec.DecodeError`."""
    request = _decode(body)
    prompt = _prompt(endpoint, request)
    ident = hashlib.sha256(body).hexdigest()[:24]
    if endpoint == EMBEDDING:
        return _embeddings(request, prompt)
    said = text if text is not None else _reply(prompt)
    usage = _usage(prompt, said)
    if endpoint == CHAT:
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": said, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
        kind, prefix = "chat.completion", "chatcmpl"
    else:
        choice = {"index": 0, "text": said, "logprobs": None, "finish_reason": "stop"}
        kind, prefix = "text_completion", "cmpl"
    return _encode(
        {
            "id": f"{prefix}-{ident}",
            "object": kind,
            "created": CREATED,
            "model": request.model,
            "choices": [choice],
            "usage": usage,
        }
    )


def stream(endpoint: str, body: bytes, *, text: str | None = None) -> Iterator[bytes]:
    """The same answer as server-sent events, a word each, then usage and `[DONE]`. Raises `msgspec.DecodeError`."""
    request = _decode(body)
    prompt = _prompt(endpoint, request)
    said = text if text is not None else _reply(prompt)
    ident = hashlib.sha256(body).hexdigest()[:24]
    return _events(endpoint, request.model, ident, prompt, said)


def _events(endpoint: str, model: str, ident: str, prompt: str, said: str) -> Iterator[bytes]:
    chat = endpoint == CHAT
    base: dict[str, Any] = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{ident}",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": CREATED,
        "model": model,
    }

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return b"data: " + _encode({**base, "choices": choices, **more}) + b"\n\n"

    def choice(piece: str, finish: str | None, first: bool = False) -> dict[str, Any]:
        if not chat:
            return {"index": 0, "text": piece, "logprobs": None, "finish_reason": finish}
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        if finish is None:
            delta["content"] = piece
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    for position, word in enumerate(said.split(" ")):
        yield event([choice(word if position == 0 else " " + word, None, position == 0)])
    yield event([choice("", "stop")])
    yield event([], usage=_usage(prompt, said))
    yield b"data: [DONE]\n\n"


def _reply(prompt: str) -> str:
    words = " ".join(prompt.split())
    shown = words if len(words) <= 120 else words[:117] + "..."
    return f"This is RouteIQ's demo provider. You said: {shown}" if shown else "This is RouteIQ's demo provider."


def _usage(prompt: str, said: str) -> dict[str, int]:
    used, made = tokens(prompt), tokens(said)
    return {"prompt_tokens": used, "completion_tokens": made, "total_tokens": used + made}


def _prompt(endpoint: str, request: DemoRequest) -> str:
    if endpoint == CHAT:
        last = request.messages[-1] if request.messages else {}
        content = last.get("content") if isinstance(last, dict) else None
        return _text(content)
    return _text(request.input if endpoint == EMBEDDING else request.prompt)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(filter(None, (_text(item) for item in value)))
    if isinstance(value, dict):
        return _text(value.get("text"))
    return "" if value is None else str(value)


def _embeddings(request: DemoRequest, prompt: str) -> bytes:
    inputs = request.input if isinstance(request.input, list) else [request.input]
    if inputs and all(isinstance(item, int) for item in inputs):
        inputs = [inputs]
    size = min(max(request.dimensions or DIMENSIONS, 1), 4096)
    data = []
    for index, item in enumerate(inputs):
        vector = _vector(_encode(item), size)
        embedding: Any = vector
        if request.encoding_format == "base64":
            embedding = struct.pack(f"<{size}f", *vector)  # msgspec writes bytes as base64
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    used = tokens(prompt)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return _encode({"object": "list", "data": data, "model": request.model, "usage": usage})


def _vector(seed: bytes, size: int) -> list[float]:
    """A unit vector out of SHAKE-256 of the input."""
    raw = hashlib.shake_256(seed).digest(2 * size)
    values = [int.from_bytes(raw[i : i + 2], "little") / 32767.5 - 1.0 for i in range(0, 2 * size, 2)]
    norm = sum(value * value for value in values) ** 0.5 or 1.0
    return [round(value / norm, 6) for value in values]
