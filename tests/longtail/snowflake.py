"""Snowflake Cortex, as far as LiteLLM's SDK calls it.

https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}


KEY = "pat/longtail-secret-0123456789"


def entry(name: str, base: str, **params: Any) -> dict[str, Any]:
    """A deployment of Snowflake's."""
    settings = {"model": "snowflake/llama3.1-70b", "api_base": base, "api_key": KEY, **params}
    return {"model_name": name, "litellm_params": settings}


class Snowflake(ThreadingHTTPServer):
    """Does what the last message says: `limit`, `cut`, `slow`, `endless`; else it says Hello, or calls a tool."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        """Path, headers with lower-case names, body."""
        self.gone = threading.Event()
        """A client left before its answer was complete."""
        self.enough = threading.Event()
        """Ends what is `endless`, which takes a minute otherwise."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self) -> Iterator[Snowflake]:
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        yield self
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.gone.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Snowflake

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers, body))
        if self.path.endswith(":embed"):
            data = [{"object": "embedding", "index": i, "embedding": [[0.5, -1.0]]} for i in range(len(body["text"]))]
            self._json(200, {"object": "list", "model": body["model"], "data": data, "usage": {"total_tokens": 3}})
            return
        said = body["messages"][-1]["content"]
        if said == "limit":
            self._json(429, {"message": "too many", "code": "390112", "token": headers["authorization"]}, "7")
        elif said == "slow":
            time.sleep(2)
            self._answer(body)
        elif body.get("stream"):
            self._stream(body, said)
        else:
            self._answer(body)

    def _answer(self, body: dict[str, Any]) -> None:
        message: dict[str, Any] = {"role": "assistant", "content": "Hello"}
        if "tools" in body:
            message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if "tools" in body else "stop"}
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        made = {"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"]}
        self._json(200, {**made, "choices": [choice], "usage": usage})

    def _stream(self, body: dict[str, Any], said: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "Hel"}, {"content": "lo"}]
        if "tools" in body:
            deltas = [{"role": "assistant", "tool_calls": [{"index": 0, **CALL}]}]
        if said == "endless":
            # LiteLLM takes a hundred equal pieces for a fault of the model.
            deltas = [{"content": f"{number} "} for number in range(3000)]
        for delta in deltas:
            self._event(body, delta, None)
            if said == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if said == "endless" and self.server.enough.wait(0.02):
                break
        self._event(body, {}, "tool_calls" if "tools" in body else "stop")
        self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, body: dict[str, Any], delta: dict[str, Any], reason: str | None) -> None:
        made = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self._chunk(f"data: {json.dumps({**made, 'choices': [choice]})}\n\n")

    def _chunk(self, text: str) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(text.encode()), text.encode()))
        self.wfile.flush()

    def _json(self, status: int, body: dict[str, Any], retry_after: str = "") -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(data)
