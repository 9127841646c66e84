"""`credential_list`, access groups, blocked deployments: what they come to in a Snapshot."""

from __future__ import annotations

import pytest
from config_helpers import Compile

from routeiq.config.load import read_bytes
from routeiq.config.references import masked
from routeiq.config.report import Report

TEXT = """
model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-4o, litellm_credential_name: main, rpm: 7}}
  - {model_name: b, litellm_params: {model: openai/gpt-4o, litellm_credential_name: main, api_key: own-key}}
credential_list:
  - credential_name: main
    credential_values: {api_key: os.environ/MAIN_KEY, api_base: "https://example.com/v1", rpm: 9}
    credential_info: {custom_llm_provider: openai}
"""


def test_a_named_credential_fills_in_what_the_deployment_does_not_say(compiled: Compile) -> None:
    result = compiled(TEXT, MAIN_KEY="main-key")
    assert not result.errors
    first, second = result.snapshot.deployments
    assert b"Bearer main-key" in first.heads["chat"]
    assert b"Bearer own-key" in second.heads["chat"]
    assert (first.host, first.rpm, second.rpm) == ("example.com", 7, 9)


def test_a_credential_s_values_are_never_shown() -> None:
    root = read_bytes(TEXT.encode().replace(b"os.environ/MAIN_KEY", b"canary"), "c.yaml", Report()).root
    assert "canary" not in str(masked(root))


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (TEXT.replace("name: main, rpm", "name: mian, rpm"), "model_list[0].litellm_params.litellm_credential_name",
         "no credential is called mian"),
        (TEXT.replace("credential_name: main\n", "credential_nam: main\n"), "credential_list[0].credential_nam",
         "is not a known setting"),
        (TEXT.replace('{api_key: os.environ/MAIN_KEY, api_base: "https://example.com/v1", rpm: 9}', "7"),
         "credential_list[0].credential_values", "must be a map of parameters"),
        (TEXT + "  - {credential_name: main, credential_values: {}}\n", "credential_list[1].credential_name",
         "another credential is called main as well"),
        ("credential_list: {}\n", "credential_list", "must be a list"),
        ("credential_list: [7]\n", "credential_list[0]", "must be a map"),
        (TEXT, "model_list[0].litellm_params.api_key", "the environment variable MAIN_KEY is not set"),
        (TEXT.replace("rpm: 9", "rpm: x"), "model_list[1].litellm_params.rpm", "must be a number"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_their_place(compiled: Compile, text: str, path: str, message: str) -> None:
    more = {} if "MAIN_KEY is not set" in message else {"MAIN_KEY": "k"}
    assert compiled(text, **more).error(path).message == message


GROUPS = """
model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: k}, model_info: {access_groups: [beta, all]}}
  - {model_name: a, litellm_params: {model: openai/gpt-4, api_key: k}, model_info: {access_groups: [beta]}}
  - {model_name: b, litellm_params: {model: openai/gpt-4o, api_key: k}, model_info: {access_groups: [beta]}}
routeiq: {keys: [{name: n, key: sk-0123456789abcdef, models: [beta]}]}
"""


def test_access_groups_are_models_by_the_group_s_name(compiled: Compile) -> None:
    result = compiled(GROUPS)
    assert (result.errors, result.warnings) == ((), ())
    assert result.snapshot.access_groups == {"beta": ("a", "b"), "all": ("a",)}


def test_a_blocked_deployment_is_shown_and_not_called(compiled: Compile) -> None:
    result = compiled(GROUPS.replace("[beta]}}\n  - {model_name: b", "[beta], blocked: true}}\n  - {model_name: b"))
    assert not result.errors
    assert [d.blocked for d in result.snapshot.deployments] == [False, True, False]
    assert result.snapshot.groups["a"].deployments == (0,)
    assert b'"blocked":true' in result.snapshot.deployments[1].info
    alone = compiled(GROUPS.replace("model_info: {access_groups: [beta]}}\nrou", "model_info: {blocked: true}}\nrou"))
    assert list(alone.snapshot.groups) == ["a"]


def test_names_that_may_come_from_the_database_are_warned_about_only(compiled: Compile) -> None:
    text = GROUPS + "router_settings: {fallbacks: [{a: [later]}], model_group_alias: {x: later}}\n"
    assert len(compiled(text).errors) == 2
    result = compiled(text + "general_settings: {store_model_in_db: true}\n")
    assert not result.errors
    assert result.warning("router_settings.fallbacks[0].a[0]").message == "no model is called later"
    assert result.snapshot.store_models
    assert result.snapshot.groups["a"].fallbacks == ()
    assert compiled(GROUPS, STORE_MODEL_IN_DB="True").snapshot.store_models
