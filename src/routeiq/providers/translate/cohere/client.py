"""Chat as Cohere's clients speak it: https://docs.cohere.com/v2/reference/chat, /chat-stream"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.dialects.cohere import error_event
from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Citation,
    CitationDelta,
    Delta,
    Finished,
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
from routeiq.providers.translate.codec import DeltaWriter
from routeiq.providers.translate.cohere.request import read_request
from routeiq.providers.translate.cohere.wire import FINISH_OF

_encode = msgspec.json.Encoder().encode
_EMPTY = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}


class CohereClient:
    """`ClientCodec` for `/v2/chat`."""

    def read(self, body: bytes) -> Chat:
        return read_request(body)

    def write(self, answer: Answer, chat: Chat) -> bytes:
        choice = answer.choices[0]
        message: dict[str, Any] = {"role": "assistant"}
        content: list[dict[str, Any]] = []
        citations: list[dict[str, Any]] = []
        calls = [block for block in choice.content if isinstance(block, ToolCall)]
        for block in choice.content:
            if isinstance(block, Text | Refusal):
                if isinstance(block, Text):
                    citations += [cited(citation, len(content)) for citation in block.citations]
                content.append({"type": "text", "text": block.text})
            elif isinstance(block, Thinking) and block.text:
                if calls:
                    message["tool_plan"] = message.get("tool_plan", "") + block.text
                else:
                    content.append({"type": "thinking", "thinking": block.text})
        if content:
            message["content"] = content
        if calls:
            message["tool_calls"] = [_call(call.id, call.name, call.arguments) for call in calls]
        if citations:
            message["citations"] = citations
        out: dict[str, Any] = {
            "id": answer.id,
            "finish_reason": FINISH_OF[choice.finish],
            "message": message,
            "usage": usage_members(answer.usage or Usage()),
        }
        if choice.logprobs is not None:
            out["logprobs"] = logprobs_of(choice.logprobs)
        return _encode(out)

    def writer(self, chat: Chat, model: str) -> DeltaWriter:
        return EventWriter()


class EventWriter:
    """`DeltaWriter` of one stream. Only the first choice exists in this dialect.

    One block of content or one call is open at a time: a call that begins before the one before has all its arguments
    is held back until it has.
    """

    __slots__ = ("_arguments", "_at", "_cited", "_finish", "_held", "_number", "_open", "_usage", "_written")

    def __init__(self) -> None:
        self._open = ""
        """`text`, `thinking`, or `call`; empty when nothing is open."""
        self._at = -1
        """Index of the open block, or of the last one."""
        self._number = -1
        """Our number of the open call."""
        self._written = 0
        """Calls so far."""
        self._arguments: list[str] = []
        """Of the open call, so far."""
        self._held: dict[int, tuple[ToolStarted, list[str]]] = {}
        """Calls whose turn has not come."""
        self._cited = 0
        self._finish = Finished()
        self._usage = Usage()

    def write(self, delta: Delta) -> bytes:
        if getattr(delta, "choice", 0):
            return b""
        if isinstance(delta, TextDelta):
            return self._say(delta)
        if isinstance(delta, ToolDelta):
            return self._more(delta)
        if isinstance(delta, ThinkingDelta):
            return self._content("thinking", delta.text)
        if isinstance(delta, ToolStarted):
            return self._start_call(delta)
        if isinstance(delta, Started):
            if delta.usage is not None:
                self._usage = delta.usage
            return _framed("message-start", {"id": delta.id, "delta": {"message": _EMPTY}})
        if isinstance(delta, RefusalDelta):
            return self._content("text", delta.text)
        if isinstance(delta, CitationDelta):
            index, self._cited = self._cited, self._cited + 1
            start = _event("citation-start", index, {"citations": cited(delta.citation, max(self._at, 0))})
            return start + _event("citation-end", index, None)
        if isinstance(delta, MediaDelta):
            return self._content("text", delta.media.text)
        if isinstance(delta, Finished):
            self._finish = delta
            return b""
        if isinstance(delta, Used):
            self._usage = delta.usage
            return b""
        end = {"finish_reason": FINISH_OF[self._finish.reason], "usage": usage_members(self._usage)}
        return self._close() + self._release() + _framed("message-end", {"delta": end})

    def fail(self, error: GatewayError) -> bytes:
        return error_event(error)

    def _say(self, delta: TextDelta) -> bytes:
        """One event for each token that is told by itself: an event has room for the numbers of one."""
        tokens = logprobs_of(delta.logprobs) if delta.logprobs is not None else []
        if "".join(token["text"] for token in tokens) == delta.text:
            return b"".join(self._content("text", token["text"], token["logprobs"]) for token in tokens)
        values = [value for token in tokens for value in token["logprobs"]]
        return self._content("text", delta.text, values)

    def _content(self, kind: str, text: str, logprobs: Sequence[float] = ()) -> bytes:
        if not text:
            return b""
        out = b""
        if self._open != kind:
            out = self._close() + self._release()
            self._at += 1
            self._open = kind
            out += _event("content-start", self._at, {"content": {"type": kind, kind: ""}})
        members: dict[str, Any] = {"index": self._at, "delta": {"message": {"content": {kind: text}}}}
        if logprobs:
            members["logprobs"] = {"text": text, "token_ids": [], "logprobs": logprobs}
        return out + _framed("content-delta", members)

    def _start_call(self, started: ToolStarted) -> bytes:
        if self._open == "call" and not self._complete():
            self._held[started.index] = (started, [])
            return b""
        return self._open_call(started, [])

    def _more(self, delta: ToolDelta) -> bytes:
        if self._open == "call" and delta.index == self._number:
            self._arguments.append(delta.arguments)
            return self._argument(delta.arguments)
        if delta.index not in self._held:
            return b""
        self._held[delta.index][1].append(delta.arguments)
        return self._next_call() if self._complete() else b""

    def _open_call(self, started: ToolStarted, pieces: list[str]) -> bytes:
        out = self._close()
        index, self._written = self._written, self._written + 1
        self._open, self._number, self._arguments = "call", started.index, pieces
        out += _event("tool-call-start", index, {"tool_calls": _call(started.id, started.name, "")})
        return out + self._argument("".join(pieces)) if pieces else out

    def _argument(self, text: str) -> bytes:
        message = {"tool_calls": {"function": {"arguments": text}}}
        return _event("tool-call-delta", self._written - 1, message)

    def _complete(self) -> bool:
        """Whether the open call has all its arguments."""
        try:
            msgspec.json.decode("".join(self._arguments))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def _next_call(self) -> bytes:
        return self._open_call(*self._held.pop(next(iter(self._held))))

    def _release(self) -> bytes:
        """The calls that were held back, whole."""
        out = b""
        while self._held:
            out += self._next_call()
        return out + self._close()

    def _close(self) -> bytes:
        kind, self._open = self._open, ""
        if not kind:
            return b""
        if kind == "call":
            return _event("tool-call-end", self._written - 1, None)
        return _event("content-end", self._at, None)


def usage_members(usage: Usage) -> dict[str, Any]:
    """The `usage` object of an answer."""
    counts = {"input_tokens": usage.prompt, "output_tokens": usage.completion}
    out: dict[str, Any] = {"billed_units": counts, "tokens": counts}
    if usage.cached:
        out["cached_tokens"] = usage.cached
    return out


def cited(citation: Citation, index: int) -> dict[str, Any]:
    """Cohere's own form, or one made for a source of another provider's."""
    if citation.dialect == "cohere" and isinstance(citation.native, dict):
        return citation.native
    about = {"title": citation.title, "url": citation.url, "text": citation.text}
    document = {name: value for name, value in about.items() if value}
    source = {"type": "document", "id": citation.url or citation.title, "document": document}
    return {
        "start": citation.start or 0,
        "end": citation.end or 0,
        "text": "",
        "sources": [source],
        "content_index": index,
        "type": "TEXT_CONTENT",
    }


def logprobs_of(shown: Any) -> list[dict[str, Any]]:
    """Out of OpenAI's shape; ids of tokens are not known."""
    content = shown.get("content") if isinstance(shown, dict) else None
    return [
        {"text": token.get("token", ""), "token_ids": [], "logprobs": [token.get("logprob", 0.0)]}
        for token in content or ()
        if isinstance(token, dict)
    ]


def _call(ident: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


def _event(kind: str, index: int, message: dict[str, Any] | None) -> bytes:
    return _framed(kind, {"index": index} if message is None else {"index": index, "delta": {"message": message}})


def _framed(kind: str, members: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **members}))
