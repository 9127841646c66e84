"""The event-stream codec against botocore's, over every chunking."""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.transport.eventstream import BadFrame, Framer, HeaderValue, Message, encode

LIMIT = 1 << 20
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

names = st.text(min_size=1, max_size=60).filter(lambda name: len(name.encode()) <= 255)
values: st.SearchStrategy[HeaderValue] = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=300),
    st.text(max_size=100),
    st.uuids(),
    st.integers(-(10**12), 10**13).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
)
messages = st.lists(st.tuples(st.dictionaries(names, values, max_size=6), st.binary(max_size=400)), max_size=6)


def oracle(value: HeaderValue) -> Any:
    """A header's value as botocore gives it: UUIDs stay bytes, times milliseconds."""
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(milliseconds=1)
    return value


def feed(stream: bytes, cuts: list[int]) -> tuple[list[Message], int]:
    framer = Framer(LIMIT)
    out: list[Message] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out += framer.feed(stream[start:end])
    return out, framer.rest()


@given(messages, st.data())
@settings(max_examples=150, deadline=None)
def test_botocore_reads_what_we_write_and_we_read_it_cut_anywhere(
    sent: list[tuple[dict[str, HeaderValue], bytes]], data: st.DataObject
) -> None:
    stream = b"".join(encode(headers, payload) for headers, payload in sent)
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    theirs = [(dict(event.headers), event.payload) for event in buffer]
    assert theirs == [({k: oracle(v) for k, v in headers.items()}, payload) for headers, payload in sent]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    assert feed(stream, cuts) == ([Message(headers, payload) for headers, payload in sent], 0)


EVENT: dict[str, HeaderValue] = {
    ":message-type": "event",
    ":event-type": "contentBlockDelta",
    ":content-type": "application/json",
}
STREAM = encode(EVENT, b'{"delta":{"text":"hello"}}') + encode(EVENT, b"{}") + encode({}, b"")


def test_cut_at_every_byte() -> None:
    whole = feed(STREAM, [])
    assert [message.payload for message in whole[0]] == [b'{"delta":{"text":"hello"}}', b"{}", b""]
    for cut in range(len(STREAM) + 1):
        assert feed(STREAM, [cut]) == whole
    assert feed(STREAM, list(range(1, len(STREAM)))) == whole


def test_a_stream_that_was_cut_is_seen() -> None:
    for end in range(1, len(encode(EVENT, b"{}"))):
        assert feed(encode(EVENT, b"{}")[:end], []) == ([], end)


def test_every_changed_byte_is_noticed() -> None:
    message = encode(EVENT, b'{"a":1}')
    for position in range(len(message)):
        bad = bytearray(message)
        bad[position] ^= 0x10
        with pytest.raises(BadFrame):
            feed(bytes(bad) + message, [])


def prelude(total: int, headers: int) -> bytes:
    lengths = struct.pack(">II", total, headers)
    return lengths + struct.pack(">I", crc32(lengths))


def raw(headers: bytes) -> bytes:
    message = prelude(16 + len(headers), len(headers)) + headers
    return message + struct.pack(">I", crc32(message))


def test_a_message_over_the_limit_is_refused_before_it_has_come() -> None:
    framer = Framer(1000)
    assert framer.feed(encode({}, bytes(1000 - 16)))[0].payload == bytes(984)
    with pytest.raises(BadFrame, match="longer than 1000 bytes"):
        framer.feed(prelude(1001, 0))


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (0, 0), (40, 25), (300_000, 131_073)])
def test_lengths_that_do_not_fit_together(total: int, headers: int) -> None:
    with pytest.raises(BadFrame, match="do not fit"):
        Framer(LIMIT).feed(prelude(total, headers))


@pytest.mark.parametrize(
    "headers",
    [
        b"\x01a\x0a",  # no such type
        b"\x01a",  # no type
        b"\x05a\x00",  # the name is cut
        b"\x00\x00",  # no name
        b"\x01a\x07\x00\x05abc",  # the text is cut
        b"\x01a\x06\x00",  # its length is cut
        b"\x01a\x07\x00\x01\xff",  # not UTF-8
        b"\x01\xff\x00",
        b"\x01a\x05\x00\x00",  # a cut integer
        b"\x01a\x09" + bytes(15),
        b"\x01a\x08" + b"\x7f" + bytes(7),  # a time beyond all calendars
    ],
)
def test_headers_that_cannot_be_read(headers: bytes) -> None:
    with pytest.raises(BadFrame, match="headers"):
        Framer(LIMIT).feed(raw(headers))


def test_small_integers_are_read() -> None:
    data = b"\x01a\x02\xff" + b"\x01b\x03\xff\xfe" + b"\x01c\x04\xff\xff\xff\xfd"
    assert Framer(LIMIT).feed(raw(data))[0].headers == {"a": -1, "b": -2, "c": -3}


@pytest.mark.parametrize(
    "headers", [{"": "x"}, {"n" * 256: "x"}, {"n": "x" * 32768}, {str(i): "x" * 30000 for i in range(5)}]
)
def test_what_the_format_cannot_hold_is_not_written(headers: dict[str, HeaderValue]) -> None:
    with pytest.raises(ValueError, match=r"must be|longer"):
        encode(headers)
