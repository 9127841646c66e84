"""`routeiq config check` and `show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from routeiq.cli.config import config_app

TEXT = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/SOME_KEY, extra_headers: {X-Own: hidden}}
general_settings: {master_key: sk-0123456789abcdef, database_url: "postgresql://u:hidden@db/x"}
environment_variables: {OTHER: hidden}
routeiq: {upstreams: [{host: api.openai.com, proxy: "http://user:hidden@proxy:1"}]}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOME_KEY", "hidden-key")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(TEXT)
    return Path("c.yaml")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        config_app(list(arguments))
    return int(stopped.value.code or 0)


def test_check_of_a_valid_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", str(file)) == 0
    assert capsys.readouterr().out == "ok: 0 errors, 0 warnings\n"


def test_check_prints_all_findings(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TEXT + "routr_settings: {}\nprompts: {}\n" + "x" * 300 + ": 1\n")
    assert run("check", "--config", str(file)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == ("c.yaml:7:1: error: routr_settings: is not a known setting (did you mean router_settings?)")
    assert lines[1].endswith("x: is not a known setting")
    assert lines[2].startswith("c.yaml:8:1: warning: prompts: LiteLLM setting prompts is known but not served")
    assert lines[3] == "invalid: 2 errors, 1 warning"


def test_check_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("model_lst: []\n")
    assert run("check", str(file), "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["errors"][0] == {
        "level": "error",
        "message": "is not a known setting",
        "path": "model_lst",
        "file": "c.yaml",
        "line": 1,
        "column": 1,
        "hint": "did you mean model_list?",
    }


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_show_hides_secrets(file: Path, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]) -> None:
    assert run("show", str(file), *form) == 0
    out = capsys.readouterr().out
    assert "hidden" not in out
    assert "sk-0123456789abcdef" not in out
    assert out.count("***") == 6
    assert "openai/gpt-4o" in out


def test_no_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("LITELLM_CONFIG_PATH", raising=False)
    monkeypatch.delenv("CONFIG_FILE_PATH", raising=False)
    assert run("check") == 2
    assert run("show") == 2
    assert capsys.readouterr().err.count("no configuration file is named") == 2
