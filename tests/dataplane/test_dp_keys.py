"""Keys: who may call, how often, for how much; keys only the control plane knows."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from routeiq.core.keys import Key, ModelRule, Subject
from support.gateway import config_for, deployment
from support.raw import request
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
Serve = Callable[[dict[str, Any]], Worker]
_number = iter(range(10_000))


def secret() -> str:
    """A key nobody has used: what it used is kept under its hash."""
    return f"sk-test-{next(_number):08d}"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def with_keys(
    upstream: Upstream, *keys: dict[str, Any], models: tuple[str, ...] = ("gpt-4o",), **own: Any
) -> dict[str, Any]:
    return config_for(
        upstream,
        *models,
        routeiq={"keys": [{"name": f"k{n}", **key} for n, key in enumerate(keys)], **own},
    )


def ask(worker: Worker, key: str, **changes: Any) -> tuple[int, dict[str, str], Any]:
    status, headers, body = worker.call("/v1/chat/completions", {**BODY, **changes}, key=key)
    return status, headers, json.loads(body)


def many(worker: Worker, key: str, count: int, **changes: Any) -> list[int]:
    body = request(body={**BODY, **changes}, key=key)
    clients = [worker.raw(20) for _ in range(count)]
    for client in clients:
        client.send(body)
    out = [client.response().status for client in clients]
    for client in clients:
        client.close()
    return out


def test_static_keys(running: Worker, upstream: Upstream) -> None:
    by_env, by_hash = secret(), secret()
    running.env = {"CI_KEY": by_env}
    try:
        keys = [
            {"name": "ci", "key": "os.environ/CI_KEY", "tags": ["a", "b"]},
            {"name": "hashed", "hash": digest(by_hash)},
        ]
        running.serve(config_for(upstream, "gpt-4o", routeiq={"keys": keys}))
        running.forget()
        assert ask(running, by_env)[0] == 200
        assert ask(running, by_hash, user="end-user-1")[0] == 200
        assert ask(running, digest(by_hash))[0] == 401
        first, second = running.wait_events(2)
        assert (first["key"], first["key_name"], first["tags"]) == (digest(by_env), "ci", ["a", "b"])
        assert (second["key"], second["key_name"], second["user"]) == (digest(by_hash), "hashed", "end-user-1")
        text = json.dumps(running.all_events())
        assert by_env not in text
        assert by_hash not in text
    finally:
        running.env = {}


def test_blocked_and_expired(serve: Serve, upstream: Upstream) -> None:
    blocked, expired, future = secret(), secret(), secret()
    worker = serve(
        with_keys(
            upstream,
            {"key": blocked, "blocked": True},
            {"key": expired, "expires": "2020-01-01"},
            {"key": future, "expires": "2199-01-01T00:00:00Z"},
        )
    )
    status, _, body = ask(worker, blocked)
    assert (status, body["error"]["code"]) == (403, "key_blocked")
    status, _, body = ask(worker, expired)
    assert (status, body["error"]["code"]) == (401, "expired_key")
    assert ask(worker, future)[0] == 200
    assert len(upstream.requests) == 1
    assert worker.call("/v1/models", key=blocked)[0] == 403
    assert worker.call("/v1/models", key=expired)[0] == 401


def test_a_key_that_expires_while_in_use(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    worker = serve(with_keys(upstream, {"key": key, "expires": at}))
    assert ask(worker, key)[0] == 200
    time.sleep(2)
    assert ask(worker, key)[0] == 401


def test_models_by_pattern(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    names = ("gpt-4o", "gpt-4o-mini", "o3", "claude")
    config = with_keys(upstream, {"key": key, "models": ["gpt-*", "o3"]}, models=names)
    config["model_list"].append(deployment(upstream, "open/*", "*"))
    worker = serve(config)
    assert [ask(worker, key, model=name)[0] for name in names] == [200, 200, 200, 403]
    assert ask(worker, key, model="open/gpt-4o")[0] == 403
    assert ask(worker, key, model="GPT-4o")[0] == 404
    assert {model["id"] for model in json.loads(worker.call("/v1/models", key=key)[2])["data"]} == set(names[:3])
    info = json.loads(worker.call("/v1/model/info", key=key)[2])["data"]
    assert {item["model_name"] for item in info} == set(names[:3])


def test_requests_a_minute_exactly(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(with_keys(upstream, {"key": key, "rpm": 25}))
    upstream.always(Script(delay=0.02))
    assert Counter(many(worker, key, 100)) == {200: 25, 429: 75}
    assert len(upstream.requests) == 25
    assert len(worker.wait_events(100)) == 100


def test_tokens_a_minute(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(with_keys(upstream, {"key": key, "tpm": 300}))
    got = []
    for _ in range(60):
        status, headers, body = ask(worker, key, max_tokens=20)
        got.append(status)
        if status == 429:
            break
        assert int(headers["x-ratelimit-remaining-tokens"]) >= 0
    assert got[-1] == 429
    assert 1 <= int(headers["retry-after"]) <= 65
    assert 300 - 60 <= 11 * got.count(200) <= 300
    status, headers, body = ask(worker, key, max_tokens=1000)
    assert status == 429
    assert "retry-after" not in headers  # never will there be so many
    assert "1000" in body["error"]["message"] or "needs about" in body["error"]["message"]


def test_parallel_requests_exactly(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(with_keys(upstream, {"key": key, "max_parallel_requests": 4}))
    upstream.always(Script(delay=0.2))
    assert Counter(many(worker, key, 12)) == {200: 4, 429: 8}
    upstream.always(Script(status=500))
    many(worker, key, 4)
    upstream.always(Script(tokens=500, interval=0.02))
    clients = [worker.raw() for _ in range(4)]
    for client in clients:
        client.send(request(body={**BODY, "stream": True}, key=key))
        assert client.more()
    assert ask(worker, key)[0] == 429
    for client in clients:
        client.close()
    time.sleep(0.1)
    upstream.always(None)
    upstream.script(*[Script(delay=0.1)] * 4)
    assert Counter(many(worker, key, 4)) == {200: 4}


def test_a_refused_request_takes_nothing(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(with_keys(upstream, {"key": key, "rpm": 3, "tpm": 100, "max_parallel_requests": 5, "max_budget": 1}))
    assert [ask(worker, key, max_tokens=10_000)[0] for _ in range(10)] == [429] * 10
    assert [ask(worker, key)[0] for _ in range(3)] == [200] * 3
    assert ask(worker, key)[0] == 429


def priced(upstream: Upstream, *keys: dict[str, Any], **own: Any) -> dict[str, Any]:
    """3 words in are 3 tokens of 1 millidollar, 8 tokens out of 2: an answer costs 19 millidollars."""
    models = [deployment(upstream, "gpt-4o", input_cost_per_token=0.001, output_cost_per_token=0.002)]
    return {"model_list": models, "routeiq": {"keys": [{"name": f"k{n}", **key} for n, key in enumerate(keys)], **own}}


COST = 19_000_000


def test_a_budget(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(priced(upstream, {"key": key, "max_budget": 0.1, "budget_duration": "1d"}))
    got = []
    for _ in range(12):
        got.append(ask(worker, key))
        if got[-1][0] != 200:
            break
    status, _, body = got[-1]
    assert status == 422
    assert body["error"]["type"] == "budget_exceeded"
    assert "Max budget: 0.1" in body["error"]["message"]
    spent = float(got[-2][1]["x-litellm-key-spend"])
    assert spent == pytest.approx(0.019 * (len(got) - 1))
    assert 0.076 <= spent <= 0.1
    assert worker.wait_events(len(got))[-1]["error"] == "budget"


def test_the_status_of_a_spent_budget(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(priced(upstream, {"key": key, "max_budget": 0.0001}, budget_exceeded_status=429))
    assert ask(worker, key)[0] == 429


def test_a_burst_against_a_budget(serve: Serve, upstream: Upstream) -> None:
    """200 at once against a budget for ten: none too many, and no more refused than the estimate is off."""
    key = secret()
    worker = serve(priced(upstream, {"key": key, "max_budget": 0.19 + 0.06}))
    upstream.always(Script(delay=0.05))
    got = Counter(many(worker, key, 200, max_tokens=8))
    assert set(got) == {200, 422}
    spent = sum(event.get("cost") or 0 for event in worker.wait_events(200))
    assert spent == got[200] * COST
    assert spent <= 250_000_000
    assert got[200] >= 5
    while ask(worker, key, max_tokens=8)[0] == 200:
        got[200] += 1
    assert 10 <= got[200] <= 13
    assert got[200] * COST <= 250_000_000


def test_failures_cost_nothing(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(priced(upstream, {"key": key, "max_budget": 0.07}))
    upstream.always(Script(status=400))
    assert [ask(worker, key, max_tokens=8)[0] for _ in range(20)] == [400] * 20
    upstream.always(None)
    assert ask(worker, key, max_tokens=8)[0] == 200


def test_a_negative_size_does_not_widen_a_budget(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    worker = serve(priced(upstream, {"key": key, "max_budget": 0.0001}))
    for size in (-1, -(10**6), -(10**12)):
        assert ask(worker, key, max_tokens=size)[0] == 422
    assert upstream.requests == []


def test_unpriced_models_and_budgets(serve: Serve, upstream: Upstream) -> None:
    key, free = secret(), secret()
    for policy, expected in (("allow", 200), ("reject", 403)):
        worker = serve(
            with_keys(
                upstream,
                {"key": key, "max_budget": 1},
                {"key": free},
                models=("no-such-model",),
                unpriced_models=policy,
            )
        )
        assert ask(worker, key, model="no-such-model")[0] == expected
        assert ask(worker, free, model="no-such-model")[0] == 200


def test_limits_survive_a_reload(serve: Serve, upstream: Upstream) -> None:
    key = secret()
    config = with_keys(upstream, {"key": key, "rpm": 3})
    worker = serve(config)
    assert [ask(worker, key)[0] for _ in range(2)] == [200] * 2
    worker = serve({**config, "router_settings": {"num_retries": 1}})
    assert [ask(worker, key)[0] for _ in range(2)] == [200, 429]
    worker = serve(with_keys(upstream, {"key": key, "rpm": 4}))
    assert [ask(worker, key)[0] for _ in range(2)] == [200, 429]
    worker = serve(with_keys(upstream, {"key": secret()}))
    assert ask(worker, key)[0] == 401


def test_an_open_gateway(upstream: Upstream) -> None:
    with Worker(config_for(upstream, "gpt-4o"), key=None) as worker:
        status, headers, _ = worker.call("/v1/chat/completions", BODY, key=None)
        assert status == 200
        assert "x-litellm-key-spend" not in headers
        assert worker.call("/v1/chat/completions", BODY, key="whatever")[0] == 200
        assert worker.call("/v1/models", key=None)[0] == 200
        assert [event.get("key", "") for event in worker.wait_events(2)] == ["", ""]


# --- keys of the database


class Control:
    """The control plane's answers about keys, on its Unix socket."""

    def __init__(self, worker: Worker) -> None:
        self.keys: dict[str, Key] = {}
        self.asked: list[str] = []
        self.connections: list[socket.socket] = []
        self.delay = 0.0
        self.answer: bytes | None = None
        self.path = worker.control
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.connections.append(connection)
        with connection:
            while head := connection.recv(65536):
                path = head.split(b" ")[1].decode()
                assert path.startswith("/internal/keys/")
                self.asked.append(path.removeprefix("/internal/keys/"))
                time.sleep(self.delay)
                if self.answer is not None:
                    connection.sendall(self.answer)
                    return
                key = self.keys.get(self.asked[-1])
                body = msgspec.json.encode(key) if key is not None else b"{}"
                status = b"200 OK" if key is not None else b"404 Not Found"
                connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    def close(self) -> None:
        self.listener.close()
        self.path.unlink(missing_ok=True)
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def control(running: Worker) -> Iterator[Control]:
    made = Control(running)
    yield made
    made.close()


