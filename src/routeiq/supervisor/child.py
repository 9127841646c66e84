"""One process under the supervisor: started, fed, and started again when it dies."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping

from routeiq.core.messages import Drain, Frames, Invalidate, Message, Publish, Ready, Rebuild, Refused, frame

BACKOFF_FIRST = 0.1
BACKOFF_MOST = 10.0
"""Seconds: the first pause before a restart and the longest. A process that gets as far as `Ready` starts over."""
MAX_UNREAD = 512 * 1024 * 1024
"""Bytes a process may leave unread on its feed before it counts as hung and is killed."""

log = logging.getLogger("routeiq.supervisor")


class Child:
    """A program that is kept running.

    `command(feed_fd)` gives the command line and `inherit` more descriptors to pass. `changed` is called whenever
    `pid`, `running`, `behind`, `revision` or `refusal` may have changed, `relay` with each `Invalidate` it sends,
    `asked` with each `Rebuild`.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], tuple[str, ...]],
        *,
        inherit: tuple[int, ...] = (),
        environment: Mapping[str, str],
        changed: Callable[[], None],
        relay: Callable[[Invalidate], None],
        asked: Callable[[Rebuild], None] | None = None,
    ) -> None:
        self.name = name
        self.restarts = 0
        self.revision = ""
        """The Snapshot it serves by; empty before its first `Ready`."""
        self.refusal = ""
        """Why it did not take the last one."""
        self.behind = 0
        """Snapshots it has been sent and not answered for."""
        self.pid = 0
        self.started = 0.0
        """Unix seconds."""
        self._command = command
        self._inherit = inherit
        self._environment = environment
        self._changed = changed
        self._relay = relay
        self._asked = asked
        self._snapshot = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._feed: asyncio.StreamWriter | None = None
        self._starter: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._born = 0.0
        self._pause = BACKOFF_FIRST
        self._timer: asyncio.TimerHandle | None = None
        self._drain: Drain | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end, and is started no more."""
        return self._drain is not None

    async def start(self) -> None:
        """Start the process and send it the Snapshot; on failure try again later."""
        self._timer = None
        if self._drain is not None or self._process is not None:
            return
        mine, theirs = socket.socketpair()
        try:
            process = self._spawn(theirs.fileno())
        except OSError as error:
            mine.close()
            log.error("%s could not be started: %s", self.name, error)
            self._again()
            return
        finally:
            theirs.close()
        self._process = process
        self._born = time.monotonic()
        self.pid = process.pid
        self.started = time.time()
        self.revision = self.refusal = ""
        self.behind = 0
        reader, feed = await asyncio.open_unix_connection(sock=mine)
        if self.pid != process.pid:  # it has died in the meantime
            feed.close()
            return
        self._feed = feed
        self._reader = asyncio.create_task(self._read(reader), name=f"feed of {self.name}")
        self.publish(self._snapshot)
        self._pass_drain()
        self._changed()

    def _spawn(self, feed: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own programs
            self._command(feed),
            stdin=subprocess.DEVNULL,
            env=self._environment,
            pass_fds=(feed, *self._inherit),
            process_group=0,  # a Ctrl-C at the terminal is for the supervisor, which drains
        )

    def publish(self, snapshot: bytes) -> None:
        """Send a Snapshot, now and after every restart."""
        self._snapshot = snapshot
        if self.stopping:
            return
        if self._feed is not None and snapshot:
            self.behind += 1
            self.send(Publish(snapshot))

    def send(self, message: Message) -> None:
        """Send anything else; nothing happens when there is no process."""
        feed = self._feed
        if feed is None or feed.is_closing():
            return
        feed.write(frame(message))
        if feed.transport.get_write_buffer_size() > MAX_UNREAD:
            log.error("%s does not read its feed and is killed", self.name)
            self.kill()

    def stop(self, seconds: float) -> None:
        """Ask it to finish within `seconds` and end, and start it no more."""
        self._drain = Drain(seconds)
        self.behind = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pass_drain()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()

    def reap(self) -> None:
        """Look whether the process has ended; called on SIGCHLD."""
        process = self._process
        if process is None or process.poll() is None:
            return
        life = time.monotonic() - self._born
        self._process = None
        self.pid = 0
        self.behind = 0
        self._close_feed()
        if self._drain is not None:
            log.debug("%s ended", self.name)
        else:
            log.error(
                "%s ended %s after %.1f s and is started again", self.name, ending(process.returncode), life,
                extra={"pid": process.pid},
            )  # fmt: skip
            self._again()
        self._changed()

    def _again(self) -> None:
        self.restarts += 1
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._pause, self._restart)
        self._pause = min(self._pause * 2, BACKOFF_MOST)

    def _restart(self) -> None:
        self._starter = asyncio.create_task(self.start(), name=f"start of {self.name}")

    def _pass_drain(self) -> None:
        if self._drain is not None:
            self.send(self._drain)

    def _close_feed(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        while True:
            try:
                data = await reader.read(65536)
                messages = frames.feed(data)
            except OSError:
                return  # it has died: `reap` says how
            except ValueError as error:
                log.error("%s sent something that can't be read and is killed: %s", self.name, error)
                self.kill()
                return
            for message in messages:
                self._take(message)
            if not data:
                return

    def _take(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.behind = max(0, self.behind - 1)
            self.revision, self.refusal = message.revision, ""
            self._pause = BACKOFF_FIRST
            self._changed()
        elif isinstance(message, Refused):
            self.behind = max(0, self.behind - 1)
            self.refusal = message.error
            log.error("%s refused the configuration: %s", self.name, message.error)
            self._changed()
        elif isinstance(message, Invalidate):
            self._relay(message)
        elif isinstance(message, Rebuild) and self._asked is not None:
            self._asked(message)


def ending(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"with status {code}"
    try:
        return f"by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
