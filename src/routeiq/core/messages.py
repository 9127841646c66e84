"""What the supervisor and the processes under it say to each other, on a socket pair each inherits.

A frame is four bytes of length, big endian, and a msgpack map with a `type` tag.

    supervisor ─► process   Publish, Drain, Invalidate, Rebuilt
    process ─► supervisor   Ready, Refused, Rebuild, Invalidate (from the control plane, passed on to every worker)
"""

from __future__ import annotations

import msgspec

from routeiq.core.settings import Finding

FEED_FD = "ROUTEIQ_FEED_FD"
"""Environment variable with the number of the inherited socket."""
MAX_FRAME = 256 * 1024 * 1024


class Publish(msgspec.Struct, tag="publish", frozen=True):
    """Serve by this Snapshot from the next request on."""

    snapshot: bytes


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """Stop taking requests, finish those begun within `seconds`, exit."""

    seconds: float


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The process serves by `revision`."""

    revision: str


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The Snapshot could not be taken; the process goes on with the one it has."""

    error: str


class Invalidate(msgspec.Struct, tag="invalidate", frozen=True):
    """Forget what is cached about these keys (hex SHA-256) and about those that count for these subjects
    (`Subject.name`), or about all when both are empty."""

    keys: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


class Rebuild(msgspec.Struct, tag="rebuild", frozen=True):
    """The control plane asks for a new build, because what the database says about deployments has changed."""

    id: int
    """Of its own choice; the answer has it too."""


class Rebuilt(msgspec.Struct, tag="rebuilt", frozen=True):
    """What came of a `Rebuild`: every process has been given the Snapshot, or nothing has changed."""

    id: int
    ok: bool
    revision: str
    """The one served now."""
    errors: tuple[Finding, ...] = ()


Message = Publish | Drain | Ready | Refused | Invalidate | Rebuild | Rebuilt

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def frame(message: Message) -> bytes:
    """A message as bytes for the socket."""
    payload = _encoder.encode(message)
    return len(payload).to_bytes(4, "big") + payload


class Frames:
    """Turns bytes off the socket into messages, however they were cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Messages completed by `data`. Raises `ValueError` on a frame over `MAX_FRAME`."""
        buffer = self._buffer
        buffer += data
        out: list[Message] = []
        while len(buffer) >= 4:
            size = int.from_bytes(buffer[:4], "big")
            if size > MAX_FRAME:
                raise ValueError(f"frame of {size} bytes")
            if len(buffer) < 4 + size:
                break
            out.append(_decoder.decode(bytes(buffer[4 : 4 + size])))
            del buffer[: 4 + size]
        return out
