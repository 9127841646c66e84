"""Personal preferences: a vector for each user, moved towards what they liked and away from what they did not."""

from __future__ import annotations

import math
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from routeiq.core.routing import CAPABILITIES
from routeiq.routing.arguments import Arguments
from routeiq.routing.costs import expected, per_thousand
from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.choice import column_of, columns_of
from routeiq.routing.learned.encoder import Floats
from routeiq.routing.strategy import Candidate, Feedback, Query, Ranking, State

NAME = "personalized"
PREFERENCE, QUALITY = 0.7, 0.3
"""Shares of what a user prefers, and of what is good in general."""
HASHED = 112
MOST_USERS = 10_000
DAY = 86400.0


class Taste(msgspec.Struct):
    """What is known of a user."""

    vector: Floats
    at: float


class Personalized:
    """Args: `learning_rate`, `decay` (a day)."""

    name = NAME
    learns = True

    def __init__(self, args: Mapping[str, Any], artifact: Artifact | None) -> None:
        given = Arguments(args)
        self._rate = given.number("learning_rate", 0.1, 0.001, 1.0)
        self._decay = given.number("decay", 0.99, 0.5, 1.0)
        given.done()
        self._models = artifact.router.models if artifact is not None else ()
        self._columns = columns_of([model.name for model in self._models])
        self._users: OrderedDict[str, Taste] = OrderedDict()

    def rank(self, query: Query, candidates: Sequence[Candidate], state: State) -> Ranking:
        """See `Strategy`."""
        quality = [self._quality(candidate, candidates) for candidate in candidates]
        taste = self._users.get(query.user) if query.user else None
        liked = [0.0] * len(candidates)
        if taste is not None:
            liked = [float(taste.vector @ vector_of(candidate)) for candidate in candidates]
        scores = [PREFERENCE * like + QUALITY * good for like, good in zip(liked, quality, strict=True)]
        return Ranking(
            order=sorted(range(len(scores)), key=lambda place: (-scores[place], place)),
            scores=scores,
            quality=quality,
            cost=[expected(candidate, query) for candidate in candidates],
            reason="by the user's preferences" if taste is not None else "nothing is known of the user",
        )

    def update(self, feedback: Feedback) -> None:
        """Learn from a judgement: quality above one half is liking."""
        user = feedback.query.user
        if feedback.quality is None or not user:
            return
        vector = np.zeros(HASHED + 2 + len(CAPABILITIES), np.float32)
        taste = self._users.pop(user, None)
        if taste is not None:
            vector = taste.vector * np.float32(self._decay ** (max(feedback.at - taste.at, 0.0) / DAY))
        vector = vector + np.float32(self._rate * (2 * feedback.quality - 1)) * vector_of(feedback.candidate)
        length = float(np.linalg.norm(vector))
        self._users[user] = Taste(vector / np.float32(max(length, 1.0)), feedback.at)
        if len(self._users) > MOST_USERS:
            self._users.popitem(last=False)

    def _quality(self, candidate: Candidate, candidates: Sequence[Candidate]) -> float:
        """As it was trained; else by price: the dearest are taken for the best."""
        column = column_of(self._columns, candidate)
        if column is not None:
            return self._models[column].quality
        price = per_thousand(candidate)
        known = [one for one in map(per_thousand, candidates) if one == one]
        return sum(one <= price for one in known) / len(known) if price == price else 0.5


def vector_of(candidate: Candidate) -> Floats:
    """What a model is like, of length 1: its name and provider, price, context and what it can do."""
    vector = np.zeros(HASHED + 2 + len(CAPABILITIES), np.float32)
    for word in (candidate.name, candidate.provider, *candidate.name.replace("/", "-").split("-")):
        vector[zlib.crc32(word.lower().encode()) % HASHED] += 1
    price = per_thousand(candidate)
    vector[HASHED] = math.log10(price * 1000 + 1) if price == price else 0.0
    vector[HASHED + 1] = math.log10(candidate.context_window or 1) / 6
    for place, capability in enumerate(CAPABILITIES):
        vector[HASHED + 2 + place] = 0.5 * candidate.capabilities.get(capability, False)
    made: Floats = vector / np.linalg.norm(vector)
    return made


def build(args: Mapping[str, Any], artifact: Artifact | None) -> Personalized:
    """The strategy as configured; an artifact of any kind tells how good models are in general."""
    return Personalized(args, artifact)
