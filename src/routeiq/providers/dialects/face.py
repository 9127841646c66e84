"""What the gateway must know of a dialect clients speak, besides translating it."""

from __future__ import annotations

from typing import Protocol

from routeiq.core.errors import GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.dialects.openai import Request
from routeiq.providers.dialects.splice import Piece


class Watch:
    """Looks at a stream that is passed through to a client of the same dialect."""

    __slots__ = ("done", "failed", "model", "usage")

    lasting = False
    """Whether the dialect has no end marker, so that more may come after `done`."""

    def __init__(self) -> None:
        self.model = ""
        """As the provider calls it; empty until it is known."""
        self.usage: Usage | None = None
        self.done = False
        """Whether the answer is complete; where `lasting`, only the close of the connection tells for sure."""
        self.failed = False
        """Whether the event just seen is an error."""

    def see(self, payload: bytes) -> None:
        """Look at one event's data. Raises `msgspec.DecodeError` for what is no JSON object."""
        raise NotImplementedError


EVENTS = b"text/event-stream; charset=utf-8"


class Face(Protocol):
    """One endpoint of a dialect."""

    forwarded: tuple[bytes, ...]
    """Headers of the client's that a provider of the same dialect is sent."""
    stream_type: bytes
    """Media type of a streamed answer."""

    def peek(self, body: bytes) -> Request:
        """Read what the gateway needs. Raises `BadRequest`."""

    def upstream_body(self, request: Request, body: bytes, model: bytes) -> tuple[Piece, ...] | None:
        """The client's bytes for a provider of the same dialect, its `model` (a JSON string) in place.

        `None` for a request that this provider too has to be told in other words.
        """

    def read_answer(self, body: bytes) -> tuple[str | None, Usage | None]:
        """Model and usage of a whole answer. Raises `msgspec.DecodeError` for what is no JSON object."""

    def watch(self) -> Watch | None:
        """For a stream that is passed through; `None` for OpenAI's, which has a relay of its own."""

    def error(self, error: GatewayError) -> bytes:
        """The body of an error answer."""

    def error_event(self, error: GatewayError) -> bytes:
        """The events that tell an error in the midst of a stream, framed."""
