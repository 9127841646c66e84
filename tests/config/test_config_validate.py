"""Mistakes in settings: all at once, each at its place, with a suggestion; nothing accepted in silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from config_helpers import Compile

from routeiq.config.known import load_known
from routeiq.config.report import Report
from routeiq.config.schema.general import GeneralSettings
from routeiq.config.schema.litellm import LitellmSettings
from routeiq.config.schema.mcp import McpServerSettings
from routeiq.config.schema.model_list import LitellmParams
from routeiq.config.schema.router import RouterSettings
from routeiq.config.source import parse
from routeiq.config.validate import names_of

MODEL = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/gpt-4o, api_key: k}\n"


ALL_MISTAKES = """\
test.yaml:5:16: error: model_list[0].litellm_params.api_key: the environment variable NOT_SET is not set (set NOT_SET)
test.yaml:6:7: error: model_list[0].litellm_params.rpmm: is not a known setting (did you mean rpm?)
test.yaml:8:22: error: model_list[1].litellm_params.model: no provider is called opnai (did you mean openai?)
test.yaml:8:55: error: model_list[1].litellm_params.rpm: must be greater than or equal to 1
test.yaml:9:5: error: model_list[2].model_name: is required
test.yaml:11:3: error: router_settings.routing_stategy: is not a known setting (did you mean routing_strategy?)
test.yaml:12:25: error: router_settings.fallbacks[0].gpt-4o[0]: no model is called gpt-4 (did you mean gpt-4o?)
test.yaml:14:14: error: routeiq.timeouts.conect: is not a known setting (did you mean connect?)
test.yaml:14:26: error: routeiq.timeouts.idle: must be seconds, or a duration such as 500ms, 30s, 5m, 1h, 30d or 1mo
test.yaml:15:10: error: routeiq.keys[0]: needs a key or a hash (write key: os.environ/NAME)
test.yaml:16:1: error: genral_settings: is not a known setting (did you mean general_settings?)"""


def test_all_mistakes_are_told_at_once(compiled: Compile) -> None:
    result = compiled(
        """\
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/NOT_SET
      rpmm: 3
  - model_name: gpt-4o
    litellm_params: {model: opnai/gpt-4o, api_key: k, rpm: -1}
  - litellm_params: {model: openai/x, api_key: k}
router_settings:
  routing_stategy: least-busy
  fallbacks: [{gpt-4o: [gpt-4]}]
routeiq:
  timeouts: {conect: 3s, idle: soon}
  keys: [{name: ci}]
