"""The Unix socket a process listens on."""

from __future__ import annotations

import socket
from pathlib import Path


def listen(path: Path) -> socket.socket:
    """A Unix socket at `path` for this user alone, in place of one that a dead process left."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    path.chmod(0o600)
    made.listen(512)
    return made
