"""`routeiq providers`, as typed; `test` against a real upstream on loopback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gateway import ROUTEIQ, environment
from support.upstream import Script, Upstream


def run(*args: str, home: Path, extra: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROUTEIQ, "providers", *args],
        env={**environment(), "HOME": str(home), "COLUMNS": "200", **(extra or {})},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(api_key="sk-secret-of-the-test") as server:
        yield server


def test_the_list_can_be_narrowed(tmp_path: Path) -> None:
    names = [row["name"] for row in json.loads(run("list", "--json", home=tmp_path).stdout)]
    assert len(names) > 140
    claude = json.loads(run("list", "--json", "--dialect", "anthropic", home=tmp_path).stdout)
    assert [row["name"] for row in claude] == ["anthropic", "azure_ai", "bedrock", "vertex_ai", "vertex_ai_beta"]
    rerank = json.loads(run("list", "--json", "--capability", "rerank", home=tmp_path).stdout)
    assert {"cohere", "jina_ai", "voyage", "tei"} <= {row["name"] for row in rerank} < set(names)
    everyone = json.loads(run("list", "--json", "--all", home=tmp_path).stdout)
    assert {row["name"] for row in everyone if not row["served"]} >= {"chatgpt", "github_copilot"}
    assert run("list", "--dialect", "klingon", home=tmp_path).returncode == 1


def test_the_list_for_people_marks_keys_and_says_why_not(tmp_path: Path) -> None:
    text = run("list", "--all", home=tmp_path).stdout
    assert "GROQ_API_KEY" in text
    assert "not served: its first request starts a device login" in text


def test_one_provider(tmp_path: Path) -> None:
    shown = run("show", "mistral", home=tmp_path, extra={"MISTRAL_API_KEY": "sk-secret"}).stdout
    for words in (
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY (set)",
        "random_seed",
        "/chat/completions",
        "logit_bias",
    ):
        assert words in shown
    assert "sk-secret" not in shown
    facts = json.loads(run("show", "bedrock", "--json", home=tmp_path).stdout)
    assert (facts["dialect"], facts["auth"]) == ("bedrock", "aws")
    assert "speech only" in run("show", "deepgram", home=tmp_path).stdout


@pytest.mark.parametrize("command", [("show", "bedrok"), ("test", "bedrok/x")])
def test_a_slip_of_the_pen_gets_a_hint(tmp_path: Path, command: tuple[str, str]) -> None:
    done = run(*command, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: no provider is called bedrok; did you mean bedrock?\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gpt-4o"], "provider/model"),
        (["openai/*"], "provider/model"),
        (["chatgpt/gpt-5"], "device login"),
        (["openai/gpt-4o", "--api-key-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_what_can_not_be_tried(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run("test", *arguments, home=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_provider_that_answers(tmp_path: Path, upstream: Upstream) -> None:
    arguments = ("test", "openai/gpt-4o-mini", "--api-key-env", "A_KEY", "--api-base", upstream.url + "/v1", "--json")
    done = run(*arguments, home=tmp_path, extra={"A_KEY": "sk-secret-of-the-test"})
    result = json.loads(done.stdout)
    assert (done.returncode, result["ok"], result["status"]) == (0, True, 200), result
    [request] = upstream.requests
    assert json.loads(request.body)["max_completion_tokens"] == 64
    assert result["prompt_tokens"] > 0
    assert float(result["cost"]) > 0
    assert result["call_id"]
    assert list(tmp_path.iterdir()) == []


def test_an_embedding_is_asked_of_what_embeds(tmp_path: Path, upstream: Upstream) -> None:
    arguments = ("test", "voyage/voyage-4", "--api-key-env", "A_KEY", "--api-base", upstream.url + "/v1")
    done = run(*arguments, home=tmp_path, extra={"A_KEY": "sk-secret-of-the-test"})
    assert done.returncode == 0, done.stdout
    assert "it answers" in done.stdout
    assert upstream.requests[0].target == "/v1/embeddings"


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("text-completion-openai/gpt-3.5-turbo-instruct", "/v1/completions"),
        ("jina_ai/jina-reranker-v2-base-multilingual", "/v1/rerank"),
        ("openai/embed-or-chat", "/v1/embeddings"),
        ("groq/embedded-llama", "/v1/chat/completions"),
    ],
)
def test_a_model_is_asked_for_what_it_does(tmp_path: Path, upstream: Upstream, model: str, target: str) -> None:
    if "rerank" in target:
        ranked = {"results": [{"index": 0, "relevance_score": 0.9}], "usage": {"total_tokens": 9}}
        upstream.script(Script(body=json.dumps(ranked).encode()))
    arguments = ("test", model, "--api-key-env", "A_KEY", "--api-base", upstream.url + "/v1", "--json")
    done = run(*arguments, home=tmp_path, extra={"A_KEY": "sk-secret-of-the-test"})
    result = json.loads(done.stdout)
    assert result["ok"], result
    assert result["prompt_tokens"] > 0
    assert upstream.requests[0].target == target


def test_a_key_that_is_not_sent_elsewhere_is_asked_for_by_name(tmp_path: Path, upstream: Upstream) -> None:
    arguments = ("test", "openai/gpt-4o-mini", "--api-base", upstream.url + "/v1", "--json")
    done = run(*arguments, home=tmp_path, extra={"OPENAI_API_KEY": "sk-secret-of-the-test"})
    assert "--api-key-env OPENAI_API_KEY" in json.loads(done.stdout)["error"]
    assert "sk-secret" not in done.stdout + done.stderr
    assert upstream.requests == []


def test_a_provider_that_refuses(tmp_path: Path, upstream: Upstream) -> None:
    arguments = ("test", "openai/gpt-4o-mini", "--api-key-env", "A_KEY", "--api-base", upstream.url + "/v1")
    done = run(*arguments, home=tmp_path, extra={"A_KEY": "sk-another"})
    assert done.returncode == 1
    assert "it failed" in done.stdout
    assert "status   401" in done.stdout
    assert "sk-another" not in done.stdout + done.stderr
    upstream.script(Script(status=500, body=b"no"))
    again = run(*arguments, home=tmp_path, extra={"A_KEY": "sk-secret-of-the-test"})
    assert (again.returncode, "status   500" in again.stdout) == (1, True), again.stdout


def test_a_configuration_that_can_not_be_served(tmp_path: Path) -> None:
    done = run("test", "groq/llama", "--json", home=tmp_path)
    assert done.returncode == 1
    assert "GROQ_API_KEY" in json.loads(done.stdout)["error"]
