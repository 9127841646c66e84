"""Effort and budget: two ways to say how much a model shall think."""

from __future__ import annotations

from routeiq.providers.translate.chat import Effort, Reasoning

BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 512,
    "low": 1024,
    "medium": 2048,
    "high": 4096,
    "xhigh": 16_384,
    "max": 32_768,
}
"""Thinking tokens by effort. LiteLLM's defaults up to `high` (DEFAULT_REASONING_EFFORT_*_THINKING_BUDGET)."""
LEAST = 1024
"""Anthropic's smallest budget: https://docs.claude.com/en/docs/build-with-claude/extended-thinking"""


def budget_of(reasoning: Reasoning) -> int | None:
    """Tokens to think with; 0 is not to think, `None` leaves it to the model."""
    if reasoning.budget is not None:
        return reasoning.budget
    if reasoning.effort is not None:
        return BUDGETS[reasoning.effort]
    return None


def effort_of(reasoning: Reasoning) -> Effort | None:
    """The effort that a budget comes closest to from below; `None` leaves it to the model."""
    if reasoning.effort is not None:
        return reasoning.effort
    budget = reasoning.budget
    if budget is None:
        return None
    if budget <= 0:
        return "none" if budget == 0 else None
    found: Effort = "minimal"
    for effort in ("minimal", "low", "medium", "high"):
        if budget >= BUDGETS[effort]:
            found = effort
    return found
