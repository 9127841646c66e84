"""A worker's credentials against a control plane on a real Unix socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from routeiq.core.errors import UpstreamError
from routeiq.core.signing import Signing
from routeiq.core.snapshot import Deployment
from routeiq.process.credentials import Credentials
from routeiq.providers.signing import CredentialSource, Signer
from routeiq.transport.dns import Resolver
from routeiq.transport.outbox import Outbox
from routeiq.transport.pool import Address, Pool, PoolLimits

NOW = 1_000_000.0
TOKEN = "vErySecretToken123"


class Control:
    """Answers `GET /internal/credentials/…`: with grants that live for `life` seconds, or as `answer` says."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path, self.clock = path, clock
        self.asked: list[str] = []
        self.life: float | None = 3600.0
        self.answer: tuple[int, bytes] | None = None
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        self.path.unlink(missing_ok=True)
        await asyncio.sleep(0.02)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked.append(head.split(b" ")[1].decode().removeprefix("/internal/credentials/"))
                status, body = self.answer or (200, self._grant())
                await asyncio.sleep(self.delay)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _grant(self) -> bytes:
        grant: dict[str, Any] = {"kind": "bearer", "token": f"{TOKEN}-{len(self.asked)}"}
        if self.life is not None:
            grant["expires"] = self.clock() + self.life
        return json.dumps(grant).encode()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def deployment(id: str = "s1", scheme: str = "google", **params: str) -> Deployment:
    return Deployment(
        id=f"d-{id}",
        group="m",
        provider="p",
        model="m",
        litellm_model="p/m",
        signing=Signing(id=id, scheme=scheme, params=params),
    )


def token(signer: Signer | None) -> str:
    assert signer is not None
    lines = signer.lines(b"POST", b"/x", b"h", (b"{}",))
    assert lines.startswith(b"Authorization: Bearer ")
    assert lines.endswith(b"\r\n")
    return lines[22:-2].decode()


def run(tmp_path: Path, main: Callable[[Credentials, Control, Clock], Awaitable[None]]) -> None:
    async def outer() -> None:
        clock = Clock()
        control = Control(tmp_path / "control.sock", clock)
        await control.start()
        pool = Pool(Resolver(ttl=30), PoolLimits(connect_seconds=1), Outbox(asyncio.get_running_loop(), lambda: None))
        source = Credentials(pool.origin(Address(path=str(control.path))), clock, patience=0.5)
        try:
            async with asyncio.timeout(15):
                await main(source, control, clock)
        finally:
            source.close()
            await control.stop()

    asyncio.run(outer())


def test_asked_once_and_then_known(tmp_path: Path) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        held: CredentialSource = source
        assert held.signer(deployment()) is None
        control.delay = 0.05
        signers = await asyncio.gather(*(held.fetch(deployment()) for _ in range(200)))
        assert {token(signer) for signer in signers} == {f"{TOKEN}-1"}
        assert control.asked == ["s1"]
        assert token(held.signer(deployment())) == f"{TOKEN}-1"
        assert held.signer(deployment("s2")) is None

    run(tmp_path, main)


def test_keys_in_the_configuration_need_no_control_plane(tmp_path: Path) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        keys = deployment("k", "aws", access_key="AKID", secret_key="s", region="us-east-1", service="bedrock")
        signer = source.signer(keys)
        assert signer is not None
        assert b"Credential=AKID/19700112/us-east-1/bedrock/aws4_request" in signer.lines(b"POST", b"/x", b"h", ())
        assert source.signer(keys) is signer
        assert control.asked == []

    run(tmp_path, main)


def test_renewed_before_the_end_without_a_request_that_waits(tmp_path: Path) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        control.life = 3.0  # renewed after three quarters of it
        await source.fetch(deployment())
        control.life = 400.0
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = []
        while clock.now < NOW + 3.2:
            await asyncio.sleep(0.02)
            clock.now = NOW + loop.time() - began
            seen.append(token(source.signer(deployment())))
        assert sorted(set(seen)) == [f"{TOKEN}-1", f"{TOKEN}-2"]
        assert len(control.asked) == 2

    run(tmp_path, main)


