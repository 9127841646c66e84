"""Ollama's answers and stream lines on the wire: one shape for both.

https://docs.ollama.com/api/chat, https://docs.ollama.com/api/streaming
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers.translate.chat import FinishReason


class Function(msgspec.Struct, gc=False):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    """An object, not text."""


class ToolCall(msgspec.Struct, gc=False):
    function: Function
    id: str = ""
    """Newer servers tell one."""


class Message(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[ToolCall] | None = None


class TopLogprob(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0


class Logprob(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[TopLogprob] | None = None


class Line(msgspec.Struct, gc=False):
    """A whole answer, or a piece of one; the last has `done`."""

    message: Message | None = None
    model: str = ""
    created_at: str = ""
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[Logprob] | None = None
    error: Any | UnsetType = UNSET

    def usage(self) -> Usage | None:
        """What it used; `None` when it does not tell."""
        if self.prompt_eval_count is None and self.eval_count is None:
            return None
        return Usage(_count(self.prompt_eval_count), _count(self.eval_count))

    def finish(self, called: bool) -> FinishReason:
        """Why it ended: `stop`, `length`, or that a model was loaded or unloaded, which counts as `stop`."""
        if self.done_reason == "length":
            return "length"
        return "tool_calls" if called else "stop"


class Embedded(msgspec.Struct, gc=False):
    embeddings: list[list[float]]
    model: str = ""
    prompt_eval_count: int | None = None


decode_line = msgspec.json.Decoder(Line, strict=False).decode
decode_embedded = msgspec.json.Decoder(Embedded, strict=False).decode


def call_id(call: ToolCall, created_at: str, index: int) -> str:
    """The call's id; where the server tells none, one that no other answer of this server has."""
    return call.id or f"call_{''.join(char for char in created_at if char.isdigit())}_{index}"


def logprobs_of(found: list[Logprob] | None) -> dict[str, Any] | None:
    """Log probabilities in OpenAI's shape."""
    if not found:
        return None
    content = [
        {
            **_token(each.token, each.logprob),
            "top_logprobs": [_token(other.token, other.logprob) for other in each.top_logprobs or ()],
        }
        for each in found
    ]
    return {"content": content, "refusal": None}


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _count(tokens: int | None) -> int:
    return min(max(tokens, 0), MOST_TOKENS) if tokens else 0
