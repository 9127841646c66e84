"""`routeiq mlops`, as its users run it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from routeiq.mlops.dataset import write_dataset
from routeiq.mlops.signing import describe
from routeiq.routing.learned.artifact import ROUTER, TENSORS, read_artifact
from support.gateway import ROUTEIQ, environment
from support.outcomes import outcomes
from support.trained import Trained


def run(*args: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROUTEIQ, "mlops", *map(str, args)],
        capture_output=True,
        text=True,
        env={**environment(), **(env or {})},
        check=False,
    )


def told(*args: str | Path, env: dict[str, str] | None = None) -> Any:
    done = run(*args, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "outcomes.parquet"
    write_dataset(outcomes(400), path)
    return path


@pytest.fixture(scope="module")
def artifact(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since it is signed."""
    return shutil.copytree(trained("routeiq-ridge"), tmp_path_factory.mktemp("artifact") / "a")


def another(artifact: Path, place: Path) -> Path:
    """An artifact like it, not signed, that was trained at another time."""
    place.mkdir()
    router = json.loads((artifact / ROUTER).read_bytes())
    (place / ROUTER).write_text(json.dumps({**router, "trained": {"at": "later"}}))
    (place / TENSORS).write_bytes((artifact / TENSORS).read_bytes())
    describe(place, (ROUTER, TENSORS), "another")
    return place


def test_train(data: Path, tmp_path: Path) -> None:
    made = told("train", "--data", data, "--out", tmp_path / "made" / "here")
    assert made["strategy"] == read_artifact(tmp_path / "made" / "here").router.strategy == "routeiq-ridge"
    assert made["trained"]["data"] == "outcomes.parquet"
    assert made["expected"]["0.98"]["cost_pct"] < 100


def test_evaluate(artifact: Path, data: Path) -> None:
    result = told("evaluate", "--artifact", artifact, "--data", data, "--split", "test", "--targets", "1.0,0.98,0.95")
    assert {*result} >= {"targets", "baselines", "aiq", "perf_gain", "cost_save", "flip_rate"}
    assert list(result["targets"]) == ["1.0", "0.98", "0.95"]
    assert {*result["baselines"]} == {"best_single", "zero_router", "random", "oracle"}
    reached = result["targets"]["0.98"]
    assert reached["quality_pct"] > 90
    assert result["targets"]["0.95"]["cost_pct"] < result["targets"]["1.0"]["cost_pct"] <= 100
    assert result["baselines"]["oracle"]["quality_pct"] >= reached["quality_pct"]
    assert result["baselines"]["best_single"]["cost_pct"] == 100


def test_val_and_test_differ(artifact: Path, data: Path) -> None:
    counts = [
        told("evaluate", "--artifact", artifact, "--data", data, "--split", split)["prompts"]
        for split in ("val", "test")
    ]
    assert counts[0] != counts[1]


def test_tasks_may_be_left_out(data: Path) -> None:
    result = told("evaluate", "--leave-out", "task", "--data", data, "--strategy", "llmrouter-mf", "--targets", "0.98")
    assert set(result["tasks"]) == {"chat", "code", "law"}
    assert result["targets"]["0.98"]["quality_pct"] > 80


def test_people_read_tables(artifact: Path, data: Path) -> None:
    shown = run("evaluate", "--artifact", artifact, "--data", data).stdout
    assert "acme/large" in shown
    assert "% of cost" in shown


def test_sign_promote_rollback(artifact: Path, tmp_path: Path) -> None:
    place = tmp_path / "models" / "router"
    place.parent.mkdir()
    key = tmp_path / "key.pem"
    signed = told("sign", "--artifact", artifact, "--new-key", key)
    assert key.stat().st_mode & 0o777 == 0o600
    env = {"LLMROUTER_ENFORCE_SIGNED_MODELS": "true", "LLMROUTER_MODEL_PUBLIC_KEY_B64": signed["public_key"]}
    first = told("promote", "--artifact", artifact, "--to", place, env=env)
    assert read_artifact(place).router.strategy == "routeiq-ridge"

    second = another(artifact, tmp_path / "second")
    refused = run("promote", "--artifact", second, "--to", place, env=env)
    assert refused.returncode == 1
    assert "not signed" in refused.stderr
    told("sign", "--artifact", second, "--key", key)
    other = told("promote", "--artifact", second, "--to", place, env=env)
    assert other["version"] != first["version"]
    assert (place / ROUTER).read_bytes() == (second / ROUTER).read_bytes()

    assert told("rollback", "--to", place)["version"] == first["version"]
    assert (place / ROUTER).read_bytes() == (artifact / ROUTER).read_bytes()
    assert told("rollback", "--to", place)["version"] == other["version"]


