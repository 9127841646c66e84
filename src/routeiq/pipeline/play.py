"""Strategies that ask models themselves: their questions are requests of their own, and theirs is the answer.

choose ──► play ─┬─ ask ──► account → admit → decide → call … settle      (each with its Event, limits and cost)
                 ├─ ask ──► …
                 └─ the answer, in the client's words ──► settle          (an Event without cost: the others have it)
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from routeiq.core.decisions import Decision
from routeiq.core.errors import UpstreamError, UpstreamTimeout
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import Snapshot
from routeiq.core.usage import Usage
from routeiq.pipeline import answer as heads
from routeiq.pipeline import settle
from routeiq.pipeline.asking import Asking, Question
from routeiq.pipeline.waiting import failure
from routeiq.providers.translate.chat import Answer, Chat, Message, Text
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.registry import CHAT_CLIENTS, CHAT_PROVIDERS
from routeiq.providers.translate.whole import told
from routeiq.routing.strategy import UNKNOWN, Candidate, Player, Said

if TYPE_CHECKING:
    from routeiq.pipeline.plan import Stage
    from routeiq.pipeline.ranking import Considered, LiveAuto
    from routeiq.pipeline.services import Services

_openai = CHAT_PROVIDERS["openai"]


class Performance:
    """One play under way; the exchange's `attempt`, so that it ends when the client goes away."""

    relayed = 0

    def __init__(self, exchange: Exchange, auto: LiveAuto, candidates: Sequence[Candidate], chat: Chat) -> None:
        self._exchange = exchange
        self.auto = auto
        self._candidates = candidates
        self._chat = chat
        self.asking = Asking(exchange)
        self.task: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """The client is gone: stop, and let nobody go on working for it."""
        if self.task is not None:
            self.task.cancel()
        self.asking.drop()

    def pause(self) -> None:
        """Nothing is read that could be held back."""

    def resume(self) -> None:
        """Nothing was held back."""

    async def ask(
        self,
        place: int,
        prompt: str | None = None,
        *,
        system: str = "",
        max_tokens: int | None = None,
        temperature: float | None = None,
        logprobs: bool = False,
    ) -> Said:
        """`routing.strategy.Ask`."""
        chat = msgspec.structs.replace(self._chat, stream=False, thread=None)
        if prompt is not None:
            said = [Message(role="user", content=[Text(text=prompt)])]
            if system:
                said.insert(0, Message(role="system", content=[Text(text=system)]))
            chat = Chat(messages=said, max_tokens=max_tokens, temperature=temperature, user=self._chat.user)
        if logprobs:
            chat.logprobs = True
        name = self._candidates[place].name
        return self._said(*await self._send(name, chat), chat)

    async def _send(self, name: str, chat: Chat) -> tuple[Exchange, bytes]:
        """One request for a public name, to its end, and the answer. Raises `GatewayError`."""
        context = Context(provider="openai", model=name)
        outgoing = _openai.write(chat, context, Fit("openai", tolerant=True))
        question = Question()
        inner = self.asking.make(question, outgoing.body, name)
        inner.group = self.auto.group(name, self._exchange.query.wishes)
        inner.pending_fallbacks = []
        inner.stage = self._exchange.plan.stages.index(play) + 1
        return inner, await self.asking.run(inner, question)

    def _said(self, inner: Exchange, body: bytes, chat: Chat) -> Said:
        try:
            answer = _openai.read(body, chat)
        except msgspec.DecodeError as error:
            raise UpstreamError(f"The answer of {inner.model} can't be read: {error}", status=502) from None
        first = answer.choices[0] if answer.choices else None
        text = "".join(block.text for block in first.content if isinstance(block, Text)) if first is not None else ""
        tokens = inner.usage.prompt + inner.usage.completion if inner.usage is not None else 0
        sure = _certainty(first.logprobs) if first is not None else UNKNOWN
        return Said(text=text, model=inner.public_model, tokens=tokens, confidence=sure, answer=answer)


def stage(snapshot: Snapshot) -> Stage | None:
    """Only where there are auto models."""
    return play if snapshot.auto_models else None


def play(exchange: Exchange) -> bool:
    """Let the strategy answer, where it is one that asks models itself."""
    auto: LiveAuto | None = exchange.auto
    if auto is None or exchange.endpoint not in CHAT_CLIENTS or auto.player is None:
        return False
    if exchange.thread is not None and exchange.peek.previous_response_id:
        return False  # a provider has what was said before, and only it can go on
    if exchange.asked is None:
        exchange.asked = CHAT_CLIENTS[exchange.endpoint].read(exchange.body)
    considered: Considered = exchange.considered
    services: Services = exchange.plan.services
    performance = exchange.attempt = Performance(exchange, auto, considered.candidates, exchange.asked)
    performance.task = services.start(_perform(exchange, performance, auto.player, considered))
    return True


async def _perform(exchange: Exchange, performance: Performance, player: Player, considered: Considered) -> None:
    decision: Decision = exchange.decision
    snapshot = exchange.plan.snapshot
    seconds = snapshot.timeouts.total
    try:
        async with asyncio.timeout(seconds):
            played = await player.play(performance.ask, exchange.query, considered.candidates, considered.ranking)
        if exchange.settled:
            return
        decision.reason = played.reason or decision.reason
        decision.features = {**decision.features, "steps": played.steps}
        exchange.public_model = decision.selected = played.said.model
        exchange.group = performance.auto.group(played.said.model, exchange.query.wishes)
        _answer(exchange, performance, played.said.answer)
    except TimeoutError:
        if not exchange.settled:
            settle.refuse(
                exchange,
                UpstreamTimeout(
                    f"'{exchange.model}' had no answer after {seconds:g} seconds.", status=snapshot.timeout_status
                ),
            )
    except Exception as error:
        if not exchange.settled:
            settle.refuse(exchange, failure(exchange, error))


def _answer(exchange: Exchange, performance: Performance, found: Answer) -> None:
    """The answer as the client asked for it: whole, or told as a stream."""
    chat: Chat = exchange.asked
    client = CHAT_CLIENTS[exchange.endpoint]
    exchange.usage, exchange.cost = Usage(0, 0), 0  # the questions' Events have what was used
    found.id = exchange.thread.id if exchange.thread is not None else exchange.call_id
    found.model = exchange.public_model
    found.created = exchange.at // 1_000_000
    found.usage = performance.asking.usage
    chat.thread = exchange.thread
    head = heads.played_head(exchange, performance.asking.cost)
    if not exchange.stream:
        settle.settle(exchange, 200, exchange.plan.services.now())
        exchange.client.respond(exchange, head, client.write(found, chat))
        return
    writer = client.writer(chat, exchange.public_model)
    events = [writer.write(delta) for delta in told(found)]
    exchange.client.begin(exchange, head)
    exchange.began = True
    exchange.client.write(exchange, b"".join(events[:-1]))
    settle.settle(exchange, 200, exchange.plan.services.now())
    exchange.client.end(exchange, events[-1])


def _certainty(logprobs: Any) -> float:
    """The mean probability of the tokens, out of OpenAI's `logprobs`."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    values = [each.get("logprob") for each in content if isinstance(each, dict)] if isinstance(content, list) else []
    known = [value for value in values if isinstance(value, (int, float))]
    return math.exp(sum(known) / len(known)) if known else UNKNOWN
