"""Policies of usage: what the requests that fit may come to, each group of them by itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from routeiq.core.money import NANO_PER_DOLLAR

ATTRIBUTES = (
    "model", "key", "key_alias", "user_id", "team_id", "organization_id", "end_user", "tag", "endpoint",
)  # fmt: skip
"""Of a request, as conditions and groups name them. It may have several tags."""
Attribute = Literal[
    "model", "key", "key_alias", "user_id", "team_id", "organization_id", "end_user", "tag", "endpoint"
]  # fmt: skip
LimitType = Literal["cost", "requests", "tokens", "input_tokens", "output_tokens"]
LimitPeriod = Literal["minute", "hour", "day", "week", "month", "none"]
Action = Literal["deny", "log", "alert"]
DURATIONS = {"minute": "1m", "hour": "1h", "day": "1d", "week": "7d", "month": "1mo", "none": ""}
"""Periods by the calendar: `core.periods`."""


class UsagePolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One policy, as it is kept and as workers evaluate it."""

    policy_id: str
    """Without `/` and `:`."""
    name: str = ""
    enabled: bool = True
    conditions: dict[str, tuple[str, ...]] = {}
    """Patterns by attribute: one of a list has to fit, for every attribute."""
    exclusions: dict[str, tuple[str, ...]] = {}
    """The same for requests that do not count; empty excludes none."""
    group_by: tuple[str, ...] = ()
    limit_type: LimitType = "cost"
    limit_value: float = 100.0
    """Dollars, requests or tokens."""
    limit_period: LimitPeriod = "month"
    action: Action = "deny"
    alert_threshold: float = 0.8
    priority: int = 100
    """The lowest is asked first."""
    created_at: float = 0.0
    created_by: str = ""
    updated_at: float = 0.0
    updated_by: str = ""

    @property
    def amount(self) -> int:
        """The limit in what is counted: nano-dollars for `cost`."""
        return round(self.limit_value * NANO_PER_DOLLAR) if self.limit_type == "cost" else int(self.limit_value)

    @property
    def duration(self) -> str:
        """Of its periods."""
        return DURATIONS[self.limit_period]
