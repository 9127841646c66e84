"""Failover after the first token: a stream that broke goes on at another deployment, from what was said so far.

    first stream ── breaks ──► what the client has, as deltas ──► the same request, begun answer last ──► the rest

Opt-in (`routeiq.resilience.stream_failover`), and only where the next deployment can be given the beginning of its
answer, and where that beginning is text alone: a call or a thought can't be taken up in the middle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from routeiq.core.errors import UpstreamError
from routeiq.core.exchange import Exchange
from routeiq.core.usage import Usage
from routeiq.pipeline.relay import Relay
from routeiq.pipeline.translated import TranslatedRelay
from routeiq.providers.translate.chat import Chat, Delta, Ended, Finished, Message, Started, Text, TextDelta, Used
from routeiq.providers.translate.codec import Context, DeltaReader, DeltaWriter
from routeiq.providers.translate.registry import CHAT_CLIENTS, CHAT_PROVIDERS, PREFIXERS

if TYPE_CHECKING:
    from routeiq.pipeline.attempt import Attempt
    from routeiq.pipeline.plan import Route

MOST = 3
"""Times one answer may be taken up again."""
NOTE = b": continued by another deployment\n\n"
"""A comment, which clients pass over, where the seam is."""


class Continuation:
    """What is known of an answer that broke off: who writes it to the client, and what it says so far."""

    __slots__ = ("blank", "times", "writer")

    def __init__(self, writer: DeltaWriter) -> None:
        self.writer = writer
        self.times = 0
        self.blank = ""
        """White space at the end of what was said, which a prefix must not have: it is not said twice."""


def can_continue(route: Route) -> bool:
    """Whether a deployment can take up an answer that another began."""
    prefixer = PREFIXERS.get(route.dialect)
    spec = route.target.spec
    context = Context(provider=spec.provider, model=spec.model, options=spec.options)
    return prefixer is not None and not route.local and prefixer.can_prefix(context)


def take_up(exchange: Exchange, attempt: Attempt) -> bool:
    """Make the exchange ready for another deployment to go on; False where that can't be.

    Afterwards the neutral request ends with the begun answer, and what it cost so far is carried over.
    """
    relay = attempt.relay
    continuation: Continuation | None = exchange.continuation
    if relay is None:
        return continuation is not None and continuation.times < MOST
    if relay.kept is None or (continuation is not None and continuation.times >= MOST):
        return False
    deltas = _said(attempt, relay)
    if deltas is None:
        return False
    said = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    client = CHAT_CLIENTS[exchange.endpoint]
    if exchange.asked is None:
        exchange.asked = client.read(exchange.body)
    if continuation is None:
        if isinstance(relay, TranslatedRelay):
            writer = relay.writer
        else:
            writer = client.writer(exchange.asked, exchange.public_model)
            for delta in deltas:
                writer.write(delta)
        continuation = exchange.continuation = Continuation(writer)
    chat: Chat = exchange.asked
    if chat.prefix:
        last = chat.messages[-1]
        said = "".join(block.text for block in last.content if isinstance(block, Text)) + continuation.blank + said
        chat.messages.pop()
    text = said.rstrip()
    continuation.blank = said[len(text) :]
    continuation.times += 1
    messages = [*chat.messages, Message(role="assistant", content=[Text(text=text)])] if text else chat.messages
    exchange.asked = msgspec.structs.replace(chat, messages=messages, prefix=bool(text))
    _carry(exchange, attempt, len(said))
    return True


def _said(attempt: Attempt, relay: Relay) -> list[Delta] | None:
    """What the client has, when it is text of one choice; `None` when it is more."""
    if isinstance(relay, TranslatedRelay):
        deltas = relay.deltas
    else:
        if attempt.route.dialect not in CHAT_PROVIDERS:
            return None
        reader = CHAT_PROVIDERS[attempt.route.dialect].reader(Chat(messages=[]))
        try:
            deltas = reader.feed(b"".join(relay.kept or ()))
        except UpstreamError:
            return None
    fine = all(
        isinstance(delta, (Started, Used)) or (isinstance(delta, TextDelta) and delta.choice == 0) for delta in deltas
    )
    return deltas if fine else None


def _carry(exchange: Exchange, attempt: Attempt, characters: int) -> None:
    """What the broken attempt used, as far as it said so, is not lost."""
    usage = exchange.usage or Usage(prompt=len(exchange.body) // 4, estimated=True)
    if usage.completion <= 1:
        usage = msgspec.structs.replace(usage, completion=max(attempt.relayed, characters // 4), estimated=True)
    prices = exchange.plan.prices(attempt.route.target.spec, exchange.upstream_model)
    if prices is not None:
        exchange.carried_cost += prices.cost(usage)
    exchange.carried_prompt += usage.prompt
    exchange.carried_completion += usage.completion
    exchange.usage = None


class ContinuingRelay(TranslatedRelay):
    """The rest of an answer, written after what the client has."""

    __slots__ = ("_continuation", "_noted")

    def __init__(self, exchange: Exchange, attempt: Attempt, reader: DeltaReader) -> None:
        continuation: Continuation = exchange.continuation
        super().__init__(exchange, attempt, reader, continuation.writer)
        self._continuation = continuation
        self._noted = False

    def _write(self, deltas: list[Delta]) -> None:
        shown: list[Delta] = []
        blank = self._continuation.blank
        for delta in deltas:
            if isinstance(delta, Started):
                if delta.usage is not None:
                    self._exchange.usage = delta.usage
                continue
            if blank and isinstance(delta, TextDelta):
                # The client has the white space that the next deployment was not given, and may begin with.
                delta.text = delta.text.lstrip()
                if not delta.text:
                    continue
                self._continuation.blank = blank = ""
            shown.append(delta)
        if shown and not self._noted:
            self._noted = True
            if not isinstance(shown[0], (Finished, Ended)):
                self._exchange.client.write(self._exchange, NOTE)
        super()._write(shown)
