"""The default learned strategy: what it is asked, and by whom, changes what it chooses."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import pytest

from routeiq.core.money import PICO_PER_DOLLAR, Prices
from routeiq.core.routing import Wishes
from routeiq.routing.learned.artifact import Artifact, read_artifact
from routeiq.routing.learned.choice import LearnedStrategy
from routeiq.routing.learned.ridge import build
from routeiq.routing.strategy import Candidate, Query, State
from support.outcomes import CODER, COSTS, LARGE, SMALL, candidate, prompt
from support.trained import Trained

STATE = State(now=0.0, rng=random.Random(0))
CANDIDATES = [candidate(name) for name in (SMALL, CODER, LARGE)]


@pytest.fixture(scope="module")
def artifact(trained: Trained) -> Artifact:
    return read_artifact(trained("routeiq-ridge"))


@pytest.fixture
def strategy(artifact: Artifact) -> LearnedStrategy:
    return build({}, artifact)


def ask(kind: str, **wishes: object) -> Query:
    return Query(prompt=prompt(kind, random.Random(7)), wishes=Wishes(**wishes))  # type: ignore[arg-type]


def first(strategy: LearnedStrategy, query: Query, candidates: Sequence[Candidate] = CANDIDATES) -> str:
    return candidates[strategy.rank(query, candidates, STATE).order[0]].name


@pytest.mark.parametrize(("kind", "name"), [("chat", SMALL), ("code", CODER), ("law", LARGE)])
def test_what_is_asked_decides(strategy: LearnedStrategy, kind: str, name: str) -> None:
    assert first(strategy, ask(kind)) == name


def test_expectations_are_told(strategy: LearnedStrategy) -> None:
    ranking = strategy.rank(ask("law"), CANDIDATES, STATE)
    assert ranking.quality[2] > ranking.quality[0] + 0.3
    assert ranking.cost == pytest.approx(COSTS, rel=0.2)
    assert sorted(ranking.order) == [0, 1, 2]
    assert ranking.scores[ranking.order[0]] == max(ranking.scores)
    assert ranking.features["lambda"] > 0


def test_wishes_decide(strategy: LearnedStrategy) -> None:
    assert first(strategy, ask("law", profile="free")) == SMALL
    assert first(strategy, ask("law", willingness_to_pay=1e-6)) == SMALL
    assert first(strategy, ask("law", willingness_to_pay=1e3)) == LARGE
    assert first(strategy, ask("law", max_cost=0.001)) != LARGE
    assert first(strategy, ask("code", profile="premium", willingness_to_pay=1e6)) in (CODER, LARGE)
    prices = [
        strategy.rank(ask("law", target_quality=t), CANDIDATES, STATE).features["lambda"] for t in (1.0, 0.9, 0.5)
    ]
    assert prices[0] < prices[1] < prices[2]


def test_some_of_the_models_have_a_price_of_their_own(strategy: LearnedStrategy) -> None:
    """The promise is a share of the best of those that are left."""
    found = {
        places: strategy.rank(ask("law"), [CANDIDATES[place] for place in places], STATE).features["lambda"]
        for places in ((0, 1, 2), (0, 1), (1, 0), (0, 2), (0,))
    }
    assert found[0, 1] == found[1, 0] > found[0, 2] > 0, "dollars count for more where the dear model is out"
    assert found[0, 1, 2] == strategy.artifact.price_of_quality(0.98)
    stranger = [*CANDIDATES, candidate("acme/stranger")]
    assert strategy.rank(ask("law"), stranger, STATE).features["lambda"] == found[0, 1, 2]


def test_dear_candidates_stay_as_the_last(strategy: LearnedStrategy) -> None:
    assert strategy.rank(ask("law", max_cost=0.001), CANDIDATES, STATE).order[-1] == 2


def test_prices_as_configured_count(strategy: LearnedStrategy) -> None:
    """The large model has become cheaper than the others: it is asked for everything."""
    cheap = Prices(input=1, output=1)
    dear = Prices(input=PICO_PER_DOLLAR // 10**5, output=PICO_PER_DOLLAR // 10**5)
    priced = [candidate(SMALL, dear), candidate(CODER, dear), candidate(LARGE, cheap)]
    for kind in ("chat", "code", "law"):
        assert first(strategy, ask(kind), priced) == LARGE


def test_names_are_matched(artifact: Artifact) -> None:
    strategy = build({}, artifact)
    for name, known_as in (("ACME/Large", ()), ("mine", ("openai/large",)), ("large", ())):
        assert strategy.known(candidate(name, known_as=known_as)).column == 2
    assert strategy.known(candidate("acme/other")).column is None


def test_strangers_are_expected_to_be_average(strategy: LearnedStrategy) -> None:
    priced = candidate("stranger", Prices(input=10**6, output=10**6))
    ranking = strategy.rank(ask("chat"), [priced, CANDIDATES[2]], STATE)
    assert 0.4 < ranking.quality[0] < 0.9
    assert ranking.cost[0] == pytest.approx((len(ask("chat").prompt.split()) + 120) * 1e-6, rel=0.5)


@pytest.mark.parametrize("text", ["", "\x00", "x" * 10**6, "漢" * 5000, "\ud800"])
def test_any_prompt_is_ranked(strategy: LearnedStrategy, text: str) -> None:
    ranking = strategy.rank(Query(prompt=text), CANDIDATES, STATE)
    assert sorted(ranking.order) == [0, 1, 2]
    assert np.isfinite(ranking.scores).all()


def test_the_target_of_the_configuration_counts(artifact: Artifact) -> None:
    low, high = build({"target_quality": 0.5}, artifact), build({"target_quality": 1.0}, artifact)
    assert (
        low.rank(ask("law"), CANDIDATES, STATE).features["lambda"]
        > high.rank(ask("law"), CANDIDATES, STATE).features["lambda"]
    )


@pytest.mark.parametrize("value", [True, "high", -1, 1.5])
def test_a_wrong_target_is_refused(artifact: Artifact, value: object) -> None:
    with pytest.raises(ValueError, match="target_quality must be"):
        build({"target_quality": value}, artifact)


def test_unknown_arguments_are_refused(artifact: Artifact) -> None:
    with pytest.raises(ValueError, match="n_neighbors is not an argument"):
        build({"n_neighbors": 5}, artifact)


def test_it_needs_its_artifact(artifact: Artifact) -> None:
    with pytest.raises(ValueError, match="model_path"):
        build({}, None)


def test_a_decision_takes_less_than_a_millisecond(strategy: LearnedStrategy) -> None:
    generator = random.Random(1)
    taken = []
    for _ in range(400):
        query = Query(prompt=" ".join(prompt("code", generator) for _ in range(8)))
        start = time.perf_counter()
        strategy.rank(query, CANDIDATES, STATE)
        taken.append(time.perf_counter() - start)
    assert sorted(taken)[200] < 0.001
