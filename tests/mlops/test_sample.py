"""The outcomes that come with the project."""

from __future__ import annotations

from pathlib import Path

from routeiq.mlops.dataset import read_dataset
from routeiq.mlops.evaluate import evaluate
from routeiq.mlops.train import train

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "outcomes.parquet"


def test_it_teaches_to_save() -> None:
    data = read_dataset(SAMPLE)
    assert len(data) == 600
    found = evaluate(train(data, "routeiq-ridge", {}), data.split("test"), [0.95])
    assert found["targets"]["0.95"]["quality_pct"] > 80
    assert found["targets"]["0.95"]["cost_pct"] < 60
