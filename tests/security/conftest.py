"""`world`: the control plane's application with everything it has, and a key for everybody there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from security_world import World, make, populate


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make(tmp_path_factory.mktemp("world"))
    with made.client:
        populate(made)
        yield made
