"""`routeiq mlops`: train what learned routing serves, measure it, and put it to use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from routeiq.cli.place import Json, fail

mlops_app = App(name="mlops", help="Train, measure and promote what learned routing serves.")
mlops_app.command("routeiq.cli.mlops_import:import_outcomes", name="import", help="Read other projects' outcomes.")
mlops_app.command("routeiq.cli.mlops_report:report", name="report", help="Write a page on what an artifact reaches.")

Data = Annotated[Path, Parameter(help="A Parquet file: prompt, split, and score:<model>, cost:<model> for each model.")]
LEAST_MEASURED = 40
"""Prompts left to measure after the events."""
Trained = Annotated[Path, Parameter(help="A directory `routeiq mlops train` has written.")]


@mlops_app.command
def train(*, data: Data, out: Path, strategy: str = "routeiq-ridge", json: Json = False) -> int:
    """Train a strategy on the rows of the splits train and val. λ for each target is found by cross-validation.

    Parameters
    ----------
    out
        The directory the artifact is written to.
    strategy
        The strategy's name: routeiq-ridge, llmrouter-knn, …
    """
    from routeiq.mlops.dataset import BadData, digest, read_dataset
    from routeiq.mlops.train import save
    from routeiq.mlops.train import train as learn

    try:
        dataset = read_dataset(data)
        origin = {"data": data.name, "data_sha256": digest(data)}
        # First: nobody wants to learn after training that there is no place for it.
        out.mkdir(parents=True, exist_ok=True)
        with progress(json) as tell:
            artifact = learn(dataset, strategy, origin, tell)
        save(artifact, out)
    except (BadData, ValueError) as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{out} can't be written: {error.strerror}")
    router = artifact.router
    if json:
        told = {"artifact": str(out), "strategy": strategy, "expected": router.expected, "trained": router.trained}
        print(msgspec.json.encode(told).decode())
        return 0
    print(f"{strategy}: {router.trained['prompts']} prompts, {len(router.models)} models, written to {out}")
    print("expected of new prompts, in % of the best single model:")
    _table(router.expected)
    return 0


@mlops_app.command
def evaluate(
    *,
    data: Data,
    artifact: Trained | None = None,
    split: str = "test",
    leave_out: Literal["task"] | None = None,
    strategy: str = "routeiq-ridge",
    targets: str = "1.0,0.98,0.95",
    json: Json = False,
) -> int:
    """Measure an artifact on a split: quality and cost in % of that split's best single model.

    Parameters
    ----------
    artifact
        Not needed with --leave-out.
    split
        The split's name.
    leave_out
        For each task, train on all others (their train and val), then measure all of the task's own prompts.
    strategy
        What is trained with --leave-out.
    targets
        Shares of the best single model's quality, with commas between them.
    """
    from routeiq.mlops.dataset import BadData, read_dataset
    from routeiq.mlops.evaluate import evaluate as measure
    from routeiq.mlops.unseen import evaluate_unseen
    from routeiq.routing.learned.artifact import BadArtifact, read_artifact

    if (artifact is None) == (leave_out is None):
        return fail("give either --artifact or --leave-out task")
    try:
        wanted = [float(target) for target in targets.split(",")]
        if not all(0 < target <= 1 for target in wanted):
            raise ValueError
    except ValueError:
        return fail(f"--targets must be numbers above 0 and up to 1 with commas between them, not {targets!r}")
    try:
        if artifact is None:
            with progress(json) as tell:
                result = evaluate_unseen(read_dataset(data), strategy, wanted, tell)
        else:
            result = measure(read_artifact(artifact), read_dataset(data).split(split), wanted)
    except (BadArtifact, BadData, ValueError) as error:
        return fail(str(error))
    if json:
        print(msgspec.json.encode(result).decode())
        return 0
    if artifact is None:
        for task, one in result["tasks"].items():
            print(f"{task}, {one['prompts']} prompts; 100 % is {one['baselines']['best_single']['model']}")
            _table(one["targets"])
        print(f"all together; 100 % is {result['best_single']}")
        _table(result["targets"])
        return 0
    best = result["baselines"]["best_single"]
    print(f"{result['strategy']} on {result['prompts']} prompts; 100 % is {best['model']}")
    _table(result["targets"])
    for name in ("random", "oracle"):
        point = result["baselines"][name]
        print(f"{name:>8}  {point['quality_pct']:7.2f} % of quality  {point['cost_pct']:7.2f} % of cost")
    print(f"aiq {result['aiq']}, perf_gain {result['perf_gain']} %, cost_save {result['cost_save']} %, ", end="")
    print(f"flip_rate {result['flip_rate']} %")
    return 0


@mlops_app.command
def replay(
    *,
    data: Data,
    artifact: Trained | None = None,
    split: str = "test",
    leave_out: Literal["task"] | None = None,
    events: int = 300,
    target: float = 0.98,
    alpha: float = 0.05,
    json: Json = False,
) -> int:
    """Play outcomes to LinUCB, warm-started from an artifact, as feedback; measure it on the prompts that follow.

    Parameters
    ----------
    artifact
        Of routeiq-ridge or llmrouter-linucb; not needed with --leave-out.
    split
        The split whose prompts are played.
    leave_out
        For each task, train on all others (their train and val), then play the task's own prompts.
    events
        Prompts with feedback.
    target
        Share of the best single model's quality.
    alpha
        How much LinUCB tries what it is unsure of.
    """
    from routeiq.mlops.dataset import BadData, read_dataset
    from routeiq.mlops.replay import leave_out as each_task
    from routeiq.mlops.replay import replay as play
    from routeiq.mlops.train import train as learn
    from routeiq.routing.learned.artifact import BadArtifact, read_artifact

    if (artifact is None) == (leave_out is None):
        return fail("give either --artifact or --leave-out task")
    if events < 1 or not 0 < target <= 1 or not 0 <= alpha <= 10:
        return fail("--events must be 1 or more, --target above 0 and up to 1, --alpha from 0 to 10")
    try:
        dataset = read_dataset(data)
        if artifact is not None:
            found = {split: play(read_artifact(artifact), dataset.split(split), events, target, {"alpha": alpha})}
        else:
            with progress(json) as tell:
                found = each_task(
                    dataset,
                    lambda others, own: play(
                        learn(others, "llmrouter-linucb", {}, tell), own, events, target, {"alpha": alpha}
                    ),
                    least=events + LEAST_MEASURED,
                )
            if not found:
                return fail(
                    f"no task of {data} has {events + LEAST_MEASURED} prompts: {events} to play and some to measure"
                )
    except (BadArtifact, BadData, ValueError) as error:
        return fail(str(error))
    if json:
        print(msgspec.json.encode(found).decode())
        return 0
    for name, result in found.items():
        for when in ("before", "after"):
            point = result["reference"][when]
            print(f"{name:>24} {when:>6}  {point['quality_pct']:7.2f} % of quality  {point['cost_pct']:7.2f} % of cost")
    return 0


@mlops_app.command
def sign(
    *,
    artifact: Trained,
    key: Path | None = None,
    secret_env: str | None = None,
    new_key: Path | None = None,
    json: Json = False,
) -> int:
    """Sign an artifact's manifest, with an Ed25519 key or a secret.

    Parameters
    ----------
    key
        A file with an Ed25519 private key in PEM, without a password.
    secret_env
        The environment variable that has the secret of HMAC-SHA256.
    new_key
        Make a private key, write it to this file, and sign with it.
    """
    from routeiq.config.artifacts import Untrusted
    from routeiq.mlops import signing

    if sum(given is not None for given in (key, secret_env, new_key)) != 1:
        return fail("give one of --key, --secret-env and --new-key")
    public = None
    try:
        if secret_env is not None:
            manifest = signing.sign(artifact, "hmac-sha256", os.environ.get(secret_env, "").encode())
        else:
            if new_key is not None:
                pem, public = signing.new_key()
                with open(os.open(new_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(pem)
            manifest = signing.sign(artifact, "ed25519", (key or new_key or Path()).read_bytes())
    except (Untrusted, signing.Unsignable) as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
    if json:
        told = {"signature_type": manifest.signature_type, "public_key": public}
        print(msgspec.json.encode(told).decode())
        return 0
    print(f"signed with {manifest.signature_type}")
    if public is not None:
        print(f"LLMROUTER_MODEL_PUBLIC_KEY_B64={public}")
    return 0


@mlops_app.command
def promote(*, artifact: Trained, to: Path, json: Json = False) -> int:
    """Put an artifact where a gateway's model_path points, in one step; the one before it is kept for rollback.

    Its manifest is verified as the gateway would, by the same environment variables.

    Parameters
    ----------
    to
        The gateway's model_path.
    """
    from routeiq.config.artifacts import Untrusted, trust_of
    from routeiq.mlops import promote as promoting

    try:
        version = promoting.promote(artifact, to, trust_of(os.environ))
    except (Untrusted, promoting.NotPromoted) as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
    _placed(to, version, json)
    return 0


@mlops_app.command
def rollback(*, to: Path, json: Json = False) -> int:
    """Put the artifact that was there before back in place.

    Parameters
    ----------
    to
        The gateway's model_path.
    """
    from routeiq.mlops import promote as promoting

    try:
        version = promoting.rollback(to)
    except promoting.NotPromoted as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
    _placed(to, version, json)
    return 0


def _placed(place: Path, version: Path, json: bool) -> None:
    if json:
        print(msgspec.json.encode({"path": str(place), "version": version.name}).decode())
    else:
        print(f"{place} is version {version.name}")


def _table(targets: dict[str, Any]) -> None:
    for target, point in targets.items():
        print(f"{target:>8}  {point['quality_pct']:7.2f} % of quality  {point['cost_pct']:7.2f} % of cost")


@contextmanager
def progress(json: bool) -> Iterator[Any]:
    """What is told how far it has come: a bar on a terminal's stderr, else nothing."""
    from routeiq.mlops.train import silent

    if json or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, done: bar.update(task, description=what, completed=done)
