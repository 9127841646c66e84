"""A provider's recorded stream, cut anywhere between two reads, says the same; cut off, it never ends well."""

from __future__ import annotations

import pytest

from matrix.scenes import Call, Say, Seen
from matrix.wires.anthropic import AnthropicWire, InvokeAnthropicWire
from matrix.wires.bedrock import BedrockWire
from matrix.wires.cohere import CohereWire
from matrix.wires.gemini import GeminiWire
from matrix.wires.openai import OpenAIWire
from matrix.wires.wire import Wire
from routeiq.providers.dialects.invoke import InvokeFrames
from routeiq.providers.translate.chat import Chat, Delta, Ended, Message, Text
from routeiq.providers.translate.codec import DeltaReader
from routeiq.providers.translate.registry import CHAT_CLIENTS, CHAT_PROVIDERS

SAY = Say(
    text=("Zwölf ", "Boxkämpfer ☃ ", '\U0001f680 \n\n"data: [DONE]"'),
    thought="Hm: ö\n\ndata: {}",
    calls=[Call("weather", {"city": "Z\u00fcrich"}), Call("clock", {"zone": "\u2603"})],
)
WIRES: dict[str, tuple[str, Wire]] = {
    "openai": ("openai", OpenAIWire(thinks_aloud=True)),
    "anthropic": ("anthropic", AnthropicWire()),
    "gemini": ("gemini", GeminiWire("/")),
    "bedrock": ("bedrock", BedrockWire()),
    "cohere": ("cohere", CohereWire()),
}
CHAT = Chat(messages=[Message(role="user", content=[Text(text="hi")])])


def reader(dialect: str) -> DeltaReader:
    return CHAT_PROVIDERS[dialect].reader(CHAT)


def read(dialect: str, *pieces: bytes) -> list[Delta]:
    """All deltas of a stream that is read in these pieces."""
    how = reader(dialect)
    out: list[Delta] = []
    for piece in pieces:
        out += how.feed(piece)
    return out + how.finish()


@pytest.mark.parametrize("name", WIRES)
def test_cut_at_every_byte(name: str) -> None:
    dialect, wire = WIRES[name]
    stream = b"".join(wire.stream(SAY, Seen(stream=True)))
    whole = read(dialect, stream)
    assert isinstance(whole[-1], Ended)
    for at in range(len(stream) + 1):
        assert read(dialect, stream[:at], stream[at:]) == whole, at
    assert read(dialect, *(stream[at : at + 1] for at in range(len(stream)))) == whole


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("endpoint", CHAT_CLIENTS)
def test_the_client_reads_the_same(name: str, endpoint: str) -> None:
    """Byte by byte or at once: what is written is the same."""
    dialect, wire = WIRES[name]
    stream = b"".join(wire.stream(SAY, Seen(stream=True)))
    client = CHAT_CLIENTS[endpoint]
    told = []
    for pieces in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        writer = client.writer(CHAT, "m")
        told.append(b"".join(writer.write(delta) for delta in read(dialect, *pieces)))
    assert told[0] == told[1]


@pytest.mark.parametrize("name", WIRES)
def test_cut_off_anywhere_it_does_not_end(name: str) -> None:
    """Up to the event that tells the end of the answer, whatever is missing is noticed."""
    dialect, wire = WIRES[name]
    events = wire.stream(SAY, Seen(stream=True))
    last = next(at for at in range(len(events)) if isinstance(read(dialect, *events[: at + 1])[-1], Ended))
    before = b"".join(events[:last])
    for at in range(0, len(before), 7):
        assert not any(isinstance(delta, Ended) for delta in read(dialect, before[:at])), at


def test_bedrocks_frames_cut_at_every_byte() -> None:
    stream = b"".join(InvokeAnthropicWire().stream(SAY, Seen(stream=True)))
    whole = InvokeFrames().feed(stream)
    for at in range(len(stream) + 1):
        frames = InvokeFrames()
        assert frames.feed(stream[:at]) + frames.feed(stream[at:]) == whole, at
    assert read("anthropic", whole) == read("anthropic", b"".join(AnthropicWire().stream(SAY, Seen(stream=True))))
