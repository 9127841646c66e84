"""The models a caller may use, as clients of each dialect read them.

https://platform.openai.com/docs/api-reference/models, https://docs.claude.com/en/api/models-list,
https://ai.google.dev/api/models
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routeiq.core.errors import UnknownModel
from routeiq.core.snapshot import CHAT, GENERATE, MESSAGES
from routeiq.governance.keys import Caller
from routeiq.pipeline.plan import Plan

CREATED = 1_677_610_602
"""`created` of every listed model: the constant LiteLLM answers with."""
_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""Anthropic's own word for it."""
_GEMINI_PATHS = (b"/v1beta/", b"/gemini/")
_METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent")


def reader_of(path: bytes, fields: Mapping[bytes, bytes]) -> str:
    """The endpoint whose clients read the answer: all have `/v1/models`, and send headers of their own."""
    if path.startswith(_GEMINI_PATHS) or b"x-goog-api-key" in fields:
        return GENERATE
    return MESSAGES if b"anthropic-version" in fields else CHAT


def names(plan: Plan, caller: Caller) -> list[str]:
    """What this caller may use; wildcards are told by the models known behind them."""
    found = []
    for name in plan.listed():
        found += plan.behind(name) if "*" in name else [name]
    found += [public for team, public in plan.team_models if team == caller.key.team_id]
    return [name for name in dict.fromkeys(found) if plan.usable(caller, name)]


def listed(found: list[str], reader: str) -> dict[str, Any]:
    """A list, all on one page."""
    shown = [_shown(name, reader) for name in found]
    if reader == GENERATE:
        return {"models": shown}
    if reader == MESSAGES:
        ends = {"first_id": found[0] if found else None, "last_id": found[-1] if found else None}
        return {"data": shown, "has_more": False, **ends}
    return {"object": "list", "data": shown}


def one(plan: Plan, caller: Caller, name: str, reader: str) -> dict[str, Any]:
    """One model. Raises `UnknownModel` for what is not there or not this caller's."""
    own = (caller.key.team_id, name) in plan.team_models
    there = own or plan.auto(name) is not None or plan.resolve(name) is not None
    if not there or not plan.usable(caller, name):
        raise UnknownModel(f"The model '{name[:200]}' does not exist.", param="model")
    return _shown(name, reader)


def _shown(name: str, reader: str) -> dict[str, Any]:
    if reader == GENERATE:
        return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": _METHODS}
    if reader == MESSAGES:
        return {"type": "model", "id": name, "display_name": name, "created_at": _UNKNOWN_DATE, "lifecycle": "active"}
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "openai"}
