"""What the database says beside the configuration files: deployments, credentials, MCP servers, agents, tags, groups.

Money in nano-dollars, times in Unix seconds. Parameters and values may hold secrets, and are in no `repr`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.policies import UsagePolicy


class StoredDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `model_list` in the database."""

    id: str
    name: str
    """The public model name."""
    params: dict[str, Any]
    """`litellm_params`."""
    info: dict[str, Any] = {}
    """`model_info`, without its id."""
    blocked: bool = False
    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0
    updated_by: str = ""

    def __repr__(self) -> str:
        return f"StoredDeployment(id={self.id!r}, name={self.name!r})"


class StoredCredential(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `credential_list` in the database."""

    name: str
    values: dict[str, Any]
    info: dict[str, Any] = {}
    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0
    updated_by: str = ""

    def __repr__(self) -> str:
        return f"StoredCredential(name={self.name!r})"


class StoredMcpServer(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `mcp_servers` in the database."""

    id: str
    name: str
    settings: dict[str, Any]
    """As they would stand below the name."""
    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0
    updated_by: str = ""

    def __repr__(self) -> str:
        return f"StoredMcpServer(id={self.id!r}, name={self.name!r})"


class StoredAgent(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `agents` in the database."""

    id: str
    name: str
    settings: dict[str, Any]
    """The entry, less its name and id."""
    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0
    updated_by: str = ""

    def __repr__(self) -> str:
        return f"StoredAgent(id={self.id!r}, name={self.name!r})"


class StoredTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag of requests, with what its requests may come to. Limits of `None` are no limits."""

    name: str
    description: str = ""
    models: tuple[str, ...] = ()
    max_budget: int | None = None
    soft_budget: int | None = None
    budget_duration: str = ""
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    budget_id: str = ""
    """A shared budget, which says what the tag itself does not."""
    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0


class StoredAccessGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One name for several public model names."""

    name: str
    models: tuple[str, ...] = ()
    description: str = ""
    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0
    updated_by: str = ""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as it was at one `revision` of the database; -1 is before anything is known."""

    revision: int = -1
    deployments: tuple[StoredDeployment, ...] = ()
    credentials: tuple[StoredCredential, ...] = ()
    mcp_servers: tuple[StoredMcpServer, ...] = ()
    agents: tuple[StoredAgent, ...] = ()
    tags: tuple[StoredTag, ...] = ()
    access_groups: tuple[StoredAccessGroup, ...] = ()
    policies: tuple[UsagePolicy, ...] = ()
    end_users: bool = False
    """Whether there are end users with limits: they are asked for one by one."""


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Stored).decode
