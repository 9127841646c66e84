"""An agent that speaks no A2A: what its provider is asked, and what it says.

All take a conversation and stream text; what differs is in the modules beside this one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from routeiq.a2a import wire
from routeiq.a2a.wire import A2aError, Garbled, Json

Turn = tuple[str, str]
"""`user` or `assistant`, and what was said."""


class Asking(NamedTuple):
    """A POST of JSON."""

    target: str
    """Path and query below the agent's address."""
    body: Json
    headers: Mapping[str, str] = MappingProxyType({})


class Adapter(ABC):
    """One kind of agent. An object reads one answer."""

    def __init__(self, model: str) -> None:
        self.model = model

    def opening(self, conversation: str) -> Asking | None:
        """What a conversation begins with, where its provider wants to be asked for that. The name is a UUID."""
        return None

    def opened(self, answer: Json) -> str:
        """What the provider calls the conversation."""
        raise NotImplementedError

    @abstractmethod
    def request(self, turns: list[Turn], conversation: str) -> Asking:
        """What the answer comes of. `conversation`: as the provider calls it, else a UUID."""

    @abstractmethod
    def read(self, data: bytes) -> str:
        """The text in one event. Raises `A2aError` for an event that tells a failure."""

    @abstractmethod
    def ended(self) -> None:
        """The stream is over. Raises `A2aError` where that was not its end."""


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


def json_of(data: bytes) -> Any:
    """What an event holds. Raises `Garbled`."""
    try:
        return wire.decode(data)
    except A2aError:
        raise Garbled("The agent sent what is not JSON.") from None


def object_of(data: bytes) -> Json:
    """The object in an event; empty where there is something else in it."""
    found = json_of(data)
    return found if isinstance(found, dict) else {}


def told(error: Any) -> str:
    """What a provider says of a failure."""
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:500]
