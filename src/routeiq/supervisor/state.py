"""The state directory: who owns it, what is in it, where its sockets are.

state_dir/               0700
    supervisor.lock      held by the one supervisor; its process id inside
    counters.bin, .names the counters all processes share
    journal/             the Journal's segments
    run/                 sockets: supervisor.sock, control.sock, longtail.sock, agents.sock
    routeiq.db           the ledger
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

SOCKET_PATH_BYTES = 107
"""The longest path a Unix socket may have on Linux (104 with its NUL on macOS)."""
_LONGEST_NAME = len("/supervisor.sock")
_POINTER = "run.path"


class StateBusy(RuntimeError):
    """Another supervisor works on this directory."""


class StateDir:
    """A locked state directory."""

    def __init__(self, path: Path) -> None:
        """Create what is missing and take the lock. Raises `StateBusy`, or `OSError`."""
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(path, 0o700)
        self._lock = os.open(path / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise StateBusy(f"{path} is in use by another routeiq, process {owner}") from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        self.journal = path / "journal"
        self.journal.mkdir(mode=0o700, exist_ok=True)
        self.run = self._run_directory()
        self._remove_sockets()

    @property
    def control_socket(self) -> Path:
        """Where the control plane listens."""
        return self.run / "control.sock"

    @property
    def longtail_socket(self) -> Path:
        """Where the process with LiteLLM's SDK listens."""
        return self.run / "longtail.sock"

    @property
    def agents_socket(self) -> Path:
        """Where the process with MCP listens."""
        return self.run / "agents.sock"

    @property
    def admin_socket(self) -> Path:
        """Where the supervisor takes commands."""
        return self.run / "supervisor.sock"

    def close(self) -> None:
        """Remove the sockets and give up the lock."""
        self._remove_sockets()
        self._remove_elsewhere()
        os.close(self._lock)

    def _remove_sockets(self) -> None:
        for socket in (self.control_socket, self.longtail_socket, self.agents_socket, self.admin_socket):
            socket.unlink(missing_ok=True)

    def _remove_elsewhere(self) -> None:
        """The directory outside the state directory, this supervisor's or a dead one's."""
        pointer = self.path / _POINTER
        if pointer.exists():
            shutil.rmtree(pointer.read_text(), ignore_errors=True)
            pointer.unlink()

    def _run_directory(self) -> Path:
        self._remove_elsewhere()
        run = self.path / "run"
        if len(os.fsencode(run)) + _LONGEST_NAME <= SOCKET_PATH_BYTES:
            run.mkdir(mode=0o700, exist_ok=True)
            return run
        # The path is too long for a socket: a private directory elsewhere, and a note of where.
        short = Path(tempfile.mkdtemp(prefix="routeiq-", dir="/tmp"))
        (self.path / _POINTER).write_text(str(short))
        return short


def admin_socket(state_dir: Path) -> Path:
    """Where the supervisor of a state directory listens, whether or not there is one."""
    try:
        return Path((state_dir / _POINTER).read_text()) / "supervisor.sock"
    except FileNotFoundError:
        return state_dir / "run" / "supervisor.sock"
