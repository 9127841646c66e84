"""How much Claude shall think, wherever it runs.

https://docs.claude.com/en/docs/build-with-claude/extended-thinking and /adaptive-thinking
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from routeiq.providers.translate.chat import Chat
from routeiq.providers.translate.codec import Fit
from routeiq.providers.translate.reasoning import BUDGETS, LEAST, budget_of, effort_of

_ADAPTIVE = re.compile(r"claude-(opus|sonnet|haiku)-(4-[6-9]|[5-9])|claude-(fable|mythos)")
"""Models that decide themselves how long to think."""
_FIXED = re.compile(r"claude-(opus|sonnet|haiku)-(4-[7-9]|[5-9])|claude-(fable|mythos)")
"""Models that take neither a budget nor parameters of sampling, and hide their thoughts unless asked to show them:
https://platform.claude.com/docs/en/about-claude/models/migration-guide"""
_DEFAULT_MAX_TOKENS = (
    (re.compile(r"claude-3-(haiku|opus|sonnet)|claude-2|claude-instant"), 4096),
    (re.compile("claude-3-5"), 8192),
)
"""`max_tokens` is required; where the client has none, as much as the older models can write, and 16,384 for others."""
THOUGHTS = ("thinking", "redacted_thinking", "reasoningContent")
"""Kinds of blocks that are thoughts, in Messages and in Converse."""
CALLS = ("tool_use", "toolUse")


class Thought(NamedTuple):
    """What to ask for: `thinking` as Messages has it, the effort, and the room it takes."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str = ""

    @property
    def thinks(self) -> bool:
        """Whether the model will."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def decides_itself(model: str) -> bool:
    """Whether a model thinks as long as it likes. Such models do not go on with an answer that was begun for them:
    https://docs.claude.com/en/docs/build-with-claude/prompt-engineering/prefill-claudes-response
    """
    return _ADAPTIVE.search(model) is not None


def without_sampling(chat: Chat, model: str, fit: Fit) -> Chat:
    """The request less what models from Claude 4.7 on refuse; `Fit.refuse` decides what becomes of it."""
    if _FIXED.search(model) is None:
        return chat
    for name, usual in (("temperature", 1), ("top_p", 1), ("top_k", None)):
        value = getattr(chat, name)
        if value is not None and value != usual and not fit.leaves_out(name):
            fit.refuse(name, f"{model} takes no parameters of sampling")
    return msgspec.structs.replace(chat, temperature=None, top_p=None, top_k=None)


def default_max_tokens(model: str) -> int:
    """The limit on an answer where the client has set none."""
    for pattern, most in _DEFAULT_MAX_TOKENS:
        if pattern.search(model):
            return most
    return 16_384


def plan(chat: Chat, model: str, turns: Sequence[tuple[str, Sequence[str]]], fit: Fit) -> Thought:
    """What the request asks of `model`. `turns` are the roles and kinds of blocks of the messages as they are sent."""
    most = chat.max_tokens if chat.max_tokens is not None else default_max_tokens(model)
    reasoning = chat.reasoning
    if reasoning is None or fit.leaves_out("reasoning_effort"):
        return Thought(most)
    effort = reasoning.effort
    if effort == "none" or reasoning.budget == 0:
        return Thought(most, {"type": "disabled"})
    fixed = _FIXED.search(model) is not None
    if fixed:
        effort = effort_of(reasoning)
    adaptive = fixed or reasoning.adaptive or (reasoning.budget is None and decides_itself(model))
    asked = "" if effort is None or not adaptive else "low" if effort == "minimal" else effort
    if chat.prefix or not _proven(turns):
        # The API refuses to think on an answer that is begun, or a turn with calls whose thoughts were not kept.
        fit.ignore("reasoning_effort")
        return Thought(most, None, asked)
    if adaptive:
        shown = {"display": "summarized"} if fixed and not reasoning.hidden else {}
        return Thought(most, {"type": "adaptive", **shown}, asked)
    budget = budget_of(reasoning) or BUDGETS["medium"]
    if reasoning.budget is None and chat.max_tokens is not None:
        budget = min(budget, chat.max_tokens // 2)
        if chat.max_tokens < 2 * LEAST:
            fit.ignore("reasoning_effort")
            return Thought(most)
    budget = max(budget, LEAST)
    if most <= budget:
        most += budget
    return Thought(most, {"type": "enabled", "budget_tokens": budget})


def _proven(turns: Sequence[tuple[str, Sequence[str]]]) -> bool:
    """Whether the assistant's last turn, if it called tools, still begins with its thoughts."""
    if not turns or turns[-1][0] != "user":
        return True
    for role, kinds in reversed(turns):
        if role == "assistant":
            return not any(kind in CALLS for kind in kinds) or kinds[0] in THOUGHTS
    return True
