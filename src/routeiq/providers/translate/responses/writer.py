"""Responses' stream as clients read it: events out of deltas, numbered.

response.created, .in_progress, then of each item output_item.added, its parts and their deltas, output_item.done,
then response.completed, .incomplete or .failed:
https://platform.openai.com/docs/api-reference/responses-streaming

A message or a thought is closed when a piece of another kind comes; calls stay open beside each other until the next
item begins and their arguments are complete, or the answer ends.
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    Chat,
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
from routeiq.providers.translate.responses import answer
from routeiq.providers.translate.responses.proof import write_call_proof, write_proof

_encode = msgspec.json.Encoder().encode


class _Call:
    """An open call: its place, its item as it was added, its arguments so far."""

    __slots__ = ("item", "member", "pieces", "position")

    def __init__(self, position: int, item: dict[str, Any]) -> None:
        self.position = position
        self.item = item
        self.member = "input" if item["type"] == "custom_tool_call" else "arguments"
        self.pieces: list[str] = []

    def complete(self) -> bool:
        """Whether nothing can be missing from the arguments; of free text nobody knows."""
        if self.member == "input":
            return False
        try:
            msgspec.json.decode("".join(self.pieces))
        except msgspec.DecodeError:
            return False
        return True


class EventWriter:
    """`DeltaWriter` of one stream. Only the first choice exists in this dialect."""

    __slots__ = (
        "_calls",
        "_chat",
        "_created",
        "_finish",
        "_id",
        "_item",
        "_logprobs",
        "_model",
        "_number",
        "_output",
        "_part",
        "_pieces",
        "_prefix",
        "_proof",
        "_thinking",
        "_tier",
        "_usage",
    )

    def __init__(self, chat: Chat, model: str) -> None:
        self._chat = chat
        self._model = model
        self._id = ""
        self._created = 0
        self._number = 0
        self._output: list[dict[str, Any]] = []
        """All items begun, in order; the done ones whole."""
        self._item: dict[str, Any] | None = None
        """The message or thought that is open: the last of the output."""
        self._part = ""
        """Type of its open part."""
        self._pieces: list[str] = []
        """Of that part's text."""
        self._logprobs: list[Any] = []
        self._prefix = b""
        """Of a delta of that part, up to its text."""
        self._thinking = ("", "")
        """Signature and redacted form of the open thought."""
        self._proof = False
        """Whether the open thought has them: nothing more can come of it."""
        self._calls: dict[int, _Call] = {}
        self._finish = Finished()
        self._usage: Usage | None = None
        self._tier = ""

    def write(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            if self._part == "output_text" and not delta.logprobs and delta.choice == 0:
                return self._more(delta.text) if delta.text else b""
            return self._text(delta) if delta.choice == 0 else b""
        if isinstance(delta, ToolDelta):
            return self._argue(delta) if delta.choice == 0 else b""
        if isinstance(delta, ThinkingDelta):
            return self._think(delta) if delta.choice == 0 else b""
        if isinstance(delta, ToolStarted):
            return self._call(delta) if delta.choice == 0 else b""
        if isinstance(delta, Started):
            return self._start(delta)
        if isinstance(delta, RefusalDelta):
            return self._refuse(delta) if delta.choice == 0 else b""
        if isinstance(delta, CitationDelta):
            return self._cite(delta) if delta.choice == 0 else b""
        if isinstance(delta, MediaDelta):
            return self._media(delta) if delta.choice == 0 else b""
        if isinstance(delta, Finished):
            if delta.choice == 0:
                self._finish = delta
            return b""
        if isinstance(delta, Used):
            self._usage = delta.usage
            self._tier = delta.service_tier or self._tier
            return b""
        return self._end()

    def fail(self, error: GatewayError) -> bytes:
        told = {"message": error.message, "code": error.code, "param": error.param}
        out = self._event("error", {**told, "error": {"type": error.type, **told}})
        number = self._number
        self._close("incomplete", last=True)  # for the response: the client is told of no more items
        self._number = number
        return out + self._event("response.failed", {"response": self._response("failed", error=error)})

    # items that only this dialect has

    def add(self, item: dict[str, Any]) -> bytes:
        """Begin an item of the gateway's own tools; without an id it is given one."""
        out = self._close()
        item.setdefault("id", answer.native_id(item, self._id, len(self._output)))
        out += self._add(item)
        self._item = None
        return out

    def tell(self, kind: str, item: dict[str, Any], **members: Any) -> bytes:
        """An event about an item that was added."""
        return self._event(kind, {"output_index": self._output.index(item), "item_id": item["id"], **members})

    def done(self, item: dict[str, Any]) -> bytes:
        """End it."""
        return self._event("response.output_item.done", {"output_index": self._output.index(item), "item": item})

    # the whole

    def _start(self, started: Started) -> bytes:
        self._id = answer.response_id(self._chat, started.id)
        self._created = started.created
        self._usage = started.usage
        self._tier = started.service_tier
        shown = answer.response(
            self._chat, self._id, self._model, self._created, status="in_progress", output=[], service_tier=self._tier
        )
        first = self._event("response.created", {"response": shown})
        return first + self._event("response.in_progress", {"response": shown})

    def _end(self) -> bytes:
        status, _ = self._ending()
        out = self._close("incomplete" if status == "incomplete" else "completed", last=True)
        if status == "incomplete" and self._output:
            answer.mark_incomplete(self._output[-1])
        return out + self._event(f"response.{status}", {"response": self._response(status)})

    def _ending(self) -> tuple[str, dict[str, str] | None]:
        parts = (part for item in self._output for part in item.get("content", ()))
        return answer.ending(self._finish.reason, refused=any(part["type"] == "refusal" for part in parts))

    def _response(self, status: str, error: GatewayError | None = None) -> dict[str, Any]:
        return answer.response(
            self._chat,
            self._id,
            self._model,
            self._created,
            status=status,
            output=self._output,
            incomplete_details=None if error is not None else self._ending()[1],
            error=answer.error_object(error) if error is not None else None,
            usage=answer.usage_members(self._usage) if self._usage is not None else None,
            service_tier=self._tier,
        )

    def _event(self, kind: str, members: dict[str, Any]) -> bytes:
        body = _encode({"type": kind, "sequence_number": self._number, **members})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)

    # messages and thoughts

    def _text(self, delta: TextDelta) -> bytes:
        if not delta.text and not delta.logprobs:
            return b""
        opened = b"" if self._part == "output_text" else self._open_part("output_text", answer.text_part(""))
        logprobs = delta.logprobs.get("content") if isinstance(delta.logprobs, dict) else None
        if not logprobs:
            return opened + self._more(delta.text)
        self._logprobs += logprobs
        self._pieces.append(delta.text)
        place = {**self._place(), "content_index": self._part_index()}
        return opened + self._event("response.output_text.delta", {**place, "delta": delta.text, "logprobs": logprobs})

    def _refuse(self, delta: RefusalDelta) -> bytes:
        if not delta.text:
            return b""
        opened = b"" if self._part == "refusal" else self._open_part("refusal", {"type": "refusal", "refusal": ""})
        return opened + self._more(delta.text)

    def _more(self, text: str) -> bytes:
        """A delta of the open part."""
        self._pieces.append(text)
        number, self._number = self._number, self._number + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (self._prefix, _encode(text), number)

    def _cite(self, delta: CitationDelta) -> bytes:
        opened = b"" if self._part == "output_text" else self._open_part("output_text", answer.text_part(""))
        assert self._item is not None
        annotation = answer.annotation(delta.citation)
        known = self._item["content"][-1]["annotations"]
        known.append(annotation)
        members = {
            **self._place(),
            "content_index": self._part_index(),
            "annotation_index": len(known) - 1,
            "annotation": annotation,
        }
        return opened + self._event("response.output_text.annotation.added", members)

    def _open_part(self, kind: str, part: dict[str, Any]) -> bytes:
        """Begin a part of a message, and the message when none is open."""
        out = b""
        if self._item is not None and self._item["type"] == "message":
            out = self._close_part()
        else:
            out = self._close()
            ident = answer.item_id("msg", self._id, len(self._output))
            out += self._add(answer.message_item(ident, [], "in_progress"))
        assert self._item is not None
        self._item["content"].append(part)
        self._part, self._pieces, self._logprobs = kind, [], []
        place = {**self._place(), "content_index": self._part_index()}
        event = f"response.{kind}.delta"
        rest = _encode({"type": event, **place, **({"logprobs": []} if kind == "output_text" else {})})
        self._prefix = b'event: %b\ndata: %b,"delta":' % (event.encode(), rest[:-1])
        return out + self._event("response.content_part.added", {**place, "part": part})

    def _think(self, delta: ThinkingDelta) -> bytes:
        thought = self._item is not None and self._item["type"] == "reasoning"
        out = b""
        if not thought or self._proof:
            if not delta.text and not delta.signature and not delta.redacted:
                return b""
            out = self._close()
            ident = answer.item_id("rs", self._id, len(self._output))
            out += self._add(answer.reasoning_item(ident, "", None))
            self._thinking, self._proof = ("", ""), False
        if delta.text:
            if self._part != "summary_text":
                out += self._open_summary()
            out += self._more(delta.text)
        if delta.signature or delta.redacted:
            self._thinking, self._proof = (delta.signature, delta.redacted), True
        return out

    def _open_summary(self) -> bytes:
        assert self._item is not None
        self._part, self._pieces = "summary_text", []
        place = {**self._place(), "summary_index": 0}
        kind = "response.reasoning_summary_text.delta"
        self._prefix = b'event: %b\ndata: %b,"delta":' % (kind.encode(), _encode({"type": kind, **place})[:-1])
        part = {"type": "summary_text", "text": ""}
        return self._event("response.reasoning_summary_part.added", {**place, "part": part})

    def _close_part(self) -> bytes:
        """End the open part of the open item."""
        item, kind = self._item, self._part
        if item is None or not kind:
            return b""
        text = "".join(self._pieces)
        self._part, self._pieces = "", []
        if kind == "summary_text":
            part: dict[str, Any] = {"type": kind, "text": text}
            item["summary"].append(part)
            place = {**self._place(), "summary_index": 0}
            done = self._event("response.reasoning_summary_text.done", {**place, "text": text})
            return done + self._event("response.reasoning_summary_part.done", {**place, "part": part})
        part = item["content"][-1]
        place = {**self._place(), "content_index": self._part_index()}
        if kind == "refusal":
            part["refusal"] = text
            done = self._event("response.refusal.done", {**place, "refusal": text})
        else:
            part["text"], part["logprobs"] = text, self._logprobs
            done = self._event("response.output_text.done", {**place, "text": text, "logprobs": self._logprobs})
        return done + self._event("response.content_part.done", {**place, "part": part})

    def _media(self, delta: MediaDelta) -> bytes:
        if delta.media.kind != "image":
            return self._text(TextDelta(text=delta.media.text))
        out = self._close()
        item = answer.image_item(answer.item_id("ig", self._id, len(self._output)), delta.media)
        out += self._add(item)
        self._item = None
        return out + self._event("response.output_item.done", {"output_index": len(self._output) - 1, "item": item})

    # calls

    def _call(self, started: ToolStarted) -> bytes:
        out = self._close()
        if started.signature and not started.custom:
            ident = answer.item_id("rs", self._id, len(self._output))
            proof = write_call_proof(started.id, started.signature)
            out += self._add(answer.reasoning_item(ident, "", None))
            self._thinking, self._proof = ("", ""), True
            assert self._item is not None
            self._item["encrypted_content"] = proof
            out += self._close()
        position = len(self._output)
        item = answer.call_item(self._id, position, started.id, started.name, "", started.custom, "in_progress")
        self._calls[started.index] = _Call(position, item)
        out += self._add(item)
        self._item = None
        return out

    def _argue(self, delta: ToolDelta) -> bytes:
        call = self._calls.get(delta.index)
        if call is None or not delta.arguments:
            return b""
        call.pieces.append(delta.arguments)
        kind = "custom_tool_call_input" if call.member == "input" else "function_call_arguments"
        place = {"item_id": call.item["id"], "output_index": call.position}
        return self._event(f"response.{kind}.delta", {**place, "delta": delta.arguments})

    def _close_call(self, call: _Call, status: str) -> bytes:
        item, text = call.item, "".join(call.pieces)
        item[call.member], item["status"] = text, status
        place = {"item_id": item["id"], "output_index": call.position}
        kind = "custom_tool_call_input" if call.member == "input" else "function_call_arguments"
        done = self._event(f"response.{kind}.done", {**place, call.member: text})
        return done + self._event("response.output_item.done", {"output_index": call.position, "item": item})

    # items

    def _place(self) -> dict[str, Any]:
        assert self._item is not None
        return {"item_id": self._item["id"], "output_index": len(self._output) - 1}

    def _part_index(self) -> int:
        assert self._item is not None
        return len(self._item["content"]) - 1

    def _add(self, item: dict[str, Any]) -> bytes:
        self._output.append(item)
        self._item = item
        return self._event("response.output_item.added", {"output_index": len(self._output) - 1, "item": item})

    def _close(self, status: str = "completed", *, last: bool = False) -> bytes:
        """End what is open: the message or thought, and the calls that are complete, or (`last`) all."""
        item = self._item
        out = b""
        if item is not None:
            out = self._close_part()
            if item["type"] == "reasoning":
                proof = write_proof(*self._thinking)
                if proof is not None:
                    item["encrypted_content"] = proof
                self._thinking, self._proof = ("", ""), False
            else:
                item["status"] = status
            out += self._event("response.output_item.done", {"output_index": len(self._output) - 1, "item": item})
            self._item = None
        for index, call in list(self._calls.items()):
            if last or call.complete():
                del self._calls[index]
                final = status if call.position == len(self._output) - 1 else "completed"
                out += self._close_call(call, final)
        return out
