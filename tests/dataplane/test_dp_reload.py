"""Change and end without loss: reloads under load, refused Snapshots, drains, a journal that is full."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from routeiq.core.messages import Ready, Refused
from support.gateway import config_for, deployment
from support.raw import request
from support.upstream import Script, Upstream
from support.worker import Worker

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}


@pytest.fixture
def own(upstream: Upstream) -> Iterator[Worker]:
    """A worker that may be spoilt."""
    with Worker(config_for(upstream, "gpt-4o", routeiq={"limits": {"drain_notice": 0.3}})) as worker:
        yield worker


def test_reloads_under_load(own: Worker, upstream: Upstream) -> None:
    upstream.always(Script(delay=0.005, interval=0.005))
    configs = [config_for(upstream, "gpt-4o", f"other-{n}", router_settings={"num_retries": n % 3}) for n in range(4)]
    snapshots = [own.snapshot(config) for config in configs]
    revisions = {snapshot.revision for snapshot in snapshots}
    assert len(revisions) == 4
    stop = threading.Event()
    statuses: Counter[int] = Counter()
    cut = 0

    def load(stream: bool) -> None:
        nonlocal cut
        body = request(body={**BODY, "stream": stream}, key=own.key)
        with own.raw() as client:
            while not stop.is_set():
                client.send(body)
                answer = client.response()
                statuses[answer.status] += 1
                if stream and not answer.body.endswith(b"data: [DONE]\n\n"):
                    cut += 1

    threads = [threading.Thread(target=load, args=(n % 2 == 0,)) for n in range(8)]
    for thread in threads:
        thread.start()
    took = []
    for n in range(100):
        start = time.monotonic()
        answer = own.publish(snapshots[n % 4])
        took.append(time.monotonic() - start)
        assert answer == Ready(snapshots[n % 4].revision)
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert set(statuses) == {200}
    assert cut == 0
    assert statuses[200] > 200
    assert len(own.wait_events(statuses[200])) == statuses[200]
    seen = Counter(event["revision"] for event in own.events())
    assert set(seen) - revisions <= {own.events()[0]["revision"]}
    assert all(seen[revision] > 10 for revision in revisions)
    assert sorted(took)[50] < 0.05


def test_a_request_keeps_the_revision_it_began_with(own: Worker, upstream: Upstream) -> None:
    first = json.loads(own.get("/_health/ready")[2])["revision"]
    upstream.script(Script(tokens=10, interval=0.05))
    with own.raw() as client:
        client.send(request(body={**BODY, "stream": True}, key=own.key))
        assert client.more()
        own.serve({"model_list": [deployment(upstream, "another")]})
        answer = client.response()
        assert answer.header("x-routeiq-revision") == first
        assert answer.body.endswith(b"data: [DONE]\n\n")
        client.send(request(body=BODY, key=own.key))
        assert client.response().status == 404
    assert [event["revision"] == first for event in own.wait_events(2)] == [True, False]


def test_a_refused_snapshot_changes_nothing(own: Worker, upstream: Upstream) -> None:
    good = own.snapshot(config_for(upstream, "gpt-4o", routeiq={"keys": [{"name": "k", "key": "sk-kept-0123456789"}]}))
    own.publish(good)
    group = good.groups["gpt-4o"]
    bad = [
        b"",
        b"junk",
        msgspec.msgpack.encode({"revision": "x"}),
        msgspec.structs.replace(good, groups={"gpt-4o": msgspec.structs.replace(group, strategy="nonsense")}),
        msgspec.structs.replace(good, groups={"gpt-4o": msgspec.structs.replace(group, deployments=(7,))}),
        msgspec.structs.replace(
            good, auth=msgspec.structs.replace(good.auth, keys={"not hex": next(iter(good.auth.keys.values()))})
        ),
    ]
    for snapshot in bad:
        answer = own.publish(snapshot)
        assert isinstance(answer, Refused), snapshot
        assert answer.error
        for key in (own.key, "sk-kept-0123456789"):
            assert own.call("/v1/chat/completions", BODY, key=key)[0] == 200
        assert json.loads(own.get("/_health/ready")[2])["revision"] == good.revision


def test_a_drain(own: Worker, upstream: Upstream) -> None:
    upstream.script(Script(tokens=20, interval=0.05))
    streaming, idle, kept = own.raw(), own.raw(), own.raw()
    kept.send(request("/_health/ready", method="GET"))
    assert kept.response().status == 200
    streaming.send(request(body={**BODY, "stream": True}, key=own.key))
    assert streaming.more()
    start = time.monotonic()
    own.drain(5)
    time.sleep(0.1)
    # Readiness turns first, while the listener still takes connections and requests are served.
    status, headers, _ = own.call("/_health/ready")
    assert (status, headers["connection"]) == (503, "close")
    assert own.call("/_health/live")[0] == 200
    assert own.call("/v1/chat/completions", BODY)[0] == 200
    assert idle.until_closed()[0] == b""
    assert kept.until_closed()[0] == b""
    assert time.monotonic() - start > 0.25
    with pytest.raises(ConnectionRefusedError):
        own.raw()
    answer = streaming.response()
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert own.process is not None
    assert own.process.wait(3) == 0
    assert time.monotonic() - start < 3
    assert [event.get("status", 200) for event in own.wait_events(2)] == [200, 200]


def test_the_end_of_a_drain(own: Worker, upstream: Upstream) -> None:
    """What does not finish in time is cut, and yet accounted for."""
    upstream.always(Script(tokens=1000, interval=0.05))
    clients = [own.raw() for _ in range(3)]
    for client in clients:
        client.send(request(body={**BODY, "stream": True}, key=own.key))
        assert client.more()
    start = time.monotonic()
    own.drain(0.8)
    for client in clients:
        data, _ = client.until_closed()
        assert b"[DONE]" not in data
        assert not data.endswith(b"0\r\n\r\n")
    assert own.process is not None
    assert own.process.wait(3) == 0
    assert 0.7 < time.monotonic() - start < 1.8
    events = own.wait_events(3)
    assert [event["status"] for event in events] == [499] * 3
    assert all(event["estimated"] and event["cost"] > 0 for event in events)


def test_the_supervisor_is_gone(own: Worker) -> None:
    assert own.feed is not None
    own.feed.close()
    own.feed = None
    assert own.process is not None
    assert own.process.wait(3) == 0


def test_a_full_journal(upstream: Upstream) -> None:
    def config(**journal: Any) -> dict[str, Any]:
        return config_for(upstream, "gpt-4o", routeiq={"journal": {"segment_bytes": "1KiB", **journal}})

    with Worker(config(max_bytes="4KiB")) as worker:
        served = 0
        while (answer := worker.call("/v1/chat/completions", BODY))[0] == 200 and served < 50_000:
            served += 1
        assert answer[0] == 503
        assert json.loads(answer[2])["error"]["code"] == "journal_full"
        assert answer[1]["retry-after"] == "5"
        assert len(worker.all_events()) == served
        for file in (worker.state_dir / "journal").glob("*.jsonl"):
            file.write_bytes(b"")
        time.sleep(1.2)
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
        worker.serve(config(max_bytes="1KiB", on_full="drop"))
        for _ in range(10):
            assert worker.call("/v1/chat/completions", BODY)[0] == 200
        time.sleep(1.2)
        worker.forget()
        assert worker.call("/v1/chat/completions", BODY)[0] == 200
        worker.wait_moved("routeiq_journal_dropped_total", 1)
        assert worker.events() == []


def test_kill_loses_no_answered_request(own: Worker, upstream: Upstream) -> None:
    answered: list[str] = []

    def load() -> None:
        body = request(body=BODY, key=own.key)
        try:
            with own.raw() as client:
                while True:
                    client.send(body)
                    answered.append(client.response().header("x-litellm-call-id") or "")
        except (EOFError, OSError):
            pass

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert own.process is not None
    own.process.kill()
    own.process.wait()
    for thread in threads:
        thread.join(5)
    written = [event["id"] for event in own.all_events()]
    assert len(written) == len(set(written))
    assert set(answered) <= set(written)
    assert len(answered) > 50
