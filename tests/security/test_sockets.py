"""The same over raw sockets, where Host, target and method can be anything: a running gateway with one worker.

CVE-2026-48710 and CVE-2026-49468 were decisions on a path that was put together from the Host header.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from security_world import filled, make, may

from routeiq.control.access import Access
from routeiq.control.routes import Route
from support.gateway import MASTER_KEY, Gateway, config_for
from support.raw import RawClient
from support.upstream import Upstream

LOW = "sk-low-0123456789abcdef"


@pytest.fixture(scope="module")
def gateway_config(provider: Upstream) -> dict[str, Any]:
    keys = [{"name": "low", "key": LOW, "models": ["gpt-4o"]}]
    return config_for(provider, "gpt-4o", routeiq={"keys": keys}, general_settings={"store_model_in_db": True})


@pytest.fixture(scope="module")
def table(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    """What the control plane serves, which is what its description says."""
    made = make(tmp_path_factory.mktemp("table"))
    found = [route for route in made.routes.values() if route.access is not Access.INTERNAL]
    deadline = time.monotonic() + 30
    while gateway.get("/openapi.json")[0] != 200:
        assert time.monotonic() < deadline, gateway.logs()
        time.sleep(0.1)
    described = json.loads(gateway.get("/openapi.json")[2])["paths"]
    assert {(method.upper(), path) for path, methods in described.items() for method in methods} == {
        (route.method, route.path.replace(":path}", "}")) for route in found
    }
    assert len(found) > 100
    return found


class Wire:
    """Requests as bytes, on a connection that is opened anew when it was closed."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.client: RawClient | None = None

    def ask(self, line: str, *headers: str, host: str | None = "gateway") -> int:
        """The status of a request of this line; 0 where the gateway only closed."""
        for again in (False, True):
            if self.client is None or again:
                self.client = self.gateway.raw(timeout=10)
            lines = [f"{line} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *headers]
            self.client.send("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode("latin-1"))
            try:
                if line.startswith("HEAD "):
                    return self._without_body()
                answer = self.client.response()
            except (EOFError, OSError):
                self.client.close()
                self.client = None
                continue
            if (answer.header("connection") or "").lower() == "close":
                self.client.close()
                self.client = None
            return answer.status
        return 0

    def _without_body(self) -> int:
        """The status of an answer that says how long a body would be."""
        assert self.client is not None
        while b"\r\n\r\n" not in self.client.buffer and self.client.more():
            pass
        if not self.client.buffer:
            raise EOFError("closed")
        status = int(self.client.buffer.split(b" ", 2)[1])
        self.client.close()
        self.client = None
        return status


@pytest.fixture
def wire(gateway: Gateway) -> Iterator[Wire]:
    made = Wire(gateway)
    yield made
    if made.client is not None:
        made.client.close()


HOSTS = ("", "evil.example", "localhost/health/liveness", "a?b", "a#b", "127.0.0.1:1/internal/keys/", "[::1", "a b",
         "gateway\r\nHost: other", "xn--/", "user@gateway", "*", "%2f", "localhost:99999")  # fmt: skip
HEADERS = (
    "X-Forwarded-Host: localhost", "X-Original-URL: /health/liveness", "X-Rewrite-URL: /health/liveness",
    "X-HTTP-Method-Override: GET", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1;host=localhost",
    f"Cookie: key={MASTER_KEY}; token={MASTER_KEY}", f"Proxy-Authorization: Bearer {MASTER_KEY}",
    f"X-Forwarded-Authorization: Bearer {MASTER_KEY}", f"X-Auth-Token: {MASTER_KEY}",
)  # fmt: skip


def refused(status: int) -> bool:
    """Not let in: told so, not understood, or hung up on."""
    return status in (0, 400, 401, 403, 404, 405)


def test_no_host_lets_anybody_in(wire: Wire, table: list[Route]) -> None:
    for route in table:
        line = f"{route.method} {filled(route.path)}"
        assert wire.ask(line) == 401, line
        assert wire.ask(line, host=None) == 400, line
        for host in HOSTS:
            status = wire.ask(line, host=host)
            assert status in (400, 401), (line, host, status)
            if not may(route, "service"):
                status = wire.ask(line, f"Authorization: Bearer {LOW}", host=host)
                assert status in (400, 403), (line, host, status)


def test_no_header_lets_anybody_in(wire: Wire, table: list[Route]) -> None:
    for route in table:
        path = filled(route.path)
        for header in HEADERS:
            assert wire.ask(f"{route.method} {path}", header) == 401, (route, header)
        assert wire.ask(f"{route.method} {path}?key={MASTER_KEY}&api_key={MASTER_KEY}") == 401, route
        if not may(route, "service"):
            # Of two keys the first counts, and no other header makes up for it.
            twice = (f"Authorization: Bearer {LOW}", f"Authorization: Bearer {MASTER_KEY}")
            assert wire.ask(f"{route.method} {path}", *twice) in (400, 403), route
            assert wire.ask(f"{route.method} {path}", f"Authorization: Bearer {LOW}", *HEADERS) == 403, route


def targets(path: str) -> list[str]:
    """Other ways to write it."""
    return [
        f"/.{path}", f"/x/..{path}", f"/{path}", f"/%2e{path}", f"/x/%2e%2e{path}", f"/internal/..{path}", f"{path}/",
        f"{path};x", f"{path}%00", f"{path}\\", f"\\{path}", f"{path}#x", path.upper(), path.replace("/", "%2f"),
        f"http://evil.example{path}", f"http://gateway/x/..{path}", f"/{path[1:]}%0d%0aX: y", path[1:], f"*{path}",
    ]  # fmt: skip


def test_no_spelling_of_a_target_lets_anybody_in(wire: Wire, table: list[Route]) -> None:
    for route in table:
        for target in targets(filled(route.path)):
            status = wire.ask(f"{route.method} {target}")
            assert refused(status), (route, target, status)
            if not may(route, "service"):
                status = wire.ask(f"{route.method} {target}", f"Authorization: Bearer {LOW}")
                assert refused(status), (route, target, status)


def test_no_method_lets_anybody_in(wire: Wire, table: list[Route]) -> None:
    for path in sorted({filled(route.path) for route in table}):
        for method in ("HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "Post"):
            status = wire.ask(f"{method} {path}")
            assert refused(status) or status == 501, (method, path, status)


@pytest.mark.parametrize("key", [None, LOW, MASTER_KEY])
def test_what_is_internal_is_not_there(wire: Wire, key: str | None) -> None:
    digest = hashlib.sha256(MASTER_KEY.encode()).hexdigest()
    headers = (f"Authorization: Bearer {key}",) if key is not None else ()
    for path in (f"/internal/keys/{digest}", "/internal/credentials/x", "/internal/responses/alive", "/internal/runs",
                 "/internal/", "/internal"):  # fmt: skip
        for target in (path, *targets(path), path.replace("internal", "%69nternal"), path.replace("i", "I")):
            for method in ("GET", "PUT", "POST", "DELETE"):
                status = wire.ask(f"{method} {target}", *headers)
                assert status in (0, 400, 404, 405), (method, target, status)
