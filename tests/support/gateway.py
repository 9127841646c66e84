"""The gateway as users run it: `routeiq serve` in processes of its own, on a loopback port.

with Gateway(config_for(up, "gpt-4o")) as gw:
    gw.client().chat.completions.create(model="gpt-4o", messages=[…])
    gw.wait_events(1)
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import openai
import psutil
import yaml

from support.addresses import free_port
from support.raw import RawClient
from support.schema import put_database
from support.upstream import Upstream

MASTER_KEY = "sk-riq-test-master-0123456789"
PROVIDER_KEY = "sk-provider-0123456789"
READY_SECONDS = 30.0
ROUTEIQ = str(Path(sys.executable).with_name("routeiq"))
"""The command, as it was installed beside this interpreter."""


def environment() -> dict[str, str]:
    """This process's environment without what would change a gateway's configuration or its way out."""
    foreign = ("LITELLM_", "ROUTEIQ_", "REDIS_", "DATABASE_URL", "JSON_LOGS", "CONFIG_FILE_PATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}


def deployment(upstream: Upstream | str, name: str, upstream_model: str | None = None, **params: Any) -> dict[str, Any]:
    """One `model_list` entry: the group `name` at an upstream, or at a base URL."""
    base = upstream if isinstance(upstream, str) else upstream.base
    settings = {"model": f"openai/{upstream_model or name}", "api_base": base, "api_key": PROVIDER_KEY, **params}
    return {"model_name": name, "litellm_params": settings}


def config_for(upstream: Upstream | str, *names: str, **sections: Any) -> dict[str, Any]:
    """A configuration with one deployment a name; `sections` are the file's other top-level keys."""
    return {"model_list": [deployment(upstream, name) for name in names], **sections}


