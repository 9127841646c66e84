"""Which adapter belongs to which provider."""

from __future__ import annotations

from collections.abc import Callable

from routeiq.a2a.adapters.adapter import Adapter
from routeiq.a2a.adapters.agent_engine import AgentEngine
from routeiq.a2a.adapters.agentcore import AgentCore
from routeiq.a2a.adapters.foundry import Foundry
from routeiq.a2a.adapters.langgraph import LangGraph
from routeiq.a2a.adapters.openai import OpenAi
from routeiq.core.a2a import AGENT_ENGINE, AGENTCORE, FOUNDRY, LANGGRAPH, OPENAI, Agent

_KINDS: dict[str, Callable[[str], Adapter]] = {
    OPENAI: OpenAi,
    LANGGRAPH: LangGraph,
    AGENTCORE: AgentCore,
    AGENT_ENGINE: AgentEngine,
    FOUNDRY: Foundry,
}


def adapter(agent: Agent) -> Adapter:
    """For one answer of an agent."""
    return _KINDS[agent.provider](agent.model)
