"""Routers: retries, fallbacks, cooldowns, limits, as a gateway has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

import routeiq
from routeiq import Router
from support.gateway import deployment
from support.upstream import HEAD, Script, Upstream

HELLO = [{"role": "user", "content": "Hello"}]
Make = Callable[..., Router]


def test_balancing_and_retries(upstream: Upstream, router: Make) -> None:
    made = router(
        [deployment(upstream, "m", "a"), deployment(upstream, "m", "b")],
        num_retries=1,
        routing_strategy="round-robin",
        disable_cooldowns=True,
    )
    assert made.model_names == ["m"]
    upstream.always(Script(status=500), model="a")
    answers = [made.completion("m", HELLO) for _ in range(6)]
    assert {answer.routeiq.upstream_model for answer in answers} == {"b"}
    assert any(answer.routeiq.retries == 1 for answer in answers)
    assert all(answer.model == "m" for answer in answers)


def test_fallbacks(upstream: Upstream, router: Make) -> None:
    made = router(
        [deployment(upstream, "first", "a"), deployment(upstream, "second", "b")],
        num_retries=0,
        fallbacks=[{"first": ["second"]}],
    )
    upstream.always(Script(status=503), model="a")

    async def main() -> None:
        answer = await made.acompletion("first", HELLO)
        assert (answer.routeiq.model, answer.routeiq.fallbacks) == ("second", 1)
        stream = await made.acompletion("first", HELLO, stream=True)
        assert [chunk async for chunk in stream]
        assert stream.routeiq.model == "second"

    asyncio.run(main())


def test_cooldowns(upstream: Upstream, router: Make) -> None:
    made = router([deployment(upstream, "m", "a"), deployment(upstream, "m", "b")], num_retries=2, cooldown_time=60)
    upstream.always(Script(status=429), model="a")
    for _ in range(12):
        assert made.completion("m", HELLO).routeiq.upstream_model == "b"
    assert sum(one.model == "a" for one in upstream.requests) <= 2


def test_limits(upstream: Upstream, router: Make) -> None:
    made = router([deployment(upstream, "m", rpm=2)], num_retries=0)
    made.completion("m", HELLO)
    made.completion("m", HELLO)
    with pytest.raises(routeiq.RateLimitError):
        made.completion("m", HELLO)
    assert len(upstream.requests) == 2


def test_embeddings(upstream: Upstream, router: Make) -> None:
    made = router([deployment(upstream, "e", "text-embedding-3-small")])
    assert made.embedding("e", input="a").data[0].embedding

    async def main() -> None:
        assert (await made.aembedding("e", input=["a", "b"])).data[1].embedding

    asyncio.run(main())


def test_a_calls_own_timeout(upstream: Upstream, router: Make) -> None:
    made = router([deployment(upstream, "m")], num_retries=5)
    upstream.always(Script(cut="stall", after=HEAD))
    with pytest.raises(routeiq.APITimeoutError, match=r"within 0\.2 s"):
        made.completion("m", HELLO, timeout=0.2)
    assert len(upstream.requests) == 1
    upstream.wait(lambda: upstream.requests[0].gone_at is not None)
    upstream.always(Script(interval=0.05))
    assert len(list(made.completion("m", HELLO, stream=True, timeout=0.3))) == 10
    for wrong in (0, -1, "1", True):
        with pytest.raises(routeiq.BadRequestError, match="timeout"):
            made.completion("m", HELLO, timeout=wrong)


def test_what_is_not_a_calls_to_set(upstream: Upstream, router: Make) -> None:
    made = router([deployment(upstream, "m")])
    for name in ("api_key", "api_base", "num_retries", "drop_params"):
        with pytest.raises(routeiq.BadRequestError, match="part of the Router's configuration") as raised:
            made.completion("m", HELLO, **{name: "x"})
        assert raised.value.param == name
    with pytest.raises(routeiq.NotFoundError, match="Models this key may use: m"):
        made.completion("n", HELLO)


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"routing_strategy": "fastest"}, "router_settings.routing_strategy"),
        ({"num_retires": 3}, "router_settings.num_retires"),
        ({"fallbacks": [{"m": ["nobody"]}]}, "router_settings.fallbacks[0].m[0]"),
        ({"routeiq": {"timeouts": {"total": "soon"}}}, "routeiq.timeouts.total"),
    ],
)
def test_mistakes_in_the_configuration(upstream: Upstream, settings: dict[str, Any], param: str) -> None:
    with pytest.raises(routeiq.BadRequestError) as raised:
        Router([deployment(upstream, "m")], **settings)
    assert raised.value.param == param
    assert param in raised.value.message


def test_mistakes_in_the_list(upstream: Upstream) -> None:
    with pytest.raises(routeiq.BadRequestError, match="rpm: must be a number"):
        Router([deployment(upstream, "m", rpm="lots")])
    with pytest.raises(routeiq.BadRequestError, match="a key that is not text"):
        Router([{1: "m"}])  # type: ignore[dict-item]


def test_warnings_are_logged(upstream: Upstream, router: Make, caplog: pytest.LogCaptureFixture) -> None:
    router([deployment(upstream, "m", "a-model-without-a-price")])
    assert "has no price" in caplog.text
    assert "whoever reaches" not in caplog.text


def test_a_closed_router(upstream: Upstream) -> None:
    with Router([deployment(upstream, "m")], num_retries=0) as made:
        made.completion("m", HELLO)
        upstream.script(Script(endless=True, interval=0.01), Script(cut="stall", after=HEAD))
        stream = made.completion("m", HELLO, stream=True)
        next(stream)
        raised: list[Exception] = []

        def wait() -> None:
            try:
                made.completion("m", HELLO)
            except routeiq.APIError as error:
                raised.append(error)

        waiting = Thread(target=wait)
        waiting.start()
        upstream.wait_requests(3)
    waiting.join(5)
    assert [type(error) for error in raised] == [routeiq.APIConnectionError]
    with pytest.raises(routeiq.APIConnectionError, match="closed"):
        list(stream)
    upstream.wait(lambda: all(one.gone_at or one.sent_at for one in upstream.requests))
    with pytest.raises(RuntimeError, match="closed"):
        made.completion("m", HELLO)
    made.close()
