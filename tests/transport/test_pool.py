"""The pool of connections against a server that answers exactly what it is told, and the resolver."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.core.exchange import Header
from routeiq.transport.call import Call, UpstreamBroken
from routeiq.transport.connection import MAX_HEAD
from routeiq.transport.dns import Resolver
from routeiq.transport.outbox import Outbox
from routeiq.transport.pool import Address, Origin, Pool, PoolLimits

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Asked(Call):
    """A call that records what it is told, and checks that it is told in order."""

    def __init__(self) -> None:
        super().__init__((REQUEST,))
        self.status = 0
        self.headers: list[Header] = []
        self.body = b""
        self.begun = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_head(self, status: int, headers: list[Header]) -> None:
        assert not self.status
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        assert self.status
        assert not self.ended.done()
        self.body += data
        self.begun.set()

    def on_done(self) -> None:
        self.ended.set_result("done")

    def on_failure(self, failure: UpstreamBroken) -> None:
        self.ended.set_result(failure.reason)

    async def end(self) -> str:
        return await asyncio.wait_for(self.ended, 5)


Answers = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def origin(answers: Answers, **limits: float) -> AsyncIterator[Origin]:
    """An origin at a server whose connections `answers` handles."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await answers(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool(Resolver(ttl=30), PoolLimits(**limits), Outbox(asyncio.get_running_loop(), lambda: None))  # type: ignore[arg-type]
    try:
        yield pool.origin(Address(host="127.0.0.1", port=port))
    finally:
        pool.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(*answers: bytes, close: bool = False) -> Answers:
    """Answer the requests of each connection with these, one after the other; then wait."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        if not close:
            await reader.read()

    return handle


def run(main: Awaitable[None]) -> None:
    async def outer() -> None:
        await main

    asyncio.run(outer())


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


async def ask(place: Origin) -> Asked:
    call = Asked()
    place.send(call)
    await call.end()
    return call


@pytest.mark.parametrize("extra", [EVIL, EVIL[:20], b"junk", b"\0", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_bytes_after_an_answer_are_not_another_answer(extra: bytes) -> None:
    async def main() -> None:
        async with origin(saying(GOOD + extra, GOOD)) as place:
            first, second = Asked(), Asked()
            place.send(first)
            assert await first.end() == "done"
            place.send(second)
            assert await second.end() == "done"
            assert (first.body, second.body) == (b"ok", b"ok")

    run(main())


def test_bytes_on_an_idle_connection_close_it() -> None:
    async def main() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(GOOD)
            await asyncio.sleep(0.02)
            writer.write(EVIL)
            await reader.read()

        async with origin(handle) as place:
            await ask(place)
            for _ in range(1000):
                if not place.open:
                    break
                await asyncio.sleep(0.005)
            assert place.open == 0
            assert (await ask(place)).body == b"ok"

    run(main())


ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello", b"hello", "done"),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: u\r\n\r\n",
        b"hello",
        "done",
    ),
    "1xx": (
        b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + GOOD,
        b"ok",
        "done",
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", "done"),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello", "done"),
    "by close": (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello", "done"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello", "done"),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", b"hello", "closed"),
    "cut chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"hello", "closed"),
    "cut head": (b"HTTP/1.1 200 OK\r\nContent-Le", b"", "closed"),
    "nothing": (b"", b"", "closed"),
    "not HTTP": (b"SSH-2.0-x\r\n", b"", "protocol"),
    "switch": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", b"", "protocol"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", b"", "protocol"),
    "large": (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, b"x" * 200_000, "done"),
    "long head": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * (MAX_HEAD + 400_000), b"", "too_large"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_in_any_pieces(name: str) -> None:
    data, body, end = ANSWERS[name]
    chance = random.Random(7)

    async def main() -> None:
        cuts: list[list[int]] = [[], list(range(1, min(len(data), 200)))]
        cuts += [sorted(chance.sample(range(1, min(len(data), 120)), 3)) for _ in range(6) if len(data) > 8]
        for cut in cuts:

            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: list[int] = cut) -> None:
                await reader.readuntil(b"\r\n\r\n")
                for start, stop in zip([0, *cut], [*cut, len(data)], strict=True):
                    writer.write(data[start:stop])
                    await writer.drain()
                    await asyncio.sleep(0)

            async with origin(handle) as place:
                call = Asked()
                place.send(call)
                assert await call.end() == end, cut
                assert call.body == body

    run(main())


def test_a_call_that_waits_is_started_when_another_ends_or_fails() -> None:
    async def main() -> None:
        async with origin(saying(GOOD, GOOD, GOOD, GOOD), per_host=1) as place:
            calls = [Asked() for _ in range(4)]
            for call in calls:
                place.send(call)
            calls[2].cancel()
            assert [await call.end() for call in (calls[0], calls[1], calls[3])] == ["done"] * 3
            assert not calls[2].ended.done()
            assert place.open == 1
        pool = Pool(Resolver(ttl=1), PoolLimits(per_host=1), Outbox(asyncio.get_running_loop(), lambda: None))
        nowhere = pool.origin(Address(path="/nonexistent/socket"))
        calls = [Asked() for _ in range(4)]
        for call in calls:
            nowhere.send(call)
        assert [await call.end() for call in calls] == ["refused"] * 4
        assert nowhere.open == 0

    run(main())


def test_a_socket_whose_process_is_being_started_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        pool = Pool(Resolver(ttl=1), PoolLimits(), Outbox(asyncio.get_running_loop(), lambda: None))
        path = str(tmp_path / "socket")
        place = pool.origin(Address(path=path, patience=5.0))
        call = Asked()
        place.send(call)
        await asyncio.sleep(0.15)
        assert not call.ended.done()
        async with await asyncio.start_unix_server(saying(GOOD), path):
            assert await call.end() == "done"
            place.close()
        nobody = pool.origin(Address(path=path + "-", patience=0.2))
        begin = time.monotonic()
        call = Asked()
        nobody.send(call)
        assert await call.end() == "refused"
        assert 0.2 <= time.monotonic() - begin < 2

    run(main())


def test_a_cancelled_call_closes_its_connection_and_hears_nothing() -> None:
    async def main() -> None:
        left = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            try:
                await reader.read()
            finally:
                left.set()

        async with origin(handle) as place:
            call = Asked()
            place.send(call)
            await asyncio.wait_for(call.begun.wait(), 5)
            call.cancel()
            await asyncio.wait_for(left.wait(), 1)
            await asyncio.sleep(0.01)
            assert not call.ended.done()
            assert place.open == 0
            early = Asked()
            place.send(early)
            early.cancel()
            await asyncio.sleep(0.05)
            assert not early.ended.done()
            assert place.open == 1  # the connection it opened is kept for the next

    run(main())


def test_a_kept_connection_that_dies_is_replaced_once() -> None:
    async def main() -> None:
        served = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served
            await reader.readuntil(b"\r\n\r\n")
            served += 1
            if served == 3:
                return
            writer.write(GOOD)
            await reader.readuntil(b"\r\n\r\n")

        async with origin(handle) as place:
            assert (await ask(place)).body == b"ok"
            assert (await ask(place)).body == b"ok"  # the second request meets a close, and goes out again
            assert served == 2
            call = Asked()
            place.send(call)
            assert await call.end() in ("closed", "reset")  # not a third time
            assert served == 3

    run(main())


# --- names


class Names:
    """A resolver's back end that can fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.addresses = ["192.0.2.1"]
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.addresses


