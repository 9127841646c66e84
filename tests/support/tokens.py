"""A token endpoint, or a cloud's metadata service, on a loopback port.

with TokenServer(answer) as server:
    server.url                  # http://127.0.0.1:PORT
    server.asked                # what came, in order
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

import trustme


@dataclass(frozen=True)
class Asked:
    """One request. `form` is its body as a form; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


Answer = tuple[int, str, bytes | list[bytes]]
"""Status, content type and body; a body in pieces is sent in chunks, one after the other."""

PAUSE = 0.02
"""Seconds between two pieces."""


@dataclass
class TokenServer:
    """`answer` is called in a thread for every request."""

    answer: Callable[[Asked], Answer]
    tls: Path | None = None
    """Serve HTTPS, and leave the authority's certificate in this directory."""
    asked: list[Asked] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Of every answer."""

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://localhost:{self.port}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def ca_file(self) -> str:
        assert self.tls is not None
        return str(self.tls / "ca.pem")

    def __enter__(self) -> TokenServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                fields = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, fields, self.rfile.read(length))
                server.asked.append(asked)
                status, kind, body = server.answer(asked)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                if isinstance(body, bytes):
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in body:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    time.sleep(PAUSE)
                self.wfile.write(b"0\r\n\r\n")

            do_POST = do_PUT = do_GET  # noqa: N815 - the library's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            authority = trustme.CA()
            authority.cert_pem.write_to_path(self.ca_file)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