class Gateway:
    """A running gateway; a context manager. Everything it writes is under `directory`."""

    def __init__(
        self,
        config: dict[str, Any],
        *,
        key: str | None = MASTER_KEY,
        workers: int = 1,
        args: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """`key`: the master key put into the configuration, unless it has one; `None` puts in none."""
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="riq-")
        self.directory = directory or Path(str(self._temporary.name))  # type: ignore[union-attr]
        self.state_dir = self.directory / "state"
        self.file = self.directory / "config.yaml"
        self.log_file = self.directory / "gateway.log"
        self.workers = workers
        self.args = args
        self.env = env or {}
        self.key = key
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._config = deepcopy(config)

    # --- life

    def __enter__(self) -> Gateway:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def write(self, config: dict[str, Any]) -> None:
        """Write the configuration file, with the port and the master key put in."""
        self._config = deepcopy(config)
        full = deepcopy(config)
        own = full.setdefault("routeiq", {})
        own.setdefault("host", "127.0.0.1")
        own["port"] = self.port
        own.setdefault("workers", self.workers)
        general = full.setdefault("general_settings", {})
        if self.key is not None:
            general.setdefault("master_key", self.key)
        self.file.write_text(yaml.safe_dump(full, sort_keys=False))

    def start(self) -> None:
        """Start and wait until ready; another port when this one was taken in between. Raises with the log's end."""
        if "database_url" not in self._config.get("general_settings", {}) and "DATABASE_URL" not in self.env:
            put_database(self.state_dir)
        for attempt in range(3):
            self.port = self.port or free_port()
            self.write(self._config)
            self.spawn()
            try:
                self.wait_ready()
                return
            except RuntimeError:
                if attempt == 2 or "address already in use" not in self.logs().lower():
                    raise
                self.stop()
                self.port = 0

    def spawn(self) -> None:
        """Start without waiting."""
        command = [ROUTEIQ, "serve", "--config", str(self.file)]
        command += ["--state-dir", str(self.state_dir), *self.args]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**environment(), **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Until `/_health/ready` answers 200. Raises `RuntimeError` with the end of the log."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"the gateway exited with {self.process.returncode}:\n{self.logs()[-4000:]}")
            try:
                if self.get("/_health/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.03)
        raise RuntimeError(f"the gateway was not ready in {timeout} s:\n{self.logs()[-4000:]}")

    def stop(self, timeout: float = 20.0) -> int | None:
        """Drain and end; whatever is left after `timeout` is killed. Gives the exit code."""
        process = self.process
        if process is None:
            return None
        left: list[psutil.Process] = []
        if process.poll() is None:
            left = self.processes()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        for item in left:
            try:
                item.kill()
            except psutil.NoSuchProcess:
                pass
        self.process = None
        return process.wait()

    def reload(self, config: dict[str, Any]) -> None:
        """Write another configuration and ask for it with SIGHUP."""
        self.write(config)
        self.signal(signal.SIGHUP)

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor."""
        assert self.process is not None
        self.process.send_signal(number)

    # --- talking to it

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str | None = None, **options: Any) -> openai.OpenAI:
        """The official SDK, without retries of its own."""
        settings: dict[str, Any] = {"max_retries": 0, "timeout": 30, **options}
        return openai.OpenAI(base_url=self.url + "/v1", api_key=key or self.key or "none", **settings)

    def async_client(self, key: str | None = None, **options: Any) -> openai.AsyncOpenAI:
        """The same for asyncio."""
        settings: dict[str, Any] = {"max_retries": 0, "timeout": 30, **options}
        return openai.AsyncOpenAI(base_url=self.url + "/v1", api_key=key or self.key or "none", **settings)

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection, by the standard library."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def raw(self, timeout: float = 10.0) -> RawClient:
        """A bare connection."""
        return RawClient("127.0.0.1", self.port, timeout)

    def call(
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        key: str | None = "",
        headers: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers with lower-case names, body. `key=None` sends none, `""` the master key."""
        fields = dict(headers or {})
        if key is not None and (key or self.key):
            fields.setdefault("Authorization", f"Bearer {key or self.key}")
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            fields.setdefault("Content-Type", "application/json")
        query = urllib.request.Request(self.url + path, data=data, headers=fields, method=method)
        try:
            answer = urllib.request.urlopen(query, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()

    def get(self, path: str, **options: Any) -> tuple[int, dict[str, str], bytes]:
        """`call` without a body."""
        return self.call(path, **options)

    def metrics(self) -> dict[str, float]:
        """Every series of `/metrics`."""
        status, _, body = self.get("/metrics")
        assert status == 200, body
        lines = [line for line in body.decode().splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    # --- looking into it

    def cli(self, *command: str, check: bool = True) -> str:
        """Run `routeiq COMMAND` against this gateway's state directory; gives standard output."""
        done = subprocess.run(
            [ROUTEIQ, *command, "--state-dir", str(self.state_dir)],
            cwd=self.directory,
            env={**environment(), **self.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"routeiq {' '.join(command)} exited with {done.returncode}: {done.stderr}")
        return done.stdout

    def processes(self) -> list[psutil.Process]:
        """The supervisor, then everything under it."""
        assert self.process is not None
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def logs(self) -> str:
        """Everything written to standard output and standard error so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def events(self) -> list[dict[str, Any]]:
        """The ledger's rows, in the order they were ingested."""
        file = self.state_dir / "routeiq.db"
        if not file.exists():
            return []
        # Not `mode=ro`: with a write-ahead log that needs files which may be missing while the control plane restarts.
        with closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=10)) as database:
            database.execute("PRAGMA query_only = 1")
            database.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in database.execute("SELECT * FROM events ORDER BY seq")]
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def wait_events(self, count: int, timeout: float = 15.0) -> list[dict[str, Any]]:
        """Until the ledger holds so many rows. Raises `TimeoutError`."""
        end = time.monotonic() + timeout
        while len(found := self.events()) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} events in the ledger:\n{self.logs()[-2000:]}")
            time.sleep(0.05)
        return found
