"""Chat Completions' stream as clients read it: chunks out of deltas.

https://platform.openai.com/docs/api-reference/chat-streaming/streaming
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    CitationDelta,
    Delta,
    Finished,
    MediaDelta,
    RefusalDelta,
    Started,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolDelta,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.openai import wire
from routeiq.providers.translate.openai.parts import annotation, audio, image, thinking_block, tool_call
from routeiq.providers.translate.openai.usage import usage_members
from routeiq.transport.sse import DONE

_encode = msgspec.json.Encoder().encode


class ChunkWriter:
    """`DeltaWriter` of one stream. What all chunks have in common is encoded once."""

    __slots__ = ("_begun", "_custom", "_include_usage", "_model", "_prefix", "_thought", "_tier", "_usage")

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._prefix = b""
        self._begun: set[int] = set()
        """Choices whose first chunk, with the role, was written."""
        self._custom: set[tuple[int, int]] = set()
        """Calls of custom tools, by choice and index."""
        self._usage: Usage | None = None
        self._tier = ""
        self._thought: dict[int, str] = {}
        """Text of the thought that is open, by choice: its signature comes at its end and is shown with it."""

    def write(self, delta: Delta) -> bytes:
        kind = type(delta)
        if kind is TextDelta:
            assert isinstance(delta, TextDelta)
            if delta.logprobs is None and delta.choice == 0 and 0 in self._begun:
                return b'%b{"content":%b},"finish_reason":null}]}\n\n' % (self._prefix, _encode(delta.text))
            return self._delta(delta.choice, {"content": delta.text}, logprobs=delta.logprobs)
        if kind is ToolDelta:
            assert isinstance(delta, ToolDelta)
            custom = (delta.choice, delta.index) in self._custom
            piece = {"input": delta.arguments} if custom else {"arguments": delta.arguments}
            kind_of_tool = "custom" if custom else "function"
            return self._delta(delta.choice, {"tool_calls": [{"index": delta.index, kind_of_tool: piece}]})
        if isinstance(delta, Started):
            return self._start(delta)
        if isinstance(delta, ThinkingDelta):
            return self._think(delta)
        if isinstance(delta, ToolStarted):
            if delta.custom:
                self._custom.add((delta.choice, delta.index))
            return self._delta(delta.choice, {"tool_calls": [_opening(delta)]})
        if isinstance(delta, RefusalDelta):
            return self._delta(delta.choice, {"refusal": delta.text})
        if isinstance(delta, MediaDelta):
            return self._delta(delta.choice, _media(delta))
        if isinstance(delta, CitationDelta):
            return self._delta(delta.choice, {"annotations": [annotation(delta.citation)]})
        if isinstance(delta, Finished):
            return self._delta(delta.choice, {}, finish=wire.FINISH_OF[delta.reason])
        if isinstance(delta, Used):
            self._usage, self._tier = delta.usage, delta.service_tier
            return b""
        return self._end()

    def fields(self, members: dict[str, Any]) -> bytes:
        """What only this gateway and LiteLLM tell, in a chunk of its own."""
        return self._delta(0, {"provider_specific_fields": members})

    def fail(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % error.body()

    def _start(self, started: Started) -> bytes:
        head = {
            "id": started.id,
            "object": "chat.completion.chunk",
            "created": started.created,
            "model": self._model,
        }
        if started.service_tier:
            head["service_tier"] = started.service_tier
        if started.fingerprint:
            head["system_fingerprint"] = started.fingerprint
        self._prefix = b'data: %b,"choices":[{"index":0,"delta":' % _encode(head)[:-1]
        self._usage = started.usage
        return self._delta(0, {"content": ""})

    def _delta(self, choice: int, members: dict[str, Any], *, finish: str | None = None, logprobs: Any = None) -> bytes:
        if choice not in self._begun:
            self._begun.add(choice)
            members = {"role": "assistant", **members}
        prefix = self._prefix
        if choice:
            prefix = prefix.replace(b'[{"index":0,', b'[{"index":%d,' % choice)
        return b'%b%b%b,"finish_reason":%b}]}\n\n' % (
            prefix,
            _encode(members),
            b"" if logprobs is None else b',"logprobs":%b' % _encode(logprobs),
            _encode(finish),
        )

    def _think(self, delta: ThinkingDelta) -> bytes:
        members: dict[str, Any] = {}
        if delta.text:
            self._thought[delta.choice] = self._thought.get(delta.choice, "") + delta.text
            members["reasoning_content"] = delta.text
        if delta.signature or delta.redacted:
            thought = Thinking(
                text=self._thought.pop(delta.choice, ""), signature=delta.signature, redacted=delta.redacted
            )
            members["thinking_blocks"] = [thinking_block(thought)]
        return self._delta(delta.choice, members) if members else b""

    def _end(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return DONE
        head = self._prefix[: self._prefix.index(b',"choices":')]
        if self._tier and b'"service_tier":' not in head:
            head += b',"service_tier":%b' % _encode(self._tier)
        return b'%b,"choices":[],"usage":%b}\n\n%b' % (head, _encode(usage_members(self._usage)), DONE)


def _opening(started: ToolStarted) -> dict[str, Any]:
    call = ToolCall(id=started.id, name=started.name, arguments="", custom=started.custom, signature=started.signature)
    return {"index": started.index, **tool_call(call)}


def _media(delta: MediaDelta) -> dict[str, Any]:
    if delta.media.kind != "audio":
        return {"images": [image(delta.media)]}
    members = audio(delta.media)
    if delta.expires is not None:
        members["expires_at"] = delta.expires
    return {"audio": members}
