"""An agent that fails as its message says: where in a stream, and how."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


def _task(ident: str, state: str) -> Json:
    return {"id": ident, "contextId": f"c-{ident}", "status": {"state": state}}


def _events(ident: str) -> list[Json]:
    """A whole stream: what comes of a task that nobody disturbs."""
    named = {"taskId": ident, "contextId": f"c-{ident}"}
    return [
        {"task": _task(ident, "TASK_STATE_SUBMITTED")},
        {"statusUpdate": {**named, "status": {"state": "TASK_STATE_WORKING"}}},
        {"artifactUpdate": {**named, "artifact": {"artifactId": "a", "parts": [{"text": "some of it"}]}}},
        {"statusUpdate": {**named, "status": {"state": "TASK_STATE_COMPLETED"}}},
    ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Script

    def do_GET(self) -> None:
        interface = {"url": "http://elsewhere.example/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        self._reply(json.dumps({"name": "Script", "supportedInterfaces": [interface]}).encode())

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path in ("/v1/chat/completions", "/runs/stream"):
            self.server.seen.append({**request, "authorization": self.headers["Authorization"]})
            self._model(request)
            return
        method, params = request["method"], request["params"]
        self.server.seen.append(request)
        if method in ("SendMessage", "SendStreamingMessage"):
            words = params["message"]["parts"][0]["text"].split()
            self._say(request["id"], words, stream=method == "SendStreamingMessage")
        elif method == "GetTask" and params["id"] in self.server.kept:
            self._result(request["id"], _task(params["id"], self.server.kept[params["id"]]))
        elif method == "SubscribeToTask" and self.server.kept.get(params["id"]) == "TASK_STATE_WORKING":
            self._begin()
            for event in _events(params["id"])[2:]:
                self._event({"jsonrpc": "2.0", "id": request["id"], "result": event})
            self._end()
        else:
            self._reply(json.dumps({"jsonrpc": "2.0", "id": request["id"],
                                    "error": {"code": -32001, "message": "Task not found"}}).encode())  # fmt: skip

    def _say(self, ident: Any, words: list[str], *, stream: bool) -> None:
        how, count = words[0], int(words[1]) if len(words) > 1 else 0
        task = words[2] if len(words) > 2 else uuid.uuid4().hex
        if how == "status":
            self._reply(b"<html>", status=count)
        elif how == "junk" and not stream:
            self._reply(b"no JSON")
        elif how == "other":
            self._reply(json.dumps({"jsonrpc": "2.0", "id": "other", "result": {}}).encode())
        elif how == "shape":
            self._result(ident, {"surprise": True})
        elif not stream:
            self._result(ident, {"task": _task(task, "TASK_STATE_COMPLETED")})
        else:
            self._begin()
            for event in _events(task)[:count]:
                self._event({"jsonrpc": "2.0", "id": ident, "result": event})
            if how == "junk":
                self._chunk(b"data: no JSON\n\n")
            elif how == "error":
                self._event({"jsonrpc": "2.0", "id": ident, "error": {"code": -32603, "message": "it broke"}})
            elif how == "stranger":
                self._event({"jsonrpc": "2.0", "id": ident, "result": _events("stranger")[3]})
            elif how == "recovers":
                self.server.kept[task] = "TASK_STATE_COMPLETED"
            elif how == "goes-on":
                self.server.kept[task] = "TASK_STATE_WORKING"
            elif how == "waits":
                self.server.kept[task] = "TASK_STATE_WORKING"
                self.server.go.wait(10)
            if how in ("cut", "recovers"):
                self.close_connection = True  # in the midst of the body
            else:
                self._end()

    def _model(self, request: Json) -> None:
        """A model, or an assistant of LangGraph: says how many messages there are, word by word."""
        openai = self.path.endswith("completions")
        messages = request["messages"] if openai else request["input"]["messages"]
        text = messages[-1]["content"]
        if text == "status":
            self._reply(b"{}", status=503)
            return
        self._begin()
        for word in ("there ", "are ", str(len(messages))):
            chunk: Any = {"choices": [{"index": 0, "delta": {"content": word}}]}
            if not openai:
                chunk = [{"type": "AIMessageChunk", "content": word}, {"langgraph_node": "agent"}]
            if text != "mute":
                self._chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        if text == "wait":
            self.server.go.wait(10)
        if text == "error":
            self._event({"error": {"message": "out of order"}})
        elif openai and text not in ("cut", "mute"):
            reason = "content_filter" if text == "filter" else "stop"
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
            self._chunk(b"data: [DONE]\n\n")
        if text == "cut":
            self.close_connection = True
        else:
            self._end()

    def _result(self, ident: Any, result: Any) -> None:
        self._reply(json.dumps({"jsonrpc": "2.0", "id": ident, "result": result}).encode())

    def _reply(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _event(self, message: Json) -> None:
        self._chunk(b"data: " + json.dumps(message).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Script(ThreadingHTTPServer):
    """The server; a context manager. `kept` are states of tasks it still knows, `seen` requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, str] = {}
        self.seen: list[Json] = []
        self.go = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Script:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self.shutdown()
        self.server_close()