def looking_up(upstream: Upstream) -> dict[str, Any]:
    return config_for(upstream, "gpt-4o", "gpt-4o-mini", routeiq={"key_lookup": True})


def test_a_key_is_asked_for_once(serve: Serve, upstream: Upstream, control: Control) -> None:
    key, unknown = secret(), secret()
    worker = serve(looking_up(upstream))
    control.keys[digest(key)] = Key(
        id=digest(key), name="stored", rules=(ModelRule(kind="key", models=("gpt-4o",)),), tags=("t",)
    )
    assert [ask(worker, key)[0] for _ in range(3)] == [200] * 3
    assert ask(worker, key, model="gpt-4o-mini")[0] == 403
    assert [ask(worker, unknown)[0] for _ in range(3)] == [401] * 3
    assert control.asked == [digest(key), digest(unknown)]
    event = worker.wait_events(1)[0]
    assert (event["key"], event["key_name"], event["tags"]) == (digest(key), "stored", ["t"])
    assert worker.call("/v1/models", key=key)[0] == 200
    assert worker.call("/v1/models", key=unknown)[0] == 401
    assert len(control.asked) == 2
    assert ask(worker, worker.key or "")[0] == 200
    assert len(control.asked) == 2


def test_simultaneous_requests_ask_once(serve: Serve, upstream: Upstream, control: Control) -> None:
    key = secret()
    worker = serve(looking_up(upstream))
    control.keys[digest(key)] = Key(
        id=digest(key), name="stored", subjects=(Subject(kind="key", id=digest(key), rpm=30),)
    )
    control.delay = 0.1
    assert Counter(many(worker, key, 40)) == {200: 30, 429: 10}
    assert control.asked == [digest(key)]


