"""A gateway on PostgreSQL: served, kept, read again, started without it, killed under load."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from routeiq.core.database import Postgres, parse_database
from routeiq.ledger.tail import LedgerTail, LedgerUnreadable
from routeiq.ledger.verify import verify
from routeiq.store.database import connect_postgres, engine
from support.gateway import Gateway, config_for
from support.postgres import PASSWORD, QUOTED, PostgresServer
from support.upstream import Upstream

ASKED: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that is stopped and started."""
    with PostgresServer() as made:
        yield made


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def configured(provider: Upstream, **sections: Any) -> dict[str, Any]:
    """A model of OpenAI's, and one of a provider that has no responses of its own."""
    found = config_for(provider, "gpt-4o", **sections)
    there = {"model": "deepseek/deepseek-chat", "api_base": provider.base, "api_key": "sk-x"}
    found["model_list"].append({"model_name": "chat", "litellm_params": there})
    return found


def manages(gateway: Gateway) -> None:
    """Until its control plane is there: workers serve before that."""
    until(lambda: gateway.get("/metrics")[0] == 200)


def ask(gateway: Gateway) -> str:
    """One request; its id in the ledger."""
    raw = gateway.client().chat.completions.with_raw_response.create(model="gpt-4o", messages=ASKED)
    return str(raw.headers["x-litellm-call-id"])


def rows(url: str, count: int, seconds: float = 20.0) -> list[str]:
    """Ids in the ledger, once there are so many."""
    end = time.monotonic() + seconds
    found: list[str] = []
    with closing(LedgerTail(parse_database(url))) as tail:
        while len(found) < count:
            assert time.monotonic() < end, f"{len(found)} of {count}"
            time.sleep(0.1)
            with suppress(LedgerUnreadable):  # the control plane is still making it
                found += [row["id"] for row in tail.more()]
    return found


def health(gateway: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gateway.get("/health/readiness")[2])
    return found


def status(gateway: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gateway.get("/api/v1/routeiq/status")[2])
    return found


def control_of(gateway: Gateway) -> psutil.Process:
    (found,) = [item for item in gateway.processes() if "routeiq.control" in item.cmdline()]
    return found


def test_served_kept_and_read_again(postgres: PostgresServer, provider: Upstream, tmp_path: Path) -> None:
    provider.reset()
    url = postgres.database()
    config = configured(provider, general_settings={"database_url": "os.environ/DATABASE_URL"})
    with Gateway(config, directory=tmp_path, env={"DATABASE_URL": url}) as gateway:
        manages(gateway)
        first = ask(gateway)
        kept = gateway.client().responses.create(model="chat", input="Hello")
        rows(url, 2)
        for item in gateway.processes():
            assert "hunter2" not in " ".join(item.cmdline())
        until(lambda: health(gateway)["db"] == "connected")
        told = status(gateway)
        assert told["database"] == {
            "where": str(parse_database(url)), "connected": True, "trouble": None
        }  # fmt: skip
        assert told["ledger"]["newest"] == 2
        assert gateway.metrics()["routeiq_ledger_up"] == 1
        lines = [json.loads(line) for line in gateway.cli("requests", "tail", "--json").splitlines()]
        assert lines[0]["id"] == first
        assert first[:8] not in gateway.cli("requests", "tail")
        page = json.loads(gateway.get("/api/v1/routeiq/requests?model=gpt-4o%00")[2])
        assert page["data"] == []
        assert [row["seq"] for row in json.loads(gateway.get("/api/v1/routeiq/requests")[2])["data"]] == [2, 1]
        gateway.stop()
        gateway.start()
        manages(gateway)
        again = gateway.client().responses.create(model="chat", input="Again", previous_response_id=kept.id)
        assert gateway.client().responses.retrieve(kept.id).output_text == kept.output_text
        assert gateway.client().responses.retrieve(again.id).previous_response_id == kept.id
        assert gateway.get("/v1/responses/resp_%00")[0] == 404
        ask(gateway)
        assert len(rows(url, 4)) >= 4
        assert "hunter2" not in gateway.logs()
        assert PASSWORD not in gateway.logs()
    assert not (gateway.state_dir / "routeiq.db").exists()


