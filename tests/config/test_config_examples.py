"""The examples are served as they are, and the reference names every setting."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from pydantic import BaseModel

from routeiq.config.schema.a2a import A2aSettings, AgentParams, AgentSettings
from routeiq.config.schema.general import GeneralSettings
from routeiq.config.schema.litellm import LitellmSettings
from routeiq.config.schema.mcp import McpCost, McpServerSettings, McpSettings
from routeiq.config.schema.model_list import LitellmParams, ModelInfo
from routeiq.config.schema.routeiq import (
    HedgeSettings,
    JournalSettings,
    KeySettings,
    LimitSettings,
    ResilienceSettings,
    RouteiqSettings,
    TimeoutSettings,
    UpstreamSettings,
)
from routeiq.config.schema.router import RetryPolicy, RouterSettings
from routeiq.config.validate import names_of
from routeiq.control.build import build
from routeiq.core.routing import BALANCING as STRATEGIES
from routeiq.core.settings import Overrides

ROOT = Path(__file__).parents[2]
SECTIONS: list[type[BaseModel]] = [
    *(GeneralSettings, LitellmSettings, LitellmParams, ModelInfo, RouterSettings, RetryPolicy, RouteiqSettings),
    *(
        KeySettings,
        TimeoutSettings,
        LimitSettings,
        ResilienceSettings,
        HedgeSettings,
        JournalSettings,
        UpstreamSettings,
    ),
    *(McpServerSettings, McpSettings, McpCost),
    *(AgentSettings, AgentParams, A2aSettings),
]
ENVIRON = {
    "HOME": "/home/someone",
    "LITELLM_MASTER_KEY": "sk-a-long-enough-master-key",
    "OPENAI_API_KEY": "sk-openai",
    "AZURE_API_KEY": "azure",
    "GROQ_API_KEY": "groq",
    "CI_KEY": "sk-ci-0123456789abcdef",
    "AGENT_KEY": "sk-agent-0123456789abcdef",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    **{f"{name}_API_KEY": "key" for name in ("ANTHROPIC", "GEMINI", "COHERE", "MISTRAL")},
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_examples_are_valid(path: Path) -> None:
    now = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    result = build([str(path)], ENVIRON, Overrides(), now=now, cpus=2)
    assert [str(finding) for finding in (*result.errors, *result.warnings)] == []
    assert result.ok


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_the_reference_names_every_setting(section: type[BaseModel]) -> None:
    own = {"Mcp": "mcp.md", "Age": "a2a.md", "A2a": "a2a.md"}.get(section.__name__[:3], "configuration.md")
    text = "".join((ROOT / "docs" / page).read_text() for page in {"configuration.md", own})
    assert {name for name in names_of(section) if f"`{name}`" not in text} == set()


def test_the_reference_names_every_strategy() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert {name for name in STRATEGIES if f"`{name}`" not in text} == set()
