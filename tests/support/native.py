"""Providers with a wire of their own, faked from the vendors' own types: one turn is told, each says it in its words.

with TokenServer(fake) as server:
    fake.turn = Turn(text="hi")     # the next answers
    fake.bodies[-1]                 # the last request, which the vendor's types would have produced
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.tokens import Answer, Asked, TokenServer


@dataclass(frozen=True)
class Turn:
    """What a provider answers. `pieces` of text are the events of a stream."""

    pieces: tuple[str, ...] = ("Hello", ", ", "world.")
    thought: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    long: bool = False
    """Whether it stopped at the limit of tokens."""
    error: tuple[int, str] | None = None
    """In place of an answer: status and message."""
    late: str = ""
    """An error after the text of a stream."""
    cut: int = 0
    """Bytes left off the end of a stream."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Fake:
    """A provider. Subclasses know a wire; a request that the vendor would not take is answered 400."""

    name = ""
    tools = True
    thinks = True
    structured = True
    sees = True
    streams = True
    embeds = True
    counts_embeddings = True
    tells_length = True
    """Whether it tells that an answer was too long."""
    refused: tuple[str, Any] = ("logit_bias", {"5": 1})
    """A parameter it can't take."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

    def __call__(self, asked: Asked) -> Answer:
        self.paths.append(asked.path)
        try:
            return self.serve(asked)
        except (AssertionError, ValueError) as error:
            return self.failure(400, f"not a request of this provider's: {error}")

    def parts(self, events: list[bytes]) -> list[bytes]:
        """The events of a stream in two reads, cut where the turn says so."""
        head, tail = events[0], b"".join(events[1:])
        return [head, tail[: len(tail) - self.turn.cut]]

    def params(self, server: TokenServer) -> dict[str, Any]:
        """`litellm_params` of the deployment."""
        raise NotImplementedError

    def serve(self, asked: Asked) -> Answer:
        """The answer to a request, which is checked and kept. Raises `AssertionError`, `ValueError`."""
        raise NotImplementedError

    def failure(self, status: int, message: str) -> Answer:
        """An error as the vendor tells it."""
        raise NotImplementedError

    def picture(self, body: dict[str, Any]) -> str:
        """Base64 of the first image in a request."""
        raise NotImplementedError

    def schema(self, body: dict[str, Any]) -> Any:
        """The JSON Schema a request wants the answer to fit."""
        raise NotImplementedError

    def offered(self, body: dict[str, Any]) -> list[str]:
        """Names of the tools in a request."""
        raise NotImplementedError

    def results(self, body: dict[str, Any]) -> list[str]:
        """The results of tools in a request."""
        raise NotImplementedError
