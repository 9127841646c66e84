"""Trains the strategies that take a few lines each: neighbours, support vectors, network, factors, ratings, hybrid."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.svm import LinearSVR

from routeiq.mlops.fit.rows import QUALITY_ALPHA, Rows, filled, fit_costs, ridge
from routeiq.routing.learned.elo import INITIAL, SPREAD
from routeiq.routing.learned.svm import waves
from routeiq.routing.learned.tensors import Array

NEIGHBOURS = 80
MOST_NEIGHBOURS = 5000
"""Prompts that are kept: a look at 5000 takes 0.1 ms."""
FREQUENCIES = 256
GAMMA = 1.0
"""Of the Gaussian kernel, for embeddings of length 1."""
HIDDEN = (128, 64)
RANK = 8
BATTLES = 30_000
K = 4.0
"""Points a battle is worth."""
CHEAP = 0.2
"""The small model of a hybrid costs no more than this share of the large one."""


def neighbours(rows: Rows) -> dict[str, Array]:
    """The arrays of `Neighbours`."""
    kept = np.random.default_rng(0).permutation(len(rows))[:MOST_NEIGHBOURS]
    return {
        "knn/x": rows.batch.x[kept].astype(np.float16),
        "knn/quality": filled(rows)[kept].astype(np.float16),
        "knn/neighbours": np.array([min(NEIGHBOURS, max(len(kept) // 4, 1))], np.int32),
        **fit_costs(rows),
    }


def svm(rows: Rows) -> dict[str, Array]:
    """The arrays of `Svm`."""
    generator = np.random.default_rng(0)
    frequencies = generator.normal(0, np.sqrt(2 * GAMMA), (rows.batch.x.shape[1], FREQUENCIES)).astype(np.float32)
    phases = generator.uniform(0, 2 * np.pi, FREQUENCIES).astype(np.float32)
    features, quality = waves(rows.batch.x, frequencies, phases), filled(rows)
    models = [
        LinearSVR(C=0.3, loss="squared_epsilon_insensitive", dual=False).fit(features, column) for column in quality.T
    ]
    return {
        "svm/frequencies": frequencies,
        "svm/phases": phases,
        "svm/weights": np.stack([model.coef_ for model in models], axis=1).astype(np.float32),
        "svm/bias": np.array([float(model.intercept_[0]) for model in models], np.float32),
        **fit_costs(rows),
    }


def mlp(rows: Rows) -> dict[str, Array]:
    """The arrays of `Mlp`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network = MLPRegressor(
            hidden_layer_sizes=HIDDEN,
            alpha=0.01,
            max_iter=60,
            early_stopping=len(rows) >= 100,
            n_iter_no_change=5,
            random_state=0,
        ).fit(rows.batch.x, filled(rows))
    tensors = fit_costs(rows)
    for place, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        tensors[f"mlp/weights/{place}"] = weights.astype(np.float32)
        tensors[f"mlp/bias/{place}"] = bias.astype(np.float32)
    return tensors


def factors(rows: Rows) -> dict[str, Array]:
    """The arrays of `Factors`: the regression of the least rank, by the singular vectors of what it predicts."""
    x = rows.batch.x.astype(np.float64)
    weights, bias = ridge(x, rows.quality, QUALITY_ALPHA)
    _, _, directions = np.linalg.svd((x - x.mean(axis=0)) @ weights, full_matrices=False)
    models = directions[:RANK]
    return {
        "mf/prompt": (weights @ models.T).astype(np.float32),
        "mf/model": models.astype(np.float32),
        "mf/bias": (bias + x.mean(axis=0) @ (weights - weights @ models.T @ models)).astype(np.float32),
        **fit_costs(rows),
    }


def elo(rows: Rows) -> dict[str, Array]:
    """The arrays of `Elo`: battles of two models over a prompt that both were run on."""
    generator = np.random.default_rng(0)
    count = rows.quality.shape[1]
    ratings = [INITIAL] * count
    prompts = generator.integers(0, len(rows), BATTLES)
    pairs = generator.integers(0, count, (BATTLES, 2))
    first, second = rows.quality[prompts, pairs[:, 0]], rows.quality[prompts, pairs[:, 1]]
    won = np.where(first > second, 1.0, np.where(first < second, 0.0, 0.5))
    known = (pairs[:, 0] != pairs[:, 1]) & ~np.isnan(first) & ~np.isnan(second)
    total = np.zeros(count)
    counted = 0
    for battle, ((one, other), result) in enumerate(zip(pairs[known].tolist(), won[known].tolist(), strict=True)):
        expected = 1 / (1 + 10 ** ((ratings[other] - ratings[one]) / SPREAD))
        change = K * (result - expected)
        ratings[one] += change
        ratings[other] -= change
        if battle > BATTLES // 4:
            total += ratings
            counted += 1
    return {"elo/rating": (total / counted if counted else np.array(ratings)).astype(np.float32), **fit_costs(rows)}


def hybrid(rows: Rows) -> dict[str, Array]:
    """The arrays of `Hybrid`: the best model, and the best of those that are cheap beside it."""
    quality = filled(rows)
    mean, cost = quality.mean(axis=0), np.nanmean(rows.cost, axis=0)
    large = int(np.argmax(mean))
    cheap = np.flatnonzero((cost <= CHEAP * cost[large]) & (np.arange(len(mean)) != large))
    others = cheap if len(cheap) else np.flatnonzero(np.arange(len(mean)) != large)
    small = int(others[np.argmax(mean[others])]) if len(others) else large
    as_good = quality[:, small] >= quality[:, large]
    weights, bias = np.zeros(rows.batch.x.shape[1]), 20.0 if as_good.all() else -20.0
    if 0 < as_good.sum() < len(as_good):
        model = LogisticRegression(C=1.0, max_iter=100).fit(rows.batch.x, as_good)
        weights, bias = model.coef_[0], float(model.intercept_[0])
    lacking = (quality[:, large] - quality[:, small])[~as_good]
    return {
        "hybrid/weights": weights.astype(np.float32),
        "hybrid/bias": np.array([bias], np.float32),
        "hybrid/pair": np.array([small, large], np.int32),
        "hybrid/quality": mean.astype(np.float32),
        "hybrid/loss": np.array([lacking.mean() if len(lacking) else 0.0], np.float32),
        **fit_costs(rows),
    }
