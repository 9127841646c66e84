"""`router_settings` of keys and teams: in requests, records and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from routeiq.core.keys import Routing
from routeiq.core.routing import Wishes

if TYPE_CHECKING:
    from routeiq.control.management.holder_bodies import RouterSettings

_WISHES = Wishes.__struct_fields__
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def made(body: RouterSettings | None) -> Routing | None:
    """What a request says; nothing where it says nothing."""
    if body is None or not body.model_dump(exclude_none=True):
        return None
    lists = {
        name: {model: tuple(others) for entry in getattr(body, name) or () for model, others in entry.items()}
        for name in _FALLBACKS
    }
    aliases = {name: to if isinstance(to, str) else to.model for name, to in (body.model_group_alias or {}).items()}
    said = {name: value for name in _WISHES if (value := getattr(body, name)) is not None}
    said |= {name: tuple(said[name]) for name in ("models", "excluded") if name in said}
    return Routing(
        model_group_alias=aliases,
        num_retries=body.num_retries,
        timeout=body.timeout,
        wishes=Wishes(**said) if said else None,
        **lists,
    )


def shown(routing: Routing | None) -> dict[str, Any] | None:
    """The same as answers have it, without what it does not say."""
    if routing is None:
        return None
    said: dict[str, Any] = {
        name: [{model: list(others)} for model, others in getattr(routing, name).items()] for name in _FALLBACKS
    }
    said |= {"model_group_alias": routing.model_group_alias, "num_retries": routing.num_retries}
    said["timeout"] = routing.timeout
    if routing.wishes is not None:
        said |= msgspec.to_builtins(routing.wishes)
    return {name: value for name, value in said.items() if value is not None and value not in ([], {})}
