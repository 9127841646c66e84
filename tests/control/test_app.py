"""The control plane's application: access, errors, endpoints."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from routeiq.control.access import OPERATIONS, Access
from routeiq.control.app import create_app
from routeiq.control.endpoints import routes
from routeiq.control.plane import Plane
from routeiq.control.routes import Guarded, Route
from routeiq.core.counters import GAUGE, CounterTable
from routeiq.core.keys import Key, ModelRule
from routeiq.core.snapshot import Auth, Deployment, Group, Snapshot
from routeiq.ledger.event import Event, encode_line
from routeiq.ledger.ingest import Ingester
from routeiq.ledger.target import opener
from routeiq.observe.metrics import series
from routeiq.store.a2a_tasks import A2aTaskRepository
from routeiq.store.accounts import Accounts
from routeiq.store.database import connect, database_path, engine
from routeiq.store.decisions import DecisionRepository
from routeiq.store.feedback import FeedbackRepository
from routeiq.store.lookup import Lookup
from routeiq.store.migrate import migrate
from routeiq.store.records import VirtualKey
from routeiq.store.requests import RequestRepository
from routeiq.store.responses import ResponseRepository
from routeiq.store.spend import SpendRepository


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


MASTER, STATIC, VIRTUAL, BLOCKED, EXPIRED = "sk-master-1", "sk-static-1", "sk-virtual-1", "sk-blocked-1", "sk-expired-1"
STRANGER = "sk-unknown-1"


@dataclass
class Fixture:
    plane: Plane
    client: TestClient
    state: Path

    def get(self, path: str, key: str | None = MASTER, **headers: str) -> tuple[int, Any]:
        fields = dict(headers)
        if key is not None:
            fields["Authorization"] = f"Bearer {key}"
        answer = self.client.get(path, headers=fields)
        body = answer.json() if "json" in answer.headers.get("content-type", "") else answer.text
        return answer.status_code, body

    def set_auth(self, **auth: Any) -> None:
        self.plane.snapshot = snapshot(**auth)


def snapshot(**auth: Any) -> Snapshot:
    keys = (
        Key(id=sha(STATIC), rules=(ModelRule(kind="key", models=("gpt-*",)),)),
        Key(id=sha(BLOCKED), blocked=True, admin=True),
        Key(id=sha(EXPIRED), expires=1.0, admin=True),
    )
    settings = {"master_key": sha(MASTER), "keys": {key.id: key for key in keys}, "lookup": True, **auth}
    return Snapshot(
        revision="abc",
        created=0.0,
        deployments=(
            Deployment(id="d1", group="gpt-4o", provider="openai", model="gpt-4o", litellm_model="openai/gpt-4o"),
            Deployment(id="d2", group="claude", provider="anthropic", model="c", litellm_model="anthropic/c"),
        ),
        groups={"gpt-4o": Group(name="gpt-4o", deployments=(0,)), "claude": Group(name="claude", deployments=(1,))},
        auth=Auth(**settings),
    )


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Fixture]:
    migrate(database_path(tmp_path))
    database = engine(database_path(tmp_path))
    accounts = Accounts(database)
    with accounts.write() as db:
        db.keys.put(VirtualKey(digest=sha(VIRTUAL), alias="virtual"))
    plane = Plane(
        CounterTable(tmp_path, column=0, columns=3),
        Lookup(database),
        accounts,
        RequestRepository(database),
        ResponseRepository(database),
        A2aTaskRepository(database),
        SpendRepository(database),
        DecisionRepository(database),
        FeedbackRepository(database),
        snapshot(),
    )
    with TestClient(create_app(plane), raise_server_exceptions=False) as client:
        yield Fixture(plane, client, tmp_path)


def test_every_route_declares_its_access(control: Fixture) -> None:
    app = control.client.app
    declared = {(route.method, route.path) for route in routes(control.plane, app)}  # type: ignore[arg-type]
    found = set()
    for route in app.routes:  # type: ignore[attr-defined]
        assert isinstance(route, Guarded), f"{route} did not come from the table"
        found |= {(method, route.path) for method in route.methods or ()}
    assert found == declared


def test_the_matrix_of_keys_and_routes(control: Fixture) -> None:
    control.set_auth()

    def ask(route: Route, key: str | None) -> int:
        fields = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return control.client.request(route.method, route.path, headers=fields, content=b"{").status_code

    for route in routes(control.plane, control.client.app):  # type: ignore[arg-type]
        if route.access in (Access.INTERNAL, Access.MANAGE):
            continue
        for key in (None, STRANGER, EXPIRED, "", "sk-master-1x", sha(MASTER)):
            assert ask(route, key) == 401, (route.path, key)
        assert ask(route, BLOCKED) == 403
        for key in (STATIC, VIRTUAL):
            refused = ask(route, key) == 403
            if route.access is Access.MANAGE:
                assert refused == ("service" not in OPERATIONS[route.operation]), (route.path, key)
            else:
                assert refused == (route.access is not Access.KEY), (route.path, key)
        assert ask(route, MASTER) not in (401, 403)


@pytest.mark.parametrize("host", ["", "evil", "localhost/health", "a?b", "a#/health", "[::1", "x/internal/keys/"])
@pytest.mark.parametrize("path", ["/metrics", "/api/v1/routeiq/requests", "/openapi.json"])
def test_no_host_header_changes_who_may(control: Fixture, host: str, path: str) -> None:
    assert control.get(path, STATIC, Host=host)[0] == 403
    assert control.get(path, None, Host=host)[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "//metrics",
        "/metrics/",
        "/METRICS",
        "/metrics;x",
        "/x/%2e%2e/metrics",
        "/%2e/metrics",
        "/metrics%00",
        "/docs",
        "/redoc",
    ],
)
def test_spellings_of_a_path_are_other_paths(control: Fixture, path: str) -> None:
    status, body = control.get(path, None)
    assert status == 404
    assert body["error"]["code"] == "not_found"


def test_the_three_headers_and_a_configured_one(control: Fixture) -> None:
    for headers in (
        {"authorization": f"bearer {MASTER}"},
        {"Authorization": MASTER},
        {"x-api-key": MASTER},
        {"api-key": MASTER},
        {"x-litellm-api-key": f"Bearer {MASTER}", "Authorization": "Bearer another's"},
    ):
        assert control.get("/metrics", None, **headers)[0] == 200
    control.set_auth(key_header="x-own")
    assert control.get("/metrics", None, **{"X-Own": f"Bearer {MASTER}"})[0] == 200
    assert control.get("/metrics", MASTER, **{"X-Own": STATIC})[0] == 403


def test_fails_closed_before_the_first_snapshot_and_when_keys_cannot_be_read(control: Fixture) -> None:
    control.plane.snapshot = None
    status, body = control.get("/metrics")
    assert status == 503
    assert body["error"]["code"] == "starting"
    control.set_auth()
    connect(database_path(control.state)).execute("DROP TABLE virtual_keys")
    status, body = control.get("/health", VIRTUAL)
    assert status == 503
    assert body["error"]["code"] == "database_unavailable"
    assert "virtual_keys" not in json.dumps(body)
    assert control.get("/health", STATIC)[0] == 200


def test_without_lookup_only_the_configuration_counts(control: Fixture) -> None:
    control.set_auth(lookup=False)
    assert control.get("/health", VIRTUAL)[0] == 401
    control.set_auth(lookup=False, master_key=None, keys={})
    assert control.get("/health", MASTER)[0] == 401
    assert control.get("/metrics", MASTER)[0] == 403
    control.set_auth(open=True)
    assert control.get("/metrics", None)[0] == 200


def test_an_open_gateway_can_be_looked_at_only(control: Fixture) -> None:
    control.set_auth(open=True, lookup=False, master_key=None, keys={})
    for route in routes(control.plane, control.client.app):  # type: ignore[arg-type]
        if route.access is not Access.INTERNAL:
            answer = control.client.request(route.method, route.path)
            if route.open or route.access is Access.KEY:
                assert answer.status_code == 200, route
            else:
                assert answer.status_code == 403, route
                assert answer.json()["error"]["code"] == "control_plane_not_configured"


def test_public_metrics_are_only_metrics(control: Fixture) -> None:
    control.set_auth(metrics_public=True)
    assert control.get("/metrics", None)[0] == 200
    assert control.get("/health", None)[0] == 401


def test_errors_have_one_shape(control: Fixture) -> None:
    for answer in (
        control.client.get("/nothing"),
        control.client.post("/metrics"),
        control.client.get("/metrics"),
        control.client.get("/api/v1/routeiq/requests?limit=x", headers={"x-api-key": MASTER}),
        control.client.get("/api/v1/routeiq/requests?before=99999999999999999999", headers={"x-api-key": MASTER}),
        control.client.get(f"/internal/keys/{sha('no')}"),
    ):
        assert answer.status_code in (400, 401, 404, 405)
        assert set(answer.json()) == {"error"}
        assert {"message", "type", "param", "code"} <= set(answer.json()["error"])
        assert isinstance(answer.json()["error"]["code"], str)
    missing = control.get("/metrics", None)[1]["error"]
    assert missing["message"] == "Authentication Error, No api key passed in."
    assert missing["type"] == "auth_error"


def test_keys_for_workers(control: Fixture) -> None:
    status, body = control.get(f"/internal/keys/{sha(VIRTUAL)}", None)
    assert status == 200
    assert body == {"id": sha(VIRTUAL), "name": "virtual", "subjects": [{"kind": "key", "id": sha(VIRTUAL)}]}
    assert control.get(f"/internal/keys/{sha(STRANGER)}", None)[0] == 404
    assert control.get(f"/internal/keys/{sha(VIRTUAL).upper()}", None)[0] == 404
    for path in ("/%69nternal/keys/", "/internal%2fkeys/", "/Internal/keys/"):
        assert control.get(path + sha(VIRTUAL), None)[0] == 404
        assert control.get(path + sha(VIRTUAL), MASTER)[0] == 404


def test_health_follows_the_workers(control: Fixture) -> None:
    worker = CounterTable(control.state, column=1, columns=3)
    held = worker.slot(series("routeiq_deployment_unavailable", deployment="d2", reason="cooldown"), GAUGE)
    worker.cells[held] = 1
    worker.cells[worker.slot(series("routeiq_deployment_attempts_total", deployment="d1", outcome="ok"))] = 4
    _, body = control.get("/health")
    assert (body["healthy_count"], body["unhealthy_count"]) == (1, 1)
    assert body["healthy_endpoints"][0]["model"] == "openai/gpt-4o"
    assert body["healthy_endpoints"][0]["attempts"] == {"ok": 4}
    assert body["unhealthy_endpoints"][0]["error"] == "cooldown in 1 workers"
    worker.cells[held] = 0
    assert control.get("/health")[1]["unhealthy_count"] == 0
    assert control.get("/health", STATIC)[1]["healthy_count"] == 1
    assert control.get("/health?model=claude")[1]["healthy_count"] == 1
    assert control.get("/health?model=claude", STATIC)[1]["healthy_count"] == 0


def test_requests_and_status(control: Fixture) -> None:
    journal = control.state / "journal"
    journal.mkdir()
    lines = [encode_line(Event(id=f"i{number}", at=number, model="m", tags=("t",))) for number in range(5)]
    (journal / "w1-1-1-0.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    ingester = Ingester(journal, opener(database_path(control.state)))
    ingester.drain(5)
    ingester.close()
    _, page = control.get("/api/v1/routeiq/requests?limit=2&model=m")
    assert [row["id"] for row in page["data"]] == ["i4", "i3"]
    assert page["data"][0]["tags"] == ["t"]
    _, page = control.get(f"/api/v1/routeiq/requests?limit=9&before={page['next']}")
    assert [row["id"] for row in page["data"]] == ["i2", "i1", "i0"]
    assert page["next"] is None
    _, status = control.get("/api/v1/routeiq/status")
    assert status["ledger"]["newest"] == 5
    assert status["workers"] == 2


def test_ten_thousand_wildcards_are_answered_at_once(control: Fixture) -> None:
    begin = time.monotonic()
    assert control.get("/api/v1/routeiq/requests?model=" + "%25" * 10_000)[0] == 200
    assert time.monotonic() - begin < 0.5


def test_the_description_lists_no_internal_route(control: Fixture) -> None:
    _, body = control.get("/openapi.json")
    assert "/health" in body["paths"]
    assert not any(path.startswith("/internal") for path in body["paths"])
