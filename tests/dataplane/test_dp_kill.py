"""`kill -9` of each kind of process under load, and a ledger that agrees with its clients and with itself."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from routeiq.core.database import parse_database
from routeiq.ledger.tail import LedgerTail, LedgerUnreadable
from support.gateway import Gateway, config_for
from support.postgres import PostgresServer
from support.upstream import Upstream

ASKED: Any = [{"role": "user", "content": "Hello"}]
ROUNDS = 2


def victim(gateway: Gateway, module: str) -> psutil.Process:
    """A process of this kind, once there is one."""
    end = time.monotonic() + 20
    while True:
        with suppress(psutil.NoSuchProcess):
            for process in gateway.processes():
                if module in process.cmdline():
                    return process
        assert time.monotonic() < end
        time.sleep(0.02)


def supervisor_again(gateway: Gateway) -> None:
    """Kill the supervisor, and start another; those under the old one go by themselves."""
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait(10)
    end = time.monotonic() + 20
    while True:
        gateway.spawn()
        try:
            gateway.wait_ready()
            return
        except RuntimeError:
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_answered_is_lost_or_counted_twice(
    request: pytest.FixtureRequest, provider: Upstream, tmp_path: Path, kind: str
) -> None:
    provider.reset()
    env = {}
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        env["DATABASE_URL"] = server.database()
    ids: list[str] = []
    stop = False
    with Gateway(config_for(provider, "gpt-4o", routeiq={"workers": 2}), directory=tmp_path, env=env) as gateway:

        def load() -> None:
            client = gateway.client(max_retries=0, timeout=2)
            while not stop:
                try:
                    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=ASKED, user="end")
                    ids.append(raw.headers["x-litellm-call-id"])
                except openai.APIError:
                    time.sleep(0.02)

        with ThreadPoolExecutor(3) as pool:
            loads = [pool.submit(load) for _ in range(3)]
            try:
                for _ in range(ROUNDS):
                    for module in ("routeiq.worker", "routeiq.control"):
                        time.sleep(0.4)
                        victim(gateway, module).send_signal(signal.SIGKILL)
                    time.sleep(0.4)
                    supervisor_again(gateway)
            finally:
                stop = True
            for future in loads:
                future.result()
        assert len(ids) > 30
        where = parse_database(env["DATABASE_URL"]) if env else gateway.state_dir / "routeiq.db"
        found: list[str] = []
        end = time.monotonic() + 20
        with closing(LedgerTail(where)) as tail:
            while not set(ids) <= set(found):
                assert time.monotonic() < end, f"{len(set(ids) - set(found))} are missing"
                time.sleep(0.1)
                with suppress(LedgerUnreadable):
                    found += [row["id"] for row in tail.more()]
        assert len(found) == len(set(found))
        report = json.loads(gateway.cli("ledger", "verify", "--json"))
        assert (report["ok"], report["findings"]) == (True, [])
        assert report["rows"] >= len(ids)
