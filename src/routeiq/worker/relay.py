"""Paths that are not the worker's own, passed on as bytes to the control plane over its Unix socket."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from routeiq.core.errors import GatewayError, Overloaded, UnknownPath
from routeiq.core.exchange import Header
from routeiq.pipeline.answer import error_head, reason
from routeiq.transport.call import Call, UpstreamBroken

if TYPE_CHECKING:
    from routeiq.worker.heads import Request
    from routeiq.worker.http import ClientConnection
    from routeiq.worker.server import Worker

PRIVATE = b"/internal"
"""Paths of the control plane that only processes of ours may ask."""
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)


class Relay(Call):
    """One relayed request. The control plane being down is the client's 503, never a hang."""

    __slots__ = ("_begun", "_connection", "_head", "_length", "_request", "_worker")

    def __init__(self, worker: Worker, connection: ClientConnection, request: Request) -> None:
        super().__init__()
        self._worker = worker
        self._connection = connection
        self._request = request
        self._begun = False
        self._head = b""
        """Of the answer to a HEAD, which is sent when the length is known."""
        self._length = 0
        connection.serve_as(self)

    def start(self) -> None:
        """Send it on."""
        request = self._request
        if _is_private(request.path):
            self._refuse(UnknownPath(f"There is no {request.path.decode('latin-1')[:200]} here."))
            return
        target = request.path + (b"?" + request.query if request.query else b"")
        # The control plane has no HEAD of its own, and an answer to one ends where no parser sees it.
        method = b"GET" if request.method == b"HEAD" else request.method
        head = [b"%b %b HTTP/1.1\r\n" % (method, target)]
        head += [
            b"%b: %b\r\n" % (name, value)
            for name, value in request.headers
            if name not in _HOP_BY_HOP and name != b"content-length" and name != b"expect"
        ]
        if request.http10 and not any(name == b"host" for name, _ in request.headers):
            head.append(b"host: routeiq\r\n")
        head.append(b"content-length: %d\r\n\r\n" % len(request.body))
        self.payload = (b"".join(head), request.body)
        self.size = len(request.body)
        self._worker.control.send(self)

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._begun = True
        head = b"HTTP/1.1 %d %b\r\n" % (status, reason(status))
        for name, value in headers:
            if name not in _HOP_BY_HOP and name != b"content-length":
                head += b"%b: %b\r\n" % (name, value)
        if self._request.method == b"HEAD":
            self._head = head
        else:
            self._connection.begin(self, head)

    def on_data(self, data: bytes) -> None:
        if self._head:
            self._length += len(data)
        else:
            self._connection.write(self, data)

    def on_done(self) -> None:
        if self._head:
            self._connection.respond(self, self._head, bytes(self._length))
        else:
            self._connection.end(self)

    def on_failure(self, failure: UpstreamBroken) -> None:
        if self._begun:
            self._connection.abort(self)
        else:
            self._refuse(
                Overloaded("The control plane is not available right now.", code="control_unavailable", retry_after=1.0)
            )

    def client_gone(self) -> None:
        """Stop asking."""
        self.cancel()

    def client_slow(self) -> None:
        """Stop reading the answer."""
        if self.carrier is not None:
            self.carrier.pause()

    def client_ready(self) -> None:
        """Read on."""
        if self.carrier is not None:
            self.carrier.resume()

    def _refuse(self, error: GatewayError) -> None:
        self._connection.respond(self, error_head(None, error), error.body())


def _is_private(path: bytes) -> bool:
    """Whether a path is, or once decoded may be taken for, one of `PRIVATE`."""
    if not path.startswith(b"/"):
        return True
    plain = posixpath.normpath(unquote_to_bytes(path).replace(b"\\", b"/"))
    return (b"/" + plain.lstrip(b"/")).lower().startswith(PRIVATE)
