"""Errors of providers, whatever their shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.providers import errors
from routeiq.providers.shapes import Told, read_error


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            {"error": {"message": "m", "type": "t", "param": "p", "code": "c"}},
            Told(message="m", type="t", param="p", code="c"),
        ),
        ({"error": {"message": "m", "code": 429}}, Told(message="m", code=429)),
        ([{"error": {"message": "m"}}], Told(message="m")),
        ({"error": "not found"}, Told(message="not found")),
        (
            {"errors": [{"code": "token_quota_reached", "message": "m"}], "trace": "x", "status_code": 403},
            Told(message="m", code="token_quota_reached", status=403),
        ),
        ({"title": "Unauthenticated", "detail": "No token.", "status": 401}, Told(message="No token.", status=401)),
        ({"title": "Unauthenticated"}, Told(message="Unauthenticated")),
        ({"detail": [{"loc": ["body"], "msg": "m"}]}, Told(message='[{"loc":["body"],"msg":"m"}]')),
        ({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "m"}, Told(message="m", code="RESOURCE_DOES_NOT_EXIST")),
        (
            {"__type": "com.amazon.coral.service#ThrottlingException:http://x", "Message": "m"},
            Told(message="m", code="ThrottlingException"),
        ),
        ({"Message": "User is not authorized"}, Told(message="User is not authorized")),
        ({"message": {"a": 1}}, Told(message='{"a":1}')),
        ({}, Told()),
        (7, Told()),
    ],
)
def test_shapes(body: Any, told: Told) -> None:
    assert read_error(json.dumps(body).encode()) == told


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["error", "errors", "message", "code", "detail"]), inner)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_nothing_is_raised(body: bytes) -> None:
    error = errors.from_answer(500, body, provider="p", retry_after=None)
    assert (error.status, bool(error.message)) == (500, True)
    assert 400 <= errors.from_event(body, provider="p").status < 600


def test_endless_nesting() -> None:
    assert read_error(b"[" * 100_000) == Told()


def test_an_event_has_the_status_it_tells() -> None:
    assert errors.from_event(b'{"error":{"code":429,"message":"m"}}', provider="p").status == 429
    assert errors.from_event(b'{"error":{"message":"m"},"status_code":403}', provider="p").status == 403
    assert errors.from_event(b'{"error":{"message":"m"},"status_code":200}', provider="p").status == 502
