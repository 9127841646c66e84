"""What a routing strategy is: it ranks candidates for a query, says what it expects of each, and learns from feedback.

    query + candidates + state ──rank──► Ranking ──► a model is asked ──► Feedback ──update──► the strategy

Candidates are the model groups of an auto model, or the deployments of one group: a strategy can't tell and need not.
Filters (rights, capabilities, health) have been applied before. Everything is synchronous and must not block.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from routeiq.core.money import Prices
from routeiq.core.routing import Wishes

UNKNOWN = math.nan
"""A prediction nobody made."""


class Query(msgspec.Struct, kw_only=True):
    """What is asked, as far as strategies look at it. Made once a request; `cache` is theirs."""

    prompt: str
    """What the user says: the last user message, after the user's earlier ones where those are short."""
    system: str = ""
    tokens: int = 0
    """Of the whole prompt, estimated."""
    max_output: int | None = None
    """Tokens the client allows for the answer."""
    messages: int = 1
    tools: int = 0
    """Tools it may call."""
    tool_messages: int = 0
    """Results of tools among the messages."""
    needs: frozenset[str] = frozenset()
    """Capabilities it can't do without: `vision`, `audio`, `tools`, `json`, `schema`, `reasoning`."""
    tags: tuple[str, ...] = ()
    user_agent: str = ""
    user: str = ""
    """Whose preferences count: the end user, with whose end user it is; else the user of the key, else its key."""
    tenant: str = ""
    conversation: str = ""
    """The same for all requests of one conversation: a digest of its first messages and its caller."""
    metadata: Mapping[str, Any] = {}
    wishes: Wishes = Wishes()
    cache: dict[str, Any] = {}
    """What was worked out of it before, by whoever worked it out: embeddings, features."""


class Load(Protocol):
    """How a candidate is doing at this moment."""

    chosen: int
    """Times it was chosen, by this worker."""

    @property
    def in_flight(self) -> int:
        """Requests, of this worker."""

    @property
    def tokens(self) -> int:
        """Used so far, by this worker."""

    @property
    def kv_cache(self) -> float | None:
        """Share of the engine's KV cache in use, where the engine tells."""

    @property
    def waiting(self) -> float | None:
        """Requests in the engine's queue."""

    def latency(self, quantile: float) -> float | None:
        """Seconds to the first byte, of the last answers; `None` before the first one."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One of the models to choose from."""

    name: str
    """The public model name, or the deployment's id."""
    known_as: tuple[str, ...] = ()
    """Names it may have in an artifact or a rule: its public name, the provider's model, `provider/model`."""
    provider: str = ""
    prices: Prices | None = None
    context_window: int | None = None
    region: str = ""
    size: float | None = None
    """Billions of parameters, where the configuration says or its name tells."""
    capabilities: Mapping[str, bool] = {}
    """What it is known to be able to do, or not; what is missing is not known."""
    load: Load

    def names(self) -> tuple[str, ...]:
        """All of them, the most specific first."""
        return (self.name, *self.known_as)


class State(msgspec.Struct, kw_only=True):
    """What surrounds one ranking: strategies take time and chance from here, so that tests can give them."""

    now: float
    """Unix seconds."""
    rng: random.Random


class Ranking(msgspec.Struct, kw_only=True):
    """Candidates by position, best first, and what is expected of each. Lists are by position of the candidate."""

    order: list[int]
    """All that may be asked; what a strategy refuses is left out, unless that would be all."""
    scores: list[float] = []
    """What `order` was sorted by, where that is one number: higher is better."""
    quality: list[float] = []
    """Predicted, 0 to 1."""
    cost: list[float] = []
    """Predicted US dollars."""
    confidence: float = UNKNOWN
    """0 to 1: how sure the strategy is that the first is right."""
    propensity: float = 1.0
    """The probability with which the first was chosen: below 1 where chance has a part."""
    reason: str = ""
    """Why, in a few words."""
    features: dict[str, Any] = {}
    """What it was decided by, for people: small, and no text of the prompt."""
    memento: bytes = b""
    """What `update` needs of the query besides its user and size: numbers, no text. Kept with the decision."""


class Feedback(msgspec.Struct, kw_only=True):
    """What became of a decision."""

    candidate: Candidate
    query: Query
    quality: float | None = None
    """0 to 1; `None` where nobody judged it."""
    cost: float | None = None
    """US dollars."""
    latency: float | None = None
    """Seconds to the first byte."""
    failed: bool = False
    """Whether it gave no answer at all."""
    at: float = 0.0
    """Unix seconds."""
    memento: bytes = b""
    """Of the ranking, where somebody judged it later: the query then has a user and a size, and no prompt."""


class Strategy(Protocol):
    """A way to choose. Built once a revision from `routing_strategy_args`; belongs to one worker.

    One with `learns = True` is told what users thought of its choices, whichever worker made them.
    """

    name: str

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        """Order one or more candidates. Raises nothing for any query."""

    def update(self, feedback: Feedback) -> None:
        """Learn from what became of a decision; strategies that don't learn while serving do nothing."""


class Said(msgspec.Struct, kw_only=True):
    """What a candidate answered."""

    text: str
    model: str
    """The candidate's name; another where a fallback answered."""
    tokens: int = 0
    """Of prompt and answer."""
    confidence: float = UNKNOWN
    """The mean probability of the answer's tokens, where the provider tells them."""
    answer: Any = None
    """The whole answer, for who passes it on."""


class Ask(Protocol):
    """Asks a candidate through the gateway: the caller's limits and budgets apply, and the ledger has it."""

    async def __call__(
        self,
        place: int,
        prompt: str | None = None,
        *,
        system: str = "",
        max_tokens: int | None = None,
        temperature: float | None = None,
        logprobs: bool = False,
    ) -> Said:
        """`place` of the candidate; its own words, or with `None` the request as it came.

        Raises `core.errors.GatewayError` when nobody answers.
        """


class Played(msgspec.Struct, kw_only=True):
    """What came of a play."""

    said: Said
    """The answer for the client."""
    steps: list[dict[str, Any]] = []
    """What was asked of whom, for people: no texts."""
    reason: str = ""


@runtime_checkable
class Player(Strategy, Protocol):
    """A strategy that asks models itself, more than one or more than once, before it has the answer."""

    async def play(self, ask: Ask, query: Query, candidates: Sequence[Candidate], ranking: Ranking) -> Played:
        """Answer the request. Raises `core.errors.GatewayError` when nobody answers."""
