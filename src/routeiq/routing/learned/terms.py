"""Terms of a prompt, single tokens and pairs of neighbours, weighted by TF-IDF:
https://scikit-learn.org/stable/modules/feature_extraction.html#tf-idf-term-weighting, with the logarithm of the count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routeiq.routing.learned.encoder import Floats, Integers

_PAIR = 1 << 16
"""More than there are token ids: a pair's key is `(first + 1) * _PAIR + second`."""


class Terms:
    """Where each known term stands, and what it weighs."""

    def __init__(self, keys: Integers, idf: Floats) -> None:
        self.keys, self.idf = keys, idf

    def weigh(self, tokens: Integers) -> tuple[Integers, Floats]:
        """Places of the terms it has, and their weights: a vector of length 1, or nothing."""
        keys, counted = count(tokens)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[places] == keys
        places = places[known]
        weights = (1 + np.log(counted[known])).astype(np.float32) * self.idf[places]
        length = np.sqrt(weights @ weights)
        return places, weights / length if length else weights


def count(tokens: Integers) -> tuple[Integers, Integers]:
    """Keys of the terms, ascending, and how often each occurs."""
    return np.unique(np.concatenate((tokens, (tokens[:-1] + 1) * _PAIR + tokens[1:])), return_counts=True)


def learn_terms(prompts: Sequence[Integers], least: int = 3) -> Terms:
    """The terms that at least so many of the prompts have; at least one, so that there is an array to look at."""
    keys, prompts_with = np.unique(np.concatenate([count(tokens)[0] for tokens in prompts]), return_counts=True)
    frequent = prompts_with >= min(least, prompts_with.max(initial=0))
    idf = np.log((1 + len(prompts)) / (1 + prompts_with[frequent])) + 1
    return Terms(keys[frequent], idf.astype(np.float32))
