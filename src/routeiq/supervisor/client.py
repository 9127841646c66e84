"""Asks a running supervisor something, for the command line."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TypeVar

import msgspec

from routeiq.supervisor.answers import Command
from routeiq.supervisor.state import admin_socket

T = TypeVar("T", bound=msgspec.Struct)


class NotRunning(RuntimeError):
    """No supervisor works on this state directory."""


def ask(state_dir: Path, command: str, answer: type[T], timeout: float = 150.0) -> T:
    """Send one command and wait for its answer, `timeout` in seconds. Raises `NotRunning`, or `TimeoutError`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(admin_socket(state_dir)))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning(f"no routeiq is running on {state_dir}") from None
        connection.sendall(msgspec.json.encode(Command(command)) + b"\n")
        with connection.makefile("rb") as lines:
            line = lines.readline()
    if not line:
        raise NotRunning(f"routeiq on {state_dir} ended before it answered")
    return msgspec.json.decode(line, type=answer)
