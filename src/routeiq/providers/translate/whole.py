"""A whole answer told as a stream, for providers that do not stream and clients that want one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from routeiq.core.errors import UpstreamError
from routeiq.providers import errors
from routeiq.providers.translate.chat import (
    Answer,
    Choice,
    CitationDelta,
    Delta,
    Ended,
    Finished,
    Media,
    MediaDelta,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolDelta,
    ToolStarted,
    Used,
)


class WholeReader:
    """`DeltaReader` of an answer that comes in one piece: everything is told when it is complete."""

    __slots__ = ("_most", "_pieces", "_read", "_size")

    def __init__(self, read: Callable[[bytes], Answer], most: int) -> None:
        """`read` raises `UpstreamError` or `msgspec.DecodeError` for what is no answer; `most` is its bytes."""
        self._read = read
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Delta]:
        self._size += len(data)
        if self._size > self._most:
            raise errors.broken_answer("", f"an answer of over {self._most} bytes")
        self._pieces.append(data)
        return []

    def finish(self) -> list[Delta]:
        try:
            answer = self._read(b"".join(self._pieces))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise _unreadable(fault) from None
        return told(answer)


def _unreadable(fault: Exception) -> UpstreamError:
    what = f"an answer that can't be read: {fault}"
    return errors.broken_answer(
        "", what if isinstance(fault, msgspec.ValidationError) else "an answer that is not a JSON object"
    )


def told(answer: Answer) -> list[Delta]:
    """The pieces of a stream that says the same. Blocks only one dialect has are not told: no stream carries them."""
    out: list[Delta] = [
        Started(
            id=answer.id,
            model=answer.model,
            created=answer.created,
            service_tier=answer.service_tier,
            fingerprint=answer.fingerprint,
        )
    ]
    for choice in answer.choices:
        _tell(choice, out)
    if answer.usage is not None:
        out.append(Used(usage=answer.usage, service_tier=answer.service_tier))
    out.append(Ended())
    return out


def _tell(choice: Choice, out: list[Delta]) -> None:
    at, calls, logprobs = choice.index, 0, choice.logprobs
    for block in choice.content:
        if isinstance(block, Text):
            if block.text:
                out.append(TextDelta(text=block.text, choice=at, logprobs=logprobs))
                logprobs = None  # they are of all the text
            out += [CitationDelta(citation=citation, choice=at) for citation in block.citations]
        elif isinstance(block, Thinking):
            if block.text:
                out.append(ThinkingDelta(text=block.text, choice=at))
            if block.signature or block.redacted:
                out.append(ThinkingDelta(signature=block.signature, redacted=block.redacted, choice=at))
        elif isinstance(block, ToolCall):
            out.append(
                ToolStarted(
                    index=calls,
                    id=block.id,
                    name=block.name,
                    custom=block.custom,
                    signature=block.signature,
                    choice=at,
                )
            )
            out.append(ToolDelta(index=calls, arguments=block.arguments, choice=at))
            calls += 1
        elif isinstance(block, Refusal):
            out.append(RefusalDelta(text=block.text, choice=at))
        elif isinstance(block, Media):
            out.append(MediaDelta(media=block, choice=at))
    out.append(Finished(reason=choice.finish, stop_sequence=choice.stop_sequence, choice=at))
