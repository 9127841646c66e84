"""Aliases, `router_settings` and kinds of limits, as requests say and answers show them."""

from __future__ import annotations

from typing import Any

import pytest

from management.conftest import Api
from routeiq.core.keys import Routing
from routeiq.core.routing import Wishes

SETTINGS: dict[str, Any] = {
    "fallbacks": [{"a": ["b", "c"]}], "num_retries": 3, "timeout": 20.0, "model_group_alias": {"x": "a"},
}  # fmt: skip


def test_settings_are_shown_as_they_were_said(api: Api) -> None:
    key = api.new_key(router_settings={**SETTINGS, "retry_policy": None}, aliases={"y": "b"})
    info = api.get("/key/info", key=key.key)["info"]
    assert (info["router_settings"], info["aliases"]) == (SETTINGS, {"y": "b"})
    found = key.find()
    assert found is not None
    assert found.aliases == {"x": "a", "y": "b"}
    assert found.routing == Routing(
        fallbacks={"a": ("b", "c")}, num_retries=3, timeout=20.0, model_group_alias={"x": "a"}
    )
    changed = api.post("/key/update", {"key": key.key, "router_settings": {"timeout": 5}})
    assert changed["router_settings"] == {"timeout": 5.0}
    assert api.post("/key/update", {"key": key.key, "router_settings": None})["router_settings"] is None
    team = api.post("/team/new", {"team_id": "t", "router_settings": SETTINGS, "model_aliases": {"z": "b"}})
    assert team["router_settings"] == SETTINGS
    assert team["litellm_model_table"] == {"model_aliases": {"z": "b"}}
    at_length = {"model_group_alias": {"x": {"model": "a", "hidden": True}}}
    assert api.post("/key/generate", {"router_settings": at_length})["router_settings"]["model_group_alias"]


def test_wishes_about_models(api: Api) -> None:
    wishes: dict[str, Any] = {
        "target_quality": 0.9,
        "profile": "eco",
        "excluded": ["x"],
        "residency": True,
        "region": "eu",
    }
    key = api.new_key(router_settings=wishes)
    assert api.get("/key/info", key=key.key)["info"]["router_settings"] == wishes
    found = key.find()
    assert found is not None
    assert found.routing == Routing(
        wishes=Wishes(target_quality=0.9, profile="eco", excluded=("x",), residency=True, region="eu")
    )
    assert "target_quality" in api.fails(400, "/key/generate", {"router_settings": {"target_quality": 5}})["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"router_settings": {"routing_strategy": "least-busy"}}, "routing_strategy"),
        ({"router_settings": {"num_retries": 1000}}, "num_retries"),
        ({"router_settings": {"timeout": 0}}, "timeout"),
        ({"router_settings": {"fallbacks": [{}]}}, "fallbacks"),
        ({"router_settings": {"nonsense": 1}}, "nonsense"),
        ({"aliases": {"a": 5}}, "aliases"),
    ],
)
def test_what_is_not_served_is_named(api: Api, body: Any, param: str) -> None:
    assert param in api.fails(400, "/key/generate", body)["message"]