def test_addresses_are_not_looked_up() -> None:
    async def main() -> None:
        names = Names()
        resolver = Resolver(ttl=30, lookup=names)
        assert await resolver.resolve("127.0.0.1", 80) == ["127.0.0.1"]
        assert await resolver.resolve("::1", 80) == ["::1"]
        assert names.asked == 0

    run(main())


def test_answers_are_kept_for_their_time() -> None:
    async def main() -> None:
        names = Names()
        resolver = Resolver(ttl=0.05, lookup=names)
        for _ in range(3):
            assert await resolver.resolve("a.example", 443) == ["192.0.2.1"]
        assert names.asked == 1
        await asyncio.sleep(0.06)
        names.addresses = ["192.0.2.2"]
        assert await resolver.resolve("a.example", 443) == ["192.0.2.2"]
        assert names.asked == 2

    run(main())


def test_a_failing_resolver_leaves_the_last_answer() -> None:
    async def main() -> None:
        names = Names()
        resolver = Resolver(ttl=0.0, lookup=names)
        await resolver.resolve("a.example", 443)
        names.error = OSError(-3, "temporary failure")
        assert await resolver.resolve("a.example", 443) == ["192.0.2.1"]
        with pytest.raises(UpstreamBroken, match=r"dns: b\.example does not resolve"):
            await resolver.resolve("b.example", 443)

    run(main())


@pytest.mark.parametrize("error", [OSError("x"), UnicodeError("label too long"), ValueError("embedded null")])
def test_names_that_can_not_be_looked_up(error: Exception) -> None:
    async def main() -> None:
        names = Names()
        names.error = error
        with pytest.raises(UpstreamBroken) as caught:
            await Resolver(ttl=30, lookup=names).resolve("a.example", 443)
        assert caught.value.reason == "dns"
        names.error, names.addresses = None, []
        with pytest.raises(UpstreamBroken, match="no address"):
            await Resolver(ttl=30, lookup=names).resolve("a.example", 443)

    run(main())


def test_simultaneous_look_ups_share_one_query() -> None:
    async def main() -> None:
        names = Names()
        names.gate = asyncio.Event()
        resolver = Resolver(ttl=30, lookup=names)
        tasks = [asyncio.create_task(resolver.resolve("a.example", 443)) for _ in range(20)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        names.gate.set()
        got = await asyncio.gather(*tasks, return_exceptions=True)
        assert got[1:] == [["192.0.2.1"]] * 19
        assert names.asked == 1

    run(main())


@given(st.lists(st.sampled_from([f"h{n}.example" for n in range(12)]), max_size=60), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_no_more_names_are_kept_than_allowed(hosts: list[str], size: int) -> None:
    async def main() -> None:
        resolver = Resolver(ttl=30, lookup=Names(), size=size)
        for host in hosts:
            await resolver.resolve(host, 443)
            assert len(resolver._known) <= size

    run(main())
