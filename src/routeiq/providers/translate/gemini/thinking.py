"""How much a Gemini model shall think: a budget in tokens for 2.5, a level from 3 on.

https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

import re
from typing import Any

from routeiq.providers.translate.chat import Effort, Reasoning
from routeiq.providers.translate.reasoning import budget_of, effort_of

_VERSION = re.compile(r"gemini-(\d+(?:\.\d+)?)")
NEWEST = 99.0
"""The version of names that follow the newest model: `gemini-flash-latest`."""
_BUDGETS = (("flash-lite", 512, 24_576), ("flash", 1, 24_576), ("pro", 128, 32_768))
"""(word of the name, least, most) tokens; flash models also take 0, which is not to think."""
_LEVELS: dict[Effort, str] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
EFFORTS: dict[str, Effort] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}


def version_of(model: str) -> float:
    """2.5 of `gemini-2.5-pro`; 0 for other families and for endpoints of tuned models."""
    found = _VERSION.search(model)
    if found is not None:
        return float(found[1])
    return NEWEST if "gemini-" in model and model.endswith("-latest") else 0.0


def thinking_config(reasoning: Reasoning, model: str) -> dict[str, Any] | None:
    """The `thinkingConfig` that comes closest to what is asked for; `None` for models that can't think.

    A model that always thinks does so as little as it can when it is asked not to.
    """
    version = version_of(model)
    family = model.rpartition("/")[2]
    if 0 < version < 2.5 or family.startswith(("gemma", "learnlm")) or "tts" in family:
        return None
    if "image" in family:
        return None if version < 3 else _shown(reasoning, {})
    if version >= 3:
        return _shown(reasoning, _level(reasoning, family, version))
    if reasoning.adaptive:
        return _shown(reasoning, {"thinkingBudget": -1})
    budget = budget_of(reasoning)
    if budget is None:
        return _shown(reasoning, {})
    for word, least, most in _BUDGETS:
        if word in family:
            if budget >= 0 and (budget > 0 or word == "pro"):
                budget = min(max(budget, least), most)
            break
    return _shown(reasoning, {"thinkingBudget": budget})


def _level(reasoning: Reasoning, family: str, version: float) -> dict[str, Any]:
    effort = None if reasoning.adaptive else effort_of(reasoning)
    if effort is None:
        return {}
    level = _LEVELS[effort]
    if "pro" in family:  # no MINIMAL, and MEDIUM from 3.1 on
        if level == "MINIMAL":
            level = "LOW"
        elif level == "MEDIUM" and version < 3.1:
            level = "HIGH"
    return {"thinkingLevel": level}


def _shown(reasoning: Reasoning, config: dict[str, Any]) -> dict[str, Any]:
    off = reasoning.effort == "none" or reasoning.budget == 0
    if not reasoning.hidden and not off:
        config["includeThoughts"] = True
    return config
