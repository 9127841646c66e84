"""A graph of prompts and models (https://arxiv.org/abs/2410.03834): a prompt is joined to the nodes of prompts like it,
those to each other and to models; what models did is passed along the edges before it is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routeiq.routing.learned.artifact import Artifact
from routeiq.routing.learned.batch import Batch
from routeiq.routing.learned.choice import LearnedStrategy, needed
from routeiq.routing.learned.costs import Costs
from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.ridge import softmax
from routeiq.routing.learned.tensors import Array

NAME = "llmrouter-graph"


class Graph:
    """Arrays: `graph/nodes` (K, 270), `graph/edges` (K, M), `graph/sharpness` (1); those of `Costs`."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._nodes, self._edges = tensors["graph/nodes"], tensors["graph/edges"]
        self._sharpness = float(tensors["graph/sharpness"][0])
        self._costs = Costs(tensors)

    def predict(self, batch: Batch) -> tuple[Floats, Floats]:
        """See `Predictor`."""
        return joined(batch.x, self._nodes, self._sharpness) @ self._edges, self._costs(batch.x)


def joined(x: Floats, nodes: Array, sharpness: float) -> Floats:
    """How strongly each prompt is joined to each node: rows sum to 1."""
    near = x @ nodes.T - (nodes**2).sum(axis=1) / 2
    return softmax(sharpness * near)


def build(args: Mapping[str, Any], artifact: Artifact | None) -> LearnedStrategy:
    """The strategy as configured."""
    trained = needed(artifact, NAME)
    return LearnedStrategy(NAME, trained, Graph(trained.tensors), args)
