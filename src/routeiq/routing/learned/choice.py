"""From predictions to a ranking: `quality - λ · cost`, with the λ of what is wished for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from routeiq.core.money import PICO_PER_DOLLAR
from routeiq.routing.arguments import Arguments
from routeiq.routing.costs import EXPECTED_OUTPUT
from routeiq.routing.learned.artifact import Artifact, Model
from routeiq.routing.learned.batch import Batch, Predictor, Scale, bounded
from routeiq.routing.learned.encoder import COUNTED, Encoding, Floats, load_encoder
from routeiq.routing.learned.familiar import Familiar
from routeiq.routing.learned.subsets import Subsets
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking, State

TARGET = 0.98
"""Share of the best model's quality that is reached where nothing else is asked."""
MOST = 1e12
"""λ of who pays for no quality at all."""
ENCODING = "encoding"
"""Of `Query.cache`."""


class Known(msgspec.Struct, frozen=True):
    """A candidate as the artifact knows it."""

    column: int | None
    """Of the predictions; `None` for one that is not in the training data."""
    model: Model | None
    input_price: float
    """US dollars a token, as configured."""
    output_price: float
    priced: bool
    """Whether the configured prices are to be used."""


class LearnedStrategy:
    """Ranks candidates by what a predictor expects of each."""

    learns = False

    def __init__(self, name: str, artifact: Artifact, predictor: Predictor, args: Mapping[str, Any]) -> None:
        """Args: `target_quality`, from 0 to 1. Raises `ValueError`."""
        given = Arguments(args)
        self.name = name
        self.artifact = artifact
        self.predictor = predictor
        self.target = given.number("target_quality", TARGET, 0.0, 1.0)
        given.done()
        self._scale = Scale(artifact.tensors)
        self._familiar = Familiar(artifact.tensors)
        self._subsets = Subsets(artifact.tensors)
        self._encoder = load_encoder()
        self._columns = columns_of([model.name for model in artifact.router.models])
        self._known: dict[str, Known] = {}
        models = artifact.router.models
        self._costs = np.array([model.cost for model in models], np.float32)
        self._means = np.array([model.quality for model in models], np.float32)
        self._prior = sum(model.quality for model in models) / len(models)
        answers = [model.output_tokens for model in models if model.output_tokens is not None]
        self._answer = sum(answers) / len(answers) if answers else EXPECTED_OUTPUT

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        """See `Strategy`."""
        encoding = encoded(query, self._encoder)
        batch = self._scale.one(encoding)
        known = [self.known(candidate) for candidate in candidates]
        familiar = bool(self._familiar(batch.x)[0])
        trained = self.trained(batch, familiar)
        quality, cost = self.expect(self.predict(query, batch, trained), encoding, known)
        asked = query.wishes.willingness_to_pay is not None or query.wishes.profile == "free"
        price = self.price_of_quality(query, known) if familiar or asked else 0.0
        ranking = ranked(query, quality, cost, price, self._features(encoding, price, familiar))
        if self.learns:
            ranking.memento = np.concatenate((batch.x[0], trained[0])).astype(np.float16).tobytes()
        if not familiar:
            ranking.reason = "unlike the training data: by mean quality"
            ranking.confidence /= 2
        return ranking

    def update(self, feedback: Feedback) -> None:
        """It does not learn while it serves."""

    def trained(self, batch: Batch, familiar: bool) -> tuple[Floats, Floats]:
        """Quality and cost by the artifact's columns; the mean quality where the prompt is like no other."""
        quality, cost = bounded(*self.predictor.predict(batch), self._costs)
        return (quality[0] if familiar else self._means), cost[0]

    def predict(self, query: Query, batch: Batch, trained: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """What was trained, with what was learned since."""
        return trained

    def recall(self, feedback: Feedback) -> tuple[int, Floats, Floats] | None:
        """The chosen column, the prompt's row and the trained quality of a decision; `None` where they are unknown."""
        column = self.known(feedback.candidate).column
        if column is None:
            return None
        if feedback.memento:
            numbers = np.frombuffer(feedback.memento, np.float16).astype(np.float32)
            row = self._scale.width
            # Of another artifact, with other models: it says nothing about these.
            return (column, numbers[:row], numbers[row:]) if len(numbers) == row + len(self._means) else None
        batch = self._scale.one(encoded(feedback.query, self._encoder))
        return column, batch.x[0], self.trained(batch, bool(self._familiar(batch.x)[0]))[0]

    def expect(
        self, predicted: tuple[Floats, Floats], encoding: Encoding, known: Sequence[Known]
    ) -> tuple[list[float], list[float]]:
        """Quality and cost of each candidate at the configured prices."""
        qualities, costs = predicted[0].tolist(), predicted[1].tolist()
        quality: list[float] = []
        cost: list[float] = []
        for one in known:
            if one.column is None or one.model is None:
                quality.append(self._prior)
                cost.append(encoding.size * one.input_price + self._answer * one.output_price)
                continue
            quality.append(qualities[one.column])
            expected = costs[one.column]
            if one.priced:
                answer = max(expected - encoding.size * one.model.input_price, 0.0) / one.model.output_price
                expected = encoding.size * one.input_price + answer * one.output_price
            cost.append(expected)
        return quality, cost

    def price_of_quality(self, query: Query, known: Sequence[Known]) -> float:
        """λ for what is wished for, at the configured prices."""
        wishes = query.wishes
        if wishes.willingness_to_pay is not None:
            return 1 / wishes.willingness_to_pay if wishes.willingness_to_pay > 1 / MOST else MOST
        if wishes.profile == "free":
            return MOST
        target = self.target if wishes.target_quality is None else wishes.target_quality
        columns = tuple(sorted({one.column for one in known if one.column is not None}))
        if 1 < len(columns) < len(self._means):
            price = self._subsets.price_of_quality(columns, target)
        else:
            price = self.artifact.price_of_quality(target)
        best = max((one for one in known if one.model is not None), key=_quality, default=None)
        if best is None or best.model is None or not best.priced:
            return price
        # λ was found at the prices of training: what the best model costs now is what counts as dear now.
        answer = best.model.output_tokens or 0.0
        now = best.model.input_tokens * best.input_price + answer * best.output_price
        return price * best.model.cost / now if now > 0 else price

    def known(self, candidate: Candidate) -> Known:
        """What the artifact knows of it, looked up once."""
        found = self._known.get(candidate.name)
        if found is None:
            found = self._known[candidate.name] = self._look_up(candidate)
        return found

    def _look_up(self, candidate: Candidate) -> Known:
        column = column_of(self._columns, candidate)
        model = None if column is None else self.artifact.router.models[column]
        prices = candidate.prices
        if prices is None:
            return Known(column, model, 0.0, 0.0, False)
        priced = model is None or (model.output_tokens is not None and model.output_price > 0)
        return Known(column, model, prices.input / PICO_PER_DOLLAR, prices.output / PICO_PER_DOLLAR, priced)

    def _features(self, encoding: Encoding, price: float, familiar: bool) -> dict[str, Any]:
        counted = dict(zip(COUNTED, (round(float(value), 4) for value in encoding.counts), strict=True))
        return {"tokens": encoding.size, "lambda": price, "familiar": familiar, **counted}


def _quality(known: Known) -> float:
    return known.model.quality if known.model is not None else -1.0


def encoded(query: Query, encoder: Any) -> Encoding:
    """The query's encoding, worked out once a request."""
    found = query.cache.get(ENCODING)
    if found is None:
        found = query.cache[ENCODING] = encoder.encode(query.prompt)
    return found  # type: ignore[no-any-return]


def ranked(query: Query, quality: list[float], cost: list[float], price: float, features: dict[str, Any]) -> Ranking:
    """The ranking by `quality - price · cost`; whoever is dearer than is allowed comes last."""
    scores = [q - price * c for q, c in zip(quality, cost, strict=True)]
    most = query.wishes.max_cost
    order = sorted(
        range(len(scores)), key=lambda place: (most is not None and cost[place] > most, -scores[place], place)
    )
    return Ranking(
        order=order,
        scores=scores,
        quality=quality,
        cost=cost,
        confidence=quality[order[0]],
        reason=f"λ {price:.4g}",
        features=features,
    )


def columns_of(names: Sequence[str]) -> dict[str, int]:
    """Where a model stands by its name in lower case, and by the last segment of it where that is no other's."""
    columns = {name.lower(): place for place, name in enumerate(names)}
    for place, name in enumerate(names):
        columns.setdefault(_last(name.lower()), place)
    return columns


def column_of(columns: Mapping[str, int], candidate: Candidate) -> int | None:
    """Where the candidate stands: by its names in full, then by their last segments."""
    names = [name.lower() for name in candidate.names()]
    for name in (*names, *map(_last, names)):
        if name in columns:
            return columns[name]
    return None


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def needed(artifact: Artifact | None, strategy: str, *others: str) -> Artifact:
    """The artifact. Raises `ValueError` where there is none, or it was made by another strategy than these."""
    if artifact is None:
        raise ValueError(f"{strategy} needs `model_path`: an artifact made by `routeiq mlops train`")
    if artifact.router.strategy not in (strategy, *others):
        raise ValueError(f"the artifact is one of {artifact.router.strategy}, not of {strategy}")
    return artifact
