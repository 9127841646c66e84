"""The everything server over streamable HTTP, HTTP+SSE, WebSocket and stdio, in both revisions or one of them.

python -m support.mcp_server --port 3001 [--only legacy|modern]     /mcp, /sse + /messages, /ws
python -m support.mcp_server --stdio
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support.addresses import free_port
from support.mcp_everything import INFO, LEGACY, META, MODERN, Context, Everything, Failed, Message

Send = Callable[[Message], Awaitable[None]]
CHANGED = "notifications/{}/list_changed"
UPDATED = "notifications/resources/updated"
LOCAL = ("localhost", "127.0.0.1", "[::1]")


def dump(message: Message) -> bytes:
    return json.dumps(message).encode()


def answer(ident: Any, result: Message | None, error: Message | None = None) -> Message:
    return {"jsonrpc": "2.0", "id": ident, **({"result": result} if error is None else {"error": error})}


class Legacy:
    """One session."""

    def __init__(self, server: Everything) -> None:
        self.server = server
        self.capabilities: Message = {}
        self.version = LEGACY[0]
        self.level = "debug"
        self.subscribed: set[str] = set()
        self.general: Send | None = None
        self.tasks: dict[Any, asyncio.Task[None]] = {}
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self._names = itertools.count(1)
        server.changed.add(self.changed)
        server.updated.add(self.updated)

    def close(self) -> None:
        self.server.changed.discard(self.changed)
        self.server.updated.discard(self.updated)
        for task in list(self.tasks.values()):
            task.cancel()

    def changed(self, kind: str) -> None:
        self._tell({"jsonrpc": "2.0", "method": CHANGED.format(kind)})

    def updated(self, uri: str) -> None:
        if uri in self.subscribed:
            self._tell({"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": uri}})

    def _tell(self, message: Message) -> None:
        if self.general is not None:
            asyncio.ensure_future(self.general(message))  # noqa: RUF006

    async def request(self, message: Message, send: Send, cut: Callable[[], Awaitable[None]] | None = None) -> Message:
        """The response to a request; what comes before it goes to `send`."""
        method, params, ident = message["method"], message.get("params") or {}, message["id"]
        try:
            if method == "initialize":
                self.capabilities = params.get("capabilities") or {}
                asked = params.get("protocolVersion")
                self.version = asked if asked in LEGACY else LEGACY[0]
                return answer(ident, {"protocolVersion": self.version, "capabilities": self.server.capabilities,
                                      "serverInfo": INFO, "instructions": "Try everything."})  # fmt: skip
            if method == "ping":
                return answer(ident, {})
            if method == "logging/setLevel":
                self.level = params["level"]
                return answer(ident, {})
            if method in ("resources/subscribe", "resources/unsubscribe"):
                (self.subscribed.add if method.endswith("/subscribe") else self.subscribed.discard)(params["uri"])
                return answer(ident, {})

            async def ask(asked: str, about: Message) -> Message:
                name = f"srv-{next(self._names)}"
                waiting = self._asked[name] = asyncio.get_running_loop().create_future()
                await send({"jsonrpc": "2.0", "id": name, "method": asked, "params": about})
                came = await waiting
                if "error" in came:
                    raise Failed(came["error"]["code"], came["error"]["message"])
                return came["result"]

            context = Context(params, self.capabilities, send, ask, self.level)
            context.cut = cut
            return answer(ident, await self.server.request(method, context))
        except Failed as failure:
            return answer(ident, None, failure.error)

    def other(self, message: Message) -> None:
        """A notification or an answer."""
        if message.get("method") == "notifications/cancelled":
            task = self.tasks.get((message.get("params") or {}).get("requestId"))
            if task is not None:
                task.cancel()
        elif "method" not in message and message.get("id") in self._asked:
            self._asked.pop(message["id"]).set_result(message)


async def modern(server: Everything, message: Message, send: Send) -> Message:
    """The response to a request of the stateless revision."""
    method, ident = message["method"], message["id"]
    params = message.get("params") or {}
    meta = params.get("_meta") or {}
    try:
        missing = [name for name in ("protocolVersion", "clientCapabilities") if META + name not in meta]
        if missing:
            raise Failed(-32602, f"_meta lacks {missing}")
        asked = meta[META + "protocolVersion"]
        if asked != MODERN:
            raise Failed(-32022, "Unsupported protocol version", {"supported": [MODERN], "requested": asked})
        if method == "server/discover":
            result: Message = {"supportedVersions": [MODERN], "capabilities": server.capabilities,
                               "instructions": "Try everything.", "ttlMs": 0, "cacheScope": "public",
                               "_meta": {META + "serverInfo": INFO}}  # fmt: skip
        elif method == "subscriptions/listen":
            result = await _listen(server, ident, params.get("notifications") or {}, send)
        else:
            capabilities = meta[META + "clientCapabilities"]
            context = Context(params, capabilities, send, None, meta.get(META + "logLevel"))
            result = await server.request(method, context)
        return answer(ident, {"resultType": "complete", **result})
    except Failed as failure:
        return answer(ident, None, failure.error)


async def _listen(server: Everything, ident: Any, asked: Message, send: Send) -> Message:
    tag = {"_meta": {META + "subscriptionId": ident}}
    kinds = [kind for kind in ("tools", "prompts", "resources") if asked.get(f"{kind}ListChanged")]
    agreed: Message = {f"{kind}ListChanged": True for kind in kinds}
    uris = asked.get("resourceSubscriptions") or []
    if uris:
        agreed["resourceSubscriptions"] = uris

    def tell(method: str, **params: Any) -> None:
        asyncio.ensure_future(send({"jsonrpc": "2.0", "method": method, "params": {**params, **tag}}))  # noqa: RUF006

    def changed(kind: str) -> None:
        if kind in kinds:
            tell(CHANGED.format(kind))

    def updated(uri: str) -> None:
        if uri in uris:
            tell(UPDATED, uri=uri)

    await send({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": {"notifications": agreed, **tag}})  # fmt: skip
    server.changed.add(changed)
    server.updated.add(updated)
    try:
        await asyncio.Event().wait()
    finally:
        server.changed.discard(changed)
        server.updated.discard(updated)
    return {**tag}


STATUSES = {-32700: 400, -32600: 400, -32602: 400, -32020: 400, -32021: 400, -32022: 400, -32601: 404}
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class Application:
    """ASGI: `/mcp`, `/sse` with `/messages`, `/ws`."""

    def __init__(self, server: Everything, only: str | None = None) -> None:
        self.server = server
        self.only = only
        self.seen: list[dict[str, Any]] = []
        """Headers (lower case) and body of every POST."""
        self.sessions: dict[str, Legacy] = {}
        self._streams: dict[str, tuple[asyncio.Queue[Message | None], Legacy]] = {}
        self._events: dict[str, tuple[list[bytes], asyncio.Event]] = {}
        """Of streams that were cut, by session."""

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._websocket(receive, send)
            return
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = b""
        while scope["method"] == "POST":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == "/sse" and scope["method"] == "GET":
            await self._sse(receive, send)
        elif scope["path"] == "/messages" and scope["method"] == "POST":
            await self._messages(scope, body, send)
        elif scope["path"] == "/seen":
            await respond(send, 200, json.dumps(self.seen).encode())
        elif scope["path"] != "/mcp":
            await respond(send, 404)
        else:
            await self._mcp(scope["method"], headers, body, receive, send)

    async def _mcp(self, method: str, headers: dict[str, str], body: bytes, receive: Any, send: Any) -> None:
        origin = headers.get("origin", "http://localhost").partition("://")[2]
        if any(name.rsplit(":", 1)[0] not in LOCAL and name not in LOCAL for name in (headers["host"], origin)):
            await respond(send, 403)
            return
        session = self.sessions.get(headers.get("mcp-session-id", ""))
        if method == "POST":
            message = json.loads(body)
            self.seen.append({"headers": headers, "body": message})
            meta = (message.get("params") or {}).get("_meta") or {}
            version = headers.get("mcp-protocol-version")
            stateless = META + "protocolVersion" in meta or (version is not None and version not in LEGACY)
            if stateless and self.only != "legacy":
                await self._modern(headers, message, receive, send)
            elif self.only == "modern":
                error = {"code": -32602, "message": "_meta is missing"}
                await respond(send, 400, dump(answer(message.get("id"), None, error)))
            else:
                await self._legacy(session, message, headers, send)
        elif self.only == "modern" or "mcp-session-id" not in headers:
            await respond(send, 405)
        elif session is None:
            await respond(send, 404)
        elif method == "DELETE":
            session.close()
            del self.sessions[headers["mcp-session-id"]]
            await respond(send, 204)
        else:
            await self._get(session, headers, receive, send)

    async def _modern(self, headers: dict[str, str], message: Message, receive: Any, send: Any) -> None:
        ident = message.get("id")
        if "id" not in message:
            await respond(send, 202)
            return
        params = message.get("params") or {}
        meta = params.get("_meta") or {}
        named = NAMED.get(message["method"])
        pairs = [("mcp-protocol-version", meta.get(META + "protocolVersion")), ("mcp-method", message["method"])]
        pairs += [("mcp-name", params.get(named))] if named and params.get(named) is not None else []
        whole = all(META + name in meta for name in ("protocolVersion", "clientCapabilities"))
        if whole and any(headers.get(name, "").strip() != value for name, value in pairs):
            error = {"code": -32020, "message": "Header mismatch"}
            await respond(send, 400, dump(answer(ident, None, error)))
            return
        region = (params.get("arguments") or {}).get("region")
        if params.get("name") == "test_x_mcp_header" and unwrapped(headers.get("mcp-param-region")) != region:
            error = {"code": -32020, "message": "Header mismatch"}
            await respond(send, 400, dump(answer(ident, None, error)))
            return
        stream = Events(send)
        work = asyncio.ensure_future(modern(self.server, message, stream.send))
        gone = asyncio.ensure_future(left(receive))
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not work.done():
            work.cancel()
            return
        response = work.result()
        status = STATUSES.get(response["error"]["code"], 200) if "error" in response else 200
        await stream.finish(response, status)

    async def _legacy(self, session: Legacy | None, message: Message, headers: dict[str, str], send: Any) -> None:
        name = headers.get("mcp-session-id")
        if message.get("method") == "initialize":
            name = uuid.uuid4().hex
            session = self.sessions[name] = Legacy(self.server)
        if session is None:
            error = {"code": -32600, "message": "No session"}
            await respond(send, 404 if name else 400, dump(answer(message.get("id"), None, error)))
            return
        assert name is not None
        fields = [(b"mcp-session-id", name.encode())]
        if "id" not in message or "method" not in message:
            session.other(message)
            await respond(send, 202)
            return
        stream = Events(send, fields)

        async def cut() -> None:
            self._events[name] = [], asyncio.Event()
            await stream.raw(b"id: cut-1\nretry: 100\ndata: \n\n")
            await stream.close()

        task = asyncio.ensure_future(session.request(message, stream.send, cut))
        session.tasks[message["id"]] = task  # type: ignore[assignment]
        try:
            response = await task
        except asyncio.CancelledError:
            await stream.close()
            return
        finally:
            session.tasks.pop(message["id"], None)
        if name in self._events:
            events, ready = self._events[name]
            events.append(b"id: cut-2\nevent: message\ndata: " + dump(response) + b"\n\n")
            ready.set()
        else:
            await stream.finish(response, 200)

    async def _get(self, session: Legacy, headers: dict[str, str], receive: Any, send: Any) -> None:
        name = headers["mcp-session-id"]
        stream = Events(send, [(b"mcp-session-id", name.encode())])
        if headers.get("last-event-id") == "cut-1" and name in self._events:
            events, ready = self._events[name]
            await ready.wait()
            del self._events[name]
            await stream.raw(b"".join(events))
            await stream.close()
            return
        session.general = stream.send
        await stream.raw(b": hello\n\n")
        await left(receive)
        session.general = None

    async def _sse(self, receive: Any, send: Any) -> None:
        name = uuid.uuid4().hex
        stream = Events(send)
        connection = Connection(self.server, stream.send, self.only)
        self._streams[name] = asyncio.Queue(), connection.session
        await stream.raw(f"event: endpoint\ndata: /messages?session={name}\n\n".encode())
        queue = self._streams[name][0]
        gone = asyncio.ensure_future(left(receive))
        while not gone.done():
            came = asyncio.ensure_future(queue.get())
            await asyncio.wait([came, gone], return_when=asyncio.FIRST_COMPLETED)
            if came.done() and (message := came.result()) is not None:
                connection.feed(message)
            came.cancel()
        del self._streams[name]
        connection.close()

    async def _messages(self, scope: Message, body: bytes, send: Any) -> None:
        found = self._streams.get(scope["query_string"].decode().removeprefix("session="))
        if found is None:
            await respond(send, 404)
            return
        found[0].put_nowait(json.loads(body))
        await respond(send, 202, b"Accepted")

    async def _websocket(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "mcp"})

        async def write(message: Message) -> None:
            await send({"type": "websocket.send", "text": json.dumps(message)})

        connection = Connection(self.server, write, self.only)
        while (came := await receive())["type"] == "websocket.receive":
            connection.feed(json.loads(came.get("text") or came.get("bytes") or b"{}"))
        connection.close()


class Connection:
    """One client on a stream both ways."""

    def __init__(self, server: Everything, send: Send, only: str | None = None) -> None:
        self.session = Legacy(server)
        self.session.general = send
        self._server = server
        self._send = send
        self._only = only
        self._tasks: set[asyncio.Task[None]] = set()

    def feed(self, message: Message) -> None:
        if "id" not in message or "method" not in message:
            self.session.other(message)
            return
        task = asyncio.ensure_future(self._work(message))
        self.session.tasks[message["id"]] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, message: Message) -> None:
        meta = (message.get("params") or {}).get("_meta") or {}
        stateless = META + "protocolVersion" in meta
        if stateless and self._only == "legacy":
            await self._send(answer(message["id"], None, {"code": -32601, "message": "Method not found"}))
        elif stateless:
            await self._send(await modern(self._server, message, self._send))
        elif self._only == "modern":
            await self._send(answer(message["id"], None, {"code": -32602, "message": "_meta is missing"}))
        else:
            await self._send(await self.session.request(message, self._send))

    def close(self) -> None:
        self.session.close()
        for task in list(self._tasks):
            task.cancel()


class Events:
    """An HTTP answer: JSON, or events once something comes before the response."""

    def __init__(self, send: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self._send = send
        self._headers = headers or []
        self._begun = False
        self._closed = False

    async def raw(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            headers = [(b"content-type", b"text/event-stream"), *self._headers]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def send(self, message: Message) -> None:
        if not self._closed:
            await self.raw(b"event: message\ndata: " + dump(message) + b"\n\n")

    async def close(self) -> None:
        if self._begun and not self._closed:
            self._closed = True
            await self._send({"type": "http.response.body", "body": b""})

    async def finish(self, message: Message, status: int) -> None:
        if self._begun:
            await self.send(message)
            await self.close()
        else:
            await respond(self._send, status, dump(message), self._headers)


def unwrapped(value: str | None) -> str | None:
    """A header's value, which may be base64."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except ValueError:
        return None


