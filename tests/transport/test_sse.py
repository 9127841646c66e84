"""Framing of event streams: the same events and the same bytes, however the network cut them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.transport.sse import Framer, FrameTooLarge, payload, split

STREAMS = [
    b"data: a\n\ndata: b\n\ndata: [DONE]\n\n",
    b"data: a\r\n\r\ndata: b\r\n\r\ndata: [DONE]\r\n\r\n",
    b"data: a\r\rdata: b\r\rdata: [DONE]\r\r",
    b": keep-alive\n\ndata: a\n\n: again\n\ndata: [DONE]\n\n",
    b"event: message\nid: 7\ndata: {\ndata: }\nretry: 10\n\ndata:[DONE]\n\n",
    b"data: a\n\r\ndata: b\r\n\ndata: c\n\n",
    b"\n\n\n\ndata: a\n\n\n\ndata: b\n\n",
    b"data: a\n\ndata: not ended",
    "data: \u00e4\u20ac\U0001f600\n\ndata: b\n\n".encode(),
    b"data\ndata:\ndata: x\n\n",
]


def run(stream: bytes, cuts: list[int]) -> tuple[list[bytes], bytes]:
    """(events, rest) of a stream fed in pieces, without their blank lines. No byte is lost or changes its place."""
    framer = Framer(1 << 20)
    events: list[bytes] = []
    total = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out = framer.feed(stream[start:end])
        events += [event.strip(b"\r\n") for event in split(out)]
        total += out
    assert total + framer.rest() == stream
    return [event for event in events if event], framer.rest().strip(b"\r\n")


@pytest.mark.parametrize("stream", STREAMS)
def test_every_single_cut(stream: bytes) -> None:
    whole = run(stream, [])
    for cut in range(1, len(stream)):
        assert run(stream, [cut]) == whole


@pytest.mark.parametrize("stream", STREAMS)
def test_byte_by_byte(stream: bytes) -> None:
    assert run(stream, list(range(1, len(stream)))) == run(stream, [])


@given(st.sampled_from(STREAMS), st.data())
@settings(max_examples=200, deadline=None)
def test_any_cuts(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=8)))
    assert run(stream, cuts) == run(stream, [])


pieces = st.lists(
    st.sampled_from([b"data: x", b"data:", b":c", b"id: 1", b"\r", b"\n", b"\r\n", b"\n\n", b" "]), max_size=24
)


@given(pieces, st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_keep_their_order_and_their_payloads(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=6))) if len(stream) > 1 else []
    assert run(stream, cuts) == run(stream, [])


def test_payloads() -> None:
    assert payload(b"data: a\n\n") == b"a"
    assert payload(b"data:a\r\n\r\n") == b"a"
    assert payload(b"data:  a\n\n") == b" a"
    assert payload(b"id: 1\ndata: a\ndata: b\n\n") == b"a\nb"
    assert payload(b": data: a\n\n") == b""
    assert payload(b"metadata: a\n\n") == b""


def test_mixed_line_ends_end_an_event() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\r\r\n", b"\n\r"):
        events, rest = run(b"data: a" + end + b"data: b\n\n", [])
        assert [payload(event) for event in events] == [b"a", b"b"], end
        assert rest == b""


def test_an_event_without_end_is_refused_and_costs_little() -> None:
    framer = Framer(4 << 20)
    piece = b"x" * 1024
    for _ in range(4 << 10):
        assert framer.feed(piece) == b""
    with pytest.raises(FrameTooLarge):
        framer.feed(piece)


def test_a_large_event_in_small_pieces() -> None:
    framer = Framer(16 << 20)
    piece = b"x" * 4096
    framer.feed(b"data: ")
    for _ in range(2560):
        assert framer.feed(piece) == b""
    out = framer.feed(b"\n\ndata: b\n\n")
    assert len(out) == 6 + 2560 * 4096 + 2 + 9
    assert framer.rest() == b""
