"""One worker a module. `serve(config)` gives it another configuration for a test, counting from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.gateway import config_for
from support.upstream import Upstream
from support.worker import Worker


@pytest.fixture(scope="module")
def running(provider: Upstream) -> Iterator[Worker]:
    """The module's worker process."""
    with Worker(config_for(provider, "gpt-4o", "gpt-4o-mini", "text-embedding-3-small")) as worker:
        yield worker


@pytest.fixture
def worker(running: Worker, upstream: Upstream) -> Worker:
    """The worker with its default configuration, counting from zero; the provider's scripts wiped."""
    if running.config != running.first:
        running.serve(running.first)
    running.forget()
    return running


@pytest.fixture
def serve(running: Worker, upstream: Upstream) -> Callable[[dict[str, Any]], Worker]:
    """`serve(config)` gives the worker serving it."""

    def publish(config: dict[str, Any]) -> Worker:
        if running.config != config or running.env:
            answer = running.serve(config)
            assert type(answer).__name__ == "Ready", answer
        running.forget()
        return running

    return publish