def test_changed_keys_are_asked_for_again(serve: Serve, upstream: Upstream, control: Control) -> None:
    key, late = secret(), secret()
    worker = serve(looking_up(upstream))
    control.keys[digest(key)] = Key(id=digest(key), name="stored")
    assert ask(worker, key)[0] == 200
    assert ask(worker, late)[0] == 401
    control.keys[digest(key)] = Key(id=digest(key), name="stored", blocked=True)
    control.keys[digest(late)] = Key(id=digest(late), name="late")
    assert ask(worker, key)[0] == 200
    worker.invalidate(digest(key))
    time.sleep(0.05)
    assert ask(worker, key)[0] == 403
    assert ask(worker, late)[0] == 401
    worker.invalidate()
    time.sleep(0.05)
    assert ask(worker, late)[0] == 200


def test_a_key_that_moves_is_accounted_for_where_it_is(serve: Serve, upstream: Upstream, control: Control) -> None:
    key = secret()
    worker = serve(looking_up(upstream))
    common = {"id": digest(key), "name": "stored", "user_id": "u1", "organization_id": "o1"}
    control.keys[digest(key)] = Key(**common, team_id="t1")
    worker.forget()
    ask(worker, key)
    ask(worker, key, user="end")
    control.keys[digest(key)] = Key(**common, team_id="t2")
    worker.invalidate(digest(key))
    ask(worker, key)
    found = worker.wait_events(3)
    assert [(event["user_id"], event["team_id"], event["organization_id"]) for event in found] == [
        ("u1", "t1", "o1"), ("u1", "t1", "o1"), ("u1", "t2", "o1")
    ]  # fmt: skip
    assert [event.get("user", "") for event in found] == ["", "end", ""]


