"""A gateway as an admin and its clients see it: what is set through the management API, and what requests come to."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from support.gateway import Gateway
from support.postgres import PostgresServer

CENT = {"input_cost_per_request": 0.01, "input_cost_per_token": 0, "output_cost_per_token": 0}
"""Prices of a deployment: every request costs exactly that."""
MESSAGES: Any = [{"role": "user", "content": "hello"}]


def database_env(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a gateway on the database a fixture's parameter names: `sqlite` or `postgresql`."""
    if request.param == "sqlite":
        return {}
    server: PostgresServer = request.getfixturevalue("postgres")
    return {"DATABASE_URL": server.database()}


def wait_managed(gateway: Gateway) -> None:
    """Workers serve before the control plane does."""
    end = time.monotonic() + 20
    while gateway.call("/key/list")[0] == 503:
        assert time.monotonic() < end
        time.sleep(0.1)


def manage(gateway: Gateway, path: str, body: Any = None, key: str = "", method: str | None = None) -> Any:
    """The answer of the management API, which must be no error."""
    status, _, answer = gateway.call(path, body, key=key, method=method)
    assert status == 200, answer
    return json.loads(answer)


def new_key(gateway: Gateway, **fields: Any) -> str:
    """A virtual key."""
    return str(manage(gateway, "/key/generate", fields)["key"])


def chat(gateway: Gateway, key: str = "", headers: dict[str, str] | None = None, **body: Any) -> tuple[int, Any, Any]:
    """Status, headers and answer of a request for the model `m`."""
    status, found, answer = gateway.call(
        "/v1/chat/completions", {"model": "m", "messages": MESSAGES, **body}, key=key, headers=headers
    )
    return status, found, json.loads(answer)


def ask(gateway: Gateway, key: str, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, Any]:
    """The same without the headers."""
    status, _, answer = chat(gateway, key, headers, **body)
    return status, answer


def statuses(gateway: Gateway, key: str, count: int, **more: Any) -> list[int]:
    """What `count` requests come to, one after the other."""
    return [ask(gateway, key, **more)[0] for _ in range(count)]
