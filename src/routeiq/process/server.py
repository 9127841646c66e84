"""An ASGI application on a Unix socket, by uvicorn."""

from __future__ import annotations

import contextlib
from typing import Any

import uvicorn


def make_server(application: Any) -> Server:
    """A server that logs nothing but its own faults."""
    return Server(uvicorn.Config(application, lifespan="off", log_config=None, log_level="warning", access_log=False))


class Server(uvicorn.Server):
    """Signals are the supervisor's: it says on the feed when to end."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()

    def drain(self, seconds: float) -> None:
        """Take no more, and end when what is under way has, or after `seconds`."""
        self.config.timeout_graceful_shutdown = max(1, round(seconds))
        self.should_exit = True