def test_a_key_revoked_while_it_is_looked_up(serve: Serve, upstream: Upstream, control: Control) -> None:
    key = secret()
    worker = serve(looking_up(upstream))
    control.keys[digest(key)] = Key(id=digest(key), name="stored")
    control.delay = 0.2
    with worker.raw() as client:
        client.send(request(body=BODY, key=key))
        while not control.asked:
            time.sleep(0.01)
        worker.invalidate(digest(key))
        time.sleep(0.02)
        client.response()
    control.delay = 0.0
    del control.keys[digest(key)]
    assert ask(worker, key)[0] == 401


def test_without_the_control_plane_nobody_new_gets_in(serve: Serve, upstream: Upstream, control: Control) -> None:
    key, other = secret(), secret()
    worker = serve(looking_up(upstream))
    control.keys[digest(key)] = control.keys[digest(other)] = Key(id=digest(key), name="stored")
    assert ask(worker, key)[0] == 200
    for answer in (
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{x}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"junk",
        b"",
    ):
        control.answer = answer
        status, headers, body = ask(worker, other)
        assert (status, body["error"]["code"]) == (503, "key_lookup_unavailable"), answer
        assert headers["retry-after"] == "1"
        assert worker.call("/v1/models", key=other)[0] == 503
    control.close()
    assert ask(worker, other)[0] == 503
    assert ask(worker, key)[0] == 200  # known for a minute
    assert ask(worker, worker.key or "")[0] == 200
    assert len(upstream.requests) == 3


def test_an_answer_about_another_key_is_none(serve: Serve, upstream: Upstream, control: Control) -> None:
    key, other = secret(), secret()
    worker = serve(looking_up(upstream))
    control.keys[digest(other)] = Key(id=digest(key), name="stored", admin=True)
    assert ask(worker, other)[0] == 401


def test_a_client_that_leaves_while_its_key_is_looked_up(serve: Serve, upstream: Upstream, control: Control) -> None:
    key = secret()
    worker = serve(looking_up(upstream))
    control.keys[digest(key)] = Key(id=digest(key), name="stored")
    control.delay = 0.2
    with worker.raw() as client:
        client.send(request(body=BODY, key=key))
        while not control.asked:
            time.sleep(0.01)
    time.sleep(0.3)
    assert upstream.requests == []
    worker.settled()
    control.delay = 0.0
    assert ask(worker, key)[0] == 200


def test_it_is_still_well_after_all_that(worker: Worker) -> None:
    assert worker.call("/v1/chat/completions", BODY)[0] == 200
    worker.settled()
    assert "Traceback" not in worker.logs()
