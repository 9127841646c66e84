"""What the official SDKs see."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI

from support.gateway import MASTER_KEY, config_for, deployment
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
TEXT = "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7 "
Serve = Callable[[dict[str, Any]], Worker]


def key(**settings: Any) -> dict[str, Any]:
    return {"name": "someone", "key": "sk-someone-0123456789", **settings}


def test_chat(worker: Worker, upstream: Upstream) -> None:
    answer = worker.client().chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.25, seed=7)
    assert answer.model == "gpt-4o"
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 8)
    [sent] = upstream.requests
    assert sent.target == "/v1/chat/completions"
    assert sent.header("authorization") == "Bearer sk-provider-0123456789"
    assert sent.json == {"model": "gpt-4o", "messages": MESSAGES, "temperature": 0.25, "seed": 7}


def test_nothing_of_the_client_reaches_the_provider_but_its_body(worker: Worker, upstream: Upstream) -> None:
    worker.call(
        "/v1/chat/completions?api_key=x",
        {"model": "gpt-4o", "messages": MESSAGES},
        headers={"Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "OpenAI-Organization": "org", "X-Api-Key": "k"},
    )
    [sent] = upstream.requests
    assert {name.lower() for name, _ in sent.headers} <= {
        "host", "authorization", "content-type", "content-length", "user-agent", "accept", "accept-encoding"
    }  # fmt: skip
    assert MASTER_KEY not in str(sent.headers)
    assert sent.target == "/v1/chat/completions"


def test_stream(worker: Worker, upstream: Upstream) -> None:
    chunks = list(worker.client().chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    [event] = worker.wait_events(1)
    assert (event["prompt_tokens"], event["completion_tokens"], event["stream"]) == (3, 8, True)
    assert "estimated" not in event


def test_stream_with_usage(worker: Worker) -> None:
    options: Any = {"include_usage": True}
    chunks = list(
        worker.client().chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options=options)
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 11


@pytest.mark.parametrize(
    "options", [None, {}, {"include_usage": False}, {"include_usage": None}, {"include_obfuscation": False}]
)
def test_stream_without_usage_in_any_spelling(worker: Worker, upstream: Upstream, options: Any) -> None:
    client = worker.client()
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, extra_body={"stream_options": options}
        )
    )
    assert all(chunk.choices for chunk in chunks)
    assert upstream.requests[0].json["stream_options"] == {**(options or {}), "include_usage": True}
    assert worker.wait_events(1)[0]["completion_tokens"] == 8


def test_tools(worker: Worker) -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    answer = worker.client().chat.completions.create(
        model="gpt-4o", messages=MESSAGES, tools=tools, tool_choice="required"
    )
    assert answer.choices[0].message.tool_calls is not None
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"  # type: ignore[union-attr]


def test_completions(worker: Worker, upstream: Upstream) -> None:
    client = worker.client()
    answer = client.completions.create(model="gpt-4o", prompt="one two", max_tokens=3)
    assert answer.choices[0].text == "tok0 tok1 tok2 "
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5
    text = "".join(
        chunk.choices[0].text for chunk in client.completions.create(model="gpt-4o", prompt="one two", stream=True)
    )
    assert text == TEXT
    assert [sent.target for sent in upstream.requests] == ["/v1/completions"] * 2
    assert [event["endpoint"] for event in worker.wait_events(2)] == ["completion"] * 2


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_embeddings(worker: Worker, upstream: Upstream, encoding: Any) -> None:
    extra = {} if encoding is None else {"encoding_format": encoding}
    answer = worker.client().embeddings.create(model="text-embedding-3-small", input=["a b", "c"], **extra)
    assert len(answer.data) == 2
    value = answer.data[0].embedding
    assert len(value) > 0
    if encoding != "base64":
        assert value == [(n + 1) / 16 for n in range(8)]
    assert answer.model == "text-embedding-3-small"
    assert answer.usage.prompt_tokens == 3
    [event] = worker.wait_events(1)
    assert event["prompt_tokens"] == 3
    assert event["endpoint"] == "embedding"
    assert event.get("completion_tokens", 0) == 0


def test_embeddings_of_tokens(worker: Worker, upstream: Upstream) -> None:
    client = worker.client()
    client.embeddings.create(model="text-embedding-3-small", input=[1, 2, 3], dimensions=4)
    client.embeddings.create(model="text-embedding-3-small", input=[[1, 2], [3]])
    assert [sent.json["input"] for sent in upstream.requests] == [[1, 2, 3], [[1, 2], [3]]]


def test_unversioned_paths(worker: Worker, upstream: Upstream) -> None:
    client = openai.OpenAI(base_url=worker.url, api_key=MASTER_KEY, max_retries=0)
    assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).model == "gpt-4o"
    assert client.completions.create(model="gpt-4o", prompt="a").choices[0].text == TEXT
    assert len(client.embeddings.create(model="text-embedding-3-small", input="a").data) == 1
    assert {model.id for model in client.models.list()} == {"gpt-4o", "gpt-4o-mini", "text-embedding-3-small"}


def test_azure_client(worker: Worker, upstream: Upstream) -> None:
    client = openai.AzureOpenAI(azure_endpoint=worker.url, api_key=MASTER_KEY, api_version="2024-10-21", max_retries=0)
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.model == "gpt-4o"
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert len(chunks) == 10
    assert len(client.embeddings.create(model="text-embedding-3-small", input="a").data) == 1
    assert {sent.target for sent in upstream.requests} == {"/v1/chat/completions", "/v1/embeddings"}
    assert [event["model"] for event in worker.wait_events(3)] == ["gpt-4o", "gpt-4o", "text-embedding-3-small"]


def test_the_model_of_the_path_wins(worker: Worker, upstream: Upstream) -> None:
    for path in ("/openai/deployments/gpt-4o/chat/completions", "/v1/engines/gpt-4o/chat/completions"):
        for body in ({"messages": MESSAGES}, {"model": "gpt-4o-mini", "messages": MESSAGES}):
            status, _, answer = worker.call(path, body)
            assert status == 200
            assert json.loads(answer)["model"] == "gpt-4o"
    assert {sent.json["model"] for sent in upstream.requests} == {"gpt-4o"}
    assert worker.call("/openai/deployments/gpt%2D4o/chat/completions", {"messages": MESSAGES})[0] == 200
    assert worker.call("/openai/deployments/%ff/chat/completions", {"messages": MESSAGES})[0] == 400
    assert worker.call("/openai/deployments/nope/chat/completions", {"messages": MESSAGES})[0] == 404


def test_models(worker: Worker) -> None:
    client = worker.client()
    listed = list(client.models.list())
    assert [model.id for model in listed] == ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]
    assert all(model.object == "model" and model.owned_by for model in listed)
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


def test_model_info_has_no_secrets(worker: Worker) -> None:
    for path in ("/v1/model/info", "/model/info"):
        status, _, body = worker.get(path)
        assert status == 200
        assert b"sk-provider" not in body
        data = json.loads(body)["data"]
        assert [item["model_name"] for item in data] == ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]
        assert data[0]["litellm_params"]["model"] == "openai/gpt-4o"
        assert data[0]["model_info"]["id"]
        assert data[0]["model_info"]["mode"] == "chat"
        assert data[0]["model_info"]["input_cost_per_token"] == pytest.approx(2.5e-6)
        chosen = json.loads(worker.get(f"{path}?litellm_model_id={data[1]['model_info']['id']}")[2])["data"]
        assert chosen == [data[1]]


def test_a_key_in_any_header(worker: Worker) -> None:
    body = {"model": "gpt-4o", "messages": MESSAGES}
    for headers in (
        {"Authorization": f"Bearer {MASTER_KEY}"},
        {"authorization": f"bearer {MASTER_KEY}"},
        {"Authorization": MASTER_KEY},
        {"x-api-key": MASTER_KEY},
        {"api-key": MASTER_KEY},
        {"x-litellm-api-key": MASTER_KEY},
        {"x-litellm-api-key": f"Bearer {MASTER_KEY}", "Authorization": "Bearer another's"},
    ):
        assert worker.call("/v1/chat/completions", body, key=None, headers=headers)[0] == 200
    for wrong in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nope"},
        {"Authorization": f"Basic {MASTER_KEY}"},
        {"Cookie": f"key={MASTER_KEY}"},
        {"x-api-key": "nope"},
        {"x-litellm-api-key": "nope", "Authorization": f"Bearer {MASTER_KEY}"},
    ):
        status, headers, answer = worker.call("/v1/chat/completions", body, key=None, headers=wrong)
        assert status == 401, wrong
        assert headers["www-authenticate"] == "Bearer"
        assert json.loads(answer)["error"]["type"] == "auth_error"
        assert MASTER_KEY.encode() not in answer
    assert worker.call(f"/v1/chat/completions?api_key={MASTER_KEY}", body, key=None)[0] == 401


def test_the_configured_key_header_comes_first(serve: Serve, provider: Upstream) -> None:
    settings = {"litellm_key_header_name": "X-My-Key"}
    worker = serve(config_for(provider, "gpt-4o", general_settings=settings))
    body = {"model": "gpt-4o", "messages": MESSAGES}
    for headers in ({"x-my-key": MASTER_KEY}, {"X-My-Key": f"Bearer {MASTER_KEY}", "Authorization": "Bearer other"}):
        assert worker.call("/v1/chat/completions", body, key=None, headers=headers)[0] == 200
    assert worker.call("/v1/chat/completions", body)[0] == 200


def test_response_headers(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(headers=[("x-ratelimit-remaining-requests", "59"), ("Set-Cookie", "a=b"), ("Server", "x")]))
    raw = worker.client().chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES, extra_headers={"x-request-id": "mine-1"}
    )
    headers = raw.headers
    [event] = worker.wait_events(1)
    assert raw.parse().model == "gpt-4o"
    assert headers["x-litellm-call-id"] == event["id"]
    assert headers["x-request-id"] == event["request_id"] == "mine-1"
    assert headers["x-litellm-model-id"] == headers["x-routeiq-deployment"] == event["deployment"]
    assert headers["x-litellm-model-group"] == "gpt-4o"
    assert headers["x-litellm-model-api-base"] == upstream.base
    assert headers["x-litellm-attempted-retries"] == headers["x-litellm-attempted-fallbacks"] == "0"
    assert headers["x-routeiq-provider"] == "openai"
    assert headers["x-routeiq-strategy"] == "simple-shuffle"
    assert headers["x-routeiq-revision"] == event["revision"]
    assert 0 < float(headers["x-litellm-overhead-duration-ms"]) < float(headers["x-litellm-response-duration-ms"])
    assert headers["llm_provider-x-ratelimit-remaining-requests"] == "59"
    assert headers["content-type"] == "application/json"
    assert not {"set-cookie", "server", "llm_provider-set-cookie", "llm_provider-server"} & set(headers)
    assert "sk-provider" not in str(headers)


def test_a_request_id_that_could_do_harm_is_left_out(worker: Worker) -> None:
    for bad in ("x" * 200, "\u00e4"):
        headers = worker.call("/v1/models", headers={"x-request-id": bad.encode("utf-8").decode("latin-1")})[1]
        answer = worker.call(
            "/v1/chat/completions",
            {"model": "gpt-4o", "messages": MESSAGES},
            headers={"x-request-id": bad.encode("utf-8").decode("latin-1")},
        )[1]
        assert answer["x-request-id"] == answer["x-litellm-call-id"]
        assert headers


# --- errors


def test_wrong_key(worker: Worker) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        worker.client("sk-wrong").chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert caught.value.code == "invalid_api_key"


def test_unknown_models_name_those_the_key_may_use(serve: Serve, provider: Upstream) -> None:
    worker = serve(config_for(provider, "gpt-4o", "gpt-4o-mini", "secret", routeiq={"keys": [key(models=["gpt-*"])]}))
    with pytest.raises(openai.NotFoundError) as caught:
        worker.client("sk-someone-0123456789").chat.completions.create(model="gpt-5x", messages=MESSAGES)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "gpt-4o, gpt-4o-mini" in caught.value.message
    assert "secret" not in caught.value.message
    [event] = worker.wait_events(1)
    assert (event["status"], event["error"], event["model"]) == (404, "unknown_model", "gpt-5x")


def test_forbidden_model(serve: Serve, provider: Upstream, upstream: Upstream) -> None:
    worker = serve(config_for(provider, "gpt-4o", "secret", routeiq={"keys": [key(models=["gpt-*"])]}))
    client = worker.client("sk-someone-0123456789")
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="secret", messages=MESSAGES)
    assert caught.value.type == "key_model_access_denied"
    assert [model.id for model in client.models.list()] == ["gpt-4o"]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("secret")
    assert upstream.requests == []


def test_rate_limit(serve: Serve, provider: Upstream) -> None:
    worker = serve(config_for(provider, "gpt-4o", routeiq={"keys": [key(rpm=2, tpm=1000)]}))
    client = worker.client("sk-someone-0123456789")
    for left in (1, 0):
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
        assert raw.headers["x-ratelimit-limit-requests"] == "2"
        assert raw.headers["x-ratelimit-remaining-requests"] == str(left)
        assert 0 < int(raw.headers["x-ratelimit-remaining-tokens"]) < 1000
        assert raw.headers["x-ratelimit-reset-requests"].endswith("s")
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(headers["retry-after"]) <= 65
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert [event.get("status", 200) for event in worker.wait_events(3)] == [200, 200, 429]


def test_bad_request_of_the_provider(worker: Worker, upstream: Upstream) -> None:
    error = {
        "error": {"message": "Bad temperature.", "type": "invalid_request_error", "param": "temperature", "code": "x1"}
    }
    upstream.script(Script(status=400, body=error))
    with pytest.raises(openai.BadRequestError) as caught:
        worker.client().chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert (caught.value.param, caught.value.code, caught.value.type) == ("temperature", "x1", "invalid_request_error")
    assert "Bad temperature." in caught.value.message
    assert len(upstream.requests) == 1


def test_the_clients_own_retries(serve: Serve, upstream: Upstream) -> None:
    worker = serve(config_for(upstream, "gpt-4o", router_settings={"num_retries": 0}))
    upstream.script(Script(status=503), Script(status=429, headers=[("Retry-After", "0")]))
    client = worker.client(max_retries=3)
    assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).choices[0].message.content == TEXT
    assert [event.get("status", 200) for event in worker.wait_events(3)] == [503, 429, 200]


def test_the_clients_own_timeout(worker: Worker, upstream: Upstream) -> None:
    upstream.script(Script(delay=5))
    start = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        worker.client(timeout=0.3).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    [event] = worker.wait_events(1)
    assert event["status"] == 499
    upstream.wait(lambda: upstream.requests[0].gone_at)
    assert time.monotonic() - start < 1.5


def test_async_client(worker: Worker, upstream: Upstream) -> None:
    async def main() -> None:
        async with worker.async_client() as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model="gpt-4o", messages=MESSAGES) for _ in range(20))
            )
            assert {answer.choices[0].message.content for answer in answers} == {TEXT}
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            assert text == TEXT
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="nope", messages=MESSAGES)

    asyncio.run(main())
    assert len(worker.wait_events(22)) == 22


def test_langchain(worker: Worker) -> None:
    model = ChatOpenAI(model="gpt-4o", base_url=worker.url + "/v1", api_key=MASTER_KEY, max_retries=0)  # type: ignore[arg-type]
    answer = model.invoke("one two three")
    assert answer.content == TEXT
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] == 11
    assert "".join(str(chunk.content) for chunk in model.stream("one two three")) == TEXT


# --- names


def test_aliases_and_wildcards(serve: Serve, provider: Upstream, upstream: Upstream) -> None:
    config = {
        "model_list": [
            deployment(provider, "gpt-4o"),
            deployment(provider, "openai/*", "*"),
            deployment(provider, "openai/special-*", "tuned-*"),
        ],
        "router_settings": {"model_group_alias": {"fast": "gpt-4o", "quiet": {"model": "gpt-4o", "hidden": True}}},
    }
    worker = serve(config)
    client = worker.client()
    for asked, sent in (
        ("fast", "gpt-4o"),
        ("quiet", "gpt-4o"),
        ("openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("openai/special-one", "tuned-one"),
        ("gpt-4o", "gpt-4o"),
    ):
        assert client.chat.completions.create(model=asked, messages=MESSAGES).model == asked
        assert upstream.requests[-1].json["model"] == sent
        assert worker.events()[-1]["upstream_model"] == sent
        assert worker.events()[-1]["model"] == asked
        chunks = list(client.chat.completions.create(model=asked, messages=MESSAGES, stream=True))
        assert {chunk.model for chunk in chunks} == {asked}
    listed = [model.id for model in client.models.list()]
    assert "fast" in listed
    assert "quiet" not in listed
    assert "openai/gpt-4.1-mini" in listed
    assert not any("*" in name for name in listed)
    priced = next(event for event in worker.events() if event["model"] == "openai/gpt-4.1-mini")
    assert priced["cost"] > 0


# --- answers without a provider


def test_mock_response_of_a_deployment(serve: Serve, upstream: Upstream) -> None:
    config = {"model_list": [deployment(upstream, "fake", mock_response="Nothing to see.")]}
    client = serve(config).client()
    assert (
        client.chat.completions.create(model="fake", messages=MESSAGES).choices[0].message.content == "Nothing to see."
    )
    chunks = client.chat.completions.create(model="fake", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Nothing to see."
    assert upstream.requests == []


def test_the_demo_provider_says_the_same_each_time(serve: Serve) -> None:
    config = {"model_list": [{"model_name": "demo", "litellm_params": {"model": "demo/chat"}}]}
    client = serve(config).client()
    first, second = (client.chat.completions.create(model="demo", messages=MESSAGES) for _ in range(2))
    assert first == second
    assert "one two three" in str(first.choices[0].message.content)
    text = "".join(
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(model="demo", messages=MESSAGES, stream=True)
    )
    assert text == first.choices[0].message.content
    vectors = [client.embeddings.create(model="demo", input=["a", "b"]).data[0].embedding for _ in range(2)]
    assert vectors[0] == vectors[1]


def test_mocks_in_requests_need_a_setting(serve: Serve, upstream: Upstream) -> None:
    body: dict[str, Any] = {"mock_response": "Mocked."}
    router = {"fallbacks": [{"gpt-4o": ["gpt-4o-mini"]}], "num_retries": 0}
    worker = serve(config_for(upstream, "gpt-4o", "gpt-4o-mini", router_settings=router))
    answer = worker.client().chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_body=body)
    assert answer.choices[0].message.content == TEXT
    answer = worker.client().chat.completions.create(
        model="gpt-4o", messages=MESSAGES, extra_body={"mock_testing_fallbacks": True}
    )
    assert answer.model == "gpt-4o"
    assert [sorted(sent.json) for sent in upstream.requests] == [["messages", "model"]] * 2

    settings = {"dangerously_allow_mock_testing_request_params": True}
    worker = serve(config_for(upstream, "gpt-4o", "gpt-4o-mini", router_settings=router, general_settings=settings))
    client = worker.client()
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_body=body)
    assert answer.choices[0].message.content == "Mocked."
    assert len(upstream.requests) == 2
    answer = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, extra_body={"mock_testing_fallbacks": True}
    )
    assert answer.model == "gpt-4o-mini"
    assert "mock_testing_fallbacks" not in upstream.requests[-1].json
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_body={"mock_response": 7})
    worker.settled()
