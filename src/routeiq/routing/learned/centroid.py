"""Centroids: what models did with the prompts nearest to a centre (https://arxiv.org/abs/2508.12631), or, without an
artifact, whether a prompt is nearer to simple prompts or to complex ones.

The two centres that come with the package are the means of public questions that a small model answered, and of those
it did not while a large one did: `bench/centroids.py` makes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from routeiq.routing.arguments import Arguments
from routeiq.routing.costs import expected, per_thousand
from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.choice import LearnedStrategy, encoded, needed
from routeiq.routing.learned.costs import Costs
from routeiq.routing.learned.encoder import DATA, Floats, load_encoder
from routeiq.routing.learned.tensors import Array, read_tensors
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking, State, Strategy

NAME = "llmrouter-nadirclaw-centroid"
CLOSE = 0.01
"""Difference of the cosines below which a prompt counts as complex."""
AGENTIC = 0.35
"""Score from which on a conversation is an agent's, and complex."""
_AGENT = re.compile(
    r"\b(tool call|function call|step by step plan|execute|run the (?:command|tests)|edit the file)\b", re.I
)
_STRONG = re.compile(r"step[- ]by[- ]step|chain[- ]of[- ]thought|prove that|formal proof", re.I)
_MARKERS = re.compile(
    r"\b(why|explain|analy[sz]e|compare|derive|evaluate|reason|trade-?offs?|design|optimi[sz]e)\b", re.I
)
READ = 4000
"""Characters of the prompt that markers are looked for in."""


class Centroids:
    """Arrays: `centroid/centres` (K, 270), `centroid/quality` (K, M); those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._centres, self._quality = tensors["centroid/centres"], tensors["centroid/quality"]
        self._half = (self._centres**2).sum(axis=1) / 2
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        nearest = np.argmax(batch.x @ self._centres.T - self._half, axis=1)
        return self._quality[nearest], self._costs(batch.x)


class Tiers:
    """Ranks by price: the cheapest first for simple prompts, the dearest for complex ones."""

    name = NAME
    learns = False

    def __init__(self, args: Mapping[str, Any]) -> None:
        given = Arguments(args)
        self._close = given.number("confidence_threshold", CLOSE, 0.0, 2.0)
        given.done()
        self._encoder = load_encoder()
        centres = read_tensors((DATA / "centroids.safetensors").read_bytes())
        self._simple, self._complex = centres["simple"], centres["complex"]

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        """See `Strategy`."""
        embedding = encoded(query, self._encoder).embedding
        lead = float(embedding @ self._simple - embedding @ self._complex)
        reason = self._why_complex(query, lead)
        prices = [per_thousand(candidate) for candidate in candidates]
        # Without a price nobody knows: last among the cheap, last among the dear.
        sign = -1.0 if reason else 1.0
        order = sorted(
            range(len(prices)), key=lambda place: (prices[place] != prices[place], sign * prices[place], place)
        )
        return Ranking(
            order=order,
            cost=[expected(candidate, query) for candidate in candidates],
            confidence=min(1.0, abs(lead) / max(self._close, 1e-9)) if reason in ("", "complex") else 1.0,
            reason=reason or "simple",
            features={"lead": round(lead, 4), "agentic": agentic(query)},
        )

    def update(self, feedback: Feedback) -> None:
        """It does not learn while it serves."""

    def _why_complex(self, query: Query, lead: float) -> str:
        profile = query.wishes.profile
        if profile in ("eco", "free"):
            return ""
        if profile in ("premium", "reasoning"):
            return profile
        if agentic(query) >= AGENTIC:
            return "agentic"
        text = query.prompt[:READ]
        if _STRONG.search(text) or len(_MARKERS.findall(text)) >= 2:
            return "reasoning"
        return "complex" if lead < self._close else ""


def agentic(query: Query) -> float:
    """How much a conversation looks like an agent's, 0 to about 1.5."""
    score = 0.35 * (query.tools > 0) + 0.15 * (query.tools >= 4) + 0.3 * (query.tool_messages > 0)
    score += 0.2 if query.tool_messages >= 2 else 0.1 * query.tool_messages
    score += 0.1 * (len(query.system) > 500) + 0.1 * (query.messages > 10)
    return score + 0.2 * bool(_AGENT.search(query.prompt[:READ]))


def build(args: Mapping[str, Any], artifact: Artifact | None) -> Strategy:
    """The strategy as configured: with an artifact, its centres and models; without, two tiers by price."""
    if artifact is None:
        return Tiers(args)
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Centroids(trained.tensors), args)
