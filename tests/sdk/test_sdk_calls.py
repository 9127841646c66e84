"""Calls of the module against a provider on a real socket: sync, async, streamed."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import routeiq
from routeiq import BadRequestError, Router, acompletion, aembedding, completion, embedding, responses, user_message
from support.upstream import HEAD, Script, Upstream

HELLO = [user_message("Hello")]
MODEL = "openai/gpt-4o"
PUBLIC = {
    *("completion", "acompletion", "embedding", "aembedding", "responses", "aresponses", "Router"),
    *("user_message", "system_message", "assistant_message", "__version__"),
    *("APIError", "APIConnectionError", "APITimeoutError", "Timeout", "AuthenticationError", "BadRequestError"),
    *("NotFoundError", "PermissionDeniedError", "RateLimitError", "InternalServerError", "UnprocessableEntityError"),
    *("ContextWindowExceededError", "ContentPolicyViolationError", "ServiceUnavailableError"),
}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_public_names() -> None:
    assert set(routeiq.__all__) == PUBLIC
    assert all(getattr(routeiq, name) is not None for name in PUBLIC)
    assert set(routeiq.__all__) <= set(dir(routeiq))
    with pytest.raises(AttributeError, match="no attribute 'complete'"):
        _ = routeiq.complete  # type: ignore[attr-defined]


def test_importing_is_light_and_starts_nothing() -> None:
    code = "import json, sys, routeiq; print(json.dumps(sorted(m for m in sys.modules if m.startswith('routeiq'))))"
    assert json.loads(run(code)) == ["routeiq"]
    code = "import threading, routeiq.sdk; print(threading.active_count())"
    assert run(code).strip() == "1"


def test_sync(upstream: Upstream, reach: dict[str, Any]) -> None:
    answer = completion(model=MODEL, messages=HELLO, temperature=0.5, seed=None, **reach)
    assert (
        answer.choices[0].message.content
        == answer["choices"][0]["message"]["content"]
        == "".join(f"tok{n} " for n in range(8))
    )
    assert answer.choices[0].message.tool_calls is None
    assert answer.model == MODEL
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.json() == answer.model_dump() == json.loads(answer.model_dump_json())
    assert "usage" in answer
    assert answer.get("nothing") is None
    assert answer == answer.model_dump()
    assert pickle.loads(pickle.dumps(answer)).routeiq == answer.routeiq
    with pytest.raises(AttributeError, match="no 'chioces'"):
        _ = answer.chioces
    about = answer.routeiq
    assert about.provider == "openai"
    assert about.upstream_model == "gpt-4o"
    assert about.cost is not None
    assert float(about.headers["x-litellm-response-cost"]) == pytest.approx(about.cost)
    assert about.headers["x-routeiq-deployment"] == about.deployment
    sent = upstream.requests[0]
    assert sent.json == {"model": "gpt-4o", "messages": HELLO, "temperature": 0.5}
    assert sent.header("authorization") == f"Bearer {reach['api_key']}"


def test_sync_inside_a_running_loop(reach: dict[str, Any]) -> None:
    async def main() -> None:
        assert completion(model=MODEL, messages=HELLO, **reach).choices
        assert [chunk.object for chunk in completion(model=MODEL, messages=HELLO, stream=True, **reach)]

    asyncio.run(main())


def test_async(reach: dict[str, Any]) -> None:
    async def main() -> None:
        one, two = await asyncio.gather(*(acompletion(model=MODEL, messages=HELLO, **reach) for _ in range(2)))
        assert one.choices == two.choices
        assert one.routeiq.call_id != two.routeiq.call_id

    asyncio.run(main())
    asyncio.run(main())  # another loop, the same background thread


def test_streams(upstream: Upstream, reach: dict[str, Any]) -> None:
    stream = completion(model=MODEL, messages=HELLO, stream=True, **reach)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "".join(f"tok{n} " for n in range(8))
    assert stream.routeiq.cost is not None
    assert list(stream) == []

    async def main() -> str:
        text = ""
        async with await acompletion(model=MODEL, messages=HELLO, stream=True, **reach) as stream:
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
        return text

    assert asyncio.run(main()) == text
    wanted = {"include_usage": True}
    chunks = list(completion(model=MODEL, messages=HELLO, stream=True, stream_options=wanted, **reach))
    assert chunks[-1].usage.completion_tokens == 8


def test_a_stream_that_is_asked_for_and_comes_whole(upstream: Upstream, reach: dict[str, Any]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    upstream.script(Script(body={"id": "a", "object": "chat.completion", "model": "gpt-4o", "choices": [choice]}))
    chunks = [*completion(model=MODEL, messages=HELLO, stream=True, **reach)]
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert "".join(each.delta.content or "" for chunk in chunks for each in chunk.choices) == "Hello"


@pytest.mark.parametrize("how", ["close", "del", "with", "async", "cancel"])
def test_abandoned_streams_cancel_the_providers_work(upstream: Upstream, reach: dict[str, Any], how: str) -> None:
    upstream.script(Script(endless=True, interval=0.002))
    if how in ("close", "del", "with"):
        stream = completion(model=MODEL, messages=HELLO, stream=True, **reach)
        assert next(stream).object == "chat.completion.chunk"
        if how == "close":
            stream.close()
            assert list(stream) == []
        elif how == "with":
            with stream:
                next(stream)
        del stream
        gc.collect()
    elif how == "async":

        async def leave() -> None:
            async with await acompletion(model=MODEL, messages=HELLO, stream=True, **reach) as stream:
                async for _ in stream:
                    break

        asyncio.run(leave())
    else:

        async def cancelled() -> None:
            async def read() -> None:
                async for _ in await acompletion(model=MODEL, messages=HELLO, stream=True, **reach):
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(), 0.2)

        asyncio.run(cancelled())
        gc.collect()
    upstream.wait(lambda: upstream.requests[0].gone_at is not None)


def test_a_cancelled_call_cancels_the_providers_work(upstream: Upstream, reach: dict[str, Any]) -> None:
    upstream.script(Script(cut="stall", after=HEAD))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(acompletion(model=MODEL, messages=HELLO, **reach), 0.2)

    asyncio.run(main())
    upstream.wait(lambda: upstream.requests[0].gone_at is not None)


def test_a_slow_reader_holds_the_provider_back(upstream: Upstream, reach: dict[str, Any]) -> None:
    event = b'data: {"id":"a","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'
    upstream.script(Script(events=[event % (b"x" * 10_000)] * 2000))  # 20 MB
    with completion(model=MODEL, messages=HELLO, stream=True, **reach) as stream:
        next(stream)
        time.sleep(0.5)
        assert upstream.requests[0].sent_at is None
        assert sum(len(chunk.choices[0].delta.content) for chunk in stream) == 1999 * 10_000


def test_many_threads_at_once(upstream: Upstream, reach: dict[str, Any]) -> None:
    def one(number: int) -> str:
        if number % 2:
            stream = completion(model=MODEL, messages=HELLO, stream=True, max_tokens=number % 7 + 1, **reach)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        answer = completion(model=MODEL, messages=HELLO, max_tokens=number % 7 + 1, **reach)
        return str(answer.choices[0].message.content)

    with ThreadPoolExecutor(32) as pool:
        texts = list(pool.map(one, range(200)))
    assert all(texts)
    assert len(upstream.requests) == 200


def test_tools_and_the_turn_after(upstream: Upstream, reach: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    forced = {"type": "function", "function": {"name": "weather"}}
    answer = completion(model=MODEL, messages=HELLO, tools=[tool], tool_choice=forced, **reach)
    message = answer.choices[0].message
    call = message.tool_calls[0]
    assert call.function.name == "weather"
    said = [*HELLO, message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    assert completion(model=MODEL, messages=said, tools=[tool], **reach).choices[0].message.content
    assert upstream.requests[1].json["messages"][1]["tool_calls"][0]["id"] == call.id


def test_messages() -> None:
    assert routeiq.system_message("a") == {"role": "system", "content": "a"}
    assert routeiq.assistant_message("b") == {"role": "assistant", "content": "b"}
    parts = user_message("c", images=["https://example.org/c.png"])["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]


def test_embeddings(upstream: Upstream, reach: dict[str, Any]) -> None:
    answer = embedding("openai/text-embedding-3-small", input=["a", "b"], **reach)
    assert [len(item.embedding) for item in answer.data] == [8, 8]

    async def main() -> None:
        again = await aembedding("openai/text-embedding-3-small", input="a", **reach)
        assert again.data[0].embedding == answer.data[0].embedding

    asyncio.run(main())


def test_extra_body_and_headers(upstream: Upstream, reach: dict[str, Any]) -> None:
    extra = {"extra_body": {"top_k": 3}, "extra_headers": {"X-Team": "a"}, "drop_params": True}
    completion(model=MODEL, messages=HELLO, **extra, **reach)
    assert upstream.requests[0].json["top_k"] == 3
    assert upstream.requests[0].header("x-team") == "a"
    assert "drop_params" not in upstream.requests[0].json


def test_the_key_of_the_environment(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-of-a-gateway-on-this-machine")
    monkeypatch.setenv("OWN_KEY", "sk-first")
    reach = {"api_base": upstream.base, "api_key": "os.environ/OWN_KEY"}
    completion(model=MODEL, messages=HELLO, **reach)
    monkeypatch.setenv("OWN_KEY", "sk-second")
    completion(model=MODEL, messages=HELLO, **reach)
    assert [one.header("authorization") for one in upstream.requests] == ["Bearer sk-first", "Bearer sk-second"]


def test_a_forked_child_starts_its_own(upstream: Upstream) -> None:
    code = f"""
