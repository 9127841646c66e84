"""`routeiq.auto_models`: public names behind which a model is chosen for each request."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from routeiq.config.schema.types import Amount, Flag, Name, PositiveSeconds, Seconds, Section, Share, Text


class WishSettings(Section):
    """`core.routing.Wishes`: what is asked of the choice; costs in US dollars."""

    target_quality: Share | None = None
    max_cost: Amount | None = None
    willingness_to_pay: Amount | None = None
    profile: Literal["auto", "eco", "premium", "free", "reasoning"] | None = None
    latency: PositiveSeconds | None = None
    excluded: list[Name] | None = None
    region: Text | None = None
    residency: Flag | None = None


class AutoModelSettings(WishSettings):
    """One auto model. Without `models` all that can chat are its candidates."""

    models: list[Name] | None = None
    strategy: Name | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    session_ttl: Seconds = 1800.0
