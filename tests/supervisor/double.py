"""Stands in for a process under the supervisor, as told by the files of its state directory.

python double.py builder STATE          answers with STATE/build.msgpack after STATE/build.delay seconds
python double.py worker|control|longtail|agents …       follows the feed and writes what happens to STATE/said.log

A process refuses a Snapshot whose revision is in STATE/refuse, takes STATE/slow seconds to drain, exits with status 3
at once when STATE/crash exists, and does not answer a Publish when STATE/mute does.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

from routeiq.core import snapshot
from routeiq.core.messages import Drain, Frames, Invalidate, Publish, Ready, Rebuild, Rebuilt, Refused, frame


def builder(state: Path) -> None:
    """Answer as prepared."""
    with (state / "builds").open("a") as file:
        file.write("build\n")
    delay = state / "build.delay"
    if delay.exists():
        time.sleep(float(delay.read_text()))
    sys.stdout.buffer.write((state / "build.msgpack").read_bytes())


def child(kind: str) -> None:
    """Follow the feed until it ends or asks to drain."""
    parser = argparse.ArgumentParser()
    for name in ("fd", "feed", "column", "columns"):
        parser.add_argument(f"--{name}", type=int, default=0)
    for name in ("state", "socket", "control", "longtail", "agents", "certfile", "keyfile"):
        parser.add_argument(f"--{name}")
    asked = parser.parse_args(sys.argv[2:])
    state = Path(asked.state or Path(asked.socket).parents[1])
    name = f"{kind}{asked.column}"

    def say(text: str) -> None:
        with (state / "said.log").open("a") as file:
            file.write(f"{name} {os.getpid()} {text}\n")

    if (state / "crash").exists():
        sys.exit(3)
    say("start " + " ".join(sys.argv[2:]))
    feed = socket.socket(fileno=asked.feed)
    if kind == "worker":
        assert os.get_blocking(asked.fd) is False
    frames = Frames()
    while True:
        data = feed.recv(1 << 16)
        if not data:
            say("eof")
            return
        for message in frames.feed(data):
            if isinstance(message, Publish):
                revision = snapshot.decode(message.snapshot).revision
                if (state / "mute").exists():
                    continue
                if kind == "worker" and (state / "refuse").exists() and revision in (state / "refuse").read_text():
                    feed.sendall(frame(Refused("no")))
                else:
                    say(f"serve {revision}")
                    feed.sendall(frame(Ready(revision)))
                if kind == "control" and (state / "invalidate").exists():
                    feed.sendall(frame(Invalidate(("ab",))))
                if kind == "control" and (state / "rebuild").exists():
                    (state / "rebuild").unlink()
                    feed.sendall(frame(Rebuild(7)))
            elif isinstance(message, Rebuilt):
                errors = "; ".join(finding.message for finding in message.errors)
                say(f"rebuilt {message.id} {message.ok} {message.revision} {errors}")
            elif isinstance(message, Invalidate):
                say(f"invalidate {','.join(message.keys)}")
            elif isinstance(message, Drain):
                say(f"drain {message.seconds:g}")
                slow = state / "slow"
                if slow.exists() and kind == "worker":
                    time.sleep(float(slow.read_text()))
                say("exit")
                return


if __name__ == "__main__":
    if sys.argv[1] == "builder":
        builder(Path(sys.argv[2]))
    else:
        child(sys.argv[1])
