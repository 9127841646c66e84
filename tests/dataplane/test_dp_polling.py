"""Answers that are not ready when they come: the worker asks again until they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from support.fake_replicate import Replicate
from support.native import Turn
from support.tokens import TokenServer
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def serving() -> Iterator[tuple[Replicate, Worker]]:
    fake = Replicate()
    with TokenServer(fake) as server:
        params = fake.params(server)
        config = {
            "model_list": [
                {"model_name": "m", "litellm_params": params},
                {"model_name": "mine", "litellm_params": {**params, "model": "replicate/deployments/me/mine"}},
                {"model_name": "late", "litellm_params": {**params, "timeout": 1}},
            ],
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
        with Worker(config) as worker:
            yield fake, worker


@pytest.fixture
def both(serving: tuple[Replicate, Worker]) -> tuple[Replicate, Worker]:
    fake, worker = serving
    fake.turn, fake.running, fake.hiccups = Turn(), 0, 0
    fake.paths.clear()
    worker.forget()
    return fake, worker


ASKED = "/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu"


@pytest.mark.parametrize("model", ["m", "mine"])
@pytest.mark.parametrize("stream", [False, True])
def test_it_is_asked_for_until_it_is_ready(both: tuple[Replicate, Worker], model: str, stream: bool) -> None:
    fake, worker = both
    fake.running = 2
    client = worker.client().chat.completions
    if stream:
        chunks = client.create(model=model, messages=MESSAGES, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    else:
        text = client.create(model=model, messages=MESSAGES).choices[0].message.content or ""
    assert text == fake.turn.text
    first = "/v1/predictions" if model == "m" else "/v1/deployments/me/mine/predictions"
    assert fake.paths == [first, ASKED, ASKED]
    [event] = worker.wait_events(1)
    assert (event["prompt_tokens"], event["completion_tokens"]) == (7, 5)


def test_it_fails_later(both: tuple[Replicate, Worker]) -> None:
    fake, worker = both
    fake.running = 1
    fake.turn = Turn(late="out of memory")
    with pytest.raises(openai.APIStatusError, match="out of memory") as raised:
        worker.client().chat.completions.create(model="m", messages=MESSAGES)
    assert (raised.value.status_code, raised.value.code) == (502, "prediction_failed")
    fake.running = 1
    fake.turn = Turn(error=(404, "There is no such prediction."))
    with pytest.raises(openai.NotFoundError, match="no such prediction"):
        worker.client().chat.completions.create(model="m", messages=MESSAGES)


def test_what_has_begun_is_not_begun_anew(both: tuple[Replicate, Worker]) -> None:
    fake, worker = both
    fake.running, fake.hiccups = 1, 2
    answer = worker.client().chat.completions.create(model="m", messages=MESSAGES)
    assert answer.choices[0].message.content == fake.turn.text
    assert fake.paths == ["/v1/predictions", ASKED, ASKED, ASKED]
    fake.paths.clear()
    fake.running, fake.hiccups = 1, 10
    with pytest.raises(openai.InternalServerError, match="Try again"):
        worker.client().chat.completions.create(model="m", messages=MESSAGES)
    assert len(fake.paths) == 7


def test_it_is_never_ready(both: tuple[Replicate, Worker]) -> None:
    fake, worker = both
    fake.running = 10**6
    with pytest.raises(openai.APIStatusError) as raised:
        worker.client().chat.completions.create(model="late", messages=MESSAGES)
    assert raised.value.status_code == 504
    nobody_asks_any_more(fake)
    worker.settled()


def test_the_client_goes_away(both: tuple[Replicate, Worker]) -> None:
    fake, worker = both
    fake.running = 10**6
    with pytest.raises(openai.APITimeoutError):
        worker.client(timeout=0.7).chat.completions.create(model="m", messages=MESSAGES)
    worker.settled()
    nobody_asks_any_more(fake)


def nobody_asks_any_more(fake: Replicate) -> None:
    asked = len(fake.paths)
    time.sleep(0.8)
    assert len(fake.paths) == asked