async def respond(send: Any, status: int, body: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None) -> None:
    fields = [*(headers or []), *([(b"content-type", b"application/json")] if body else [])]
    fields.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def stdio(only: str | None) -> None:
    """One client on standard input and output, a message a line."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def write(message: Message) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    connection = Connection(Everything(), write, only)
    while line := await reader.readline():
        connection.feed(json.loads(line))
    connection.close()


class McpServer:
    """The server in a process of its own; a context manager."""

    def __init__(self, only: str | None = None) -> None:
        self.port = free_port()
        self._only = only
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> McpServer:
        command = [sys.executable, "-m", "support.mcp_server", "--port", str(self.port)]
        command += ["--only", self._only] if self._only else []
        tests = Path(__file__).resolve().parents[1]
        self._process = subprocess.Popen(command, cwd=tests, env={**os.environ, "PYTHONPATH": str(tests)})
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                self.seen()
                return self
            except OSError:
                time.sleep(0.03)
        raise RuntimeError("the MCP server did not start")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        """Streamable HTTP."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def seen(self) -> list[dict[str, Any]]:
        """Headers and body of every POST so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen", timeout=5) as response:
            found: list[dict[str, Any]] = json.loads(response.read())
            return found


def main() -> None:
    """Serve until killed."""
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=3001)
    parser.add_argument("--only", choices=["legacy", "modern"])
    parser.add_argument("--stdio", action="store_true")
    asked = parser.parse_args()
    if asked.stdio:
        asyncio.run(stdio(asked.only))
        return
    application = Application(Everything(), asked.only)
    uvicorn.run(
        application, host="127.0.0.1", port=asked.port, log_level="error", lifespan="off", ws="websockets-sansio"
    )


if __name__ == "__main__":
    main()
