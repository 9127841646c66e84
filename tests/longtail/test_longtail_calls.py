"""Providers behind LiteLLM's SDK, through a real gateway and the official SDKs."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anthropic
import openai
import pytest
from snowflake import CALL, Snowflake

from support.gateway import Gateway

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_a_whole_answer(gateway: Gateway, vendor: Snowflake) -> None:
    answer = gateway.client().chat.completions.with_raw_response.create(
        model="snow", messages=say("hi"), max_completion_tokens=9, user="me"
    )
    assert answer.headers["x-routeiq-provider"] == "snowflake"
    made = answer.parse()
    assert made.choices[0].message.content == "Hello"
    assert made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (7, 5)
    path, headers, body = vendor.asked[-1]
    assert path == "/api/v2/cortex/v1/chat/completions"
    assert headers["authorization"] == "Bearer longtail-secret-0123456789"
    assert body["model"] == "llama3.1-70b"
    assert body["max_completion_tokens"] == 9
    event = gateway.wait_events(1)[-1]
    assert (event["provider"], event["status"]) == ("snowflake", 200)


def test_a_stream(gateway: Gateway) -> None:
    chunks = [*gateway.client().chat.completions.create(
        model="snow", messages=say("hi"), stream=True, stream_options={"include_usage": True}
    )]  # fmt: skip
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == [
        "stop"
    ]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert chunks[-1].choices == []
    unasked = [*gateway.client().chat.completions.create(model="snow", messages=say("hi"), stream=True)]
    assert unasked[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in unasked)


@pytest.mark.parametrize("stream", [False, True])
def test_tools(gateway: Gateway, vendor: Snowflake, stream: bool) -> None:
    create = gateway.client().chat.completions.create
    if stream:
        chunks = create(model="snow", messages=say("hi"), tools=[TOOL], stream=True)
        calls = [call for chunk in chunks for each in chunk.choices for call in each.delta.tool_calls or ()]
    else:
        calls = create(model="snow", messages=say("hi"), tools=[TOOL]).choices[0].message.tool_calls
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("call_1", "weather", CALL["function"]["arguments"])
    ]
    assert vendor.asked[-1][2]["tools"][0]["function"]["name"] == "weather"


def test_embeddings_as_numbers_and_packed(gateway: Gateway) -> None:
    for encoding in ("float", "base64"):
        made = gateway.client().embeddings.create(model="embed", input=["a", "b"], encoding_format=encoding)
        if encoding == "base64":
            assert made.data[0].embedding == "AAAAPwAAgL8="
        else:
            assert [each.embedding for each in made.data] == [[0.5, -1.0], [0.5, -1.0]]
        assert made.usage.prompt_tokens == 3


def test_other_clients_languages(gateway: Gateway) -> None:
    client = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0)
    with client.messages.stream(model="snow", max_tokens=20, messages=say("hi")) as stream:  # type: ignore[arg-type]
        assert stream.get_final_text() == "Hello"
    whole = client.messages.create(model="snow", max_tokens=20, messages=say("hi"))  # type: ignore[arg-type]
    assert whole.usage.input_tokens == 7
    assert gateway.client().responses.create(model="snow", input="hi").output_text == "Hello"
    assert gateway.client().completions.create(model="snow", prompt="hi").choices[0].text == "Hello"


def test_a_wildcard_and_defaults_of_the_deployment(gateway: Gateway, vendor: Snowflake) -> None:
    create = gateway.client().chat.completions.create
    create(model="snow-mistral-large2", messages=say("hi"))
    assert vendor.asked[-1][2]["model"] == "mistral-large2"
    create(model="tolerant", messages=say("hi"), n=2)
    assert vendor.asked[-1][2]["temperature"] == 0.25
    assert "n" not in vendor.asked[-1][2]
    create(model="tolerant", messages=say("hi"), temperature=0.75)
    assert vendor.asked[-1][2]["temperature"] == 0.75


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_keeps_status_and_retry_after_and_no_secret(gateway: Gateway, stream: bool) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        gateway.client().chat.completions.create(model="snow", messages=say("limit"), stream=stream)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.type == "rate_limit_error"
    text = caught.value.response.text
    assert "too many" in text
    assert "longtail-secret" not in text
    assert "REDACTED" in text or "***" in text


def test_what_a_provider_can_t_take_is_refused(gateway: Gateway, vendor: Snowflake) -> None:
    before = len(vendor.asked)
    for extra in ({"n": 2}, {"extra_body": {"gigachat_scope": "x"}}, {"extra_body": {"logger_fn": "x"}}):
        with pytest.raises(openai.BadRequestError) as caught:
            gateway.client().chat.completions.create(model="snow", messages=say("hi"), **extra)
        assert caught.value.code == "unsupported_parameter"
    assert len(vendor.asked) == before


def test_a_client_can_t_say_where_to_call_or_with_what(gateway: Gateway, vendor: Snowflake) -> None:
    before = len(vendor.asked)
    for name in ("api_base", "api_key", "base_url", "custom_llm_provider", "extra_headers", "callbacks", "timeout"):
        with pytest.raises(openai.BadRequestError):
            gateway.client().chat.completions.create(model="snow", messages=say("hi"), extra_body={name: "x"})
    assert len(vendor.asked) == before


def test_blocking_code_of_litellm_holds_up_nobody(gateway: Gateway, vendor: Snowflake) -> None:
    """LiteLLM calls this provider without asyncio."""
    client = gateway.client()
    begin = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        ask = partial(client.chat.completions.create, model="blocking", messages=say("slow"))
        slow = [pool.submit(ask) for _ in range(4)]
        assert client.chat.completions.create(model="snow", messages=say("hi")).choices[0].message.content == "Hello"
        assert time.monotonic() - begin < 1.5
        assert [each.result().choices[0].message.content for each in slow] == ["Hello"] * 4
    assert time.monotonic() - begin < 6
    assert "/v1/chat/completions" in {path for path, *_ in vendor.asked[-5:]}


def test_an_unreachable_provider(gateway: Gateway) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        gateway.client().chat.completions.create(model="gone", messages=say("hi"))
    assert "snowflake" in caught.value.response.text.lower()


def test_a_cut_stream_ends_in_an_error(gateway: Gateway) -> None:
    chunks = iter(gateway.client().chat.completions.create(model="snow", messages=say("cut"), stream=True))
    assert next(chunks).choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError) as caught:
        list(chunks)
    assert "Snowflake" in str(caught.value)


def test_a_client_that_leaves_ends_the_call(gateway: Gateway, vendor: Snowflake) -> None:
    vendor.gone.clear()
    stream = gateway.client().chat.completions.create(model="snow", messages=say("endless"), stream=True)
    next(iter(stream))
    stream.close()
    assert vendor.gone.wait(5)


def test_it_is_a_process_of_its_own_that_only_its_user_may_ask(gateway: Gateway) -> None:
    rows = json.loads(gateway.cli("status", "--json"))["processes"]
    assert rows[-1]["name"] == "long tail"
    assert rows[-1]["revision"] == rows[0]["revision"]
    sockets = [*gateway.state_dir.rglob("longtail.sock")]
    assert [oct(path.stat().st_mode & 0o777) for path in sockets] == ["0o600"]
    for process in gateway.processes():
        if "routeiq.worker" in process.cmdline():
            assert not [each for each in process.memory_maps() if "litellm" in each.path or "pydantic" in each.path]


def test_nothing_secret_is_logged(gateway: Gateway) -> None:
    time.sleep(0.1)
    assert "longtail-secret" not in gateway.logs()
    assert "Give Feedback" not in gateway.logs()
    assert "longtail-secret" not in gateway.cli("config", "show", "--config", str(gateway.file), check=False)
