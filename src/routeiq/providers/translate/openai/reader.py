"""Chat Completions' stream as providers send it: deltas out of chunks."""

from __future__ import annotations

import hashlib
import secrets

import msgspec
from msgspec import UNSET

from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.dialects.openai import used
from routeiq.providers.translate.chat import (
    Citation,
    CitationDelta,
    Delta,
    Ended,
    Finished,
    Media,
    MediaDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStarted,
    Used,
    sealed,
)
from routeiq.providers.translate.frames import EventFrames, Halves
from routeiq.providers.translate.media import split_url
from routeiq.providers.translate.openai import wire


def made_id(answer: str, choice: int, index: int) -> str:
    """The id of a call that came without: no other call of the conversation has it."""
    head = hashlib.sha256(answer.encode()).hexdigest()[:16] if answer else secrets.token_hex(8)
    return f"call_{head}_{choice}_{index}"


class ChunkReader:
    """`DeltaReader` of one stream.

    The finish of a choice is kept until the end marker, because usage and some servers' last text come after it.
    """

    __slots__ = (
        "_calls",
        "_ended",
        "_finish",
        "_frames",
        "_halves",
        "_id",
        "_marked",
        "_refused",
        "_started",
        "_tier",
        "_usage",
    )

    def __init__(self, *, marked: bool = True) -> None:
        """`marked`: the end is `[DONE]`; else a stream is complete when it was closed after a choice was."""
        self._marked = marked
        self._frames = EventFrames()
        self._halves = Halves()
        self._started = False
        self._id = ""
        self._tier = ""
        self._ended = False
        self._calls: dict[tuple[int, int], str] = {}
        """Ids of the calls seen, by choice and index."""
        self._finish: dict[int, str | None] = {}
        self._refused: set[int] = set()
        self._usage: Usage | None = None

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        for payload in self._frames.feed(data):
            if payload == b"[DONE]":
                self._end(out)
            elif not self._ended:
                self._event(payload, out)
        return out

    def finish(self) -> list[Delta]:
        out: list[Delta] = []
        rest = self._frames.rest().strip()
        if not self._ended and (rest == b"[DONE]" or (not self._marked and not rest and self._finish)):
            self._end(out)
        return out

    def _event(self, payload: bytes, out: list[Delta]) -> None:
        try:
            chunk = wire.decode_chunk(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                chunk = wire.decode_chunk(self._halves.mended(payload))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise errors.broken_answer("", "an event that is no chunk of a chat") from None
        told = chunk.error or chunk.errors
        if told is not UNSET and told is not None and not chunk.choices:
            raise errors.from_event(payload, provider="")
        if not self._started:
            self._started = True
            self._id = chunk.id
            out.append(
                Started(
                    id=chunk.id,
                    model=chunk.model,
                    created=int(chunk.created),
                    service_tier=chunk.service_tier or "",
                    fingerprint=chunk.system_fingerprint or "",
                )
            )
        for choice in chunk.choices or ():
            if choice.delta is not None:
                self._delta(choice.delta, choice, out)
            if choice.finish_reason is not None:
                self._finish[choice.index] = choice.finish_reason
        self._tier = chunk.service_tier or self._tier
        if chunk.usage is not None:
            self._usage = used(chunk.usage, chunk.service_tier)

    def _delta(self, delta: wire.DeltaMessage, choice: wire.ChunkChoice, out: list[Delta]) -> None:
        at = choice.index
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            out.append(ThinkingDelta(text=thought, choice=at))
        out += [
            ThinkingDelta(
                signature=sealed("anthropic", block.signature or ""),
                redacted=sealed("anthropic", block.data),
                choice=at,
            )
            for block in delta.thinking_blocks or ()
            if block.signature or block.data
        ]
        if delta.content or choice.logprobs is not None:
            out.append(TextDelta(text=delta.content or "", choice=at, logprobs=choice.logprobs))
        if delta.refusal:
            self._refused.add(at)
            out.append(RefusalDelta(text=delta.refusal, choice=at))
        for call in delta.tool_calls or ():
            self._call(call, at, out)
        if delta.function_call is not None:
            self._call(wire.DeltaCall(index=0, function=delta.function_call), at, out)
        for annotation in delta.annotations or ():
            cited = annotation.url_citation
            if cited is not None:
                source = Citation(url=cited.url, title=cited.title, start=cited.start_index, end=cited.end_index)
                out.append(CitationDelta(citation=source, choice=at))
        if delta.audio is not None:
            spoken = delta.audio
            media = Media(kind="audio", data=spoken.data, text=spoken.transcript, file_id=spoken.id)
            out.append(MediaDelta(media=media, choice=at, expires=spoken.expires_at))
        for picture in delta.images or ():
            if picture.image_url is not None:
                media_type, data = split_url(picture.image_url.url, "images")
                url = "" if data else picture.image_url.url
                media = Media(kind="image", media_type=media_type, data=data, url=url)
                out.append(MediaDelta(media=media, choice=at))

    def _call(self, call: wire.DeltaCall, choice: int, out: list[Delta]) -> None:
        """Some servers send no index, and each call whole; a new id is a new call."""
        of_choice = [index for at, index in self._calls if at == choice]
        last = max(of_choice, default=-1)
        index = call.index
        if index is None:
            index = last + 1 if call.id and call.id != self._calls.get((choice, last)) else max(last, 0)
        part = call.custom or call.function
        name = part.name if part is not None else None
        if (choice, index) not in self._calls:
            if not name and not call.id:
                return
            ident = call.id or made_id(self._id, choice, index)
            self._calls[choice, index] = ident
            signature = ""
            if call.extra_content is not None and call.extra_content.google is not None:
                signature = sealed("gemini", call.extra_content.google.thought_signature)
            out.append(
                ToolStarted(
                    index=index,
                    id=ident,
                    name=name or "",
                    custom=call.custom is not None,
                    signature=signature,
                    choice=choice,
                )
            )
        text = call.custom.input if call.custom is not None else call.function.arguments if call.function else None
        if text:
            out.append(ToolDelta(index=index, arguments=text, choice=choice))

    def _end(self, out: list[Delta]) -> None:
        """All choices are complete; one that never said why it ended was stopped by the end."""
        if self._ended or not self._started:
            return
        self._ended = True
        called = {at for at, _ in self._calls}
        for choice in sorted(self._finish.keys() | called | {0}):
            reason = wire.finish_of(self._finish.get(choice), choice in self._refused, choice in called)
            out.append(Finished(reason=reason, choice=choice))
        if self._usage is not None:
            out.append(Used(usage=self._usage, service_tier=self._tier))
        out.append(Ended())
