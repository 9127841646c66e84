"""What keys and teams say about the way of their requests: aliases, fallbacks, retries, patience."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from support.gateway import Gateway, deployment
from support.managed import CENT, ask, manage, new_key, wait_managed
from support.upstream import Script, Upstream


@pytest.fixture(scope="module")
def running(provider: Upstream) -> Iterator[Gateway]:
    models = [deployment(provider, name, **CENT) for name in ("m", "other", "third", "fourth")]
    router = {"num_retries": 0, "fallbacks": [{"*": ["other"]}], "disable_cooldowns": True}
    config = {"model_list": models, "router_settings": router}
    with Gateway(config) as gateway:
        wait_managed(gateway)
        yield gateway


@pytest.fixture
def gateway(running: Gateway, provider: Upstream) -> Gateway:
    provider.reset()
    return running


def new_team(gateway: Gateway, **fields: Any) -> str:
    return str(manage(gateway, "/team/new", {"team_id": uuid4().hex, **fields})["team_id"])


def test_an_alias_is_served_by_what_it_stands_for(gateway: Gateway, provider: Upstream) -> None:
    key = new_key(gateway, models=["other"], aliases={"gpt-4": "other", "m": "third"})
    status, answer = ask(gateway, key, model="gpt-4")
    assert (status, answer["model"]) == (200, "other")
    assert ask(gateway, key, model="m")[0] == 403, "what an alias stands for needs leave, too"
    assert ask(gateway, new_key(gateway), model="gpt-4")[0] == 404
    manage(gateway, "/key/update", {"key": key, "aliases": {}})
    assert ask(gateway, key, model="gpt-4")[0] == 404
    assert [request.model for request in provider.requests] == ["other"]


def test_a_key_s_alias_goes_before_its_team_s(gateway: Gateway) -> None:
    team = new_team(gateway, model_aliases={"a": "m", "b": "m"}, router_settings={"model_group_alias": {"c": "m"}})
    key = new_key(gateway, team_id=team, aliases={"a": "third"})
    assert [ask(gateway, key, model=name)[1]["model"] for name in ("a", "b", "c")] == ["third", "m", "m"]


def test_fallbacks_of_a_key_are_those_it_may_use(gateway: Gateway, provider: Upstream) -> None:
    provider.always(Script(status=500), model="m")
    assert ask(gateway, new_key(gateway))[1]["model"] == "other"
    key = new_key(gateway, router_settings={"fallbacks": [{"m": ["third"]}]})
    assert ask(gateway, key)[1]["model"] == "third"
    held = new_key(gateway, models=["m", "other"], router_settings={"fallbacks": [{"*": ["third", "other"]}]})
    assert ask(gateway, held)[1]["model"] == "other"
    none = new_key(gateway, router_settings={"fallbacks": [{"m": []}]})
    assert ask(gateway, none)[0] == 500


def test_settings_of_a_team_count_where_its_key_has_none(gateway: Gateway, provider: Upstream) -> None:
    team = new_team(gateway, router_settings={"num_retries": 2, "fallbacks": [{"fourth": []}]})
    provider.always(Script(status=500), model="fourth")
    assert ask(gateway, new_key(gateway, team_id=team), model="fourth")[0] == 500
    assert len(provider.requests) == 3
    provider.reset()
    provider.always(Script(status=500), model="fourth")
    assert ask(gateway, new_key(gateway, team_id=team, router_settings={"num_retries": 1}), model="fourth")[0] == 200
    assert [request.model for request in provider.requests] == ["fourth", "fourth", "other"]


def test_a_key_waits_as_long_as_it_says(gateway: Gateway, provider: Upstream) -> None:
    key = new_key(gateway, router_settings={"timeout": 0.3, "fallbacks": [{"third": []}]})
    provider.always(Script(delay=1.5), model="third")
    began = time.monotonic()
    assert ask(gateway, key, model="third")[0] == 504
    assert time.monotonic() - began < 1.2
    provider.always(Script(delay_body=1.5), model="third")
    assert ask(gateway, key, model="third")[0] == 504
    assert ask(gateway, new_key(gateway), model="third")[0] == 200
