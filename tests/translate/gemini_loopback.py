"""Gemini's API on loopback, in front of the client codec: what the official SDK sends is read, what it gets is ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google import genai
from google.genai import types

from routeiq.core.errors import GatewayError
from routeiq.providers.dialects.gemini import error_body
from routeiq.providers.translate.chat import Answer, Chat, Delta
from routeiq.providers.translate.embed import Embed, Embedded
from routeiq.providers.translate.gemini.client import GeminiClient, GeminiCountClient, GeminiEmbedClient


class Loopback:
    """Scripted: `answer`, `deltas` or `error` is what the next call gets; `chats` and `embeds` are what was read."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.deltas: list[Delta] = []
        self.failure: GatewayError | None = None
        self.error: GatewayError | None = None
        self.vectors: Embedded | None = None
        self.tokens = 0
        self.chats: list[Chat] = []
        self.embeds: list[Embed] = []
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.url = ""

    def client(self) -> genai.Client:
        """The SDK, pointed here."""
        return genai.Client(api_key="sk-test", http_options=types.HttpOptions(base_url=self.url))

    def serve(self, path: str, body: bytes) -> tuple[int, bytes]:
        """What a call gets: status and body."""
        self.paths.append(path)
        self.bodies.append(body)
        if self.error is not None:
            return self.error.status, error_body(self.error)
        model, _, method = path.partition("?")[0].rpartition("/")[2].partition(":")
        if method == "countTokens":
            counter = GeminiCountClient()
            self.chats.append(counter.read(body))
            return 200, counter.write(self.tokens)
        if method in ("embedContent", "batchEmbedContents"):
            embedder = GeminiEmbedClient()
            embed = embedder.read_embed(body)
            self.embeds.append(embed)
            assert self.vectors is not None
            return 200, embedder.write_embed(self.vectors, embed)
        codec = GeminiClient(array="alt=sse" not in path)
        chat = codec.read(body)
        self.chats.append(chat)
        if method != "streamGenerateContent":
            assert self.answer is not None
            return 200, codec.write(self.answer, chat)
        writer = codec.writer(chat, model)
        out = b"".join(writer.write(delta) for delta in self.deltas)
        return 200, out + (writer.fail(self.failure) if self.failure is not None else b"")


@contextmanager
def loopback() -> Iterator[Loopback]:
    """A running `Loopback`."""
    state = Loopback()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = state.serve(self.path, body)
            self.send_response(status)
            kind = "text/event-stream" if "alt=sse" in self.path and status == 200 else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
