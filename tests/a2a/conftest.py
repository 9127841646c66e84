"""Agents that speak one version and binding each, and one gateway in front of them for all who leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.a2a_agent import BOTH, Agent
from support.a2a_client import ADMIN, ALICE, BOB, NOBODY, wait_for_control
from support.a2a_script import Script
from support.gateway import Gateway

KINDS = {
    "both": BOTH,
    "new": (("JSONRPC", "1.0"),),
    "old": (("JSONRPC", "0.3"),),
    "rest": (("HTTP+JSON", "1.0"),),
    "old-rest": (("HTTP+JSON", "0.3"),),
}


@pytest.fixture(scope="session")
def a2a_agents() -> Iterator[dict[str, Agent]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(Agent(interfaces)) for name, interfaces in KINDS.items()}


@pytest.fixture(scope="session")
def a2a_script() -> Iterator[Script]:
    with Script() as script:
        yield script


@pytest.fixture(scope="session")
def a2a_gateway(a2a_agents: dict[str, Agent], a2a_script: Script) -> Iterator[Gateway]:
    agents = [
        {"agent_name": name, "url": agent.url, "extra_headers": ["x-passed"]} for name, agent in a2a_agents.items()
    ]
    agents[0] |= {"auth_type": "bearer_token", "authentication_token": "sk-of-the-agent"}
    agents[0]["litellm_params"] = {"cost_per_query": 0.25}
    agents[1] |= {"access_groups": ["office"]}
    agents += [
        {"agent_name": "limited", "url": a2a_agents["new"].url, "rpm_limit": 2, "allow_all_keys": True},
        {"agent_name": "off", "url": a2a_agents["new"].url, "enabled": False, "allow_all_keys": True},
        {"agent_name": "script", "url": a2a_script.url},
        {
            "agent_name": "model",
            "agent_card_params": {"name": "Model", "description": "Answers"},
            "litellm_params": {
                "custom_llm_provider": "openai",
                "model": "openai/gpt-4o",
                "api_key": "sk-of-the-model",
                "api_base": f"{a2a_script.url}/v1",
            },
        },
        {
            "agent_name": "graph",
            "url": a2a_script.url,
            "litellm_params": {"custom_llm_provider": "langgraph", "model": "langgraph/helper"},
        },
        {"agent_name": "dead", "url": "http://127.0.0.1:9"},
    ]
    config = {
        "agents": agents,
        "routeiq": {
            "keys": [
                {"name": "alice", "key": ALICE, "object_permission": {"agents": ["*"]}},
                {
                    "name": "bob", "key": BOB,
                    "object_permission": {"agents": ["both"], "agent_access_groups": ["office"]},
                },
                {"name": "nobody", "key": NOBODY},
            ],
        },
    }  # fmt: skip
    with Gateway(config, key=ADMIN) as running:
        wait_for_control(running)
        yield running