def test_started_without_it(server: PostgresServer, provider: Upstream) -> None:
    provider.reset()
    url = server.database()
    server.stop()
    try:
        with Gateway(configured(provider), env={"DATABASE_URL": url}) as gateway:
            ids = [ask(gateway) for _ in range(5)]
            assert health(gateway)["db"] == "Not connected"
            manages(gateway)
            until(lambda: gateway.metrics()["routeiq_journal_backlog_bytes"] > 0)
            assert gateway.metrics()["routeiq_ledger_up"] == 0
            told = status(gateway)
            assert told["database"]["connected"] is False
            assert "refused" in told["database"]["trouble"]
            assert told["ledger"]["newest"] is None
            code, _, body = gateway.get("/api/v1/routeiq/requests")
            assert (code, json.loads(body)["error"]["code"]) == (503, "database_unavailable")
            code, _, body = gateway.get("/v1/responses/resp_x")
            assert code == 503, body
            raw = gateway.client().responses.with_raw_response.create(model="chat", input="Hello")
            ids.append(raw.headers["x-litellm-call-id"])
            assert "a response was not kept" in gateway.logs()
            assert "can't be reached" in gateway.cli("requests", "tail", check=False) + gateway.logs()
            server.start()
            assert sorted(rows(url, 6)) == sorted(ids)
            until(lambda: health(gateway)["db"] == "connected")
            assert gateway.get("/api/v1/routeiq/requests")[0] == 200
            server.stop()
            until(lambda: health(gateway)["db"] == "Not connected")
            more = ask(gateway)
            gateway.stop()
            server.start()
            gateway.start()
            assert sorted(rows(url, 7)) == sorted([*ids, more])
            assert "hunter2" not in gateway.logs()
            assert QUOTED not in gateway.logs()
    finally:
        server.stop()
        server.start()


def test_killed_under_load_with_a_server_that_stops(server: PostgresServer, provider: Upstream) -> None:
    provider.reset()
    url = server.database()
    with Gateway(configured(provider), env={"DATABASE_URL": url}) as gateway:
        ids: list[str] = []
        stop = False

        def load() -> None:
            while not stop:
                ids.append(ask(gateway))

        with ThreadPoolExecutor(3) as pool:
            loads = [pool.submit(load) for _ in range(3)]
            try:
                for number in range(4):
                    time.sleep(0.5)
                    control_of(gateway).send_signal(signal.SIGKILL)
                    time.sleep(0.3)
                    server.stop(signal.SIGQUIT if number % 2 else signal.SIGINT)
                    time.sleep(0.3)
                    server.start()
                    until(lambda: sum("routeiq.control" in item.cmdline() for item in gateway.processes()) == 1)
            finally:
                stop = True
            for future in loads:
                future.result()
        assert sorted(rows(url, len(ids))) == sorted(ids)
        assert len(ids) > 50
        report = json.loads(gateway.cli("ledger", "verify", "--json"))
        assert (report["ok"], report["rows"]) == (True, len(ids))


def test_two_gateways_share_it(postgres: PostgresServer, provider: Upstream) -> None:
    provider.reset()
    url = postgres.database()
    config = configured(provider)
    with (
        Gateway(config, env={"DATABASE_URL": url}) as one,
        Gateway(config, env={"DATABASE_URL": url}) as other,
    ):
        manages(one)
        manages(other)
        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(ask, [one, other] * 40))
        assert sorted(rows(url, 80)) == sorted(ids)
        kept = one.client().responses.create(model="chat", input="Hello")
        assert other.client().responses.retrieve(kept.id).output_text == kept.output_text
    database = parse_database(url)
    assert isinstance(database, Postgres)
    with connect_postgres(database) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT seq), max(seq) FROM event_rows").fetchone()
    assert found == (81, 81, 81)
    opened = engine(database)
    report = verify(opened)
    opened.dispose()
    assert (report.findings, report.added_up) == ([], 81)


def test_a_reload_tells_no_password(server: PostgresServer, provider: Upstream) -> None:
    url = server.database()
    config = configured(provider)
    with Gateway({**config, "general_settings": {"database_url": url}}) as gateway:
        gateway.reload({**config, "general_settings": {"database_url": server.database()}})
        until(lambda: "database_url changed, which takes a restart" in gateway.logs())
        assert "hunter2" not in gateway.logs()


def test_a_key_deleted_at_one_gateway_is_gone_at_the_other(postgres: PostgresServer, provider: Upstream) -> None:
    provider.reset()
    env = {"DATABASE_URL": postgres.database()}
    config = config_for(provider, "gpt-4o")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    with Gateway(config, env=env) as one, Gateway(config, env=env) as other:

        def manage(path: str, **fields: Any) -> Any:
            end = time.monotonic() + 20
            while True:
                status, _, answer = one.call(path, fields)
                if status != 503:
                    assert status == 200, answer
                    return json.loads(answer)
                assert time.monotonic() < end
                time.sleep(0.1)

        def within(seconds: float, key: str, wanted: int) -> None:
            end = time.monotonic() + seconds
            while other.call("/v1/chat/completions", body, key=key)[0] != wanted:
                assert time.monotonic() < end
                time.sleep(0.1)

        key = manage("/key/generate", team_id=manage("/team/new")["team_id"])["key"]
        team = manage("/key/generate")["key"]
        within(20, key, 200)
        within(5, team, 200)
        time.sleep(1.5)
        manage("/key/block", key=key)
        within(5, key, 403)
        manage("/key/delete", keys=[team])
        within(5, team, 401)
        # What was changed while its control plane was away.
        last = manage("/key/generate")["key"]
        within(5, last, 200)
        control = next(it for it in other.processes() if "routeiq.control" in " ".join(it.cmdline()))
        control.send_signal(signal.SIGKILL)
        manage("/key/delete", keys=[last])
        within(20, last, 401)
