"""Looks for secrets and personal data in what servers are told and what they answer."""

from __future__ import annotations

import logging
from typing import Any

from routeiq.core.mcp import BLOCK, OFF, REDACT, Leaks
from routeiq.mcp.accounting import Refused
from routeiq.mcp.wire import GATEWAY_ERROR, Message
from routeiq.observe.personal import hide
from routeiq.observe.redact import MASK

DEEPEST = 64
"""Levels a value may have; what is below can't be looked at, and counts as found."""
_OPAQUE = frozenset(("data", "blob", "_meta"))
"""Members of results that hold media, or nothing for people."""

log = logging.getLogger("routeiq.mcp")


def screen(mode: str, leaks: Leaks, what: str, server: str, found: Message) -> Message:
    """Arguments or a result (`what`) as they may pass. Raises `Refused` where they may not."""
    if mode == OFF:
        return found
    clean: Message = _cleaned(found, leaks.kinds, "", DEEPEST)
    if clean == found:
        return found
    if mode == BLOCK:
        raise Refused(
            GATEWAY_ERROR, f"The {what} hold what looks like a secret or personal data.", {"code": "leak_refused"}
        )
    log.warning("MCP server %s: its %s hold what looks like a secret or personal data", server, what)
    return clean if mode == REDACT else found


def _cleaned(value: Any, kinds: tuple[str, ...], name: str, left: int) -> Any:
    if isinstance(value, str):
        text = hide(value, kinds)
        if text == value and value and name and hide(f"{name}={value}", kinds) != f"{name}={value}":
            return MASK  # by the name it stands under
        return text
    if not isinstance(value, (dict, list)):
        return value
    if left == 0:
        return MASK
    if isinstance(value, list):
        return [_cleaned(one, kinds, name, left - 1) for one in value]
    return {
        member: below if member in _OPAQUE else _cleaned(below, kinds, member, left - 1)
        for member, below in value.items()
    }
