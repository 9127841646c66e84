"""Every learned strategy: what goes in changes what it chooses."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from routeiq.core.money import PICO_PER_DOLLAR, Prices
from routeiq.core.routing import RANKING, Wishes
from routeiq.mlops.strategies import TRAINED
from routeiq.mlops.train import save
from routeiq.routing.learned import LEARNED
from routeiq.routing.learned.artifact import Artifact, read_artifact
from routeiq.routing.strategy import Feedback, Query, State, Strategy
from support.outcomes import CODER, LARGE, SMALL, candidate, prompt
from support.trained import Trained

CANDIDATES = [candidate(name) for name in (SMALL, CODER, LARGE)]
PRICED = [
    candidate(name, Prices(input=price, output=price))
    for name, price in ((SMALL, 10**5), (CODER, 10**6), (LARGE, 10**7))
]
BY_PROMPT = [name for name in TRAINED if name not in ("llmrouter-elo", "llmrouter-hybrid", "llmrouter-routerdc")]


@pytest.fixture(scope="module")
def artifact(trained: Trained) -> Callable[[str], Artifact]:
    return functools.cache(lambda name: read_artifact(trained(name)))


def build(name: str, artifact: Artifact | None, **args: Any) -> Strategy:
    module, _, function = LEARNED[name].partition(":")
    made: Strategy = getattr(import_module(module), function)(args, artifact)
    return made


def ask(kind: str, seed: int = 7, **wishes: Any) -> Query:
    return Query(prompt=prompt(kind, random.Random(seed)), user="u", wishes=Wishes(**wishes))


def state() -> State:
    return State(now=0.0, rng=random.Random(0))


def first(strategy: Strategy, query: Query) -> str:
    return CANDIDATES[strategy.rank(query, CANDIDATES, state()).order[0]].name


def test_every_name_is_one_that_can_be_configured() -> None:
    assert set(LEARNED) <= set(RANKING)
    assert set(TRAINED) <= set(LEARNED)


@pytest.mark.parametrize("name", BY_PROMPT)
def test_the_prompt_decides(name: str, artifact: Callable[[str], Artifact]) -> None:
    strategy = build(name, artifact(name))
    right = sum(
        first(strategy, ask(kind, seed, willingness_to_pay=0.0125)) == best
        for kind, best in (("chat", SMALL), ("law", LARGE))
        for seed in range(10)
    )
    assert right >= 14
    assert strategy.name == name


@pytest.mark.parametrize("name", list(TRAINED))
def test_wishes_decide(name: str, artifact: Callable[[str], Artifact]) -> None:
    strategy = build(name, artifact(name))
    assert first(strategy, ask("law", profile="free")) == SMALL
    assert first(strategy, ask("law", willingness_to_pay=1e4)) == LARGE


@pytest.mark.parametrize("name", list(TRAINED))
def test_anything_is_ranked(name: str, artifact: Callable[[str], Artifact]) -> None:
    strategy = build(name, artifact(name))
    for text in ("", "x" * 10**5, "漢字" * 100):
        ranking = strategy.rank(Query(prompt=text), [*CANDIDATES, candidate("stranger")], state())
        assert sorted(ranking.order) == [0, 1, 2, 3]
        assert np.isfinite(ranking.scores).all()
        assert 0 <= ranking.confidence <= 1


def test_hybrid_asks_the_small_one_where_it_is_as_good(artifact: Callable[[str], Artifact]) -> None:
    strategy = build("llmrouter-hybrid", artifact("llmrouter-hybrid"))
    small = int(artifact("llmrouter-hybrid").tensors["hybrid/pair"][0])
    kind = ("chat", "code")[small]
    chances = [strategy.rank(ask(kind), CANDIDATES, state()).quality[small] for kind in (kind, "law")]
    assert chances[0] > chances[1] + 0.1
    assert first(strategy, ask("law")) == LARGE


def test_prompts_are_near_to_models_that_are_good_at_them(artifact: Callable[[str], Artifact]) -> None:
    strategy = build("llmrouter-routerdc", artifact("llmrouter-routerdc"))
    small = {
        kind: sum(strategy.rank(ask(kind, seed), CANDIDATES, state()).quality[0] for seed in range(10)) / 10
        for kind in ("chat", "law")
    }
    assert small["chat"] > small["law"] + 0.1


def test_elo_knows_models_alone(artifact: Callable[[str], Artifact]) -> None:
    strategy = build("llmrouter-elo", artifact("llmrouter-elo"))
    rankings = [strategy.rank(ask(kind), CANDIDATES, state()) for kind in ("chat", "law")]
    assert rankings[0].quality == rankings[1].quality
    assert rankings[0].quality[2] > rankings[0].quality[1] > 0


@pytest.mark.parametrize("name", ["llmrouter-linucb", "llmrouter-gmt"])
def test_feedback_corrects(name: str, artifact: Callable[[str], Artifact]) -> None:
    strategy = build(name, artifact(name))
    assert first(strategy, ask("law")) == LARGE
    for seed in range(100, 160):
        strategy.update(Feedback(candidate=CANDIDATES[2], query=ask("law", seed), quality=0.0))
        strategy.update(Feedback(candidate=CANDIDATES[0], query=ask("law", seed), quality=1.0))
        strategy.update(Feedback(candidate=CANDIDATES[1], query=ask("law", seed), quality=None, cost=1.0))
    assert first(strategy, ask("law")) == SMALL


@pytest.mark.parametrize("name", ["llmrouter-linucb", "llmrouter-gmt"])
def test_feedback_comes_later_without_the_prompt(name: str, artifact: Callable[[str], Artifact]) -> None:
    strategy = build(name, artifact(name))
    for seed in range(100, 160):
        memento = strategy.rank(ask("law", seed), CANDIDATES, state()).memento
        later = Query(prompt="", user="u")
        strategy.update(Feedback(candidate=CANDIDATES[2], query=later, quality=0.0, memento=memento))
        strategy.update(Feedback(candidate=CANDIDATES[0], query=later, quality=1.0, memento=memento))
        strategy.update(Feedback(candidate=CANDIDATES[2], query=later, quality=1.0, memento=memento[:-2]))
    assert first(strategy, ask("law")) == SMALL


def test_gmt_learns_of_one_user_for_that_user(artifact: Callable[[str], Artifact]) -> None:
    strategy = build("llmrouter-gmt", artifact("llmrouter-graph"))
    for seed in range(100, 130):
        strategy.update(Feedback(candidate=CANDIDATES[2], query=ask("law", seed), quality=0.0))
    other = Query(prompt=ask("law").prompt, user="someone else")
    assert first(strategy, other) == LARGE
    assert first(strategy, ask("law")) != LARGE


def test_linucb_tries_what_it_is_unsure_of(artifact: Callable[[str], Artifact]) -> None:
    bold, shy = (build("llmrouter-linucb", artifact("routeiq-ridge"), alpha=alpha) for alpha in (10, 0))
    query = ask("law")
    assert sum(bold.rank(query, CANDIDATES, state()).quality) > sum(shy.rank(query, CANDIDATES, state()).quality)


def test_an_artifact_of_another_strategy_is_refused(artifact: Callable[[str], Artifact]) -> None:
    with pytest.raises(ValueError, match="of routeiq-ridge, not of llmrouter-knn"):
        build("llmrouter-knn", artifact("routeiq-ridge"))


def test_an_artifact_of_another_version_is_refused(trained: Trained, tmp_path: Path) -> None:
    artifact = read_artifact(trained("llmrouter-mf"))
    save(msgspec.structs.replace(artifact, tensors={"counts/mean": artifact.tensors["counts/mean"]}), tmp_path)
    with pytest.raises(ValueError, match=r"has no array .*: train it again"):
        build("llmrouter-mf", read_artifact(tmp_path))


class TestWithoutAnArtifact:
    def tiers(self, **args: Any) -> Strategy:
        return build("llmrouter-nadirclaw-centroid", None, **args)

    def name(self, strategy: Strategy, query: Query) -> str:
        return PRICED[strategy.rank(query, PRICED, state()).order[0]].name

    def test_simple_and_complex(self) -> None:
        strategy = self.tiers()
        assert self.name(strategy, Query(prompt="What is the largest organ of the human body?")) == SMALL
        hard = "Statement 1 | Every homomorphic image of a cyclic group is cyclic. Calculate the index in S_5."
        assert self.name(strategy, Query(prompt=hard)) == LARGE
        assert self.name(strategy, Query(prompt="Prove that it is so, step by step.")) == LARGE

    def test_agents_and_profiles(self) -> None:
        strategy, simple = self.tiers(), "What is the largest organ of the human body?"
        assert self.name(strategy, Query(prompt=simple, tools=4)) == LARGE
        assert self.name(strategy, Query(prompt=simple, tools=1, tool_messages=2)) == LARGE
        assert self.name(strategy, Query(prompt=simple, wishes=Wishes(profile="premium"))) == LARGE
        assert self.name(strategy, Query(prompt="Prove that it is so.", wishes=Wishes(profile="eco"))) == SMALL

    def test_the_threshold(self) -> None:
        query = Query(prompt="What is the largest organ of the human body?")
        assert self.name(self.tiers(confidence_threshold=2.0), query) == LARGE


class TestThompson:
    def strategy(self, artifact: Artifact | None = None, **args: Any) -> Strategy:
        return build("routeiq-kumaraswamy-thompson", artifact, **args)

    def shares(self, strategy: Strategy, query: Query, now: float = 0.0) -> list[float]:
        around = State(now=now, rng=random.Random(3))
        chosen = [strategy.rank(query, CANDIDATES, around).order[0] for _ in range(400)]
        return [chosen.count(place) / 400 for place in range(3)]

    def test_feedback_decides(self) -> None:
        strategy, query = self.strategy(), ask("chat")
        assert max(self.shares(strategy, query)) < 0.5
        for _ in range(40):
            strategy.update(Feedback(candidate=CANDIDATES[1], query=query, quality=1.0))
            strategy.update(Feedback(candidate=CANDIDATES[0], query=query, quality=0.0))
        assert self.shares(strategy, query)[1] > 0.8
        assert max(self.shares(strategy, Query(prompt="word " * 5000))) < 0.5, "long prompts are another kind"

    def test_what_was_learned_fades(self) -> None:
        strategy, query = self.strategy(decay_gamma=0.5), ask("chat")
        for _ in range(40):
            strategy.update(Feedback(candidate=CANDIDATES[1], query=query, quality=1.0))
        assert self.shares(strategy, query)[1] > self.shares(strategy, query, now=30 * 86400.0)[1] + 0.2

    def test_artifacts_tell_where_to_begin(self, artifact: Callable[[str], Artifact]) -> None:
        shares = self.shares(self.strategy(artifact("llmrouter-elo"), cold_start_kappa=50), ask("chat"))
        assert shares[2] > 0.9

    def test_worth_is_of_quality_cost_and_latency(self) -> None:
        query = ask("chat")
        thrifty, curious = (
            self.strategy(reward_profile="cost_aware"),
            self.strategy(reward_profile="intelligence_first"),
        )
        for strategy in (thrifty, curious):
            for _ in range(60):
                strategy.update(Feedback(candidate=CANDIDATES[2], query=query, quality=1.0, cost=1.0))
                strategy.update(Feedback(candidate=CANDIDATES[0], query=query, quality=0.3, cost=0.0))
        assert self.shares(thrifty, query)[0] > 0.6
        assert self.shares(curious, query)[2] > 0.8

    def test_the_propensity_is_the_chance(self) -> None:
        strategy, query = self.strategy(), ask("chat")
        around = State(now=0.0, rng=random.Random(5))
        told = [strategy.rank(query, CANDIDATES, around).propensity for _ in range(100)]
        assert 0.25 < sum(told) / len(told) < 0.45


class TestPersonalized:
    def test_what_a_user_liked(self) -> None:
        strategy = build("personalized", None)
        mine, other = ask("chat"), Query(prompt="x", user="other")
        before = strategy.rank(mine, PRICED, state()).order[0]
        assert PRICED[before].name == LARGE, "by price, while nothing is known"
        for _ in range(10):
            strategy.update(Feedback(candidate=PRICED[0], query=mine, quality=1.0))
            strategy.update(Feedback(candidate=PRICED[2], query=mine, quality=0.0))
        assert PRICED[strategy.rank(mine, PRICED, state()).order[0]].name == SMALL
        assert PRICED[strategy.rank(other, PRICED, state()).order[0]].name == LARGE


def test_prices_are_of_tokens() -> None:
    assert PRICED[2].prices is not None
    assert PRICED[2].prices.input / PICO_PER_DOLLAR == pytest.approx(1e-5)
