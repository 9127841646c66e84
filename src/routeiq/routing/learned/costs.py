"""What strategies other than the ridge expect answers to cost: a linear function of embedding and counts."""

from __future__ import annotations

from collections.abc import Mapping

from routeiq.routing.learned.encoder import Floats
from routeiq.routing.learned.tensors import Array


class Costs:
    """Arrays: `cost/weights` (270, M), `cost/bias` (M)."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._weights, self._bias = tensors["cost/weights"], tensors["cost/bias"]

    def __call__(self, x: Floats) -> Floats:
        """US dollars, shape (n, models)."""
        return x @ self._weights + self._bias
