"""Trained artifacts in MLflow: parameters, what was measured, the files. https://mlflow.org/docs/latest/ml/tracking/"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from routeiq.routing.learned.artifact import Artifact

LONGEST = 500
"""Characters of a parameter: MLflow takes 6000."""


class Untracked(ValueError):
    """It could not be logged. Its text says why."""


def track(
    uri: str, experiment: str, artifact: Artifact, result: Mapping[str, Any], directory: Path, report: Path
) -> str:
    """Log a run: its id. Raises `Untracked`."""
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise Untracked("--mlflow needs the extra: pip install 'routeiq[mlflow]'") from None
    router = artifact.router
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        place = found.experiment_id if found is not None else client.create_experiment(experiment)
        run = client.create_run(place, run_name=router.strategy).info.run_id
        for name, value in {"strategy": router.strategy, **router.trained, **router.options}.items():
            client.log_param(run, name, str(value)[:LONGEST])
        for target, point in result["targets"].items():
            for name in ("quality_pct", "cost_pct"):
                client.log_metric(run, f"{name}_at_{target}", point[name])
        for name in ("aiq", "perf_gain", "cost_save", "flip_rate"):
            if result[name] is not None:
                client.log_metric(run, name, result[name])
        client.log_artifacts(run, str(directory), "artifact")
        client.log_artifact(run, str(report))
        client.set_terminated(run)
    except (MlflowException, OSError) as error:
        raise Untracked(f"MLflow at {uri}: {str(error).partition(chr(10))[0][:LONGEST]}") from None
    return str(run)
