"""Notes what was said in a request and its answer, for the ledger: only where that is switched on.

A request is left out by its client: `x-litellm-enable-message-redaction: true`, or `"no-log": true` in the body.
https://docs.litellm.ai/docs/proxy/logging
"""

from __future__ import annotations

import msgspec

from routeiq.core.exchange import Client, Exchange
from routeiq.core.snapshot import Prompts, Snapshot
from routeiq.observe.personal import hide
from routeiq.pipeline.plan import Stage

_REDACTION = b"x-litellm-enable-message-redaction"
_NO_LOG = b'"no-log"'
_SLACK = 512
"""Bytes read beyond what is kept, so that what is cut off can still be recognised."""


class _Wish(msgspec.Struct, rename={"no_log": "no-log"}):
    no_log: object = False


_decode = msgspec.json.Decoder(_Wish).decode


def choose(snapshot: Snapshot) -> Stage | None:
    """Nothing, unless `store_prompts_in_spend_logs`."""
    prompts = snapshot.ledger.prompts
    return _noting(prompts) if prompts is not None else None


def _noting(prompts: Prompts) -> Stage:
    def note(exchange: Exchange) -> bool:
        if exchange.plan.services.rng.random() < prompts.sample and not _declined(exchange):
            exchange.note = Note(prompts, exchange.body)
            exchange.client = Noting(exchange.client, exchange.note)
        return False

    return note


def _declined(exchange: Exchange) -> bool:
    if exchange.headers.get(_REDACTION, b"").strip().lower() in (b"true", b"1"):
        return True
    if _NO_LOG not in exchange.body:
        return False
    try:
        return _decode(exchange.body).no_log is True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True


class Note:
    """What was said so far, each side up to a bound."""

    __slots__ = ("_answer", "_asked", "_most", "_prompts")

    def __init__(self, prompts: Prompts, asked: bytes) -> None:
        self._prompts = prompts
        self._most = prompts.max_bytes + _SLACK
        self._asked = asked[: self._most]
        self._answer = bytearray()

    def add(self, data: bytes) -> None:
        """More of the answer, as the client gets it."""
        room = self._most - len(self._answer)
        if room > 0:
            self._answer += data[:room]

    def texts(self) -> tuple[str, str]:
        """Request and answer: without what is to be hidden, and cut to their bound."""
        return self._shown(self._asked), self._shown(bytes(self._answer))

    def _shown(self, data: bytes) -> str:
        text = hide(data.decode("utf-8", "replace"), self._prompts.redact)
        if len(text) > self._prompts.max_bytes // 4:
            text = text.encode()[: self._prompts.max_bytes].decode("utf-8", "ignore")
        return text


class Noting:
    """`core.exchange.Client` in front of another: what is streamed is noted on its way. Whole answers are noted by who
    settles, since the Event goes before them."""

    __slots__ = ("_client", "_note")

    def __init__(self, client: Client, note: Note) -> None:
        self._client = client
        self._note = note

    def respond(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """Passed on."""
        self._client.respond(exchange, head, body)

    def begin(self, exchange: Exchange, head: bytes) -> None:
        """Passed on."""
        self._client.begin(exchange, head)

    def write(self, exchange: Exchange, data: bytes) -> None:
        """Noted and passed on."""
        self._note.add(data)
        self._client.write(exchange, data)

    def end(self, exchange: Exchange, data: bytes = b"") -> None:
        """Passed on: the Event has gone before."""
        self._client.end(exchange, data)

    def abort(self, exchange: Exchange) -> None:
        """Passed on."""
        self._client.abort(exchange)
