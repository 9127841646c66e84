"""What calls raise: the class OpenAI's SDK would, with fields that say who failed and why."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import routeiq
from routeiq import acompletion, completion
from support.addresses import free_port
from support.upstream import HEAD, Script, Upstream

HELLO = [{"role": "user", "content": "Hello"}]
MODEL = "openai/gpt-4o"


def error_of(kind: type[routeiq.APIError], **options: Any) -> routeiq.APIError:
    """The exception a call raises."""
    with pytest.raises(kind) as raised:
        completion(**{"model": MODEL, "messages": HELLO, **options})
    assert type(raised.value) is kind
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, routeiq.BadRequestError),
        (401, routeiq.AuthenticationError),
        (403, routeiq.PermissionDeniedError),
        (404, routeiq.NotFoundError),
        (408, routeiq.APITimeoutError),
        (409, routeiq.APIError),
        (422, routeiq.UnprocessableEntityError),
        (429, routeiq.RateLimitError),
        (500, routeiq.InternalServerError),
        (502, routeiq.InternalServerError),
        (503, routeiq.ServiceUnavailableError),
    ],
)
def test_statuses(upstream: Upstream, reach: dict[str, Any], status: int, kind: type[routeiq.APIError]) -> None:
    upstream.script(Script(status=status))
    error = error_of(kind, **reach)
    assert error.status_code == status
    assert error.message == str(error) == f"Scripted {status}."
    assert error.llm_provider == "openai"
    assert error.type
    assert error.response_headers["x-litellm-attempted-retries"] == "0"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("context_length_exceeded", routeiq.ContextWindowExceededError),
        ("content_policy_violation", routeiq.ContentPolicyViolationError),
    ],
)
def test_codes(upstream: Upstream, reach: dict[str, Any], code: str, kind: type[routeiq.APIError]) -> None:
    body = {"error": {"message": "No.", "type": "invalid_request_error", "param": "messages", "code": code}}
    upstream.script(Script(status=400, body=body))
    error = error_of(kind, **reach)
    assert isinstance(error, routeiq.BadRequestError)
    assert (error.code, error.param) == (code, "messages")


def test_a_wait_a_provider_asks_for(upstream: Upstream, reach: dict[str, Any]) -> None:
    upstream.script(Script(status=429, headers=[("Retry-After", "7")]))
    assert error_of(routeiq.RateLimitError, **reach).response_headers["retry-after"] == "7"


def test_nobody_there(reach: dict[str, Any]) -> None:
    error = error_of(routeiq.APIConnectionError, **{**reach, "api_base": f"http://127.0.0.1:{free_port()}/v1"})
    assert "refused" in error.message


def test_timeouts(upstream: Upstream, reach: dict[str, Any]) -> None:
    upstream.always(Script(cut="stall", after=HEAD))
    error = error_of(routeiq.Timeout, timeout=0.2, **reach)
    assert isinstance(error, routeiq.APIConnectionError)
    assert error.status_code == 504

    async def main() -> None:
        with pytest.raises(routeiq.APITimeoutError):
            await acompletion(model=MODEL, messages=HELLO, timeout=0.2, stream=True, **reach)

    asyncio.run(main())
    upstream.wait(lambda: all(one.gone_at for one in upstream.requests))


def test_an_error_in_the_midst_of_a_stream(upstream: Upstream, reach: dict[str, Any]) -> None:
    upstream.script(Script(error_after=3))
    stream = completion(model=MODEL, messages=HELLO, stream=True, **reach)
    assert next(stream).choices
    with pytest.raises(routeiq.InternalServerError, match="The server had an error"):
        list(stream)
    assert list(stream) == []
    upstream.script(Script(cut="rst", after=3))
    with pytest.raises(routeiq.APIConnectionError):
        list(completion(model=MODEL, messages=HELLO, stream=True, **reach))


@pytest.mark.parametrize(
    ("options", "param", "words"),
    [
        ({"model": "antropic/claude"}, "model", "no provider is called antropic .did you mean anthropic"),
        ({"model": "claude"}, "model", "does not name a provider"),
        ({"model": "openai/*"}, "model", "one model"),
        ({"model": ""}, "model_list[0].model_name", "printable"),
        ({"api_base": "ftp://example.org"}, "api_base", "must begin with http"),
        ({"timeout": "soon"}, "timeout", "must be seconds"),
        ({"timeout": object()}, "timeout", "is a object, which no setting takes"),
        ({"num_retries": -1}, "router_settings.num_retries", "greater than or equal"),
        ({"fallbacks": ["openai/x"]}, "fallbacks", "is a setting of a Router"),
    ],
)
def test_mistakes_are_named(reach: dict[str, Any], options: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(routeiq.BadRequestError, match=words) as raised:
        completion(**{"model": MODEL, "messages": HELLO, **reach, **options})
    assert raised.value.param == param
    assert raised.value.status_code == 400


def test_no_key() -> None:
    error = error_of(routeiq.AuthenticationError)
    assert error.status_code == 401
    assert "OPENAI_API_KEY" in error.message


def test_keys_are_in_no_error(upstream: Upstream, reach: dict[str, Any]) -> None:
    error = error_of(routeiq.BadRequestError, **{**reach, "api_key": "sk-very secret key"})
    assert "secret" not in str(error)


def test_what_is_no_json(reach: dict[str, Any]) -> None:
    error_of(routeiq.BadRequestError, **reach, metadata={"a": object()})
    error_of(routeiq.BadRequestError, **reach, response_format=dict)


@pytest.mark.parametrize(
    ("messages", "options", "param"),
    [
        (None, {}, "messages"),
        ("Hello", {}, "messages"),
        ({"role": "user", "content": "Hello"}, {}, "messages"),
        ([], {"extra_body": 3}, "extra_body"),
        ([], {"metadata": object()}, None),
    ],
)
def test_what_is_no_request(reach: dict[str, Any], messages: Any, options: dict[str, Any], param: str | None) -> None:
    with pytest.raises(routeiq.BadRequestError) as raised:
        routeiq.completion("openai/gpt-4o", messages, **options, **reach)
    assert (raised.value.code, raised.value.param) == ("invalid_type", param)
    assert raised.value.type == "invalid_request_error"
    assert not str(raised.value).endswith(": ")
