"""Strategies without training: what each looks at changes what it chooses."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.money import Prices
from routeiq.core.routing import BALANCING, RANKING, Choosing, Wishes
from routeiq.routing.learned import LEARNED
from routeiq.routing.registry import COMBINED, PLAIN, make
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking, State, Strategy


class Load:
    """As a test has it."""

    def __init__(self, **more: Any) -> None:
        self.in_flight = self.tokens = self.chosen = 0
        self.kv_cache: float | None = None
        self.waiting: float | None = None
        self.seconds: float | None = None
        self.__dict__.update(more)

    def latency(self, quantile: float) -> float | None:
        return self.seconds


def candidate(name: str, price: int | None = 1, size: float | None = None, **load: Any) -> Candidate:
    """Priced in dollars a million tokens."""
    prices = Prices(input=price * 10**6, output=price * 10**6) if price is not None else None
    return Candidate(name=name, known_as=(f"vendor/{name}",), prices=prices, size=size, load=Load(**load))


def order(strategy: Strategy, candidates: Sequence[Candidate], **query: Any) -> list[str]:
    ranking = rank(strategy, candidates, **query)
    return [candidates[place].name for place in ranking.order]


def rank(strategy: Strategy, candidates: Sequence[Candidate], **query: Any) -> Ranking:
    asked = Query(**{"prompt": "Hello", "tokens": 100, "cache": {}, **query})
    return strategy.rank(asked, candidates, State(now=1e9, rng=random.Random(1)))


def made(name: str, *within: Choosing, **args: Any) -> Strategy:
    return make(Choosing(strategy=name, args=args, within=within))


THREE = [candidate("middle", 2, 70.0), candidate("small", 1, 8.0), candidate("large", 3, 400.0)]


def test_every_name_is_one_strategy() -> None:
    assert set(PLAIN).isdisjoint(COMBINED)
    assert set(RANKING).isdisjoint(BALANCING)
    assert {*PLAIN, *COMBINED, *LEARNED} == set(RANKING)


def test_size_then_price() -> None:
    assert order(made("llmrouter-smallest"), THREE) == ["small", "middle", "large"]
    assert order(made("llmrouter-largest"), THREE) == ["large", "middle", "small"]
    unknown = [candidate("dear", 9, None), candidate("cheap", 1, 400.0), candidate("free of price", None, 1.0)]
    assert order(made("llmrouter-smallest"), unknown) == ["cheap", "dear", "free of price"]
    assert order(made("llmrouter-largest"), unknown) == ["dear", "cheap", "free of price"]


def test_load() -> None:
    busy = [candidate("a", in_flight=5), candidate("b", in_flight=1), candidate("c", in_flight=9)]
    assert order(made("llmrouter-least-busy"), busy) == ["b", "a", "c"]
    used = [candidate("a", chosen=2), candidate("b", chosen=3), candidate("c", chosen=1)]
    assert order(made("llmrouter-usage-based"), used) == ["c", "a", "b"]


def test_latency() -> None:
    slow = [candidate("slow", seconds=3.0), candidate("quick", seconds=0.1), candidate("new")]
    assert order(made("llmrouter-latency-sla"), slow) == ["quick", "new", "slow"]
    assert order(made("llmrouter-latency-sla", target_latency_ms=5000), slow) == ["slow", "quick", "new"]
    assert order(made("llmrouter-latency-sla"), slow, wishes=Wishes(latency=4.0)) == ["slow", "quick", "new"]


def test_kv_cache() -> None:
    engines = [
        candidate("full", kv_cache=0.9, waiting=0.0),
        candidate("queue", kv_cache=0.1, waiting=5.0),
        candidate("roomy", kv_cache=0.2, waiting=0.0),
        candidate("silent"),
    ]
    assert order(made("llmrouter-kv-cache-aware"), engines) == ["roomy", "queue", "full", "silent"]
    assert order(made("llmrouter-kv-cache-aware", queue_weight=1.0), engines) == ["roomy", "full", "queue", "silent"]


def test_rules() -> None:
    rules = made(
        "llmrouter-tag-regex-ua",
        tags={"gold": "large"},
        regex={r"\bproof\b": ["vendor/large", "middle"]},
        user_agents={"claude-cli": ["mid*"]},
    )
    assert order(rules, THREE, tags=("gold",)) == ["large", "middle", "small"]
    assert order(rules, THREE, prompt="Give a PROOF.") == ["large", "middle", "small"]
    assert order(rules, THREE, user_agent="Claude-CLI/2.0") == ["middle", "small", "large"]
    nothing = rank(rules, THREE)
    assert (nothing.confidence, THREE[nothing.order[0]].name) == (0.0, "small")
    assert rank(rules, THREE, tags=("gold",)).reason == "tag gold"


INTENTS = {
    "code": {"examples": ["Write a Python function that sorts a list", "Fix this bug"], "models": ["large"]},
    "travel": {"examples": ["Plan a holiday in Italy", "Which hotel is near the beach?"], "models": ["mid*"]},
}


def test_intents() -> None:
    intent = made("llmrouter-semantic-intent", intents=INTENTS)
    assert order(intent, THREE, prompt="Write a JavaScript function which reverses an array")[0] == "large"
    assert order(intent, THREE, prompt="Where shall we stay on our trip to the sea in Spain?")[0] == "middle"
    found = rank(intent, THREE, prompt="Write a JavaScript function which reverses an array")
    assert found.reason == "intent code"
    assert found.features["intents"]["code"] > found.features["intents"]["travel"]
    nothing = rank(intent, THREE, prompt="?")
    assert (nothing.confidence, THREE[nothing.order[0]].name) == (0.0, "small")
    strict = made("llmrouter-semantic-intent", intents=INTENTS, threshold=0.99)
    assert order(strict, THREE, prompt="Plan a trip")[0] == "small"


class Told:
    """Predicts what it is told."""

    name = "told"

    def __init__(self, quality: Sequence[float] = (), confidence: float = 1.0, fails: bool = False) -> None:
        self.quality = list(quality)
        self.confidence = confidence
        self.fails = fails
        self.learned: list[Feedback] = []

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        if self.fails:
            raise RuntimeError("broken")
        best = sorted(range(len(candidates)), key=lambda place: -self.quality[place])
        return Ranking(order=best, scores=self.quality, quality=self.quality, confidence=self.confidence, reason="told")

    def update(self, feedback: Feedback) -> None:
        self.learned.append(feedback)


def told(*quality: float, **more: Any) -> Choosing:
    args = {"class": "routing_told:Told", "args": {"quality": list(quality), **more}}
    return Choosing(strategy="llmrouter-custom", args=args)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "routing_told", sys.modules[__name__])


def test_cost_aware() -> None:
    assert order(made("llmrouter-cost-aware"), THREE) == ["small", "middle", "large"]
    # middle 0.9, small 0.3, large 1.0: the small one is under the threshold of quality.
    good = told(0.9, 0.3, 1.0)
    assert order(made("llmrouter-cost-aware", good, cost_weight=0.5), THREE)[0] == "middle"
    assert order(made("llmrouter-cost-aware", good, cost_weight=0.0), THREE)[0] == "large"
    assert order(made("llmrouter-cost-aware", good, quality_threshold=0.2), THREE)[0] == "small"
    assert order(made("llmrouter-cost-aware", good), THREE, wishes=Wishes(target_quality=0.95))[0] == "large"
    assert order(made("llmrouter-cost-aware", max_cost_per_1k_tokens=0.0015), THREE)[0] == "small"
    # As good and dearer is dominated, whatever the weight.
    assert order(made("llmrouter-cost-aware", told(0.9, 0.1, 0.9), cost_weight=0.0), THREE)[0] == "middle"


def test_ensembles() -> None:
    one, two = told(1.0, 0.0, 0.5), told(0.0, 0.2, 1.0)
    assert order(made("routeiq-ensemble", one, two), THREE)[0] == "large"
    assert order(made("routeiq-ensemble", one, two, weights=[9, 1]), THREE)[0] == "middle"
    assert order(made("routeiq-ensemble", one, told(0.9, 1.0, 0.0), combine="mean"), THREE)[0] == "middle"
    both = rank(made("routeiq-ensemble", one, one), THREE)
    assert (both.confidence, both.quality) == (1.0, [1.0, 0.0, 0.5])


def test_pipelines() -> None:
    unsure, sure = told(1.0, 0.0, 0.0, confidence=0.2), told(0.0, 0.0, 1.0, confidence=0.9)
    assert order(made("routeiq-pipeline", unsure, sure), THREE)[0] == "large"
    assert order(made("routeiq-pipeline", unsure, sure, min_confidence=0.1), THREE)[0] == "middle"
    assert order(made("routeiq-pipeline", told(fails=True), sure), THREE)[0] == "large"
    assert order(made("routeiq-pipeline", told(fails=True)), THREE) == ["middle", "small", "large"]


def test_feedback_reaches_those_within() -> None:
    strategy: Any = made("routeiq-pipeline", told(1.0), told(1.0))
    feedback = Feedback(candidate=THREE[0], query=Query(prompt=""), quality=1.0)
    strategy.update(feedback)
    assert [inner.learned for inner in strategy._strategies] == [[feedback], [feedback]]


def test_a_class_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from routeiq.routing.strategy import Ranking\n"
        "class Mine:\n"
        "    name = 'mine'\n"
        "    def __init__(self, first): self.first = first\n"
        "    def rank(self, query, candidates, state):\n"
        "        return Ranking(order=sorted(range(len(candidates)), key=lambda n: candidates[n].name != self.first))\n"
        "    def update(self, feedback): pass\n"
    )
    assert order(made("llmrouter-custom", **{"class": f"{file}:Mine", "args": {"first": "large"}}), THREE)[0] == "large"


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("llmrouter-latency-sla", {"target_latency_ms": "fast"}, "target_latency_ms must be a number"),
        ("llmrouter-latency-sla", {"percentile": 200}, "percentile must be from 1 to 100"),
        ("llmrouter-least-busy", {"k": 5}, "k is not an argument of this strategy"),
        ("llmrouter-tag-regex-ua", {}, "needs tags, regex or user_agents"),
        ("llmrouter-tag-regex-ua", {"regex": {"(": ["a"]}}, "is not a regular expression"),
        ("llmrouter-tag-regex-ua", {"tags": {"a": 5}}, "tags.a must be a list of texts"),
        ("llmrouter-custom", {}, "needs class"),
        ("llmrouter-custom", {"class": "no.such.module:Thing"}, "can't be made: ModuleNotFoundError"),
        ("llmrouter-custom", {"class": "nothing"}, "no entry point"),
        ("llmrouter-custom", {"class": "collections:OrderedDict"}, "has no method rank"),
        ("llmrouter-semantic-intent", {}, "needs intents"),
        ("llmrouter-semantic-intent", {"intents": {"a": {"examples": ["b"]}}}, "intents.a needs models"),
        ("llmrouter-semantic-intent", {"intents": {"a": {"model": "b"}}}, "intents.a: model is not an argument"),
        ("routeiq-ensemble", {}, "needs strategies"),
        ("llmrouter-knn-multiround", {}, "strategies must name one strategy"),
        ("llmrouter-automix", {"num_samples": 0}, "num_samples must be a whole number, 1 or more"),
        ("llmrouter-cost-cascade", {"confidence": "guess"}, "confidence must be one of verify, logprobs"),
    ],
)
def test_wrong_arguments_are_told(name: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        make(Choosing(strategy=name, args=args))


PLAYED_OR_PLAIN = [
    "llmrouter-smallest", "llmrouter-largest", "llmrouter-least-busy", "llmrouter-usage-based",
    "llmrouter-latency-sla", "llmrouter-kv-cache-aware", "llmrouter-cost-aware", "llmrouter-automix",
    "llmrouter-cost-cascade", "llmrouter-llm-multiround", "llmrouter-r1",
]  # fmt: skip


@given(
    name=st.sampled_from(PLAYED_OR_PLAIN),
    prices=st.lists(st.none() | st.integers(0, 100), min_size=1, max_size=6),
    prompt=st.text(max_size=200),
    metadata=st.dictionaries(st.sampled_from(["cascade_rung"]), st.none() | st.text() | st.integers(-5, 50)),
)
def test_any_query_gets_a_whole_ranking(
    name: str, prices: list[int | None], prompt: str, metadata: dict[str, Any]
) -> None:
    candidates = [candidate(f"m{number}", price) for number, price in enumerate(prices)]
    ranking = rank(made(name), candidates, prompt=prompt, metadata=metadata)
    assert len(set(ranking.order)) == len(ranking.order) > 0
    assert set(ranking.order) <= set(range(len(candidates)))
