"""What the configuration says about keys, users and end users that the database keeps."""

from __future__ import annotations

import msgspec


class KeyDefaults(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Values for new keys, or the most they may have. Money in nano-dollars, durations as they are written."""

    max_budget: int | None = None
    budget_duration: str | None = None
    duration: str | None = None
    models: tuple[str, ...] | None = None
    max_parallel_requests: int | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    team_id: str | None = None


class UserDefaults(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Values for new users."""

    user_role: str | None = None
    max_budget: int | None = None
    budget_duration: str | None = None
    models: tuple[str, ...] | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    teams: tuple[str, ...] = ()


class Accounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """LiteLLM's settings of these names."""

    apply_user_budget_to_team_keys: bool = False
    max_end_user_budget_id: str = ""
    upperbound_key_generate_params: KeyDefaults = KeyDefaults()
    default_key_generate_params: KeyDefaults = KeyDefaults()
    default_internal_user_params: UserDefaults = UserDefaults()
