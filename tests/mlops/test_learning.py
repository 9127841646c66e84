"""Training: what is promised is measured without looking, and served as it was measured."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.routing import Wishes
from routeiq.mlops.calibrate import Outcome, calibrate, choose, falling, measure, out_of_fold
from routeiq.mlops.dataset import BadData, Dataset, read_dataset, split_of, write_dataset
from routeiq.mlops.evaluate import area, cost_at, evaluate, hull, predict
from routeiq.mlops.replay import leave_out, replay
from routeiq.mlops.stack import stacked
from routeiq.mlops.train import describe, encode, segments_of, silent, train
from routeiq.mlops.unseen import evaluate_unseen
from routeiq.routing.learned.artifact import Artifact, read_artifact
from routeiq.routing.learned.batch import Scale
from routeiq.routing.learned.familiar import Familiar
from routeiq.routing.learned.ridge import build
from routeiq.routing.learned.subsets import Subsets, tried_of
from routeiq.routing.strategy import Query, State
from support.outcomes import COSTS, LARGE, SMALL, candidate, outcomes
from support.trained import Trained

FAST = "llmrouter-mf"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return outcomes(360, seed=3)


@pytest.fixture(scope="module")
def artifact(trained: Trained) -> Artifact:
    return read_artifact(trained("routeiq-ridge"))


def test_what_is_served_is_what_was_measured(artifact: Artifact, data: Dataset) -> None:
    test = data.split("test")
    quality, cost = predict(artifact, Scale(artifact.tensors).many(encode(test.prompts)))
    measured = choose(quality, cost, artifact.price_of_quality(0.98), np.ones(quality.shape, bool))
    strategy, state = build({}, artifact), State(now=0.0, rng=random.Random(0))
    candidates = [candidate(name) for name in test.models]
    served = [
        strategy.rank(Query(prompt=prompt, wishes=Wishes(target_quality=0.98)), candidates, state).order[0]
        for prompt in test.prompts
    ]
    assert served == measured.tolist()


def test_only_train_and_val_are_learned_from(data: Dataset) -> None:
    poisoned = data.take(slice(None))
    poisoned.quality[poisoned.splits == "test"] = 0.0
    first, second = train(data, FAST, {}), train(poisoned, FAST, {})
    assert first.router.targets == second.router.targets
    assert all((first.tensors[name] == second.tensors[name]).all() for name in first.tensors)


def test_prompts_unlike_all_others_go_to_the_best() -> None:
    known = outcomes(400, kinds=("chat", "code"))
    artifact = train(known, "routeiq-ridge", {})
    strategy, state = build({}, artifact), State(now=0.0, rng=random.Random(0))
    candidates = [candidate(name) for name in known.models]
    strange = strategy.rank(Query(prompt="∀x: \\frac{d}{dx} e^x = e^x; ∫_0^1 x^2 dx = ?" * 9), candidates, state)
    assert not strange.features["familiar"]
    assert candidates[strange.order[0]].name == LARGE
    familiar = [
        strategy.rank(Query(prompt=prompt), candidates, state)
        for prompt in outcomes(60, seed=9, kinds=("chat", "code")).prompts
    ]
    assert sum(ranking.features["familiar"] for ranking in familiar) >= 54
    assert any(candidates[ranking.order[0]].name == SMALL for ranking in familiar)


def test_the_way_it_is_written_does_not_make_a_prompt_strange() -> None:
    asked = tuple(f"{prompt}\nA. yes\nB. no" for prompt in outcomes(200).prompts)
    data = msgspec.structs.replace(outcomes(200), prompts=asked)
    artifact = train(data, FAST, {})
    scale, familiar = Scale(artifact.tensors), Familiar(artifact.tensors)
    for noise in (str.lower, str.upper, lambda prompt: prompt.replace(" ", "   ")):
        assert familiar(scale.many(encode([noise(prompt) for prompt in asked])).x).mean() > 0.95


def test_sparse_outcomes_are_enough(data: Dataset) -> None:
    """As logs have them: one model a prompt."""
    generator = np.random.default_rng(0)
    sparse = data.take(slice(None))
    asked = generator.integers(0, 3, len(data))
    for matrix in (sparse.quality, sparse.cost, sparse.output):
        matrix[np.arange(3) != asked[:, None]] = np.nan
    found = evaluate(train(sparse, "routeiq-ridge", {}), data.split("test"), [0.98])
    assert found["targets"]["0.98"]["quality_pct"] > 85


def test_feedback_makes_up_for_what_was_not_trained(artifact: Artifact) -> None:
    played = outcomes(500, seed=5)
    taught = leave_out(
        played,
        lambda others, own: replay(train(others, "routeiq-ridge", {}), own, 60, 0.98, {"alpha": 0.05}),
        least=100,
    )
    assert set(taught) == {"chat", "code", "law"}
    for result in taught.values():
        assert result["events"] == 60
        assert result["reference"]["after"]["quality_pct"] > 85
    with pytest.raises(ValueError, match="leave none to measure"):
        replay(artifact, played, 500, 0.98, {})


def test_tasks_left_out_of_training_are_measured() -> None:
    played = outcomes(360, seed=5)
    found = evaluate_unseen(played, "llmrouter-elo", [1.0], silent)
    assert {task: one["prompts"] for task, one in found["tasks"].items()} == dict(Counter(played.tasks.tolist()))
    # It says the same of every prompt: at the highest target the model that is best of all.
    assert found["best_single"] == LARGE
    assert found["targets"]["1.0"] == pytest.approx({"quality_pct": 100, "cost_pct": 100}, abs=0.01)
    # Law is unlike the rest: whoever has not seen it asks the best model, at its price.
    unseen = evaluate_unseen(played, FAST, [0.9], silent)["tasks"]["law"]["targets"]["0.9"]
    seen = evaluate(train(played, FAST, {}), played.take(played.tasks == "law"), [0.9])["targets"]["0.9"]
    assert unseen["quality_pct"] > 98
    assert unseen["cost_pct"] > seen["cost_pct"] + 2
    with pytest.raises(BadData, match="column `task`"):
        evaluate_unseen(played.take(played.tasks == "law"), FAST, [0.9], silent)


@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 5))
def test_no_prompt_is_predicted_by_what_has_seen_it(count: int, folds: int, seed: int) -> None:
    def fit_predict(learned: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert not set(learned) & set(held)
        assert len(learned) + len(held) == count
        return held[:, None].astype(float), held[:, None].astype(float)

    quality, _ = out_of_fold(count, fit_predict, folds, seed)
    assert quality[:, 0].tolist() == list(range(count))


@given(st.integers(0, 1000))
def test_more_quality_is_worth_more(seed: int) -> None:
    generator = np.random.default_rng(seed)
    quality = generator.random((50, 3))
    cost = generator.random((50, 3)) * (0.1, 0.5, 1)
    curve = measure([Outcome(quality + generator.normal(0, 0.2, quality.shape), cost, quality, cost)])
    places = calibrate(curve)
    prices = [curve.price[places[target]] for target in sorted(places)]
    assert prices == sorted(prices, reverse=True)
    for target, place in places.items():
        assert curve.quality[place] >= min(target, curve.quality.max())
    assert (np.diff(curve.quality) <= 0).all()
    assert (np.diff(curve.cost) <= 0).all()


def test_what_rises_by_chance_is_evened_out() -> None:
    assert falling(np.array([1.0, 0.8, 0.9, 0.5, 0.5, 0.7])) == pytest.approx(
        [1.0, 0.85, 0.85, 0.17 / 0.3, 0.17 / 0.3, 0.17 / 0.3]
    )


@given(st.integers(0, 1000), st.sets(st.integers(0, 3), min_size=2).map(sorted), st.sampled_from((1.0, 0.95, 0.8)))
def test_some_models_reach_their_share(seed: int, models: list[int], target: float) -> None:
    generator = np.random.default_rng(seed)
    quality = generator.random((60, 4)) * (0.5, 0.8, 0.9, 1)
    cost = generator.random((60, 4)) * (0.1, 0.3, 0.5, 1) + 0.01
    arrays = tried_of(quality + generator.normal(0, 0.1, quality.shape), cost, quality, cost)
    subsets = Subsets(arrays)
    price = subsets.price_of_quality(tuple(models), target)
    assert subsets.price_of_quality(tuple(models), target) == price
    assert price <= subsets.price_of_quality(tuple(models), 0.5)
    out = [place for place in range(4) if place not in models]
    predicted = arrays["tried/quality"].copy()
    predicted[:, out] = -np.inf
    rows = np.arange(60)

    def reached(price: float) -> float:
        chosen = np.argmax(predicted - np.float32(price) * arrays["tried/cost"], axis=1)
        return float(arrays["tried/reached"][rows, chosen].mean())

    most = max(reached(0.0), reached(price))
    assert reached(price) >= min(target * arrays["tried/reached"][:, models].mean(axis=0).max(), most) - 1e-6


def test_parts_count_by_how_well_they_tell_models_apart() -> None:
    generator = np.random.default_rng(0)
    quality = generator.random((400, 4))
    knows, guesses = quality * 0.5 + 0.25, generator.random((400, 4))
    before = np.array((0.5, 0.5), np.float32)
    weights = stacked([np.stack((knows, guesses))], quality, before)
    assert weights == pytest.approx([2, 0], abs=0.2)
    # A part that says of each prompt how hard it is for all models tells nothing.
    hard = np.broadcast_to(quality.mean(axis=1, keepdims=True), quality.shape)
    assert stacked([np.stack((hard, knows))], quality, before)[1] == pytest.approx(2, abs=0.2)
    one = np.where(generator.integers(0, 4, (400, 1)) == np.arange(4), quality, np.nan)
    assert stacked([np.stack((knows, guesses))], one, before) == pytest.approx(before)


def test_targets_in_between_lie_in_between() -> None:
    router = train(outcomes(90), FAST, {}).router
    changed = msgspec.structs.replace(router, targets={"1.0": 10.0, "0.9": 30.0})
    artifact = Artifact(router=changed, tensors={})
    assert [artifact.price_of_quality(target) for target in (1.0, 0.95, 0.9, 0.5)] == pytest.approx([10, 20, 30, 30])


def test_curves() -> None:
    points = hull([(100.0, 100.0), (50.0, 50.0), (10.0, 40.0), (20.0, 90.0), (30.0, 80.0)])
    assert points == [(10.0, 40.0), (20.0, 90.0), (100.0, 100.0)]
    assert cost_at(points, 95.0) == pytest.approx(60.0)
    assert cost_at(points, 30.0) == 10.0
    assert cost_at(points, 101.0) is None
    assert area([(0.0, 0.0), (100.0, 100.0)], 0.0) == pytest.approx(50.0)


def test_prices_are_found(data: Dataset) -> None:
    generator = np.random.default_rng(0)
    known = data.take(slice(None))
    known.input[:] = generator.integers(10, 500, len(known))
    known.output[:] = generator.integers(10, 500, known.output.shape)
    known.cost[:] = known.input[:, None] * 1e-6 + known.output * 4e-6
    model = describe(known)[0]
    assert (model.input_price, model.output_price) == pytest.approx((1e-6, 4e-6))


def test_small_tasks_are_one_segment() -> None:
    tasks = np.array(["a"] * 10 + ["b"] * 8 + ["c", "d", "e"])
    assert segments_of(tasks, np.zeros((21, 2), np.float32)).tolist() == [0] * 10 + [1] * 8 + [2] * 3


def test_files_are_read_as_written(data: Dataset, tmp_path: Path) -> None:
    write_dataset(data, tmp_path / "x.parquet")
    read = read_dataset(tmp_path / "x.parquet")
    assert read.prompts == data.prompts
    assert (read.quality == data.quality).all()
    assert read.splits.tolist() == data.splits.tolist()
    assert read.cost[0].tolist() == pytest.approx(COSTS)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt": ["a"]}, "needs a column `prompt` and a column `score:<model>`"),
        ({"prompt": ["a"], "score:m": [1.0]}, "no column `cost:m`"),
        ({"prompt": [1], "score:m": [1.0], "cost:m": [1.0]}, "not texts"),
        ({"prompt": ["a"], "score:m": ["good"], "cost:m": [1.0]}, "`score:m` is not of numbers"),
        ({"prompt": ["a"], "score:m": [2.0], "cost:m": [1.0]}, "`score:m` is 2 in row 0"),
        ({"prompt": ["a"], "score:m": [1.0], "cost:m": [-1.0]}, "`cost:m` is -1 in row 0"),
        ({"prompt": ["a"], "score:m": [None], "cost:m": [1.0]}, "`score:m` has no value"),
        ({"prompt": [], "score:m": [], "cost:m": []}, "has no rows"),
    ],
)
def test_bad_files_are_told(columns: dict[str, list[object]], message: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), tmp_path / "x.parquet")
    with pytest.raises(BadData, match=message):
        read_dataset(tmp_path / "x.parquet")


def test_too_few_prompts() -> None:
    with pytest.raises(BadData, match="too few to learn from"):
        train(outcomes(15), FAST, {})


def test_models_nobody_knows(artifact: Artifact, data: Dataset) -> None:
    strange = msgspec.structs.replace(data, models=("x", "y", "z"))
    with pytest.raises(BadData, match="no model of the artifact is in the data"):
        evaluate(artifact, strange, [0.98])


@given(st.text("abc XYZ\n", max_size=40))
def test_the_same_prompt_is_in_one_split(prompt: str) -> None:
    assert split_of(prompt) == split_of(f" {prompt.upper()}  ".replace(" ", "\t "))