def schedule(source: Credentials) -> float:
    """Seconds until the next renewal."""
    (timer,) = source._timers.values()
    return timer.when() - asyncio.get_running_loop().time()


@pytest.mark.parametrize(("life", "wait"), [(3600, 3240), (86_400, 77_760), (600, 450), (100, 75), (None, 900)])
def test_when_a_renewal_is_due(tmp_path: Path, life: float | None, wait: float) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        control.life = life
        await source.fetch(deployment())
        assert schedule(source) == pytest.approx(wait, abs=1)

    run(tmp_path, main)


def test_what_nobody_uses_is_let_go(tmp_path: Path) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        await source.fetch(deployment())
        what = deployment().signing
        assert what is not None
        for expected in (2, 2):  # used since it was made; then not again
            source._due(what)
            await asyncio.sleep(0.1)
            assert len(control.asked) == expected
        assert source.signer(deployment()) is None
        assert source._timers == {}

    run(tmp_path, main)


def test_without_a_control_plane_the_old_is_used_until_it_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        await source.fetch(deployment())
        await control.stop()
        clock.now += 3300
        what = deployment().signing
        assert what is not None
        source._due(what)
        await asyncio.sleep(0.8)
        assert token(source.signer(deployment())) == f"{TOKEN}-1"
        assert schedule(source) == pytest.approx(29.5, abs=1)  # and another try follows
        clock.now += 296
        assert source.signer(deployment()) is None
        with pytest.raises(UpstreamError) as raised:
            await source.fetch(deployment())
        error = raised.value
        assert (error.status, error.code, error.elsewhere) == (503, "credentials_unavailable", True)
        assert "control plane" in error.message
        await control.start()
        assert token(await source.fetch(deployment())) == f"{TOKEN}-2"
        assert token(source.signer(deployment())) == f"{TOKEN}-2"

    with caplog.at_level(logging.DEBUG):
        run(tmp_path, main)
    assert "could not be renewed" in caplog.text
    assert TOKEN not in caplog.text


def error_body(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x", "param": None, "code": "y"}}).encode()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((503, error_body("The provider's credentials are not available: no.")), "not available: no."),
        ((500, b"oops"), "the control plane answered 500"),
        ((404, error_body("There are no such credentials.")), "no such credentials"),
        ((200, b"{"), "can't be read"),
        ((200, b'{"kind":"bearer","token":"a b"}'), "can't stand in a header"),
    ],
)
def test_why_not(tmp_path: Path, answer: tuple[int, bytes], words: str) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        control.answer, control.delay = answer, 0.02
        errors = await asyncio.gather(*(source.fetch(deployment()) for _ in range(5)), return_exceptions=True)
        assert len({id(error) for error in errors}) == 5, "requests must not share an error"
        for error in errors:
            assert isinstance(error, UpstreamError)
            assert error.status == 503
            assert words in error.message
        assert len(control.asked) == 1 or answer[0] == 404  # it may have another Snapshot for a moment
        control.answer = None
        assert TOKEN in token(await source.fetch(deployment()))

    run(tmp_path, main)


@pytest.mark.parametrize("status", [503, 404])
def test_a_control_plane_that_is_starting_is_waited_for(tmp_path: Path, status: int) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        await control.stop()
        asking = asyncio.create_task(source.fetch(deployment()))
        await asyncio.sleep(0.1)
        control.answer = (
            status,
            json.dumps({"error": {"message": "starting", "type": "x", "param": None, "code": "starting"}}).encode(),
        )
        await control.start()
        await asyncio.sleep(0.15)
        assert not asking.done()
        control.answer = None
        assert TOKEN in token(await asking)

    run(tmp_path, main)


def test_a_request_that_leaves_does_not_take_the_question_with_it(tmp_path: Path) -> None:
    async def main(source: Credentials, control: Control, clock: Clock) -> None:
        control.delay = 0.1
        leaving = asyncio.create_task(source.fetch(deployment()))
        staying = asyncio.create_task(source.fetch(deployment()))
        await asyncio.sleep(0.02)
        leaving.cancel()
        assert token(await staying) == f"{TOKEN}-1"
        assert leaving.cancelled()

    run(tmp_path, main)
