"""Compiles what the configuration says about keys and users of the database."""

from __future__ import annotations

from typing import Any

from routeiq.config.context import Context
from routeiq.config.report import Path
from routeiq.config.schema.types import Section
from routeiq.core.accounts import Accounts, KeyDefaults, UserDefaults
from routeiq.core.money import nano


def compile_accounts(ctx: Context) -> Accounts:
    """LiteLLM's settings for new keys and users, and how budgets count."""
    litellm = ctx.config.litellm
    most = litellm.upperbound_key_generate_params
    for name in ("models", "team_id"):
        if getattr(most, name) is not None:
            path: Path = ("litellm_settings", "upperbound_key_generate_params", name)
            ctx.error(path, "has no upper bound", "remove it, or put it into default_key_generate_params")
    return Accounts(
        apply_user_budget_to_team_keys=ctx.config.general.apply_user_budget_to_team_keys,
        max_end_user_budget_id=litellm.max_end_user_budget_id or "",
        upperbound_key_generate_params=KeyDefaults(**_given(most)),
        default_key_generate_params=KeyDefaults(**_given(litellm.default_key_generate_params)),
        default_internal_user_params=UserDefaults(**_given(litellm.default_internal_user_params)),
    )


def _given(section: Section) -> dict[str, Any]:
    given = {name: value for name, value in section if value is not None}
    if "max_budget" in given:
        given["max_budget"] = nano(given["max_budget"])
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
