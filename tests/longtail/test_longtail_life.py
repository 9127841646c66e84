"""The process with LiteLLM's SDK comes with the first deployment that needs it, and goes with the last."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from snowflake import Snowflake, entry

from support.gateway import Gateway

OTHER = {"model_name": "other", "litellm_params": {"model": "openai/m", "api_key": "k", "mock_response": "mocked"}}


def config(*models: dict[str, Any]) -> dict[str, Any]:
    return {"model_list": [OTHER, *models], "router_settings": {"num_retries": 0, "disable_cooldowns": True}}


def longtail(gateway: Gateway) -> int:
    """Its process id; 0 when there is none."""
    rows = json.loads(gateway.cli("status", "--json"))["processes"]
    return next((row["pid"] for row in rows if row["name"] == "long tail"), 0)


def wait(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def in_the_background(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start it; gives what waits for its result, or for the exception it ended with."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> Any:
        thread.join(60)
        return outcome[0]

    return result


def test_it_comes_dies_is_back_and_goes(vendor: Snowflake) -> None:
    once, again = entry("once", vendor.base), entry("again", vendor.base, max_retries=3)
    with Gateway(config()) as gateway:
        create = gateway.client(timeout=60).chat.completions.create
        assert longtail(gateway) == 0

        # The first deployment of its kind.
        gateway.write(config(once, again))
        gateway.cli("config", "reload")
        first = longtail(gateway)
        assert first
        assert create(model="once", messages=say("hi")).choices[0].message.content == "Hello"

        # Killed at work: an error that may be tried again, and is where that is allowed.
        before = len(vendor.asked)
        lost = [in_the_background(lambda: create(model="once", messages=say("slow"))) for _ in range(2)]
        kept = in_the_background(lambda: create(model="again", messages=say("slow")))
        broken = iter(create(model="once", messages=say("endless"), stream=True))
        next(broken)
        wait(lambda: len(vendor.asked) == before + 4)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(openai.APIError) as ended:
            list(broken)
        assert "LiteLLM's SDK" in str(ended.value)
        # One may have been on a kept connection: where that ends without a byte, the request is sent anew.
        errors = [outcome for outcome in (each() for each in lost) if isinstance(outcome, Exception)]
        assert errors
        for error in errors:
            assert isinstance(error, openai.InternalServerError)
            assert (error.status_code, error.code) == (503, "longtail_unavailable")
            assert str(gateway.state_dir) not in error.response.text
        assert create(model="other", messages=say("hi")).choices[0].message.content == "mocked"
        # While it is on its way up, requests wait for it.
        assert create(model="once", messages=say("hi")).choices[0].message.content == "Hello"
        assert kept().choices[0].message.content == "Hello"
        second = longtail(gateway)
        assert second not in (0, first)

        # The last of its kind: what is under way is finished.
        stream = create(model="once", messages=say("endless"), stream=True)
        pieces = [next(iter(stream))]
        gateway.write(config())
        gateway.cli("config", "reload")
        assert longtail(gateway) == second
        vendor.enough.set()
        pieces += stream
        assert pieces[-1].choices[0].finish_reason == "stop"
        wait(lambda: longtail(gateway) == 0)
        assert "longtail-secret" not in gateway.logs()
        assert "Traceback" not in gateway.logs()
