"""What carries messages to one server and back.

link ──► channel.request(message, receive) ──► the response; what comes before it goes to `receive`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from routeiq.mcp.wire import Message, Unavailable

Receive = Callable[[Message], None]
Headers = Mapping[str, str]


class Unreachable(Unavailable):
    """There is no connection to the server."""


class SessionGone(Unavailable):
    """The server does not know the session any more; a new one may be begun."""


class Answered(Unavailable):
    """The server answered with an HTTP status in place of a message."""

    def __init__(self, status: int, challenge: str = "") -> None:
        super().__init__(f"The server answered with HTTP status {status}.")
        self.http_status = status
        self.challenge = challenge
        """`WWW-Authenticate`."""


class Channel(Protocol):
    """One way to a server: with a session of its own, or none."""

    receive: Receive
    """Takes messages that belong to no request."""

    async def request(self, message: Message, headers: Headers, receive: Receive, patient: bool = False) -> Message:
        """Send a request; gives the response. `patient`: however long nothing comes.

        Raises `Unavailable`. Cancelled, it stops waiting.
        """

    async def send(self, message: Message, headers: Headers) -> None:
        """Send what is not answered. Raises `Unavailable`."""

    def agreed(self, version: str) -> None:
        """The revision of the session that has begun."""

    def restart(self) -> None:
        """Forget the session: the next message begins another."""

    def follow(self) -> None:
        """Take messages that belong to no request, where that needs asking for."""

    async def close(self) -> None:
        """End the session and let go."""
