"""An OpenAI-compatible provider on a real socket that does what a test asks, good or bad.

    with Upstream() as up:
        up.script(Script(status=429, headers=[("retry-after", "1")]))   # the next request
        up.always(Script(tokens=100, interval=0.01), model="slow")      # every request for that model
        ...
        assert up.requests[0].json["model"] == "gpt-4o"

A request takes the first script queued for its model, else the first queued for any model, else the standing one of
its model, else the standing one of any, else it gets the plain right answer. It runs in a thread with its own event
loop, on a port the system chose.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httptools
import trustme

from support import answers

HEAD = -1
"""`Script.after`: before the head."""


@dataclass(frozen=True)
class Script:
    """One answer. What is not set stays as an obedient provider would have it. Times in seconds."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Added to the head, or put in the place of a header of the same name."""
    body: bytes | dict[str, Any] | None = None
    """In place of the right answer's body. With `status` of 400 and over and no body: an OpenAI error."""
    tokens: int | None = None
    interval: float = 0.0
    """Between two events of a stream."""
    delay: float = 0.0
    """Before the head."""
    delay_body: float = 0.0
    """Between the head and the first byte of the body."""
    early: bytes = b""
    """Raw bytes before the head: 1xx noise."""
    raw: bytes | None = None
    """Exactly these bytes in place of a response, then close."""
    cut: Literal["stall", "fin", "rst"] | None = None
    """Go no further: hang until the client leaves, close, or reset."""
    after: int = 0
    """Where to cut: `HEAD`, or after so many bytes of a body, or events of a stream (0: right after the head)."""
    framing: Literal["auto", "length", "chunked", "close"] = "auto"
    """`auto`: by length, chunked for a stream. `close`: the end of the connection ends the body."""
    content_length: int | None = None
    """A lie told in the head."""
    chunk: int | None = None
    """Cut the bytes of the body into writes of this size, `interval` apart: a drip."""
    done: bool = True
    """End a stream by `data: [DONE]`."""
    usage: bool | None = None
    """Streams: `None` as asked by `stream_options`, or always, or never."""
    error_after: int | None = None
    """Send an error event after so many events of a stream, and end."""
    events: list[bytes] | None = None
    """In place of the stream's events."""
    endless: bool = False
    """Repeat the events of a stream until the client leaves."""
    close: bool = False
    """`Connection: close`, and close."""
    stale: bool = False
    """Keep the connection open, and close it without a word when the next request arrives on it."""
    gzip: bool = False
    """Compress the body though nobody asked."""
    hook: Callable[[Request], None] | None = None
    """Called in the server's thread when the request has arrived."""


