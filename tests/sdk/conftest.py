"""What the tests of the SDK share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.gateway import PROVIDER_KEY
from support.upstream import Upstream

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def reach(upstream: Upstream) -> dict[str, Any]:
    """What a call says to reach the provider."""
    return {"api_base": upstream.base, "api_key": PROVIDER_KEY, "num_retries": 0}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys of whoever runs the tests."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def router() -> Iterator[Callable[..., Any]]:
    """`router(model_list, …)` gives a Router that is closed at the end of the test."""
    from routeiq import Router

    made: list[Router] = []

    def make(*args: Any, **options: Any) -> Router:
        made.append(Router(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
