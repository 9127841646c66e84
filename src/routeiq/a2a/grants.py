"""Who may use which agents: nobody, unless somebody says so.

https://docs.litellm.ai/docs/a2a_agent_permissions
"""

from __future__ import annotations

from routeiq.core.a2a import A2a, Agent
from routeiq.core.keys import Key, ObjectPermission

ALL = "*"
"""In a list of agents: all of them."""


def granted(key: Key, a2a: A2a, *, everything: bool) -> tuple[Agent, ...]:
    """The agents a key may use, in the order of the configuration. `everything`: the gateway asks for no key.

    An admin may use every agent, everybody those that are open to all keys. Of the others a key may use what all of
    its owners that say anything of agents allow: the key, its team, its organization. What is switched off is nobody's.
    """
    there = (agent for agent in a2a.agents if agent.enabled)
    if everything or key.admin:
        return tuple(there)
    said = [one for one in key.permissions if one.agents or one.agent_access_groups]
    return tuple(agent for agent in there if agent.open or (said and all(_allows(one, agent) for one in said)))


def _allows(permission: ObjectPermission, agent: Agent) -> bool:
    named = permission.agents
    return (
        ALL in named
        or agent.id in named
        or agent.name in named
        or not set(agent.access_groups).isdisjoint(permission.agent_access_groups)
    )