@dataclass
class Request:
    """What arrived, and what became of it. Times are `time.monotonic()`."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    """Number of the connection, from 1."""
    at: float
    script: Script | None = None
    sent_at: float | None = None
    """When the answer was completely written."""
    gone_at: float | None = None
    """When the client closed before that."""
    events_sent: int = 0

    @property
    def json(self) -> dict[str, Any]:
        """The body decoded."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def model(self) -> str:
        """The model asked for, `""` when the body is no JSON object."""
        try:
            return str(self.json.get("model", ""))
        except (ValueError, AssertionError):
            return ""

    def header(self, name: str) -> str | None:
        """The first header of this name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Upstream:
    """The server's handle; a context manager."""

    def __init__(self, *, api_key: str | None = None, tls: bool = False, hostname: str = "localhost") -> None:
        """With `api_key` another bearer is answered 401. `tls`: a certificate for `hostname` by the CA in `ca_file`."""
        self.api_key = api_key
        self.tls = tls
        self.requests: list[Request] = []
        self.connections = 0
        """Accepted so far."""
        self.open = 0
        self.stale_hits = 0
        """Requests that met a connection closed under them."""
        self._queued: dict[str, deque[Script]] = defaultdict(deque)
        self._standing: dict[str, Script] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._context: ssl.SSLContext | None = None
        self.ca_pem = b""
        if tls:
            authority = trustme.CA()
            self.ca_pem = authority.cert_pem.bytes()
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(hostname).configure_cert(self._context)
        self._thread.start()
        self._server = self._call(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.host = "127.0.0.1"

    # --- what a test uses

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, or `https://localhost:PORT`."""
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        """What goes into `api_base`."""
        return self.url + "/v1"

    def script(self, *scripts: Script, model: str = "*") -> None:
        """Queue answers for the next requests of a model, or of any."""
        with self._lock:
            self._queued[model].extend(scripts)

    def always(self, script: Script | None, model: str = "*") -> None:
        """Answer so from now on, until `None`."""
        with self._lock:
            if script is None:
                self._standing.pop(model, None)
            else:
                self._standing[model] = script

    def reset(self) -> None:
        """Forget scripts and requests."""
        with self._lock:
            self._queued.clear()
            self._standing.clear()
            self.requests.clear()
            self.stale_hits = 0

    def wait(self, condition: Callable[[], Any], timeout: float = 10.0) -> None:
        """Until `condition()` holds; it is tried whenever something happens here. Raises `TimeoutError`."""
        end = time.monotonic() + timeout
        with self._changed:
            while not condition():
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("the upstream did not see it happen")
                self._changed.wait(min(left, 0.05))

    def wait_requests(self, count: int, timeout: float = 10.0) -> list[Request]:
        """Until so many requests have arrived."""
        self.wait(lambda: len(self.requests) >= count, timeout)
        return self.requests

    def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._loop.is_closed():
            return
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def drop_connections(self) -> None:
        """Reset every open connection; go on listening."""
        self._call(self._drop())

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the server's thread

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        self._live: set[_Connection] = set()
        return await self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, ssl=self._context, backlog=1024
        )

    async def _drop(self) -> None:
        for connection in list(self._live):
            connection.reset()

    async def _stop(self) -> None:
        self._server.close()
        await self._drop()
        await asyncio.sleep(0)

    def notify(self) -> None:
        """Wake `wait`."""
        with self._changed:
            self._changed.notify_all()

    def take(self, request: Request) -> Script:
        """The script of a request, which is recorded."""
        model = request.model
        with self._changed:
            self.requests.append(request)
            for name in (model, "*"):
                if self._queued[name]:
                    request.script = self._queued[name].popleft()
                    break
            else:
                request.script = self._standing.get(model) or self._standing.get("*") or Script()
            self._changed.notify_all()
        return request.script


class _Connection(asyncio.Protocol):
    """One client connection: parse, then answer one request after the other."""

    def __init__(self, server: Upstream) -> None:
        self.server = server
        self.parser = httptools.HttpRequestParser(self)
        self.waiting: asyncio.Queue[Request] = asyncio.Queue()
        self.current: Request | None = None
        self.stale = False
        self.lost = asyncio.Event()
        self.flow = asyncio.Event()
        self.flow.set()

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.sock: socket.socket = transport.get_extra_info("socket")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.connections += 1
        self.server.open += 1
        self.number = self.server.connections
        self.server._live.add(self)
        self.task = asyncio.get_running_loop().create_task(self.serve())

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open -= 1
        self.server._live.discard(self)
        self.lost.set()
        self.flow.set()
        if self.current is not None and self.current.sent_at is None:
            self.current.gone_at = time.monotonic()
        self.task.cancel()
        self.server.notify()

    def pause_writing(self) -> None:
        self.flow.clear()

    def resume_writing(self) -> None:
        self.flow.set()

    def data_received(self, data: bytes) -> None:
        if self.stale:
            self.server.stale_hits += 1
            self.transport.abort()
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.transport.close()

    # httptools

    def on_message_begin(self) -> None:
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.waiting.put_nowait(
            Request(
                method=self.parser.get_method().decode(),
                target=self.target.decode("latin-1"),
                headers=self.headers,
                body=bytes(self.body),
                connection=self.number,
                at=time.monotonic(),
            )
        )

    # answering

    def reset(self) -> None:
        """Close with a reset in place of a FIN."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.transport.abort()

    async def serve(self) -> None:
        """Answer until the connection goes."""
        while True:
            request = await self.waiting.get()
            self.current = request
            script = self.server.take(request)
            if script.hook is not None:
                script.hook(request)
            if await self.answer(request, script):
                request.sent_at = time.monotonic()
                self.server.notify()
            self.stale = script.stale

    async def write(self, data: bytes) -> None:
        """Write under back-pressure."""
        self.transport.write(data)
        await self.flow.wait()

    async def stop_here(self, how: str) -> bool:
        """Carry out `Script.cut`."""
        if how == "rst":
            self.reset()
        elif how == "fin":
            self.transport.close()
        await self.lost.wait()
        return False

    async def answer(self, request: Request, script: Script) -> bool:
        """Write one answer as scripted. False when it was cut short."""
        if script.delay:
            await asyncio.sleep(script.delay)
        if script.cut is not None and script.after == HEAD:
            return await self.stop_here(script.cut)
        if script.early:
            await self.write(script.early)
        if script.raw is not None:
            await self.write(script.raw)
            self.transport.close()
            return True
        status, body, events = self.plan(request, script)
        close = script.close or script.framing == "close" or request.header("connection") == "close"
        if events is None:
            assert body is not None
            return await self.send_body(status, body, script, request, close)
        return await self.send_stream(status, events, script, request, close)

    def plan(self, request: Request, script: Script) -> tuple[int, bytes | None, Iterator[bytes] | None]:
        """Status, and a body or events."""
        if self.server.api_key is not None and request.header("authorization") != f"Bearer {self.server.api_key}":
            return 401, answers.error("Incorrect API key provided.", code="invalid_api_key"), None
        if script.events is not None:
            return script.status, None, self.stream(script.events, script)
        if isinstance(script.body, bytes):
            return script.status, script.body, None
        if script.body is not None:
            return script.status, json.dumps(script.body).encode(), None
        if script.status >= 400:
            kind = "rate_limit_error" if script.status == 429 else "server_error" if script.status >= 500 else None
            text = f"Scripted {script.status}."
            return script.status, answers.error(text, kind or "invalid_request_error"), None
        path = request.target.partition("?")[0]
        if request.method == "GET" and path.endswith("/models"):
            return 200, answers.models(["gpt-4o", "text-embedding-3-small"]), None
        try:
            asked = request.json
        except (ValueError, AssertionError):
            return 400, answers.error("We could not parse the JSON body of your request."), None
        if not asked.get("model"):
            return 400, answers.error("you must provide a model parameter"), None
        if script.usage is not None:
            asked = {**asked, "stream_options": {"include_usage": script.usage}}
        if path.endswith("/chat/completions"):
            if not asked.get("messages"):
                return 400, answers.error("Missing required parameter: 'messages'.", param="messages"), None
            if asked.get("stream"):
                return script.status, None, self.stream(answers.chat_events(asked, script.tokens), script)
            return script.status, answers.chat(asked, script.tokens), None
        if path.endswith("/completions"):
            if asked.get("stream"):
                return script.status, None, self.stream(answers.completion_events(asked, script.tokens), script)
            return script.status, answers.completion(asked, script.tokens), None
        if path.endswith("/embeddings"):
            return script.status, answers.embeddings(asked), None
        return 404, answers.error(f"Invalid URL ({request.method} {path})"), None

    @staticmethod
    def stream(events: list[bytes], script: Script) -> Iterator[bytes]:
        """The events in the order they go out, `[DONE]` with them."""
        if script.endless:
            while True:
                yield from events
        if script.error_after is not None:
            yield from events[: script.error_after]
            yield answers.event(answers.error("The server had an error while processing.", "server_error"))
            return
        yield from events
        if script.done:
            yield answers.DONE

    def head(self, status: int, kind: str, more: list[tuple[str, str]], script: Script) -> bytes:
        """Status line and headers."""
        headers = {"content-type": ("Content-Type", kind), "x-request-id": ("x-request-id", f"req_up_{self.number}")}
        out = []
        for name, value in [*more, *script.headers]:
            if name.lower() in headers or name.lower() in ("content-length", "transfer-encoding", "connection"):
                headers[name.lower()] = (name, value)
            else:
                out.append((name, value))
        lines = [f"HTTP/1.1 {status} Scripted"]
        lines += [f"{name}: {value}" for name, value in [*headers.values(), *out]]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def send_body(self, status: int, body: bytes, script: Script, request: Request, close: bool) -> bool:
        more: list[tuple[str, str]] = []
        if script.gzip:
            body = gzip.compress(body)
            more.append(("Content-Encoding", "gzip"))
        chunked = script.framing == "chunked"
        if chunked:
            more.append(("Transfer-Encoding", "chunked"))
        elif script.framing != "close":
            more.append(("Content-Length", str(len(body) if script.content_length is None else script.content_length)))
        if close:
            more.append(("Connection", "close"))
        head = self.head(status, "application/json", more, script)
        if script.cut is None and not script.delay_body and script.chunk is None and not chunked:
            await self.write(head + (b"" if request.method == "HEAD" else body))
        else:
            await self.write(head)
            if script.delay_body:
                await asyncio.sleep(script.delay_body)
            size = script.chunk or len(body) or 1
            limit = len(body) if script.cut is None else script.after
            for start in range(0, min(limit, len(body)), size):
                part = body[start : min(start + size, limit)]
                await self.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
                if script.interval:
                    await asyncio.sleep(script.interval)
            if script.cut is not None:
                return await self.stop_here(script.cut)
            if chunked:
                await self.write(b"0\r\n\r\n")
        if close:
            self.transport.close()
        return True

    async def send_stream(
        self, status: int, events: Iterator[bytes], script: Script, request: Request, close: bool
    ) -> bool:
        chunked = script.framing in ("auto", "chunked")
        more = [("Cache-Control", "no-cache")]
        if chunked:
            more.append(("Transfer-Encoding", "chunked"))
        if close:
            more.append(("Connection", "close"))
        await self.write(self.head(status, "text/event-stream; charset=utf-8", more, script))
        if script.delay_body:
            await asyncio.sleep(script.delay_body)
        for item in events:
            if script.cut is not None and request.events_sent >= script.after:
                return await self.stop_here(script.cut)
            if script.interval and request.events_sent:
                await asyncio.sleep(script.interval)
            for start in range(0, len(item), script.chunk or len(item)):
                part = item[start : start + (script.chunk or len(item))]
                await self.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
                if script.chunk:
                    await asyncio.sleep(0)
            request.events_sent += 1
            if script.endless and not script.interval:
                await asyncio.sleep(0)
        if script.cut is not None:
            return await self.stop_here(script.cut)
        if chunked:
            await self.write(b"0\r\n\r\n")
        if close or not chunked:
            self.transport.close()
        return True


def repeat(script: Script, times: int, **changes: Any) -> list[Script]:
    """The same script several times over, for `Upstream.script(*repeat(…))`."""
    return [replace(script, **changes)] * times
