"""Agents that speak no A2A: how each is asked, and what it says.

All take a conversation and stream text; what differs is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from routeiq.a2a import wire
from routeiq.a2a.wire import A2aError, Garbled, Json, Unavailable
from routeiq.core.a2a import LANGGRAPH, OPENAI, Agent

Turn = tuple[str, str]
"""`user` or `assistant`, and what was said."""


class Adapter(Protocol):
    """One kind of agent. An object reads one answer."""

    def request(self, turns: list[Turn]) -> tuple[str, Json]:
        """The path below the agent's, and the body of the POST."""

    def read(self, data: bytes) -> str:
        """The text in one event. Raises `A2aError` for an event that tells a failure."""

    def ended(self) -> None:
        """The stream is over. Raises `A2aError` where that was not its end."""


class OpenAi:
    """Any model behind Chat Completions: https://platform.openai.com/docs/api-reference/chat-streaming"""

    def __init__(self, model: str) -> None:
        self._model = model
        self._finished = ""

    def request(self, turns: list[Turn]) -> tuple[str, Json]:
        """https://platform.openai.com/docs/api-reference/chat/create"""
        messages = [{"role": role, "content": text} for role, text in turns]
        return "/chat/completions", {"model": self._model, "messages": messages, "stream": True}

    def read(self, data: bytes) -> str:
        """A chunk."""
        if data.strip() == b"[DONE]":
            return ""
        chunk = _object(data)
        if "error" in chunk:
            raise Unavailable(f"The model failed: {_told(chunk['error'])}")
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        self._finished = choice.get("finish_reason") or self._finished
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        return text if isinstance(text, str) else ""

    def ended(self) -> None:
        """Whole with a reason to finish, that is not one to hold the answer back."""
        if not self._finished:
            raise Unavailable("The model broke off before its answer was complete.")
        if self._finished == "content_filter":
            raise Unavailable("The model's provider held its answer back.")


class LangGraph:
    """An assistant of LangGraph: https://docs.langchain.com/langsmith/streaming"""

    def __init__(self, assistant: str) -> None:
        self._assistant = assistant
        self._said = False

    def request(self, turns: list[Turn]) -> tuple[str, Json]:
        """A run without a thread: the conversation is the gateway's."""
        messages = [{"role": role, "content": text} for role, text in turns]
        body = {"assistant_id": self._assistant, "input": {"messages": messages}, "stream_mode": "messages-tuple"}
        return "/runs/stream", body

    def read(self, data: bytes) -> str:
        """A message and what is known of it; other events are objects, one that tells a failure has `error`."""
        found = _json(data)
        if isinstance(found, dict) and "error" in found:
            raise Unavailable(f"The assistant failed: {_told(found)}")
        message = found[0] if isinstance(found, list) and found else None
        if not isinstance(message, dict) or message.get("type") not in ("AIMessageChunk", "ai"):
            return ""
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(str(one.get("text", "")) for one in content if isinstance(one, dict))
        self._said = self._said or bool(content)
        return content if isinstance(content, str) else ""

    def ended(self) -> None:
        """A run ends with its stream; one that said nothing has not worked."""
        if not self._said:
            raise Unavailable("The assistant ended without an answer.")


_ADAPTERS: dict[str, Callable[[str], Adapter]] = {OPENAI: OpenAi, LANGGRAPH: LangGraph}


def adapter(agent: Agent) -> Adapter:
    """For one answer of an agent."""
    return _ADAPTERS[agent.provider](agent.model)


def text_of(message: Json, between: str = "\n") -> str:
    """What a message or an artifact says. Raises `A2aError` for what can't be said as text."""
    words = []
    parts = message.get("parts")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            words.append(part["text"])
        elif isinstance(part, dict) and "data" in part:
            words.append(wire.encode(part["data"]).decode())
        else:
            raise A2aError(wire.CONTENT_TYPE, "This agent is told text and data only.")
    if not words:
        raise A2aError(wire.INVALID_PARAMS, "A message needs parts.")
    return between.join(words)


def _json(data: bytes) -> Any:
    try:
        return wire.decode(data)
    except A2aError:
        raise Garbled("The agent sent what is not JSON.") from None


def _object(data: bytes) -> Json:
    found = _json(data)
    return found if isinstance(found, dict) else {}


def _told(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:500]
