"""Artifacts that tests share: each strategy is trained once a run, whichever worker of pytest-xdist asks first."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

from routeiq.mlops.train import save, train
from support.outcomes import outcomes

ROWS = 240
"""Of `outcomes` that they are trained on."""
Trained = Callable[[str], Path]
"""From the strategy's name to the directory of its artifact, which nobody may write to."""


def trained_in(place: Path) -> Trained:
    """Keeps artifacts in a directory that all workers share."""

    def get(strategy: str) -> Path:
        made = place / f"artifact-{strategy}"
        with made.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                save(train(outcomes(ROWS), strategy, {}), made)
        return made

    return get
