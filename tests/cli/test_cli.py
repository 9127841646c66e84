"""The command line over a running gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from routeiq.cli.place import state_directory
from support.gateway import Gateway


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    code = "from routeiq.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        check=False,
    )


def test_the_version_is_quick_to_tell() -> None:
    code = (
        "import sys; from routeiq.cli import make_app\n"
        "make_app()(['version'], result_action='return_value')\n"
        "print(sorted({'rich', 'pydantic', 'fastapi', 'sqlalchemy', 'yaml', 'uvloop'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, heavy = done.stdout.splitlines()
    assert version == "0.1.0"
    assert heavy in ("[]", "['rich']")
    assert json.loads(run("version", "--json").stdout)["version"] == version


def test_the_supervisor_loads_nothing_heavy() -> None:
    code = (
        "import sys, routeiq.supervisor.__main__\n"
        "print(sorted({'rich', 'cyclopts', 'pydantic', 'fastapi', 'uvicorn', 'sqlalchemy', 'yaml', 'uvloop'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_running_is_said_in_one_line(tmp_path: Path) -> None:
    for command in (("status",), ("config", "reload"), ("requests", "tail")):
        done = run(*command, "--state-dir", str(tmp_path))
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1


def test_half_of_a_certificate_is_refused() -> None:
    done = run("serve", "--ssl-certfile", "x.pem")
    assert done.returncode == 2
    assert "go together" in done.stderr


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (Path("/a"), {"ROUTEIQ_STATE_DIR": "/b"}, Path("/a")),
        (None, {"ROUTEIQ_STATE_DIR": "/b", "XDG_STATE_HOME": "/c"}, Path("/b")),
        (None, {"XDG_STATE_HOME": "/c"}, Path("/c/routeiq")),
        (None, {}, Path.home() / ".local/state/routeiq"),
    ],
)
def test_the_state_directory(given: Path | None, environ: dict[str, str], expected: Path) -> None:
    assert state_directory(given, environ) == expected


def test_status_and_reload(gateway: Gateway) -> None:
    status = json.loads(gateway.cli("status", "--json"))
    assert [process["name"] for process in status["processes"]] == ["control plane", "worker 1"]
    assert status["url"] == gateway.url
    assert "worker 1" in gateway.cli("status")
    assert status["revision"] in gateway.cli("config", "reload")
    whole = gateway.file.read_text()
    gateway.file.write_text(whole.replace("model_list", "modle_list"))
    answer = json.loads(gateway.cli("config", "reload", "--json", check=False))
    assert answer["ok"] is False
    assert answer["revision"] == status["revision"]
    gateway.file.write_text(whole)
    assert json.loads(gateway.cli("config", "reload", "--json"))["ok"] is True


def test_requests_tail(gateway: Gateway) -> None:
    before = len(gateway.events())
    for model in ("gpt-4o", "gpt-4o-mini", "gpt-4o"):
        gateway.client().chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
    gateway.wait_events(before + 3)
    text = gateway.cli("requests", "tail", "-n", "2")
    assert len(text.splitlines()) == 3
    assert "gpt-4o → openai/gpt-4o" in text
    rows = [json.loads(line) for line in gateway.cli("requests", "tail", "--json", "--model", "gpt-4o").splitlines()]
    assert {row["model"] for row in rows} == {"gpt-4o"}
    assert rows[-1]["status"] == 200
    assert rows[-1]["seq"] > rows[0]["seq"]
    assert gateway.cli("requests", "tail", "--json", "--key", "nobody") == ""


def test_following_shows_what_comes(gateway: Gateway) -> None:
    command = ["requests", "tail", "--follow", "--json", "-n", "0", "--state-dir", str(gateway.state_dir)]
    before = len(gateway.events())
    gateway.client().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    gateway.wait_events(before + 1)
    code = "from routeiq.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", code, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            time.sleep(1.5)
            gateway.client().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
            assert json.loads(process.stdout.readline())["model"] == "gpt-4o-mini"
        finally:
            process.terminate()


def test_health_and_metrics_come_through_a_worker(gateway: Gateway) -> None:
    deadline = time.monotonic() + 20  # the control plane may still be on its way up: traffic does not wait for it
    while (answer := gateway.get("/health"))[0] == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    status, _, body = answer
    assert status == 200
    assert json.loads(body)["healthy_count"] == 3
    assert gateway.get("/health", key="sk-wrong")[0] == 401
    assert "routeiq_in_flight_requests" in gateway.metrics()
    for path in ("/internal/keys/" + "0" * 64, "/%69nternal/keys/" + "0" * 64, "//internal/keys/" + "0" * 64):
        status, _, body = gateway.get(path)
        assert status == 404
        assert "key" not in json.loads(body)["error"]["message"].replace("keys/", "")
