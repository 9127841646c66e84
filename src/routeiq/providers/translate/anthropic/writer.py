"""Messages' stream as clients read it: events out of deltas.

One block is open at a time; it is closed when a piece of another kind comes.
https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.dialects.anthropic import error_body
from routeiq.providers.translate.anthropic import wire
from routeiq.providers.translate.anthropic.citations import write_citation
from routeiq.providers.translate.anthropic.proof import write_call_proof, write_proof
from routeiq.providers.translate.chat import (
    CitationDelta,
    Delta,
    Finished,
    MediaDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStarted,
    Used,
)

_encode = msgspec.json.Encoder().encode


def usage_members(usage: Usage, tier: str = "") -> dict[str, Any]:
    """The `usage` object of an answer: `input_tokens` leaves out what the cache gave or took."""
    written = usage.written + usage.written_1h
    out: dict[str, Any] = {
        "input_tokens": max(usage.prompt - usage.cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
    }
    if written:
        out["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.written,
            "ephemeral_1h_input_tokens": usage.written_1h,
        }
    if usage.searches:
        out["server_tool_use"] = {"web_search_requests": usage.searches}
    if tier:
        out["service_tier"] = tier
    return out


class EventWriter:
    """`DeltaWriter` of one stream. Only the first choice exists in this dialect.

    A call that begins before the arguments of the one before are complete is held back until they are.
    """

    __slots__ = ("_arguments", "_at", "_finish", "_held", "_model", "_open", "_prefix", "_usage")

    def __init__(self, model: str) -> None:
        self._model = model
        self._open = ""
        """Kind of the open block: `text`, `thinking`, or `tool:N`; empty when none is."""
        self._at = -1
        """Its index."""
        self._prefix = b""
        """Of a delta of the open block, up to the text."""
        self._arguments: list[str] = []
        """Of the open call, so far."""
        self._held: dict[int, tuple[ToolStarted, list[str]]] = {}
        """Calls whose turn has not come."""
        self._finish: Finished | None = None
        self._usage = Usage()

    def write(self, delta: Delta) -> bytes:
        if getattr(delta, "choice", 0):
            return b""
        if isinstance(delta, TextDelta):
            if self._open == "text":
                return b"%b%b}}\n\n" % (self._prefix, _encode(delta.text)) if delta.text else b""
            return self._text(delta.text) if delta.text else b""
        if isinstance(delta, ToolDelta):
            return self._more(delta)
        if isinstance(delta, ThinkingDelta):
            return self._think(delta)
        if isinstance(delta, ToolStarted):
            return self._call(delta)
        if isinstance(delta, Started):
            return self._start(delta)
        if isinstance(delta, RefusalDelta):
            return self._text(delta.text)
        if isinstance(delta, CitationDelta):
            return self._cite(delta)
        if isinstance(delta, MediaDelta):
            return self._media(delta)
        if isinstance(delta, Finished):
            self._finish = delta
            return b""
        if isinstance(delta, Used):
            self._usage = delta.usage
            return b""
        return self._end()

    def fail(self, error: GatewayError) -> bytes:
        return b"event: error\ndata: %b\n\n" % error_body(error)

    def _start(self, started: Started) -> bytes:
        if started.usage is not None:
            self._usage = started.usage
        message: dict[str, Any] = {
            "id": started.id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_members(self._usage, started.service_tier),
        }
        return _event("message_start", {"message": message})

    def _text(self, text: str) -> bytes:
        opened = (
            b"" if self._open == "text" else self._begin("text", {"type": "text", "text": ""}, "text_delta", "text")
        )
        return b"%b%b%b}}\n\n" % (opened, self._prefix, _encode(text)) if text else opened

    def _think(self, delta: ThinkingDelta) -> bytes:
        out = b""
        if delta.redacted:
            block = {"type": "redacted_thinking", "data": write_proof(delta.redacted)}
            return self._begin("redacted", block, "", "") + self._close()
        if self._open != "thinking":
            block = {"type": "thinking", "thinking": "", "signature": ""}
            out = self._begin("thinking", block, "thinking_delta", "thinking")
        if delta.text:
            out += b"%b%b}}\n\n" % (self._prefix, _encode(delta.text))
        if delta.signature:
            signed = {"type": "signature_delta", "signature": write_proof(delta.signature)}
            out += _event("content_block_delta", {"index": self._at, "delta": signed})
        return out

    def _cite(self, delta: CitationDelta) -> bytes:
        opened = self._text("")
        cited = {"type": "citations_delta", "citation": write_citation(delta.citation)}
        return opened + _event("content_block_delta", {"index": self._at, "delta": cited})

    def _media(self, delta: MediaDelta) -> bytes:
        media = delta.media
        if media.kind != "image":
            return self._text(media.text)
        source = (
            {"type": "base64", "media_type": media.media_type, "data": media.data}
            if media.data
            else {"type": "url", "url": media.url}
        )
        return self._begin("image", {"type": "image", "source": source}, "", "") + self._close()

    def _call(self, started: ToolStarted) -> bytes:
        if self._open.startswith("tool:") and not self._complete():
            self._held[started.index] = (started, [])
            return b""
        return self._open_call(started, [])

    def _open_call(self, started: ToolStarted, pieces: list[str]) -> bytes:
        block = {"type": "tool_use", "id": started.id, "name": started.name, "input": {}}
        out = self._prove_call(started.signature) if started.signature else b""
        out += self._begin(f"tool:{started.index}", block, "input_json_delta", "partial_json")
        self._arguments = pieces
        return out + b"%b%b}}\n\n" % (self._prefix, _encode("".join(pieces))) if pieces else out

    def _prove_call(self, signature: str) -> bytes:
        out = self._begin("tool:proof", {"type": "thinking", "thinking": "", "signature": ""}, "", "")
        signed = {"type": "signature_delta", "signature": write_call_proof(signature)}
        return out + _event("content_block_delta", {"index": self._at, "delta": signed})

    def _more(self, delta: ToolDelta) -> bytes:
        if self._open == f"tool:{delta.index}":
            self._arguments.append(delta.arguments)
            return b"%b%b}}\n\n" % (self._prefix, _encode(delta.arguments))
        if delta.index not in self._held:
            return b""
        self._held[delta.index][1].append(delta.arguments)
        return self._next_call() if self._complete() else b""

    def _complete(self) -> bool:
        """Whether the open call has all its arguments."""
        try:
            msgspec.json.decode("".join(self._arguments))
        except msgspec.DecodeError:
            return False
        return True

    def _next_call(self) -> bytes:
        started, pieces = self._held.pop(next(iter(self._held)))
        return self._open_call(started, pieces)

    def _begin(self, kind: str, block: dict[str, Any], delta: str, member: str) -> bytes:
        """Close what is open, and open another block."""
        closed = self._close() if kind.startswith("tool:") else self._close() + self._release()
        self._at += 1
        self._open = kind
        self._prefix = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"%b","%b":' % (self._at, delta.encode(), member.encode())
        )
        return closed + _event("content_block_start", {"index": self._at, "content_block": block})

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", {"index": self._at})

    def _release(self) -> bytes:
        """The calls that were held back, whole."""
        out = b""
        while self._held:
            out += self._next_call()
        return out + self._close()

    def _end(self) -> bytes:
        finish = self._finish or Finished()
        delta = {
            "stop_reason": wire.FINISH_OF[finish.reason],
            "stop_sequence": finish.stop_sequence or None,
        }
        ending = _event("message_delta", {"delta": delta, "usage": usage_members(self._usage)})
        return self._close() + self._release() + ending + _event("message_stop", {})


def _event(kind: str, members: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **members}))
