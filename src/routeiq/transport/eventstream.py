"""`application/vnd.amazon.eventstream`: messages with headers, lengths and checksums, over any chunking.

    ┌─────────────┬───────────────┬─────────────┬───────────┬───────────┬─────────────┐
    │ total (u32) │ headers (u32) │ CRC32 (u32) │ headers … │ payload … │ CRC32 (u32) │
    └─────────────┴───────────────┴─────────────┴───────────┴───────────┴─────────────┘

https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zlib import crc32

HeaderValue = bool | int | bytes | str | datetime | uuid.UUID

_PRELUDE = struct.Struct(">III")
_U32 = struct.Struct(">I")
_U16 = struct.Struct(">H")
_SMALLEST = 16
"""A message without headers and payload: prelude and checksum."""
MAX_HEADERS = 128 * 1024
"""Bytes of headers in one message that the format allows."""
_TRUE, _FALSE, _BYTES, _STRING, _TIME, _UUID = 0, 1, 6, 7, 8, 9
_NUMBERS: dict[int, struct.Struct] = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadFrame(ValueError):
    """The bytes are not an event stream: a wrong checksum, length or header."""


class Message(NamedTuple):
    """One message. AWS puts `:message-type`, `:event-type` or `:exception-type`, and `:content-type` in its headers."""

    headers: dict[str, HeaderValue]
    payload: bytes


class Framer:
    """Cuts a byte stream into whole messages, whatever the chunking."""

    __slots__ = ("_limit", "_need", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        """`limit` is the size of the largest message in bytes."""
        self._limit = limit
        self._parts: list[bytes] = []
        """Of the message that is not complete yet; joined when enough has come."""
        self._size = 0
        self._need = _PRELUDE.size

    def feed(self, data: bytes) -> list[Message]:
        """All messages completed by `data`; what is not complete is kept. Raises `BadFrame`."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._need:
            return []
        buffer = b"".join(self._parts) if len(self._parts) > 1 else data
        out: list[Message] = []
        start, end = 0, len(buffer)
        self._need = _PRELUDE.size
        while end - start >= _PRELUDE.size:
            total = self._total(buffer, start)
            if end - start < total:
                self._need = total
                break
            out.append(_message(buffer, start, total))
            start += total
        self._parts = [buffer[start:]] if start < end else []
        self._size = end - start
        return out

    def rest(self) -> int:
        """Bytes of a message that is not complete: a stream that ends with some was cut."""
        return self._size

    def _total(self, buffer: bytes, start: int) -> int:
        """The length of the message that begins at `start`, its prelude checked."""
        total, headers, checksum = _PRELUDE.unpack_from(buffer, start)
        if crc32(buffer[start : start + 8]) != checksum:
            raise BadFrame("the checksum of a message's prelude is wrong")
        if total > self._limit:
            raise BadFrame(f"a message is longer than {self._limit} bytes")
        if headers > MAX_HEADERS or headers + _SMALLEST > total:
            raise BadFrame("a message's lengths do not fit together")
        return int(total)


def encode(headers: Mapping[str, HeaderValue], payload: bytes = b"") -> bytes:
    """One message. Integers are written as 64-bit ones. Raises `ValueError` for what the format can't hold."""
    head = b"".join(_write(name, value) for name, value in headers.items())
    if len(head) > MAX_HEADERS:
        raise ValueError(f"the headers are longer than {MAX_HEADERS} bytes")
    lengths = struct.pack(">II", len(head) + len(payload) + _SMALLEST, len(head))
    message = lengths + _U32.pack(crc32(lengths)) + head + payload
    return message + _U32.pack(crc32(message))


def _message(buffer: bytes, start: int, total: int) -> Message:
    end = start + total - 4
    if crc32(memoryview(buffer)[start:end]) != _U32.unpack_from(buffer, end)[0]:
        raise BadFrame("the checksum of a message is wrong")
    body = start + _PRELUDE.size + _U32.unpack_from(buffer, start + 4)[0]
    return Message(_headers(buffer[start + _PRELUDE.size : body]), buffer[body:end])


def _headers(data: bytes) -> dict[str, HeaderValue]:
    out: dict[str, HeaderValue] = {}
    at, end = 0, len(data)
    try:
        while at < end:
            length = data[at]
            name = data[at + 1 : at + 1 + length]
            at += 1 + length
            value, at = _READ[data[at]](data, at + 1)
            if at > end or not length:
                raise BadFrame("a message's headers are cut")
            out[name.decode()] = value
    except (IndexError, KeyError, OverflowError, UnicodeDecodeError, struct.error) as error:
        raise BadFrame("a message's headers can't be read") from error
    return out


def _number(layout: struct.Struct) -> Callable[[bytes, int], tuple[int, int]]:
    def read(data: bytes, at: int) -> tuple[int, int]:
        return int(layout.unpack_from(data, at)[0]), at + layout.size

    return read


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int(_U16.unpack_from(data, at)[0])
    return data[at + 2 : end], end


def _string(data: bytes, at: int) -> tuple[str, int]:
    value, end = _bytes(data, at)
    return value.decode(), end


def _time(data: bytes, at: int) -> tuple[datetime, int]:
    return _EPOCH + timedelta(milliseconds=_NUMBERS[5].unpack_from(data, at)[0]), at + 8


def _uuid(data: bytes, at: int) -> tuple[uuid.UUID, int]:
    if at + 16 > len(data):
        raise IndexError
    return uuid.UUID(bytes=data[at : at + 16]), at + 16


_READ: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    _TRUE: lambda _, at: (True, at),
    _FALSE: lambda _, at: (False, at),
    **{kind: _number(layout) for kind, layout in _NUMBERS.items()},
    _BYTES: _bytes,
    _STRING: _string,
    _TIME: _time,
    _UUID: _uuid,
}


def _write(name: str, value: HeaderValue) -> bytes:
    encoded = name.encode()
    if not 1 <= len(encoded) <= 255:
        raise ValueError("a header's name must be 1 to 255 bytes long")
    return bytes([len(encoded)]) + encoded + _value(value)


def _value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return bytes([_TRUE if value else _FALSE])
    if isinstance(value, int):
        return b"\x05" + _NUMBERS[5].pack(value)
    if isinstance(value, datetime):
        return bytes([_TIME]) + _NUMBERS[5].pack((value - _EPOCH) // timedelta(milliseconds=1))
    if isinstance(value, uuid.UUID):
        return bytes([_UUID]) + value.bytes
    kind, data = (_STRING, value.encode()) if isinstance(value, str) else (_BYTES, value)
    if len(data) > 0x7FFF:
        raise ValueError("a header's value must be at most 32767 bytes long")
    return bytes([kind]) + _U16.pack(len(data)) + data
