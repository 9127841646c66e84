"""One agent behind the gateway: its card, what may be asked of it, and asking."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from routeiq.a2a import cards, old_http, rest, wire
from routeiq.a2a.cards import Interface
from routeiq.a2a.exchange import Exchange
from routeiq.a2a.wire import A2aError, Garbled, Json, Unavailable, encode
from routeiq.core.a2a import JSONRPC, OLD, OLD_HTTP, A2a, Agent
from routeiq.transport.pool import Origin

MINUTE = 60.0
CARD_SECONDS = 10.0
"""How long a card may take."""
CARD_AGAIN = 10.0
"""Before a card that could not be read is asked for again."""
ALIVE_SECONDS = 5.0
"""The same, to be taken for alive."""
MAX_CARD = 1024 * 1024
NOT_SERVED = (404, 405, 501)
"""Statuses of paths that are not there; what is not there below one comes with an error in JSON."""
OFF = "it has been switched off"

Headers = dict[str, str]


class Upstream:
    """An agent, as the process knows it."""

    makes_tasks = False
    """Whether its tasks are the gateway's own, and end with the process that works at them."""

    def __init__(self, agent: Agent, a2a: A2a, origin: Origin) -> None:
        self.agent = agent
        self.slots = asyncio.Semaphore(agent.parallel) if agent.parallel is not None else None
        self.a2a = a2a
        self._origin = origin
        self._ids = itertools.count(1)
        self._off = False
        self._sent: deque[float] = deque()
        self._live: set[Exchange] = set()
        self._card: Json | None = None
        self._raw = b""
        self.card_changed = time.time()
        """When its card was first seen as it is, Unix seconds."""
        self._until = 0.0
        self._found: tuple[Interface, ...] = ()
        self._reading: asyncio.Task[None] | None = None
        self._common = f"Host: {agent.host_header}\r\n"
        self._common += "".join(f"{name}: {value}\r\n" for name, value in agent.headers.items())

    # what it takes

    def take(self) -> bool:
        """One message of those it may be sent in a minute; False when there are none left."""
        most = self.agent.rpm
        if most is None:
            return True
        now = time.monotonic()
        while self._sent and now - self._sent[0] >= MINUTE:
            self._sent.popleft()
        if len(self._sent) >= most:
            return False
        self._sent.append(now)
        return True

    def halt(self) -> None:
        """End all that is under way: the agent is switched off, or gone from the configuration."""
        self._off = True
        for exchange in list(self._live):
            exchange.halt(OFF)

    def forwarded(self, fields: dict[bytes, bytes]) -> Headers:
        """Of a client's headers those the agent is sent."""
        found = ((name, fields.get(name.encode())) for name in self.agent.forward)
        return {name: value.decode("latin-1") for name, value in found if value is not None}

    async def alive(self) -> bool:
        """Whether anything answers at its address that is not broken, asked now."""
        try:
            async with asyncio.timeout(ALIVE_SECONDS):
                path = self.agent.path + (self.agent.card_path or cards.WELL_KNOWN[0])
                status, _ = await self._whole("GET", path, b"", {}, MAX_CARD)
        except (A2aError, TimeoutError):
            return False
        return status < 500

    # its card

    async def card(self) -> tuple[Json, bytes]:
        """The agent's own card, and its bytes as they came. Raises `Unavailable`."""
        await self._read()
        if self._card is None:
            raise Unavailable("The agent's card can't be read.")
        return self._card, self._raw

    async def interface(self, version: str) -> Interface:
        """How it is spoken to for a client of a version."""
        if self._until <= time.monotonic():
            await self._read()
        return cards.choose(self._found, version) or cards.assumed(self.agent)

    async def _read(self) -> None:
        """Read the card again where it is old; one that was read before stays while there is no newer one."""
        if self._until > time.monotonic():
            return
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_now())
            self._reading.add_done_callback(self._was_read)
        await asyncio.shield(self._reading)

    def _was_read(self, task: asyncio.Task[None]) -> None:
        self._reading = None

    async def _read_now(self) -> None:
        own = wire.decode(self.agent.card) if self.agent.card else {}
        paths = (self.agent.card_path,) if self.agent.card_path else cards.WELL_KNOWN
        for path in paths:
            try:
                async with asyncio.timeout(CARD_SECONDS):
                    status, body = await self._whole("GET", self.agent.path + path, b"", {}, MAX_CARD)
                found = wire.decode(body) if status == 200 else None
            except (A2aError, TimeoutError):
                continue
            if isinstance(found, dict):
                if body != self._raw:
                    self.card_changed = time.time()
                self._card, self._raw = {**found, **own}, body
                self._until = time.monotonic() + self.a2a.card_seconds
                self._found = cards.interfaces(found, self.agent)
                return
        self._until = time.monotonic() + CARD_AGAIN
        if self._card is None and own:
            self._card, self._raw = own, self.agent.card
            self._found = cards.interfaces(own, self.agent)

    # asking

    async def ask(self, interface: Interface, operation: str, params: Json, headers: Headers) -> Any:
        """The result of an operation, in the interface's version. Raises `A2aError`, `Unavailable` and `Garbled`."""
        headers = _versioned(interface, headers)
        if interface.binding != JSONRPC:
            method, target, body = _http_request(interface, operation, params)
            status, answer = await self._whole(method, target, body, headers, self._limit)
            return _http_result(interface, operation, status, answer)
        ident, body = self._request(interface, operation, params)
        status, answer = await self._whole("POST", interface.path, body, headers, self._limit)
        return _rpc_result(status, answer, ident)

    async def follow(
        self, interface: Interface, operation: str, params: Json, headers: Headers
    ) -> AsyncGenerator[Any, None]:
        """The results of an operation that streams. Raises the same, at any point."""
        headers = {**_versioned(interface, headers), "Accept": "text/event-stream"}
        if interface.binding != JSONRPC:
            method, target, body = _http_request(interface, operation, params)
            exchange, ident = self.exchange(method, target, body, headers, self._limit), None
        else:
            ident, body = self._request(interface, operation, params)
            exchange = self.exchange("POST", interface.path, body, headers, self._limit)
        try:
            async for data in exchange.events():
                if ident is None:
                    yield _http_result(interface, operation, exchange.status, data)
                else:
                    yield _rpc_result(exchange.status, data, ident)
        finally:
            self.done(exchange)

    @property
    def _limit(self) -> int:
        return self.a2a.max_message

    def _request(self, interface: Interface, operation: str, params: Json) -> tuple[int, bytes]:
        ident = next(self._ids)
        method = wire.OLD_NAMES[operation] if interface.version == OLD else operation
        message = {"jsonrpc": "2.0", "id": ident, "method": method, "params": _addressed(interface, params)}
        return ident, encode(message)

    async def _whole(self, method: str, target: str, body: bytes, headers: Headers, limit: int) -> tuple[int, bytes]:
        exchange = self.exchange(method, target, body, headers, limit)
        try:
            answer = await exchange.body()
            return exchange.status, answer
        finally:
            self.done(exchange)

    def exchange(self, method: str, target: str, body: bytes, headers: Headers, limit: int) -> Exchange:
        """Ask for something; to be given back to `done`. Raises `Unavailable` of an agent that is switched off."""
        if self._off:
            raise Unavailable(f"The agent can't be asked: {OFF}.")
        lines = [f"{method} {target} HTTP/1.1\r\n{self._common}"]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items() if name not in self.agent.headers]
        if body:
            lines.append(f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        else:
            lines.append("\r\n")
        made = Exchange(("".join(lines).encode("latin-1", "replace"), body), limit, self.agent.timeout)
        self._live.add(made)
        self._origin.send(made)
        return made

    def done(self, exchange: Exchange) -> None:
        """Nobody waits for it any more."""
        self._live.discard(exchange)
        exchange.close()


def _versioned(interface: Interface, headers: Headers) -> Headers:
    return {**headers, "A2A-Version": OLD if interface.binding == OLD_HTTP else interface.version}


def _addressed(interface: Interface, params: Json) -> Json:
    """With the tenant the agent's card asks for, and never one of the client's."""
    params = {name: value for name, value in params.items() if name != "tenant"}
    return {**params, "tenant": interface.tenant} if interface.tenant else params


def _rpc_result(status: int, data: bytes, ident: int) -> Any:
    """The result of a JSON-RPC response."""
    try:
        message = wire.decode(data)
    except A2aError:
        message = None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise _broken(status)
    error = message.get("error")
    if error is not None:
        if not isinstance(error, dict) or not isinstance(error.get("code"), int):
            raise _broken(status)
        raise A2aError(error["code"], str(error.get("message", ""))[:2000], error.get("data"))
    if message.get("id") != ident:
        raise Garbled("The agent answered another request than it was asked.")
    return message.get("result")  # which agents leave out where it is null


def _http_request(interface: Interface, operation: str, params: Json) -> tuple[str, str, bytes]:
    made_of = old_http.made_of if interface.binding == OLD_HTTP else rest.made_of
    method, target, body = made_of(operation, _addressed(interface, params))
    return method, interface.path + target, body


def _http_result(interface: Interface, operation: str, status: int, data: bytes) -> Any:
    old = interface.binding == OLD_HTTP
    try:
        found = wire.decode(data) if data else None
    except A2aError:
        found = None
        if status < 300:
            raise _broken(status) from None
    if status in NOT_SERVED and not isinstance(found, dict):
        raise A2aError(wire.UNSUPPORTED_OPERATION, "The agent does not serve this operation.")
    if status >= 300 or (isinstance(found, dict) and "error" in found and len(found) == 1):
        raise old_http.told(status, found) if old else rest.told(status, found)
    return old_http.result_in(operation, found) if old else found


def _broken(status: int) -> A2aError:
    if status >= 300:
        return Unavailable(f"The agent answered with the status {status}.")
    return Garbled("The agent's answer is not a JSON-RPC response.")
