"""Limits of requests, of records and of answers."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from routeiq.control.management.bodies import ModelBudget, nano
from routeiq.core.errors import BadRequest
from routeiq.core.money import NANO_PER_DOLLAR
from routeiq.store.records import Limits, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routeiq.control.management.bodies import LimitFields
    from routeiq.store.records import Team, VirtualKey

_PLAIN = ("tpm_limit", "rpm_limit", "max_parallel_requests")
_MONEY = ("max_budget", "soft_budget")
_PER_MODEL = ("model_rpm_limit", "model_tpm_limit")


def changed(limits: Limits, body: LimitFields) -> Limits:
    """Limits with what a request says about them; null takes a limit away."""
    new: dict[str, Any] = {name: getattr(body, name) for name in _PLAIN if body.has(name)}
    for name in _MONEY:
        if body.has(name):
            amount = getattr(body, name)
            new[name] = nano(amount) if amount is not None else None
    new |= {name: getattr(body, name) or {} for name in _PER_MODEL if body.has(name)}
    if body.has("budget_duration"):
        new["budget_duration"] = body.budget_duration or ""
    if body.has("budget_limits"):
        windows = body.budget_limits or []
        if len({window.budget_duration for window in windows}) < len(windows):
            raise BadRequest("budget_limits: two of them have the same budget_duration", param="budget_limits")
        new["budget_limits"] = tuple(
            Window(max_budget=nano(window.max_budget), budget_duration=window.budget_duration) for window in windows
        )
    if body.has("model_max_budget"):
        new["model_max_budget"] = {name: _window(name, it) for name, it in (body.model_max_budget or {}).items()}
    return msgspec.structs.replace(limits, **new)


def _window(model: str, budget: ModelBudget) -> Window:
    amount = budget.max_budget if budget.max_budget is not None else budget.budget_limit
    if amount is None:
        raise BadRequest(f"model_max_budget.{model}: needs a max_budget", param="model_max_budget")
    return Window(max_budget=nano(amount), budget_duration=budget.budget_duration or budget.time_period or "")


def dollars(amount: int | None) -> float | None:
    """Nano-dollars for an answer."""
    return amount / NANO_PER_DOLLAR if amount is not None else None


def shown(limits: Limits) -> dict[str, Any]:
    """Limits as answers have them."""
    return {
        "max_budget": dollars(limits.max_budget),
        "soft_budget": dollars(limits.soft_budget),
        "budget_duration": limits.budget_duration or None,
        "budget_limits": [_shown(window) for window in limits.budget_limits] or None,
        "tpm_limit": limits.tpm_limit,
        "rpm_limit": limits.rpm_limit,
        "max_parallel_requests": limits.max_parallel_requests,
        "model_max_budget": {name: _shown(window) for name, window in limits.model_max_budget.items()},
        "model_rpm_limit": limits.model_rpm_limit or None,
        "model_tpm_limit": limits.model_tpm_limit or None,
    }


def _shown(window: Window) -> dict[str, Any]:
    return {"max_budget": dollars(window.max_budget), "budget_duration": window.budget_duration or None}


def over(new: Limits, held: Limits) -> str | None:
    """The name of a limit that is asked for higher in `new` than it is in `held`."""
    for name in ("max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests"):
        most, asked = getattr(held, name), getattr(new, name)
        if most is not None and asked is not None and asked > most:
            return name
    return None


def wider(new: Limits, held: Limits) -> str | None:
    """The same, and the name of a limit of `held` that `new` has not at all, or for other periods."""
    for name in ("max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests"):
        most, asked = getattr(held, name), getattr(new, name)
        if most is not None and (asked is None or asked > most):
            return name
    if held.max_budget is not None and new.budget_duration != held.budget_duration:
        return "budget_duration"
    for name in ("model_rpm_limit", "model_tpm_limit"):
        for model, most in getattr(held, name).items():
            if getattr(new, name).get(model, most + 1) > most:
                return name
    for model, window in held.model_max_budget.items():
        asked = new.model_max_budget.get(model)
        if asked is None or asked.max_budget > window.max_budget or asked.budget_duration != window.budget_duration:
            return "model_max_budget"
    kept = {window.budget_duration: window.max_budget for window in new.budget_limits}
    for window in held.budget_limits:
        if kept.get(window.budget_duration, window.max_budget + 1) > window.max_budget:
            return "budget_limits"
    return None


def overallocated(new: Limits, others: Iterable[Limits], held: Limits, kinds: Iterable[str]) -> str | None:
    """The name of a rate of which `new` and `others` together may use more than `held`; `kinds` of `rpm`, `tpm`."""
    listed = list(others)
    for kind in kinds:
        plain, per_model = f"{kind}_limit", f"model_{kind}_limit"
        most, asked = getattr(held, plain), getattr(new, plain)
        if most is not None and asked is not None and asked + sum(getattr(it, plain) or 0 for it in listed) > most:
            return plain
        for model, limit in getattr(held, per_model).items():
            asked = getattr(new, per_model).get(model)
            if asked is not None and asked + sum(getattr(it, per_model).get(model, 0) for it in listed) > limit:
                return per_model
    return None


def guaranteed(record: VirtualKey | Team) -> tuple[str, ...]:
    """The rates a record is guaranteed: `rpm`, `tpm`."""
    kinds = (("rpm", record.rpm_limit_type), ("tpm", record.tpm_limit_type))
    return tuple(kind for kind, type in kinds if type == "guaranteed_throughput")


def for_a_while(limits: Limits, increase: int | None, expiry: datetime.datetime | None) -> Limits:
    """Limits with a temporary increase. Raises `BadRequest` for half of one."""
    if (increase is None) != (expiry is None):
        raise BadRequest(
            "temp_budget_increase and temp_budget_expiry are needed together", param="temp_budget_increase"
        )
    return msgspec.structs.replace(
        limits, temp_budget_increase=increase or 0, temp_budget_expiry=expiry.timestamp() if expiry is not None else 0.0
    )
