"""Agents of other platforms: where they are, what they are called, and what is said of those that can't be served."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from config_helpers import Compile

ARN = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/doer"
ENGINE = "projects/p/locations/europe-west1/reasoningEngines/42"


def agent(**params: Any) -> str:
    return yaml.safe_dump({"agents": [{"agent_name": "doer", "litellm_params": params}]})


def test_addresses_of_their_clouds(compiled: Compile) -> None:
    keys = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "s"}
    runtime = agent(custom_llm_provider="bedrock", model=f"bedrock/agentcore/{ARN}", **keys)
    engine = agent(
        custom_llm_provider="vertex_ai", model="42", vertex_project="p", vertex_location="europe-west1",
        vertex_credentials='{"type": "service_account"}',
    )  # fmt: skip
    for text, host, model, scheme in (
        (runtime, "bedrock-agentcore.eu-west-1.amazonaws.com", ARN, "aws"),
        (engine, "europe-west1-aiplatform.googleapis.com", ENGINE, "google"),
    ):
        snapshot = compiled(text).snapshot
        assert snapshot.a2a is not None
        (found,) = snapshot.a2a.agents
        assert (found.scheme, found.host, found.model) == ("https", host, model)
        assert [signing.scheme for signing in snapshot.signings()] == [scheme]
    assert compiled(runtime).snapshot.a2a.agents[0].signing.params["service"] == "bedrock-agentcore"


@pytest.mark.parametrize(
    ("params", "setting", "message"),
    [
        ({"custom_llm_provider": "nobody"}, "custom_llm_provider", "is not known"),
        ({"custom_llm_provider": "openai", "api_base": "http://x/v1"}, "model", "is required"),
        ({"custom_llm_provider": "bedrock", "model": "bedrock/agentcore/doer"}, "model", "is not the ARN"),
        ({"custom_llm_provider": "vertex_ai", "model": "42"}, "model", "is not the name of a reasoning engine"),
        ({"custom_llm_provider": "azure_ai", "api_base": "http://x"}, "model", "is required"),
        (
            {"custom_llm_provider": "azure_ai", "model": "azure_ai/agents/a", "api_base": "http://x"},
            "custom_llm_provider", "needs credentials",
        ),
    ],
)  # fmt: skip
def test_what_can_t_be_served_is_said(compiled: Compile, params: dict[str, Any], setting: str, message: str) -> None:
    assert message in compiled(agent(**params)).error(f"agents[0].litellm_params.{setting}").message


@pytest.mark.parametrize("provider", ["", "langgraph", "openai", "azure_ai"])
def test_an_address_is_asked_for(compiled: Compile, provider: str) -> None:
    params = {"custom_llm_provider": provider} if provider else {}
    assert compiled(agent(**params, model="m")).error("agents[0].url").message == "is required"


def test_secrets_change_the_revision_and_are_not_in_it(compiled: Compile) -> None:
    texts = [agent(custom_llm_provider="bedrock", model=f"bedrock/agentcore/{ARN}", aws_access_key_id="AKIA",
                   aws_secret_access_key=secret) for secret in ("one", "other")]  # fmt: skip
    first, second = (compiled(text).snapshot for text in texts)
    assert first.revision != second.revision
