"""Tasks of agents that are kept for their client: what the agents process and the control plane tell each other."""

from __future__ import annotations

import msgspec
from msgspec import Raw


class KeptTask(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One task of one agent, as it was last heard of."""

    agent: str
    id: str
    owner: str
    """Hex SHA-256 of the key that asked; empty where none is asked for."""
    context: str = ""
    """As its client knows it."""
    inner: str = ""
    """The same as the agent knows it."""
    state: str = ""
    """In the words of 1.0: `TASK_STATE_WORKING`."""
    final: bool = False
    """Whether the gateway itself has ended it: what the agent says of it does not count any more."""
    updated: float = 0.0
    """Unix seconds."""
    task: Raw = Raw(b"{}")
    """The task in the shape of 1.0, with the client's context."""


class TaskQuery(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which tasks are asked for: the newest first."""

    agent: str
    owner: str
    context: str = ""
    state: str = ""
    after: float = 0.0
    """Heard of since, Unix seconds."""
    before: tuple[float, str] | None = None
    """Behind this one: its `updated` and id."""
    most: int = 50


class TaskPage(msgspec.Struct, kw_only=True):
    """What was found of them."""

    tasks: list[KeptTask]
    total: int
    """On all pages."""
    more: bool


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(KeptTask).decode
decode_tasks = msgspec.json.Decoder(list[KeptTask]).decode
decode_kept = msgspec.json.Decoder(list[bool]).decode
decode_query = msgspec.json.Decoder(TaskQuery).decode
decode_page = msgspec.json.Decoder(TaskPage).decode
