"""Every client's dialect with every provider's: what was asked arrives, what was answered comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from matrix.clients import CLIENTS, Client
from matrix.scenes import PERSON, PIECES, PNG, RESULTS, SCENES, STORY, THOUGHT, digest
from matrix.server import Server
from matrix.vendors import VENDORS, Vendor
from matrix.wires.wire import REFUSED
from support.gateway import MASTER_KEY
from support.worker import Worker


class Running:
    """A worker in front of all providers."""

    def __init__(self, worker: Worker, servers: dict[str, Server]) -> None:
        self.servers = servers
        url = f"http://127.0.0.1:{worker.port}"
        self.clients: dict[str, Client] = {name: kind(url, MASTER_KEY) for name, kind in CLIENTS.items()}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(vendor.wire.serve)) for name, vendor in VENDORS.items()}
        models = [
            {
                "model_name": name,
                "litellm_params": {"model": vendor.model, **vendor.params(servers[name].url)},
            }
            for name, vendor in VENDORS.items()
        ]
        config: dict[str, Any] = {
            "model_list": models,
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
            "routeiq": {"resilience": {"breaker_failures": 0}},
        }
        yield Running(stack.enter_context(Worker(config)), servers)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("speaks", CLIENTS)
def test_cell(gateway: Running, speaks: str, name: str, scene: str) -> None:
    vendor, server, client = VENDORS[name], gateway.servers[name], gateway.clients[speaks]
    before = len(server.asked)
    refused = vendor.refused.get(scene)
    if refused is not None:
        with pytest.raises(client.wrong) as raised:
            play(client, vendor, name, scene)
        assert refused in str(raised.value)
        assert len(server.asked) == before
        return
    server.faults.clear()
    try:
        play(client, vendor, name, scene)
    finally:
        if server.faults:
            pytest.fail("\n".join(server.faults), pytrace=False)
    assert len(server.asked) > before


def test_what_is_refused_is_documented() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "dialects.md").read_text()
    table = page.partition("## What some can't")[2].partition("##")[0]
    words = {"tools": "tools", "parallel tools": "tools", "image": "images", "structured output": "structured output"}
    documented = {
        line.split("|")[1].strip(" `"): set(line.split("|")[2].strip().split(", "))
        for line in table.splitlines()
        if line.startswith("| `")
    }
    refused = {name: {words[scene] for scene in vendor.refused} for name, vendor in VENDORS.items() if vendor.refused}
    assert documented == refused


def play(client: Client, vendor: Vendor, model: str, scene: str) -> None:
    """One scene, from the client's request to what it makes of the answer."""
    if scene in ("text", "stream"):
        got = client.text(model, scene, stream=scene == "stream")
        assert got.text == STORY
        assert got.finish == client.finishes["stop"]
        assert got.usage == vendor.wire.usage
        assert vendor.wire.last.stop == client.stops
        if scene == "stream":
            assert got.pieces == (len(PIECES) if vendor.wire.streams else 1)
    elif scene in ("tools", "parallel tools"):
        count = 1 if scene == "tools" else 2
        for stream in (False, True):
            first, second = client.tools(model, scene, stream=stream)
            wanted = [("weather", {"city": "Paris"}), ("clock", {"zone": "CET"})][:count]
            assert [(call.name, call.arguments) for call in first.calls] == wanted
            assert len({call.id or call.name for call in first.calls}) == count
            assert first.finish == client.finishes["tools"]
            assert second.text == f"It is {', '.join(list(RESULTS.values())[:count])}."
            assert second.finish == client.finishes["stop"]
    elif scene == "image":
        assert client.image(model).text == digest(PNG)
    elif scene == "structured output":
        got = client.structured(model, stream=False)
        assert got.parsed == PERSON
        again = client.structured(model, stream=True)
        assert again.text == got.text
        assert again.finish == client.finishes["stop"]
    elif scene == "reasoning":
        for stream in (False, True):
            got = client.reasoning(model, stream=stream)
            assert got.text == STORY
            assert got.thought == (THOUGHT if vendor.wire.thinks_aloud else "")
    elif scene == "error":
        for stream in (False, True):
            with pytest.raises(client.too_fast) as raised:
                client.text(model, scene, stream=stream)
            assert REFUSED in str(raised.value)
    else:
        with pytest.raises(client.broken):
            client.text(model, scene, stream=True)
