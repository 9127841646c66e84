"""Addresses that fail in ways of their own, all on loopback or without a packet sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def free_port() -> int:
    """A loopback port nobody listens on, for now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def refused() -> str:
    """A base URL whose port refuses connections."""
    return f"http://127.0.0.1:{free_port()}/v1"


UNKNOWN_HOST = "http://no-such-host.invalid/v1"
"""RFC 6761 keeps `.invalid` out of every DNS."""


@contextmanager
def black_hole() -> Iterator[str]:
    """A base URL that never completes a connection: a listener with a full backlog."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
                fillers.append(filler)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def silent() -> Iterator[str]:
    """A base URL that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
