"""The build as the supervisor runs it: a process that answers in msgpack."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest

from routeiq.control.build import build
from routeiq.core import snapshot
from routeiq.core.settings import BuildResult, Overrides, decode, encode

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
TEXT = "model_list: [{model_name: m, litellm_params: {model: openai/gpt-4o, api_key: k}}]\n"


def run(*arguments: str, **environ: str) -> tuple[int, BuildResult]:
    done = subprocess.run(
        [sys.executable, "-m", "routeiq.control.build", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/home/someone", **environ},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == b""
    return done.returncode, decode(done.stdout)


def test_a_valid_configuration(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TEXT)
    status, result = run(
        "--config", str(file), "--port", "5001", "--workers", "3", LITELLM_MASTER_KEY="sk-0123456789abcdef"
    )
    assert (status, result.ok, result.errors, result.warnings) == (0, True, (), ())
    assert result.files == (str(file),)
    assert result.server is not None
    assert (result.server.host, result.server.port, result.server.workers) == ("127.0.0.1", 5001, 3)
    assert result.snapshot is not None
    built = snapshot.decode(result.snapshot)
    assert list(built.groups) == ["m"]
    assert built.created > 0


def test_an_invalid_configuration(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model_list: [{model_name: m}]\n")
    status, result = run("--config", str(file))
    assert (status, result.ok, result.snapshot, result.server) == (2, False, None, None)
    assert str(result.errors[0]) == f"{file}:1:14: error: model_list[0].litellm_params: is required"


@pytest.mark.parametrize("name", ["LITELLM_CONFIG_PATH", "CONFIG_FILE_PATH"])
def test_the_environment_may_name_the_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TEXT)
    environ = {name: str(file), "HOME": "/h"}
    assert build([], environ, Overrides(), now=NOW, cpus=1).ok


def test_without_a_file_it_says_what_to_do() -> None:
    result = build([], {"HOME": "/h"}, Overrides(), now=NOW, cpus=1)
    assert not result.ok
    assert "--config FILE" in result.errors[0].hint


def test_overrides_reach_the_check_for_open_doors(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TEXT)
    result = build([str(file)], {"HOME": "/h"}, Overrides(host="0.0.0.0"), now=NOW, cpus=1)
    assert "can be reached from other machines" in result.errors[0].message


def test_the_demo_needs_nothing() -> None:
    result = build([], {"HOME": "/h"}, Overrides(), now=NOW, cpus=1, demo=True)
    assert result.ok
    assert result.snapshot is not None
    built = snapshot.decode(result.snapshot)
    assert list(built.groups) == ["demo", "demo-embedding"]
    assert [(d.kind, d.mode) for d in built.deployments] == [("demo", "chat"), ("demo", "embedding")]
    assert built.auth.open
    guarded = build(
        [], {"HOME": "/h", "LITELLM_MASTER_KEY": "sk-0123456789abcdef"}, Overrides(), now=NOW, cpus=1, demo=True
    )
    assert guarded.snapshot is not None
    assert not snapshot.decode(guarded.snapshot).auth.open


def test_results_survive_the_pipe() -> None:
    result = build([], {"HOME": "/h"}, Overrides(), now=NOW, cpus=1, demo=True)
    assert decode(encode(result)) == result
