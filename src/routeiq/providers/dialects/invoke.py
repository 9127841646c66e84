"""Claude's events as Bedrock's InvokeModelWithResponseStream wraps them, unwrapped to server-sent events.

Each message is a `chunk` whose `bytes` are one event of Messages, in base64, or an exception:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from routeiq.providers import errors
from routeiq.transport.eventstream import BadFrame, Framer

LIMIT = 16 * 1024 * 1024
"""Bytes of one message."""


class Chunk(msgspec.Struct, gc=False):
    bytes: str


class Kind(msgspec.Struct, gc=False):
    type: str


_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_kind = msgspec.json.Decoder(Kind).decode


class InvokeFrames:
    """Unwraps one stream."""

    __slots__ = ("_framer",)

    def __init__(self) -> None:
        self._framer = Framer(LIMIT)

    def feed(self, data: bytes) -> bytes:
        """The events completed by `data`, framed. Raises `UpstreamError` for an exception or what is no frame."""
        out = b""
        try:
            for message in self._framer.feed(data):
                if message.headers.get(":message-type") != "event":
                    raise errors.from_event(message.payload, provider="")
                event = base64.b64decode(_decode_chunk(message.payload).bytes)
                out += b"event: %b\ndata: %b\n\n" % (_decode_kind(event).type.encode(), event)
        except (BadFrame, msgspec.DecodeError, binascii.Error) as error:
            raise errors.broken_answer("", f"a broken frame: {error}") from None
        return out
