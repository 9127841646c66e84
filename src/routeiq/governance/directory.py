"""Whom the control plane knows."""

from __future__ import annotations

from typing import Protocol

from routeiq.core.keys import EndUser, Key, Subject


class Directory(Protocol):
    """Answers `None` for what there is not, and raises `OSError` where nobody can be asked."""

    async def key(self, digest: str) -> Key | None:
        """The key with this hex SHA-256."""

    async def principal(self, user_id: str, team_id: str) -> Key | None:
        """What stands for a user, a team, or a user in a team, where no key does."""

    async def end_user(self, id: str) -> EndUser | None:
        """The end user a client calls so, where somebody has limited it."""

    async def run(self, name: str) -> Subject | None:
        """The run of an agent, with a slot to count it in; begun, where there is none."""

    async def policy(self, name: str) -> Subject | None:
        """A group of a policy of usage, `<what>:<duration>:<id>`, with a slot to count it in."""


class Nobody:
    """Where there is no control plane."""

    async def key(self, digest: str) -> Key | None:
        """None."""
        return None

    async def principal(self, user_id: str, team_id: str) -> Key | None:
        """None."""
        return None

    async def end_user(self, id: str) -> EndUser | None:
        """None."""
        return None

    async def run(self, name: str) -> Subject | None:
        """None."""
        return None

    async def policy(self, name: str) -> Subject | None:
        """None."""
        return None
