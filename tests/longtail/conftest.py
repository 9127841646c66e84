"""One gateway for all, because LiteLLM's SDK takes seconds to load, over a stand-in for Snowflake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from snowflake import Snowflake, entry

from support.gateway import Gateway


@pytest.fixture(scope="session")
def vendor() -> Iterator[Snowflake]:
    with Snowflake().running() as server:
        yield server


@pytest.fixture(scope="session")
def gateway(vendor: Snowflake) -> Iterator[Gateway]:
    models = [
        entry("snow", vendor.base),
        entry("tolerant", vendor.base, drop_params=True, temperature=0.25),
        entry("embed", vendor.base, model="snowflake/snowflake-arctic-embed-m"),
        entry("snow-*", vendor.base, model="snowflake/*"),
        entry("blocking", vendor.base, model="oobabooga/local"),
        entry("gone", "http://127.0.0.1:9"),
    ]
    config = {"model_list": models, "router_settings": {"num_retries": 0, "disable_cooldowns": True}}
    with Gateway(config) as running:
        yield running