import os, routeiq
def say():
    return routeiq.completion(model="openai/gpt-4o", messages=[routeiq.user_message("hi")],
                              api_base={upstream.base!r}, api_key="k").choices[0].message.content
first = say()
child = os.fork()
if child == 0:
    os._exit(0 if say() == first else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert say() == first
"""
    run(code)
    assert len(upstream.requests) == 3


def test_a_program_ends_while_a_stream_is_open(upstream: Upstream) -> None:
    upstream.script(Script(endless=True, interval=0.01))
    code = f"""
import routeiq
stream = routeiq.completion(model="openai/gpt-4o", messages=[routeiq.user_message("hi")], stream=True,
                            api_base={upstream.base!r}, api_key="k")
next(stream)
"""
    assert run(code) == ""
    upstream.wait(lambda: upstream.requests[0].gone_at is not None)


def test_nothing_is_left_in_the_temporary_directory(upstream: Upstream) -> None:
    code = f"""
import os, tempfile
with tempfile.TemporaryDirectory() as directory:
    tempfile.tempdir = directory
    from routeiq import Router
    with Router([{{"model_name": "m", "litellm_params": {{"model": "openai/m", "api_base": {upstream.base!r},
                                                         "api_key": "k"}}}}]) as router:
        router.completion("m", [{{"role": "user", "content": "hi"}}])
        print(os.listdir(directory))
"""
    assert run(code).strip() == "[]"


def test_a_router_that_is_gone_leaves_no_thread(upstream: Upstream) -> None:
    import threading

    before = threading.active_count()
    one = {"model_name": "m", "litellm_params": {"model": "openai/m", "api_base": upstream.base, "api_key": "k"}}
    for _ in range(3):
        Router([one]).completion("m", HELLO)
    gc.collect()
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_the_documentation_names_what_there_is() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "sdk.md").read_text()
    assert {name for name in PUBLIC if f"`{name}`" not in text} == {"__version__"}


@pytest.mark.parametrize("members", [{"previous_response_id": "resp_1"}, {"background": True}])
def test_responses_that_need_a_store(upstream: Upstream, reach: dict[str, Any], members: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match="no store") as caught:
        responses(model="deepseek/deepseek-chat", input="x", **members, **reach)
    assert caught.value.param == next(iter(members))
    assert upstream.requests == []
    kept = {"id": "resp_2", "object": "response", "status": "completed", "output": [], "model": "gpt-4o"}
    upstream.script(Script(body=kept))
    assert responses(model=MODEL, input="x", **members, **reach).id == "resp_2"
    assert upstream.requests[0].json == {"model": "gpt-4o", "input": "x", **members}
    alone = responses(model="deepseek/deepseek-chat", input="x", **reach)
    assert alone.store is False, "it can't be gone on from"
