"""One request to one upstream, whoever carries it.

    pool.send(call) ──► on_head ──► on_data* ──► on_done
                   └──► on_failure at any point instead

A carrier (the HTTP/1.1 pool, the embedded provider, the library client) tells a `Call` what happens; exactly one
of `on_done` and `on_failure` comes last, and nothing after `cancel()`.
"""

from __future__ import annotations

from typing import Protocol

from routeiq.core.exchange import Header


class UpstreamBroken(Exception):
    """The connection failed, or what came over it is not HTTP.

    `reason` is one of `refused`, `dns`, `tls`, `reset`, `closed`, `protocol`, `too_large`, `pool`, `connect_timeout`.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Carrier(Protocol):
    """What carries a call once it is on its way."""

    def cancel(self) -> None:
        """Stop; the upstream sees the connection close."""

    def pause(self) -> None:
        """Take no more of the answer until `resume`."""

    def resume(self) -> None:
        """Go on taking the answer."""


class Call:
    """Base of everything that asks an upstream; subclasses implement the four `on_` methods."""

    __slots__ = ("cancelled", "carrier", "payload", "reconnected", "size")

    def __init__(self, payload: tuple[bytes | memoryview, ...] = ()) -> None:
        self.payload = payload
        """The request as bytes, in pieces that are sent one after the other."""
        self.size = 0
        """About how many bytes that is: large ones are not joined before they are sent."""
        self.carrier: Carrier | None = None
        self.cancelled = False
        self.reconnected = False
        """Whether it has already been sent again because a kept connection turned out to be dead."""

    def on_head(self, status: int, headers: list[Header]) -> None:
        """The final response head (1xx are swallowed); header names in lower case."""
        raise NotImplementedError

    def on_data(self, data: bytes) -> None:
        """Bytes of the body, transfer coding removed."""
        raise NotImplementedError

    def on_done(self) -> None:
        """The body is complete."""
        raise NotImplementedError

    def on_failure(self, failure: UpstreamBroken) -> None:
        """It broke; what `on_data` gave so far is all there is."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Give up. Safe at any time; no `on_` method is called afterwards."""
        self.cancelled = True
        if self.carrier is not None:
            self.carrier.cancel()
            self.carrier = None
