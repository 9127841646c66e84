"""Fixtures. A test module that needs its own configuration overrides `gateway_config`.

provider   one obedient upstream for the whole run of this process
upstream   the same, its scripts and its record wiped before each test
gateway    one gateway a module, started with `gateway_config`
start      starts further gateways, which end with the test
trained    the directory of a strategy's artifact, trained once a run
postgres   one PostgreSQL server for the whole run of this process
database   an empty database of each kind in turn: a file, and one on that server
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from routeiq.core.database import Database, parse_database
from support.gateway import Gateway, config_for
from support.postgres import PostgresServer
from support.trained import Trained, trained_in
from support.upstream import Upstream


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    """An obedient provider."""
    with Upstream() as server:
        yield server


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, with nothing scripted and nothing recorded."""
    provider.reset()
    return provider


@pytest.fixture(scope="module")
def gateway_config(provider: Upstream) -> dict[str, Any]:
    """What the module's gateway serves: three models, each with one deployment at the provider."""
    return config_for(provider, "gpt-4o", "gpt-4o-mini", "text-embedding-3-small")


@pytest.fixture(scope="module")
def gateway(gateway_config: dict[str, Any]) -> Iterator[Gateway]:
    """The module's gateway, with one worker."""
    with Gateway(gateway_config) as running:
        yield running


@pytest.fixture
def start() -> Iterator[Callable[..., Gateway]]:
    """`start(config, **options)` gives a running `Gateway`."""
    with ExitStack() as stack:
        yield lambda config, **options: stack.enter_context(Gateway(config, **options))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Trained:
    """`trained(strategy)` is its artifact, the same for all workers of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    return trained_in(own if worker_id == "master" else own.parent)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all who leave it running."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database, without a schema."""
    if request.param == "sqlite":
        return tmp_path / "a % b.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return parse_database(server.database())
