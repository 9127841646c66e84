"""What requests of the management API are made of: LiteLLM's names, checked.

Fields LiteLLM documents and this gateway does not serve are refused by name, unless they are empty.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from routeiq.core.money import NANO_PER_DOLLAR
from routeiq.core.own_tags import RESERVED
from routeiq.core.periods import check_duration
from routeiq.core.slots import MOST_BUDGETS

MOST_MODELS = 10_000
MOST_METADATA = 64 * 1024
"""Bytes of JSON."""
_LIFETIME = re.compile(r"([1-9]\d{0,8})(mo|[smhdw])")
_LATEST = 32_503_680_000
"""The year 3000."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 2_592_000}


def _whole(value: str) -> str:
    check_duration(value)
    return value


def lifetime(text: str) -> float:
    """Seconds of `30s`, `5m`, `2h`, `1d`, `1w` or `1mo` (30 days). Raises `ValueError`."""
    found = _LIFETIME.fullmatch(text)
    if found is None:
        raise ValueError("must be a number and s, m, h, d, w or mo: 30s, 5m, 2h, 1d, 1w, 1mo")
    seconds = float(int(found[1]) * _SECONDS[found[2]])
    if seconds > 200 * 365 * 86_400:
        raise ValueError("must not be longer than two centuries")
    return seconds


def _lifetime(value: str) -> str:
    if value not in ("", "-1"):
        lifetime(value)
    return value


def _until(value: Any) -> Any:
    """LiteLLM's model has a date here, its docs a lifetime.

    https://docs.litellm.ai/docs/proxy/temporary_budget_increase
    """
    if isinstance(value, str) and _LIFETIME.fullmatch(value):
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=lifetime(value))
    return value


def _near(value: datetime.datetime) -> datetime.datetime:
    moment = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
    if not 0 <= moment.timestamp() < _LATEST:
        raise ValueError("must be between the years 1970 and 3000")
    return moment


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, allow_nan=False).encode("ascii")
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError("must be JSON without NaN and lone surrogates") from error
    if len(text) > MOST_METADATA:
        raise ValueError(f"must not be longer than {MOST_METADATA} bytes")
    return value


def _shown(value: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise ValueError("must not have control characters")
    return value


def _unreserved(value: str) -> str:
    if value.startswith(RESERVED):
        raise ValueError(f"must not begin with {RESERVED}")
    return value


Id = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_shown)]
Words = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_shown)]
Dollars = Annotated[float, Field(ge=0, le=1e9)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Until = Annotated[datetime.datetime, BeforeValidator(_until), AfterValidator(_near)]
"""A date, or a time from now on."""
BudgetDuration = Annotated[str, AfterValidator(_whole)]
Lifetime = Annotated[str, AfterValidator(_lifetime)]
"""How long something is valid; empty or `-1` is for ever."""
Names = Annotated[list[Id], Field(max_length=MOST_MODELS)]
Tags = Annotated[list[Annotated[Id, AfterValidator(_unreserved)]], Field(max_length=MOST_MODELS)]
Metadata = Annotated[dict[str, Any], AfterValidator(_plain)]
PerModel = Annotated[dict[Id, Count], Field(max_length=1000)]


KeyType = Literal["default", "llm_api", "management", "read_only"]


def _at_length(value: Any) -> Any:
    return {"max_budget": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class ModelBudget(BaseModel):
    """A budget for one model: LiteLLM has two spellings of its fields. A plain number is one for ever."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    max_budget: Dollars | None = None
    budget_limit: Dollars | None = None
    budget_duration: BudgetDuration | None = None
    time_period: BudgetDuration | None = None


ModelBudgets = Annotated[dict[Id, Annotated[ModelBudget, BeforeValidator(_at_length)]], Field(max_length=1000)]


class BudgetWindow(BaseModel):
    """One of several periods."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    budget_duration: BudgetDuration
    max_budget: Dollars


class Body(BaseModel):
    """A request. What it does not name is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    UNSUPPORTED: ClassVar[frozenset[str]] = frozenset()
    """LiteLLM's, which would have no effect here."""
    LIFTED: ClassVar[frozenset[str]] = frozenset()
    """Fields that LiteLLM shows in the metadata, and takes from there."""
    SHOWN: ClassVar[frozenset[str]] = frozenset()
    """What answers have in the metadata beside them; who sends that back says nothing with it."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        kept = dict(data)
        metadata = kept.get("metadata")
        if isinstance(metadata, dict):
            inside = metadata.keys() & cls.LIFTED
            kept = {name: metadata[name] for name in inside} | kept
            kept["metadata"] = {name: it for name, it in metadata.items() if name not in cls.LIFTED | cls.SHOWN}
        for name in cls.UNSUPPORTED & kept.keys():
            if kept.pop(name):
                raise PydanticCustomError("unsupported", "{field} is not supported by this gateway", {"field": name})
        return kept

    def has(self, name: str) -> bool:
        """Whether the request says something about a field, and be it null."""
        return name in self.model_fields_set


class LimitFields(Body):
    """Limits, as keys, users, teams, organizations and budgets have them."""

    max_budget: Dollars | None = None
    soft_budget: Dollars | None = None
    budget_duration: BudgetDuration | None = None
    budget_limits: list[BudgetWindow] | None = Field(default=None, max_length=MOST_BUDGETS - 1)
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    max_parallel_requests: Count | None = None
    model_rpm_limit: PerModel | None = None
    model_tpm_limit: PerModel | None = None
    model_max_budget: ModelBudgets | None = None


KEY_UNSUPPORTED = frozenset(
    (
        "tpd_limit", "allowed_cache_controls", "config", "permissions", "budget_fallbacks", "mcp_rpm_limit",
        "tag_rpm_limit", "guardrails", "policies", "prompts",
        "default_estimated_output_tokens", "default_estimated_output_tokens_per_model", "end_user_budget_id",
        "disable_global_guardrails", "enable_prompt_caching", "throttle_on_budget_exceeded", "enforced_params",
        "allowed_passthrough_routes", "denied_passthrough_routes", "allowed_vector_store_indexes",
        "send_invite_email", "auto_rotate", "rotation_interval",
    )
)  # fmt: skip
"""Of LiteLLM's key requests, whose fields user requests have too."""


def nano(amount: float) -> int:
    """Dollars of a request as nano-dollars."""
    if not math.isfinite(amount):
        raise ValueError("must be a number")
    return round(amount * NANO_PER_DOLLAR)
