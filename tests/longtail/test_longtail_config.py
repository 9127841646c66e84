"""What a configuration says to LiteLLM's SDK, and what it must not."""

from __future__ import annotations

import datetime
import importlib.util
import json
from typing import Any

import pytest

from routeiq.cli.providers import providers_app
from routeiq.config.compile import compile_snapshot
from routeiq.config.load import load, read_bytes
from routeiq.config.report import Report
from routeiq.core.snapshot import Snapshot, decode, encode
from routeiq.providers.catalog import load_catalog

CATALOG = load_catalog()
NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


def compiled(params: dict[str, Any], environ: dict[str, str] | None = None, **more: Any) -> tuple[Snapshot, Report]:
    report = Report()
    config = {"model_list": [{"model_name": "m", "litellm_params": params}], **more}
    source = read_bytes(json.dumps(config, indent=1).encode(), "c.yaml", report)
    ctx = load(source, environ or {}, CATALOG, NOW, report)
    return compile_snapshot(ctx, host=None, now=0.0), report


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "litellm" else find(name, *rest)
    )


@pytest.mark.parametrize("name", [name for name, spec in CATALOG.items() if spec.dialect == "litellm"])
def test_every_provider_of_the_long_tail_compiles(name: str) -> None:
    snapshot, report = compiled({"model": f"{name}/some-model", "api_key": "k-0123456789"})
    assert not report.errors
    (deployment,) = snapshot.deployments
    assert (deployment.provider, deployment.model) == (name, "some-model")
    assert (deployment.via, deployment.dialect) == ("longtail", "openai")
    assert "chat" in deployment.heads
    assert ("embedding" in deployment.heads) == ("embeddings" in CATALOG[name].capabilities)
    assert decode(encode(snapshot)) == snapshot


def test_what_is_passed_on_and_what_is_not() -> None:
    snapshot, report = compiled(
        {
            "model": "oci/cohere.command-r-plus",
            "oci_region": "us-chicago-1",
            "oci_key": "os.environ/KEY_OF_OCI",
            "temperature": 0.5,
            "rpm": 10,
            "tags": ["a"],
            "input_cost_per_token": 0.1,
        },
        {"KEY_OF_OCI": "secret-0123456789"},
        environment_variables={"OCI_USER": "ocid1.user"},
    )
    assert not report.errors
    assert [finding.path.rpartition(".")[2] for finding in report.warnings if "not served yet" in finding.message] == [
        "tags"
    ]
    deployment = snapshot.deployments[0]
    assert deployment.longtail is not None
    assert deployment.longtail.arguments == {
        "oci_region": "us-chicago-1",
        "oci_key": "secret-0123456789",
        "temperature": 0.5,
    }
    assert deployment.longtail.environment == {"OCI_USER": "ocid1.user"}
    assert "secret" not in repr(deployment)
    assert deployment.rpm == 10


def test_prices_are_those_of_litellms_list() -> None:
    prices = compiled({"model": "snowflake/claude-3-5-sonnet"})[0].deployments[0].prices
    assert prices is not None
    assert (prices.input, prices.output, prices.cache_read) == (3_000_000, 15_000_000, 300_000)
    assert prices.source == "litellm"
    own = compiled({"model": "snowflake/claude-3-5-sonnet", "input_cost_per_token": 1e-6})[0].deployments[0].prices
    assert own is not None
    assert (own.input, own.source) == (1_000_000, "config")
    for model in ("gigachat/GigaChat-2", "snowflake/unheard-of", "oci/claude-3-5-sonnet"):
        snapshot, report = compiled({"model": model})
        assert snapshot.deployments[0].prices is None, model
        assert any("no price" in finding.message for finding in report.warnings)


def test_a_key_changes_the_revision_and_can_t_be_read_from_it() -> None:
    one, two = (compiled({"model": "bytez/m", "api_key": key})[0] for key in ("a-key-0123456", "b-key-0123456"))
    assert one.revision != two.revision
    assert one.deployments[0].id != two.deployments[0].id


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"model": "snowflake/m", "sdk": {"api_key": "k"}}, "sdk"),
        ({"model": "snowflake/m", "acount_id": "x"}, "acount_id"),
        ({"model": "snowflake/m", "api_base": "ftp://x"}, "api_base"),
        ({"model": "snowflake/m", "oci_key": "os.environ/NOT_SET"}, "sdk.oci_key"),
        ({"model": "openai/m", "api_key": "k", "account_id": "x"}, "account_id"),
    ],
)
def test_mistakes_are_errors_at_their_place(params: dict[str, Any], path: str) -> None:
    _, report = compiled(params)
    assert [finding.path for finding in report.errors] == [f"model_list[0].litellm_params.{path}"]
    assert report.errors[0].line > 3


def test_an_unknown_provider_names_a_near_one() -> None:
    _, report = compiled({"model": "m", "custom_llm_provider": "snowflak"})
    assert report.errors[0].hint == "did you mean snowflake?"


@pytest.mark.usefixtures("no_extra")
def test_without_the_extra_the_error_names_it() -> None:
    _, report = compiled({"model": "snowflake/m", "api_key": "k"})
    (finding,) = report.errors
    assert finding.path == "model_list[0].litellm_params.model"
    assert (finding.file, finding.line) == ("c.yaml", 6)
    assert "pip install 'routeiq[litellm]'" in str(finding)
    assert not compiled({"model": "openai/m", "api_key": "k"})[1].errors


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize("words", [["list"], ["show", "snowflake"], ["test", "snowflake/m"]])
def test_without_the_extra_the_command_line_names_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        providers_app(words)
    said = capsys.readouterr()
    assert "pip install 'routeiq[litellm]'" in " ".join((said.out + said.err).split())
    assert ended.value.code == (1 if words[0] == "test" else 0)
