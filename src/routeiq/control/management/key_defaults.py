"""What the configuration says about new keys: https://docs.litellm.ai/docs/proxy/virtual_keys#default-keygenerate-params"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from routeiq.control.management.bodies import lifetime
from routeiq.control.management.limits import dollars
from routeiq.core.errors import BadRequest

if TYPE_CHECKING:
    from routeiq.control.management.key_bodies import KeyFields
    from routeiq.core.accounts import Accounts, KeyDefaults

B = TypeVar("B", bound="KeyFields")
_FIELDS = (
    "max_budget", "budget_duration", "duration", "models", "max_parallel_requests", "tpm_limit", "rpm_limit", "team_id"
)  # fmt: skip


def with_defaults(body: B, settings: Accounts, *, new: bool) -> B:
    """A request with the defaults for what it does not say. Raises `BadRequest` where it asks for more than anyone may.

    `new` is for keys that are being made: only those get defaults.
    """
    given: dict[str, Any] = {}
    if new:
        given = _given(body, settings.default_key_generate_params)
        body = body.model_copy(update=given)
    most = settings.upperbound_key_generate_params
    for name in ("max_budget", "max_parallel_requests", "tpm_limit", "rpm_limit", "budget_duration", "duration"):
        limit = _value(most, name)
        if limit is None or not (new or body.has(name)):
            continue
        asked = getattr(body, name)
        if asked is None:
            given[name] = limit
        elif _size(asked) > _size(limit):
            raise BadRequest(
                f"{name}: {asked} is over {limit}, the most a key may have "
                "(litellm_settings.upperbound_key_generate_params)",
                param=name,
            )
    return body.model_copy(update=given)


def _given(body: KeyFields, defaults: KeyDefaults) -> dict[str, Any]:
    values = {name: _value(defaults, name) for name in _FIELDS if getattr(body, name) in (None, [])}
    return {name: value for name, value in values.items() if value is not None}


def _value(settings: KeyDefaults, name: str) -> Any:
    value = getattr(settings, name)
    if name == "max_budget":
        return dollars(value)
    return list(value) if name == "models" and value is not None else value


def _size(value: float | str) -> float:
    if isinstance(value, str):
        return float("inf") if value in ("", "-1") else lifetime(value)
    return value
