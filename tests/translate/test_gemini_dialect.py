"""What the gateway reads of Gemini's bytes when it passes them on, and the errors it writes."""

from __future__ import annotations

import json

import msgspec
import pytest
from google.genai import errors as genai_errors
from google.genai import types

from routeiq.core.errors import BadRequest, BudgetExceeded, GatewayError, LimitExceeded, Unauthorized, UpstreamTimeout
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers.dialects import gemini


def test_peek() -> None:
    assert gemini.peek(b'{"contents":[]}') is None
    assert gemini.peek(b'{"generationConfig":{"maxOutputTokens":7}}') == 7
    assert gemini.peek(b'{"generation_config":{"max_output_tokens":8}}') == 8
    assert gemini.peek(b'{"generationConfig":{"max_output_tokens":"9"}}') == 9
    for wrong in (b"", b"[]", b'{"generationConfig":{"maxOutputTokens":"many"}}', b"[" * 100_000, b"\xff"):
        with pytest.raises(BadRequest):
            gemini.peek(wrong)


def test_events() -> None:
    answer = types.GenerateContentResponse(
        model_version="gemini-3-pro-preview",
        candidates=[
            types.Candidate(
                finish_reason=types.FinishReason.STOP,
                grounding_metadata=types.GroundingMetadata(web_search_queries=["a", "b"]),
            )
        ],
        usage_metadata=types.GenerateContentResponseUsageMetadata(
            prompt_token_count=3, candidates_token_count=2, thoughts_token_count=1, cached_content_token_count=2
        ),
    )
    payload = json.dumps(answer.model_dump(mode="json", exclude_none=True, by_alias=True)).encode()
    usage = Usage(3, 3, cached=2, reasoning=1, searches=2)
    assert gemini.read_event(payload) == gemini.Event("gemini-3-pro-preview", usage, True, False)
    older = gemini.read_event(payload.replace(b"gemini-3-pro-preview", b"gemini-2.5-pro"))
    assert older.usage == Usage(3, 3, cached=2, reasoning=1, searches=1)
    piece = gemini.read_event(b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}')
    assert (piece.finished, piece.failed, piece.usage) == (False, False, None)
    assert gemini.read_event(b'{"promptFeedback":{"blockReason":"SAFETY"}}').finished
    assert gemini.read_event(b'{"error":{"code":500}}').failed
    with pytest.raises(msgspec.DecodeError):
        gemini.read_event(b"<html>")


def test_a_stream_that_passes_through_is_watched() -> None:
    watch = gemini.GeminiFace().watch()
    watch.see(b'{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":3}}')
    assert (watch.done, watch.usage) == (False, Usage(3, 0, estimated=True))
    watch.see(
        b'{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}'
    )
    watch.see(b'{"modelVersion":"gemini-2.5-pro"}')
    assert (watch.done, watch.failed, watch.usage) == (True, False, Usage(3, 2))
    watch.see(b'{"error":{"code":503,"message":"m"}}')
    assert watch.failed


def test_counts_that_are_nonsense() -> None:
    body = b'{"usageMetadata":{"promptTokenCount":-5,"candidatesTokenCount":99999999999999}}'
    assert gemini.read_event(body).usage == Usage(0, MOST_TOKENS)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("No.", param="contents", code="invalid_value"), "INVALID_ARGUMENT"),
        (Unauthorized("Who?"), "UNAUTHENTICATED"),
        (LimitExceeded("Slow.", retry_after=1.5), "RESOURCE_EXHAUSTED"),
        (BudgetExceeded("Broke."), "FAILED_PRECONDITION"),
        (UpstreamTimeout("Late."), "DEADLINE_EXCEEDED"),
        (GatewayError("Odd.", status=418), "INVALID_ARGUMENT"),
        (GatewayError("Odd.", status=599), "INTERNAL"),
    ],
)
def test_errors_as_google_tells_them(error: GatewayError, status: str) -> None:
    body = json.loads(gemini.error_body(error))
    read = genai_errors.APIError(error.status, body)
    assert (read.code, read.status, read.message) == (error.status, status, error.message)
    details = {detail["@type"].rpartition(".")[2]: detail for detail in body["error"]["details"]}
    if error.param:
        assert details["BadRequest"]["fieldViolations"][0]["field"] == error.param
    assert ("RetryInfo" in details) == (error.retry_after is not None)
    if error.retry_after is not None:
        assert details["RetryInfo"]["retryDelay"] == "1.5s"


def test_errors_as_google_sends_them() -> None:
    quota = {
        "error": {
            "code": 429,
            "message": "Quota exceeded.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}],
        }
    }
    for body in (quota, [quota]):  # without alt=sse an error of a stream stands in a list
        error = gemini.from_answer(429, json.dumps(body).encode(), provider="gemini", retry_after=None)
        assert (error.status, error.message, error.code) == (429, "Quota exceeded.", "RESOURCE_EXHAUSTED")
        assert (error.retryable, error.retry_after, error.provider) == (True, 34.5, "gemini")
    told = gemini.from_answer(429, json.dumps(quota).encode(), provider="gemini", retry_after=2.0)
    assert told.retry_after == 2.0


def test_errors_that_mean_more_than_they_say() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    key = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [info]}}
    error = gemini.from_answer(400, json.dumps(key).encode(), provider="gemini", retry_after=None)
    assert (error.status, error.class_name, error.elsewhere) == (401, "AuthenticationError", True)
    text = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    long = {"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}
    error = gemini.from_answer(400, json.dumps(long).encode(), provider="gemini", retry_after=None)
    assert (error.fallback, error.code) == ("context_window", "context_length_exceeded")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b"\xff"])
def test_what_is_no_error_of_google(body: bytes) -> None:
    error = gemini.from_answer(503, body, provider="gemini", retry_after=None)
    assert (error.status, error.retryable) == (503, True)
