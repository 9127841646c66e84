"""`routeiq mlops report`: what an artifact reaches, as an HTML page, and in MLflow where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from routeiq.cli.place import Json, fail

TARGETS = (1.0, 0.98, 0.95, 0.9)


def report(
    *,
    artifact: Annotated[Path, Parameter(help="A directory `routeiq mlops train` has written.")],
    data: Path,
    out: Path,
    split: str = "test",
    mlflow: str | None = None,
    experiment: str = "routeiq",
    json: Json = False,
) -> int:
    """Measure an artifact on a split and write a page about it, with plots.

    Parameters
    ----------
    data
        A Parquet file as for train.
    out
        The HTML file to write.
    split
        The split's name.
    mlflow
        Log it too: MLflow's tracking URI, as `sqlite:///mlflow.db` or `http://host:5000`.
    experiment
        MLflow's experiment.
    """
    from routeiq.mlops.dataset import BadData, read_dataset
    from routeiq.mlops.evaluate import evaluate
    from routeiq.mlops.report import html
    from routeiq.mlops.tracking import Untracked, track
    from routeiq.routing.learned.artifact import BadArtifact, read_artifact

    try:
        trained = read_artifact(artifact)
        result = evaluate(trained, read_dataset(data).split(split), TARGETS)
        partial = out.with_name(f".{out.name}.partial")
        partial.write_text(html(trained, result, data.name, split), encoding="utf-8")
        partial.replace(out)
        run = track(mlflow, experiment, trained, result, artifact, out) if mlflow is not None else None
    except (BadArtifact, BadData, Untracked) as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{out} can't be written: {error.strerror}")
    if json:
        told: dict[str, Any] = {"report": str(out), "mlflow_run": run, "targets": result["targets"]}
        print(msgspec.json.encode(told).decode())
        return 0
    print(f"{out} is written" + (f"; MLflow has run {run}" if run is not None else ""))
    return 0