def test_replay(artifact: Path, data: Path) -> None:
    found = told("replay", "--artifact", artifact, "--data", data, "--split", "test", "--events", "60")["test"]
    assert found["events"] == 60
    assert found["reference"]["after"]["quality_pct"] > 80
    shown = run("replay", "--artifact", artifact, "--data", data, "--events", "60").stdout
    assert "before" in shown
    assert "after" in shown


def test_hmac(artifact: Path, tmp_path: Path) -> None:
    out = another(artifact, tmp_path / "a")
    assert (
        told("sign", "--artifact", out, "--secret-env", "CANARY", env={"CANARY": "s"})["signature_type"]
        == "hmac-sha256"
    )
    env = {"LLMROUTER_ENFORCE_SIGNED_MODELS": "true", "LLMROUTER_MODEL_HMAC_SECRET": "s"}
    assert run("promote", "--artifact", out, "--to", tmp_path / "p", env=env).returncode == 0
    wrong = run("promote", "--artifact", out, "--to", tmp_path / "p", env={**env, "LLMROUTER_MODEL_HMAC_SECRET": "t"})
    assert "not by the secret" in wrong.stderr


def test_what_was_tampered_with_is_not_promoted(artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in artifact.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with (copy / TENSORS).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    done = run("promote", "--artifact", copy, "--to", tmp_path / "p")
    assert done.returncode == 1
    assert "has changed since" in done.stderr
    assert not (tmp_path / "p").exists()


def test_promote_replaces_no_directory(artifact: Path, tmp_path: Path) -> None:
    done = run("promote", "--artifact", artifact, "--to", tmp_path)
    assert done.returncode == 1
    assert "move it away" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("train", "--data", "nowhere.parquet", "--out", "x"), "nowhere.parquet is not there"),
        (("train", "--data", __file__, "--out", "x"), "no Parquet file"),
        (("train", "--data", "{data}", "--out", "{data}"), "can't be written"),
        (("train", "--data", "{data}", "--out", "x", "--strategy", "llmrouter-nope"), "these are: routeiq-ridge"),
        (("evaluate", "--artifact", "nowhere", "--data", "{data}"), "router.json can't be read"),
        (("evaluate", "--artifact", "{artifact}", "--data", "{data}", "--split", "dev"), "there are: test, train, val"),
        (("evaluate", "--artifact", "{artifact}", "--data", "{data}", "--targets", "98"), "--targets must be"),
        (("evaluate", "--artifact", "{artifact}", "--data", "{data}", "--targets", "a,b"), "--targets must be"),
        (("evaluate", "--data", "{data}"), "give either --artifact or --leave-out"),
        (("evaluate", "--data", "{data}", "--leave-out", "task", "--strategy", "llmrouter-nope"), "these are: "),
        (("sign", "--artifact", "{artifact}"), "give one of"),
        (("sign", "--artifact", "nowhere", "--key", __file__), "is nowhere an artifact?"),
        (("sign", "--artifact", "{artifact}", "--key", __file__), "no private key"),
        (("sign", "--artifact", "{artifact}", "--key", "nowhere"), "No such file"),
        (("rollback", "--to", "nowhere"), "no version before"),
        (("replay", "--data", "{data}"), "give either --artifact or --leave-out"),
        (("replay", "--data", "{data}", "--artifact", "{artifact}", "--events", "0"), "--events must be 1 or more"),
        (("replay", "--data", "{data}", "--artifact", "{artifact}", "--events", "900"), "leave none to measure"),
        (("replay", "--data", "{data}", "--leave-out", "task", "--events", "900"), "no task of"),
    ],
)
def test_mistakes_are_told(
    args: tuple[str, ...], message: str, artifact: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*(arg.format(data=data, artifact=artifact) if "{" in arg else arg for arg in args))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_artifact_of_another_format_is_refused(artifact: Path, data: Path, tmp_path: Path) -> None:
    for path in artifact.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    router = json.loads((tmp_path / ROUTER).read_bytes())
    (tmp_path / ROUTER).write_text(json.dumps({**router, "format": 99}))
    done = run("evaluate", "--artifact", tmp_path, "--data", data)
    assert "has format 99" in done.stderr


def test_public_keys_are_raw(artifact: Path, tmp_path: Path) -> None:
    assert len(base64.b64decode(told("sign", "--artifact", artifact, "--new-key", tmp_path / "k")["public_key"])) == 32
