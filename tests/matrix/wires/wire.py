"""What every wire has in common: a request is held against the vendor's types, understood, and answered."""

from __future__ import annotations

import json
from typing import Any

from matrix.scenes import ANSWER_TOKENS, PIECES, PROMPT_TOKENS, Call, Say, Seen, answer
from matrix.server import Reply
from support.sdk_types import Held
from support.tokens import Asked

REFUSED = "You are going too fast."
ANSWER_TOOL = "structured_answer"


class Wire:
    """A provider. `thinks_aloud`: whether its answers show their reasoning."""

    stream_kind = "text/event-stream"
    thinks_aloud = True
    streams = True
    usage = (PROMPT_TOKENS, ANSWER_TOKENS)
    strict = True
    """Whether requests are held against the vendor's types."""
    last: Seen
    """The request that came last."""

    def serve(self, asked: Asked) -> Reply:
        """The answer to one request. Raises `AssertionError` for what the vendor's SDK would not have sent."""
        seen = self.last = self.see(asked)
        if seen.scene == "error":
            return Reply([self.refuse()], status=429)
        say = answer(seen)
        if not seen.stream:
            return Reply([self.whole(say, seen)])
        events = self.stream(say, seen)
        if seen.scene != "cut stream":
            return Reply(events, self.stream_kind)
        marker = PIECES[1].encode()
        last = next((at for at, event in enumerate(events) if marker in event), len(events) // 2)
        return Reply(events[: last + 1], self.stream_kind, cut=True)

    def of(self, asked: Asked) -> Wire:
        """The wire of this request, where a provider has several."""
        return self

    def hold(self, kind: Held, body: dict[str, Any]) -> None:
        """Raises `AssertionError` for what the vendor's SDK would not have sent."""
        if self.strict:
            kind.check(body)

    def see(self, asked: Asked) -> Seen:
        raise NotImplementedError

    def whole(self, say: Say, seen: Seen) -> bytes:
        raise NotImplementedError

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        raise NotImplementedError

    def refuse(self) -> bytes:
        """The body of a 429."""
        raise NotImplementedError


def take_answer_tool(seen: Seen) -> None:
    """Where structured output is asked for by a tool, its schema is the one that is wanted."""
    wanted = seen.tools.pop(ANSWER_TOOL, None)
    if wanted is not None:
        seen.schema = wanted
        seen.answers_by_tool = True


def unfolded(say: Say, seen: Seen) -> Say:
    """The answer with structured output as a call, where it is asked for so."""
    if not (say.structured and seen.answers_by_tool):
        return say
    return Say(thought=say.thought, calls=[Call(ANSWER_TOOL, json.loads("".join(say.text)))])


def dumped(model: Any) -> bytes:
    """An SDK's object as JSON, without what is not set."""
    return bytes(model.model_dump_json(by_alias=True, exclude_none=True).encode())


def data(event: bytes, name: str = "") -> bytes:
    """A server-sent event."""
    return b"%bdata: %b\n\n" % (f"event: {name}\n".encode() if name else b"", event)


def decoded(body: bytes) -> dict[str, Any]:
    found = json.loads(body)
    assert isinstance(found, dict)
    return found