genral_settings: {}
"""
    )
    assert "\n".join(map(str, result.errors)) == ALL_MISTAKES


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("litellm_settings: {telemetry: true}", "litellm_settings.telemetry"),
        ("litellm_settings: {cache: true}", "litellm_settings.cache"),
        ("general_settings: {alert_types: [x]}", "general_settings.alert_types"),
        ("router_settings: {enable_pre_call_checks: true}", "router_settings.enable_pre_call_checks"),
        ("router_settings: {retry_policy: {DefaultRetries: 1}}", "router_settings.retry_policy.DefaultRetries"),
        ("guardrails: [{api_key: os.environ/NOT_SET}]", "guardrails"),
    ],
)
def test_what_litellm_knows_and_we_do_not_serve_is_named(compiled: Compile, section: str, path: str) -> None:
    result = compiled(MODEL + section)
    assert not result.errors
    warning = result.warning(path)
    name = path.rpartition(".")[2]
    assert warning.message == f"LiteLLM setting {name} is known but not served yet; it has no effect"
    assert warning.line == 4


@pytest.mark.parametrize(
    "name",
    ["temperature", "aws_bedrock_unknown", "vertex_unknown", "tags", "input_cost_per_character", "tiered_pricing"],
)
def test_known_litellm_params_are_warned_about(compiled: Compile, name: str) -> None:
    result = compiled(MODEL.replace("api_key: k", f"api_key: k, {name}: x"))
    assert not result.errors
    assert name in result.warning(f"model_list[0].litellm_params.{name}").message


def test_no_name_is_both_served_and_known() -> None:
    known = load_known()
    assert not known.litellm_params & names_of(LitellmParams)
    assert not known.router_settings & names_of(RouterSettings)
    assert not known.litellm_settings & names_of(LitellmSettings)
    assert not known.mcp_servers & names_of(McpServerSettings)
    assert not known.general_settings & names_of(GeneralSettings)


def test_every_general_setting_of_litellm_is_served_or_known() -> None:
    names = {
        *("completion_model", "max_in_flight_requests_per_worker", "max_queued_requests_per_worker", "plugins"),
        *("master_key", "database_url", "otel", "custom_auth", "max_parallel_requests", "alerting"),
        *("enable_public_model_hub", "user_header_name", "store_model_in_db", "password_policy_min_length"),
    }
    assert names <= load_known().general_settings | names_of(GeneralSettings)


def test_model_info_fields_with_a_meaning_elsewhere_are_named(compiled: Compile) -> None:
    result = compiled(MODEL + "    model_info: {tier: paid, my_own_note: hello}\n")
    assert not result.errors
    assert "only shown" in result.warning("model_list[0].model_info.tier").message
    assert b'"my_own_note":"hello"' in result.only.info


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("routeiq: {workers: many}", "must be a whole number, or auto for one per CPU"),
        ("routeiq: {workers: 0}", "must be greater than or equal to 1"),
        ("routeiq: {port: 70000}", "must be less than or equal to 65535"),
        ("routeiq: {limits: {max_body: huge}}", "must be bytes, or a size such as 512KiB or 10MB"),
        ("routeiq: {metrics_public: maybe}", "must be true or false"),
        ("routeiq: {timeouts: {idle: .inf}}", "must be a finite number"),
        ("routeiq: {timeouts: {idle: 0}}", "must be greater than 0"),
        ("routeiq: {journal: {on_full: explode}}", "must be 'reject' or 'drop'"),
        ("routeiq: {timeout_status: 500}", "must be 408 or 504"),
        ("routeiq: {keys: {}}", "must be a valid list"),
        ("router_settings: {num_retries: 1.5}", "must be a whole number"),
        ("router_settings: {num_retries: true}", "must be a number"),
        ("router_settings: []", "must be a map"),
        ("general_settings: {master_key: 1234}", "must be text"),
        ("model_list: {}", "must be a list"),
    ],
)
def test_values_of_the_wrong_kind(compiled: Compile, setting: str, message: str) -> None:
    result = compiled(setting)
    assert any(error.message == message and error.line == 1 for error in result.errors), result.errors


def test_numbers_and_flags_may_come_from_the_environment(compiled: Compile) -> None:
    text = MODEL.replace("api_key: k", "api_key: k, rpm: os.environ/RPM, timeout: os.environ/TIMEOUT")
    result = compiled(text + "routeiq: {metrics_public: os.environ/PUBLIC}\n", RPM="100", TIMEOUT="2.5", PUBLIC="true")
    assert (result.only.rpm, result.only.timeout) == (100, 2.5)
    assert result.snapshot.auth.metrics_public


def test_environment_variables_of_the_file_win(compiled: Compile) -> None:
    text = MODEL.replace("api_key: k", "api_key: os.environ/A")
    result = compiled(text + "environment_variables: {A: from-file, B: os.environ/OUTER}\n", A="outer", OUTER="x")
    assert b"Bearer from-file\r\n" in result.only.heads["chat"]


@pytest.mark.parametrize("reference", ["os.environ/", "os.environ/A B", 'os.environ/A"'])
def test_references_that_name_no_variable(compiled: Compile, reference: str) -> None:
    result = compiled(f"general_settings:\n  master_key: '{reference}'\n")
    assert "must be followed by the name" in result.error("general_settings.master_key").message


def test_secrets_are_in_no_finding(compiled: Compile) -> None:
    secret = "sk-very-secret\r\nX-Evil: 1"
    text = """\
model_list:
  - model_name: m
    litellm_params: {model: openai/x, api_key: os.environ/S, api_base: "https://user:hunter2@h/v1"}
  - model_name: m2
    litellm_params: {model: openai/x, api_key: os.environ/S}
  - model_name: m3
    litellm_params: {model: openai/x, api_key: [hunter2], extra_headers: {X-A: "hunter2\\n"}}
general_settings: {master_key: os.environ/S, database_url: "postgresql://u:hunter2@db/x"}
routeiq:
  keys: [{name: a, key: "hunter2 hunter2"}, {name: b, key: {hunter2: hunter2}}]
  upstreams: [{host: api.openai.com, proxy: "ftp://u:hunter2@p"}]
"""
    result = compiled(text, S=secret)
    assert len(result.errors) >= 6
    told = "\n".join(map(str, (*result.errors, *result.warnings)))
    assert "hunter2" not in told.replace("routeiq.keys[1].key.hunter2", "")
    assert "very-secret" not in told


def test_places_lie_inside_the_file() -> None:
    text = Path(__file__).read_text()
    report = Report()
    parse(text.encode(), "f", report)
    for finding in report.findings:
        assert 1 <= finding.line <= text.count("\n") + 1
    assert re.search(r"f:\d+:\d+: error", str(report.errors[0]))
