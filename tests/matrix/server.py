"""A provider on a loopback port: scripted by what it is asked, and able to hang up in the midst of an answer."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from support.tokens import Asked


@dataclass
class Reply:
    """An answer; `cut` leaves its end away and hangs up."""

    body: list[bytes]
    kind: str = "application/json"
    status: int = 200
    cut: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """`serve` is called in a thread for every request; what it raises is answered with 418 and kept in `faults`."""

    def __init__(self, serve: Callable[[Asked], Reply]) -> None:
        self.serve = serve
        self.asked: list[Asked] = []
        self.faults: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Server:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body)
                server.asked.append(asked)
                try:
                    reply = server.serve(asked)
                except Exception:
                    fault = f"{self.command} {self.path} {body.decode(errors='replace')}\n{traceback.format_exc()}"
                    server.faults.append(fault)
                    reply = Reply([fault.encode()], "text/plain", 418)
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for chunk in reply.body:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if reply.cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            do_GET = do_POST  # noqa: N815 - the library's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
