"""Trains the ridge strategy, see `routing.learned.ridge`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from routeiq.mlops.fit.forest import grow
from routeiq.mlops.fit.rows import COST_ALPHA, Doubles, Rows, means, outcomes_of, ridge
from routeiq.routing.learned.encoder import Integers
from routeiq.routing.learned.ridge import EVEN, MIX, SEEN, seen
from routeiq.routing.learned.tensors import Array
from routeiq.routing.learned.terms import Terms, learn_terms

COMPONENTS = 256
"""Of the singular value decomposition of the terms."""
ALPHA = 60.0
"""Cross-validated on train and val of six public sets: 40 to 80 are alike."""
SEGMENT_PRIOR = 5.0
"""Rows of the whole mean that a segment's own are mixed with."""
SEGMENT_STRENGTH = 10.0
"""Inverse regularisation of which segment a prompt resembles."""


def fit(rows: Rows) -> dict[str, Array]:
    """The arrays of `Ridge`."""
    terms = learn_terms(rows.batch.tokens)
    weighed = matrix_of(terms, rows.batch.tokens)
    components = max(min(COMPONENTS, len(rows) - 1, len(terms.keys) - 1), 1)
    decomposed = TruncatedSVD(components, n_iter=4, random_state=0).fit(weighed)
    about = decomposed.transform(weighed)
    x = rows.batch.x.astype(np.float64)
    features = np.hstack((x, about))
    used, segments = np.unique(rows.segments, return_inverse=True)
    outcomes, unit = outcomes_of(rows)
    table = means(outcomes, segments, len(used), SEGMENT_PRIOR)
    logits, logits_bias = _logits(features, segments, len(used))
    models = len(unit) // 2
    quality, quality_bias = ridge(features, outcomes[:, :models], ALPHA)
    cost, cost_bias = ridge(features, outcomes[:, models:], COST_ALPHA)
    shown = np.zeros((features.shape[1], min(SEEN, components)))
    shown[x.shape[1] + np.arange(shown.shape[1]), np.arange(shown.shape[1])] = 1.0
    weights = np.hstack((logits, quality, cost, shown))
    bias = np.concatenate((logits_bias, quality_bias, cost_bias, np.zeros(shown.shape[1])))
    of_terms = decomposed.components_.T @ weights[x.shape[1] :]
    scale = np.abs(of_terms).max(axis=0)
    scale[scale == 0] = 1.0
    filled = np.where(np.isnan(outcomes), table[segments], outcomes)
    return {
        "terms/keys": terms.keys,
        "terms/idf": terms.idf,
        "ridge/weights": weights[: x.shape[1]].astype(np.float32),
        "ridge/terms": (of_terms / scale).astype(np.float16),
        "ridge/scale": scale.astype(np.float32),
        "ridge/bias": bias.astype(np.float32),
        "ridge/segments": table.astype(np.float32),
        "ridge/unit": unit.astype(np.float32),
        "ridge/mean": np.nanmean(rows.quality, axis=0).astype(np.float32),
        MIX: EVEN,
        **grow(seen(rows.batch.x, about[:, : shown.shape[1]].astype(np.float32)), filled),
    }


def matrix_of(terms: Terms, prompts: Sequence[Integers]) -> csr_matrix:
    """Weights of the terms, shape (prompts, terms)."""
    weighed = [terms.weigh(tokens) for tokens in prompts]
    ends = np.cumsum([0] + [len(places) for places, _ in weighed])
    return csr_matrix(
        (
            np.concatenate([weights for _, weights in weighed]),
            np.concatenate([places for places, _ in weighed]),
            ends,
        ),
        shape=(len(prompts), len(terms.keys)),
    )


def _logits(features: Doubles, segments: Integers, count: int) -> tuple[Doubles, Doubles]:
    """Weights and bias of the segments' logits."""
    if count == 1:
        return np.zeros((features.shape[1], 1)), np.zeros(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=SEGMENT_STRENGTH, max_iter=60).fit(features, segments)
    weights, bias = model.coef_.T, model.intercept_
    if count == 2:
        return np.hstack((np.zeros_like(weights), weights)), np.concatenate((np.zeros(1), bias))
    return weights, bias
