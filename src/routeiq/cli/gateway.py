"""A gateway of a command's own: `routeiq serve` as a child process on a loopback port, ended with the command."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
FOREIGN = ("LITELLM_", "ROUTEIQ_", "REDIS_", "DATABASE_URL", "JSON_LOGS", "CONFIG_FILE_PATH")
"""Environment variables of another installation, by prefix: this gateway doesn't listen to them."""


class GatewayFailed(Exception):
    """The gateway did not start; the text is the end of its log."""


def free_port(*wanted: int) -> int:
    """The first port wanted that is free on loopback, or any other."""
    for port in (*wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
            found: int = sock.getsockname()[1]
            return found
    raise GatewayFailed(f"no free port on {HOST}")


@contextmanager
def gateway(
    arguments: Sequence[str], port: int, state_dir: Path, keep: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`routeiq serve` with these arguments, ready, and its URL. `keep` is set although it is `FOREIGN`.

    Raises `GatewayFailed`.
    """
    command = [sys.executable, "-c", "from routeiq.cli import main; main()", "serve", *arguments]
    command += ["--host", HOST, "--port", str(port), "--state-dir", str(state_dir)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | dict(keep or {})
    with tempfile.TemporaryFile() as log:
        # A group of its own: Ctrl-C reaches this process, which then stops the gateway in order.
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
        )
        try:
            if not _wait_ready(process, port):
                log.seek(max(0, os.fstat(log.fileno()).st_size - 4000))
                raise GatewayFailed(log.read().decode(errors="replace").strip() or "it said nothing")
            yield process, f"http://{HOST}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    """Until the gateway says that it is ready. False when it ended or took too long."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", "/_health/ready")
            if connection.getresponse().status == 200:
                return True
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    return False
