"""The graph with nodes for users (https://arxiv.org/abs/2511.08590): what a user's feedback says of a model is passed
on to the nodes of prompts like the one judged, and serves that user.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.choice import LearnedStrategy, needed
from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.graph import Graph, joined
from routeiq.routing.strategy import Feedback, Query

NAME = "llmrouter-gmt"
STEP = 0.3
"""How far one judgement moves the edge between a user and a model."""
MOST_USERS = 10_000
"""Remembered; whoever was heard of longest ago is forgotten first."""


class Gmt(LearnedStrategy):
    """Trained as the graph is; users are learned while it serves."""

    learns = True

    def __init__(self, artifact: Artifact, args: Mapping[str, Any]) -> None:
        super().__init__(NAME, artifact, Graph(artifact.tensors), args)
        self._nodes = artifact.tensors["graph/nodes"]
        self._sharpness = float(artifact.tensors["graph/sharpness"][0])
        self._users: OrderedDict[str, Floats] = OrderedDict()

    def predict(self, query: Query, batch: Batch, trained: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """The graph's prediction with the edges of the user."""
        quality, cost = trained
        edges = self._users.get(query.user)
        if edges is not None:
            quality = np.clip(quality + self._joined(batch.x[0]) @ edges, 0.0, 1.0)
        return quality, cost

    def _joined(self, x: Floats) -> Floats:
        strength: Floats = joined(x[None, :], self._nodes, self._sharpness)[0]
        return strength

    def update(self, feedback: Feedback) -> None:
        """Learn from a judged answer to a known user."""
        recalled, user = self.recall(feedback), feedback.query.user
        if feedback.quality is None or recalled is None or not user:
            return
        column, x, quality = recalled
        strength = self._joined(x)
        edges = self._users.pop(user, None)
        if edges is None:
            edges = np.zeros((len(self._nodes), len(self.artifact.router.models)), np.float32)
        error = feedback.quality - float(quality[column] + strength @ edges[:, column])
        edges[:, column] += STEP * error * strength / strength.max()
        self._users[user] = edges
        if len(self._users) > MOST_USERS:
            self._users.popitem(last=False)


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured; the graph's artifacts do as well as its own."""
    return Gmt(needed(artifact, NAME, "llmrouter-graph"), args)
