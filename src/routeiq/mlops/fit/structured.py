"""Trains the strategies with a structure of their own: centroids, graph, contrastive space, language model."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from routeiq.mlops.fit.ridge import matrix_of
from routeiq.mlops.fit.rows import Doubles, Rows, calibrated, filled, fit_costs, means
from routeiq.routing.learned.contrastive import similarity, unit
from routeiq.routing.learned.graph import joined
from routeiq.routing.learned.tensors import Array
from routeiq.routing.learned.terms import learn_terms

CENTROIDS = 32
PRIOR = 10.0
"""Rows of the whole mean that a centroid's own are mixed with."""
NODES = 64
SHARPNESS = 12.0
PASSED = 0.3
"""Share of what a node says that comes from the nodes like it."""
DIMENSIONS = 64
STEPS, RATE, BATCH, TEMPERATURE = 300, 0.1, 256, 0.2
SMOOTHING = 1.0
"""Of a term's count."""


def centroids(rows: Rows) -> dict[str, Array]:
    """The arrays of `Centroids`."""
    centres, labels = _clusters(rows, CENTROIDS)
    return {
        "centroid/centres": centres.astype(np.float32),
        "centroid/quality": means(rows.quality, labels, len(centres), PRIOR).astype(np.float32),
        **fit_costs(rows),
    }


def graph(rows: Rows) -> dict[str, Array]:
    """The arrays of `Graph`: quality by node, passed along the edges to the nodes like it."""
    nodes, _ = _clusters(rows, NODES)
    near = joined(rows.batch.x, nodes.astype(np.float32), SHARPNESS).astype(np.float64)
    quality = filled(rows)
    edges = (near.T @ quality + PRIOR * quality.mean(axis=0)) / (near.sum(axis=0)[:, None] + PRIOR)
    between = joined(nodes.astype(np.float32), nodes.astype(np.float32), SHARPNESS)
    return {
        "graph/nodes": nodes.astype(np.float32),
        "graph/edges": ((1 - PASSED) * edges + PASSED * between @ edges).astype(np.float32),
        "graph/sharpness": np.array([SHARPNESS], np.float32),
        **fit_costs(rows),
    }


def contrastive(rows: Rows) -> dict[str, Array]:
    """The arrays of `Contrastive`: gradient descent draws a prompt to models in the proportion of their quality."""
    generator = np.random.default_rng(0)
    x, quality = rows.batch.x.astype(np.float64), filled(rows)
    wanted = np.exp((quality - quality.mean(axis=0)) / TEMPERATURE)
    wanted /= wanted.sum(axis=1, keepdims=True)
    projection = generator.normal(0, 1 / np.sqrt(x.shape[1]), (x.shape[1], DIMENSIONS))
    models = generator.normal(0, 1 / np.sqrt(DIMENSIONS), (quality.shape[1], DIMENSIONS))
    moved = [np.zeros_like(projection), np.zeros_like(models)]
    for _ in range(STEPS):
        picked = generator.integers(0, len(x), BATCH)
        prompts = x[picked] @ projection
        lengths = np.maximum(np.linalg.norm(prompts, axis=1, keepdims=True), 1e-9)
        points, places = prompts / lengths, unit(models)
        logits = points @ places.T / TEMPERATURE
        chosen = np.exp(logits - logits.max(axis=1, keepdims=True))
        chosen /= chosen.sum(axis=1, keepdims=True)
        error = (chosen - wanted[picked]) / (TEMPERATURE * BATCH)
        pull = error @ places
        pull = (pull - points * (pull * points).sum(axis=1, keepdims=True)) / lengths
        push = error.T @ points
        push = (push - places * (push * places).sum(axis=1, keepdims=True)) / np.linalg.norm(
            models, axis=1, keepdims=True
        )
        for momentum, gradient in zip(moved, (x[picked].T @ pull, push), strict=True):
            momentum *= 0.9
            momentum += gradient
        projection -= RATE * moved[0]
        models -= RATE * moved[1]
    slope, bias = calibrated(similarity(x, projection, models), quality)
    return {
        "dc/projection": projection.astype(np.float32),
        "dc/models": models.astype(np.float32),
        "dc/slope": slope.astype(np.float32),
        "dc/bias": bias.astype(np.float32),
        **fit_costs(rows),
    }


def language(rows: Rows) -> dict[str, Array]:
    """The arrays of `Language`."""
    terms = learn_terms(rows.batch.tokens)
    weighed, quality = matrix_of(terms, rows.batch.tokens), filled(rows)
    right, wrong = (_likelihood(weighed.T @ share) for share in (quality, 1 - quality))
    odds = (right - wrong).astype(np.float16)
    slope, bias = calibrated(weighed @ odds.astype(np.float64), quality)
    return {
        "terms/keys": terms.keys,
        "terms/idf": terms.idf,
        "lm/odds": odds,
        # Terms were counted on the prompts they are calibrated on: half of what that seems to explain is chance.
        "lm/slope": (slope / 2).astype(np.float32),
        "lm/bias": (bias + slope / 2 * (weighed @ odds.astype(np.float64)).mean(axis=0)).astype(np.float32),
        **fit_costs(rows),
    }


def _likelihood(counts: Doubles) -> Doubles:
    """Logarithm of each term's share, by model."""
    smoothed = counts + SMOOTHING
    likelihood: Doubles = np.log(smoothed / smoothed.sum(axis=0))
    return likelihood


def _clusters(rows: Rows, most: int) -> tuple[Doubles, Array]:
    count = min(most, max(len(rows) // 10, 1))
    found = KMeans(count, n_init=1, random_state=0).fit(rows.batch.x.astype(np.float64))
    return found.cluster_centers_, found.labels_
