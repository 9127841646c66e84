"""`routeiq demo` as a newcomer runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.addresses import free_port
from support.gateway import ROUTEIQ, environment


def run(*args: str, home: Path, extra: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROUTEIQ, "demo", *args],
        env={**environment(), "HOME": str(home), **(extra or {})},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_once_tells_what_happened_and_ends(tmp_path: Path) -> None:
    done = run("--once", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("chat", "stream", "embedding", "x-litellm-call-id", "/metrics", "curl", "from openai import OpenAI"):
        assert words in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_json_has_ids_tokens_cost_and_headers(tmp_path: Path) -> None:
    done = run("--once", "--json", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["ok"] is True
    steps = {step["name"]: step for step in result["steps"]}
    assert list(steps) == ["chat", "stream", "embedding"]
    assert len({step["call_id"] for step in steps.values()}) == 3
    for step in steps.values():
        assert step["ok"]
        assert step["prompt_tokens"] > 0
        assert step["in_ledger"]
        assert float(step["cost"]) > 0
        assert step["headers"]["x-routeiq-provider"] == "demo"
    assert steps["chat"]["completion_tokens"] > 0
    assert steps["stream"]["completion_tokens"] > 0
    assert 0 < steps["stream"]["first_token_ms"] < steps["stream"]["milliseconds"]


def test_settings_of_another_installation_do_not_count(tmp_path: Path) -> None:
    foreign = {
        "LITELLM_MASTER_KEY": "sk-of-somebody-else-0123456789",
        "DATABASE_URL": "postgresql://nowhere.invalid/db",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    done = run("--once", "--json", home=tmp_path, extra=foreign)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--once", "--port", str(taken.getsockname()[1]), home=tmp_path)
    assert done.returncode == 1
    assert "address already in use" in done.stdout.replace("\n", " ").lower()


def test_without_the_sdk_it_names_the_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['openai'] = None; from routeiq.cli.demo import demo; sys.exit(demo(once=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "pip install 'routeiq[demo]'" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_on_until_it_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    process = subprocess.Popen(
        [ROUTEIQ, "demo", "--port", str(port), "--state-dir", str(tmp_path / "state")],
        env={**environment(), "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any("until Ctrl-C" in line for line in process.stdout)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=10) as answer:
            assert {model["id"] for model in json.load(answer)["data"]} == {"demo", "demo-embedding"}
        os.kill(process.pid, number)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the gateway outlived the demo"
    assert (tmp_path / "state" / "routeiq.db").exists()
