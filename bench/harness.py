"""What every load script here shares: processes and their accounts, nginx, wrk, and the gateway under test.

Everything binds 127.0.0.1, every load is bounded, and CPU time is counted rather than wall time: on a small shared
machine only that can be compared from run to run.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
MAX_SECONDS = 30
"""No single load run is longer."""
ANSWER_TEXT = "A gateway sits between callers and providers and adds as little as it can. " * 9


def fail(message: str) -> None:
    """End with a message for people."""
    sys.exit(f"bench: {message}")


def need(*commands: str) -> None:
    """End unless every command is there."""
    missing = [name for name in commands if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        fail(f"{' and '.join(missing)} not found; on Debian: apt-get install {' '.join(missing)}")


def tool(name: str) -> str:
    """The path of a command that `need` has found; Debian keeps nginx in /usr/sbin."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or name


def environment() -> dict[str, str]:
    """This process's environment without what would change the gateway's configuration."""
    foreign = ("LITELLM_", "ROUTEIQ_", "REDIS_", "DATABASE_URL", "JSON_LOGS", "CONFIG_FILE_PATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}


def free_port(host: str = "127.0.0.1") -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


def open_files(wanted: int) -> int:
    """Raise the limit of open files for this process and what it starts, as far as allowed; gives the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        for limit in ((wanted, max(wanted, hard)), (min(wanted, hard), hard)):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, limit)
                break
            except (ValueError, OSError):
                continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextmanager
def workspace() -> Iterator[Path]:
    """A directory for configurations, logs and state; kept when the run fails.

    From here on SIGTERM unwinds like an error, so that what was started is stopped.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    path = Path(tempfile.mkdtemp(prefix="routeiq-bench-"))
    try:
        yield path
    except BaseException:
        print(f"bench: logs are in {path}", file=sys.stderr)
        raise
    shutil.rmtree(path, ignore_errors=True)


# --- processes


@dataclass(frozen=True)
class Sample:
    """One process at one moment. CPU in seconds (`reaped`: of children that have ended), memory in bytes."""

    pid: int
    role: str
    cpu: float
    reaped: float
    rss: int
    swap: int
    fds: int
    threads: int


@dataclass
class Service:
    """Something started, in a session of its own by which its processes are found again."""

    name: str
    run: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def spawn(self, command: list[str], env: dict[str, str] | None = None) -> None:
        """Start a command; its output goes to `NAME.log`."""
        with (self.run / f"{self.name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.run,
                    env={**environment(), **(env or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM, then SIGKILL for what is left of the sessions started here."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        for sample in self.samples():
            try:
                os.kill(sample.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def log(self, size: int = 2000) -> str:
        """The end of what it has written."""
        file = self.run / f"{self.name}.log"
        return file.read_text(errors="replace")[-size:] if file.exists() else ""

    def check(self) -> None:
        """Raise when a process has ended by itself."""
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{self.name} exited with {process.returncode}:\n{self.log()}")

    def wait_http(self, url: str, seconds: float = 30.0) -> None:
        """Until `url` answers 200. What was started is stopped when it does not."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self.check()
                try:
                    with urllib.request.urlopen(urllib.request.Request(url, headers=self.headers), timeout=3):
                        return
                except OSError:
                    time.sleep(0.05)
            raise RuntimeError(f"{self.name}: no answer from {url}:\n{self.log()}")
        except BaseException:
            self.stop()
            raise

    def samples(self) -> list[Sample]:
        """Every process of the sessions started here, and every descendant of theirs."""
        return list(_samples({process.pid for process in self.processes}))

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far by role, and in all under `total`; children that have ended are under `reaped`."""
        out: dict[str, float] = {"total": 0.0}
        for sample in self.samples():
            out[sample.role] = out.get(sample.role, 0.0) + sample.cpu
            out["reaped"] = out.get("reaped", 0.0) + sample.reaped
            out["total"] += sample.cpu + sample.reaped
        return out

    def memory(self) -> dict[str, float]:
        """Resident megabytes by role, and in all under `total`."""
        out: dict[str, float] = {"total": 0.0}
        for sample in self.samples():
            out[sample.role] = out.get(sample.role, 0.0) + sample.rss / 1e6
            out["total"] += sample.rss / 1e6
        return {role: round(value, 1) for role, value in out.items()}

    def pids(self, role: str) -> list[int]:
        """Processes that play a role."""
        return [sample.pid for sample in self.samples() if sample.role == role]


def _role(pid: int, roots: set[int]) -> str:
    """What a process does, by its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "other"
    if pid in roots:
        return "nginx" if "nginx" in words else "supervisor"
    for role, sign in (
        ("worker", "-m routeiq.worker "),
        ("control", "-m routeiq.control "),
        ("agents", "-m routeiq.agents "),
        ("worker", "nginx: worker"),
    ):
        if sign in words:
            return role
    return "other"


def _samples(roots: set[int]) -> Iterator[Sample]:
    stats: dict[int, list[str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stats[int(name)] = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(int(stat[1]), []).append(pid)
    ours = {pid for pid, stat in stats.items() if int(stat[3]) in roots}
    queue = list(ours)
    while queue:
        for child in children.get(queue.pop(), []):
            if child not in ours:
                ours.add(child)
                queue.append(child)
    for pid in sorted(ours):
        stat = stats[pid]
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            fds = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
        fields = dict(line.partition(":")[::2] for line in status.splitlines())
        yield Sample(
            pid=pid,
            role=_role(pid, roots),
            cpu=(int(stat[11]) + int(stat[12])) / TICK,
            reaped=(int(stat[13]) + int(stat[14])) / TICK,
            rss=_kilobytes(fields.get("VmRSS")),
            swap=_kilobytes(fields.get("VmSwap")),
            fds=fds,
            threads=int(stat[17]),
        )


def _kilobytes(text: str | None) -> int:
    return int(text.split()[0]) * 1024 if text else 0


# --- bodies


def request_body(model: str, *, stream: bool = False, kilobytes: int = 1) -> bytes:
    """A chat request of about this size, as an SDK encodes it."""
    system = "Answer in one paragraph, in plain words, and say nothing that was not asked. " * 3
    line = "What does a gateway do for those who call and those who answer? "
    user = line * max(1, (kilobytes * 1024 - 320) // len(line))
    document: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
    }
    if stream:
        document["stream"] = True
    return json.dumps(document, separators=(",", ":")).encode()


DIALECTS = ("openai", "anthropic")
"""What the upstreams speak; the clients always speak OpenAI's, so that the others are translated."""


def answer_body(dialect: str = "openai") -> bytes:
    """The fixed completion of the unary upstream, about 1 KB."""
    if dialect == "anthropic":
        return json.dumps(
            {
                "id": "msg_bench",
                "type": "message",
                "role": "assistant",
                "model": "bench-model",
                "content": [{"type": "text", "text": ANSWER_TEXT}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 200, "output_tokens": 150},
            },
            separators=(",", ":"),
        ).encode()
    message = {"role": "assistant", "content": ANSWER_TEXT, "refusal": None}
    return json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "bench-model",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350},
        },
        separators=(",", ":"),
    ).encode()


# --- nginx

_NGINX = """\
daemon off;
pid {run}/{name}.pid;
error_log {run}/{name}.err warn;
worker_processes 1;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  {temporary}
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 2m;
  {http}
}}
"""


def nginx(name: str, run: Path, http: str) -> Service:
    """Start nginx with this inside its `http` block."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {run}/{name}_{kind};" for kind in kinds)
    file = run / f"{name}.conf"
    file.write_text(_NGINX.format(name=name, run=run, temporary=temporary, http=http))
    service = Service(name, run)
    service.spawn([tool("nginx"), "-e", f"{run}/{name}.err", "-c", str(file)])
    return service


def unary_upstream(run: Path, dialect: str = "openai") -> tuple[Service, int]:
    """nginx that answers every POST with the same completion; counts at `/stub`."""
    port = free_port()
    body = answer_body(dialect).decode()
    service = nginx(
        "upstream",
        run,
        f"server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json; "
        f"location = /stub {{ stub_status; }} location / {{ return 200 '{body}'; }} }}",
    )
    service.wait_http(f"http://127.0.0.1:{port}/stub")
    return service, port


def reference(run: Path, upstream: int, streaming: int) -> tuple[Service, int, int]:
    """nginx `proxy_pass`, the limit we are measured against: its ports before either upstream."""
    ports = free_port(), free_port()
    blocks = []
    for label, port, target, buffering in (
        ("unary", ports[0], upstream, "on"),
        ("sse", ports[1], streaming, "off"),
    ):
        blocks.append(
            f"upstream {label} {{ server 127.0.0.1:{target}; keepalive 1024; keepalive_requests 1000000000; }}\n"
            f"  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://{label}; "
            f'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering {buffering}; }} }}'
        )
    service = nginx("reference", run, "\n  ".join(blocks))
    service.wait_http(f"http://127.0.0.1:{ports[0]}/stub")
    return service, ports[0], ports[1]


def stub_requests(port: int) -> int:
    """Requests the unary upstream has answered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stub", timeout=3) as answer:
        return int(answer.read().split()[9])


def streaming_upstream(
    run: Path, *, events: int, interval: float, name: str = "sse", dialect: str = "openai"
) -> tuple[Service, int]:
    """The paced upstream of `upstream.py`. Interval in seconds; below 0 it holds after the first event."""
    port = free_port()
    service = Service(name, run)
    pace = ["--events", str(events), "--interval", str(interval), "--dialect", dialect]
    service.spawn([sys.executable, str(HERE / "upstream.py"), str(port), *pace])
    service.wait_http(f"http://127.0.0.1:{port}/ready")
    return service, port


def http2_upstream(run: Path, host: str) -> tuple[Service, int]:
    """The holding upstream of `upstream_h2.py`, which knows no HTTP/1.1: ready once it listens."""
    port = free_port(host)
    service = Service("h2", run)
    service.spawn([sys.executable, str(HERE / "upstream_h2.py"), host, str(port)])
    end = time.monotonic() + 30
    try:
        while True:
            service.check()
            try:
                socket.create_connection((host, port), timeout=3).close()
                return service, port
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
    except BaseException:
        service.stop()
        raise


# --- the gateway

MASTER_KEY = "sk-bench-master-0123456789abcdef"
CALLER_KEY = "sk-bench-caller-0123456789abcdef"


def gateway_config(
    port: int, upstreams: Mapping[str, int | str], /, dialect: str = "openai", **settings: Any
) -> dict[str, Any]:
    """One worker with everything on that users have on: a master key, a weighted choice of three deployments with
    request and token limits, prices, metrics, and the ledger; and a second key with limits of its own.

    `upstreams`: port, or host and port, by model name. `settings` go into the `routeiq` section.
    """
    plenty = 1_000_000_000
    base = "/v1" if dialect == "openai" else ""
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"{dialect}/bench-model",
                    "api_base": f"http://{target if isinstance(target, str) else f'127.0.0.1:{target}'}{base}",
                    "api_key": f"sk-provider-{number}",
                    "input_cost_per_token": 0.0000025,
                    "output_cost_per_token": 0.00001,
                    "weight": number,
                    "rpm": plenty,
                    "tpm": plenty * 1000,
                },
            }
            for name, target in upstreams.items()
            for number in (1, 2, 3)
        ],
        "general_settings": {"master_key": MASTER_KEY},
        "routeiq": {
            "host": "127.0.0.1",
            "port": port,
            "workers": 1,
            "log_level": "warning",
            "keys": [{"name": "bench", "key": CALLER_KEY, "rpm": plenty, "tpm": plenty * 1000}],
            **settings,
        },
    }


def gateway(
    run: Path,
    upstreams: Mapping[str, int | str],
    /,
    dialect: str = "openai",
    *,
    env: dict[str, str] | None = None,
    **settings: Any,
) -> Service:
    """Start the gateway and wait until it is ready. State is in `run/state`."""
    port = free_port()
    file = run / "routeiq.yaml"
    file.write_text(json.dumps(gateway_config(port, upstreams, dialect, **settings)))  # JSON is YAML
    service = Service("routeiq", run, headers={"Authorization": f"Bearer {CALLER_KEY}"})
    command = Path(sys.executable).with_name("routeiq")
    service.spawn([str(command), "serve", "--config", str(file), "--state-dir", str(run / "state")], env)
    service.url = f"http://127.0.0.1:{port}"
    service.wait_http(service.url + "/_health/ready", 60)
    return service


def manage(service: Service, path: str, **fields: Any) -> Any:
    """One question to the management API; waits for the control plane to be there."""
    end = time.monotonic() + 60
    headers = {"Authorization": f"Bearer {MASTER_KEY}"}
    while True:
        status, body = call(service.url + path, json.dumps(fields).encode(), headers)
        if status == 200:
            return json.loads(body)
        if status != 503 or time.monotonic() > end:
            raise RuntimeError(f"{path} answered {status}: {body[:300]!r}")
        time.sleep(0.2)


def governed_key(service: Service) -> str:
    """A key of the database with requests, tokens and dollars limited four times: for it and all it belongs to."""
    limits = {"rpm_limit": 10**9, "tpm_limit": 10**12, "max_budget": 10**6, "budget_duration": "30d"}
    manage(service, "/organization/new", organization_id="bench", organization_alias="bench", **limits)
    manage(service, "/team/new", team_id="bench", organization_id="bench", **limits)
    manage(service, "/user/new", user_id="bench", auto_create_key=False)
    member = {"user_id": "bench", "role": "user"}
    manage(service, "/team/member_add", team_id="bench", member=member, max_budget_in_team=10**5)
    key = manage(service, "/key/generate", team_id="bench", user_id="bench", **limits)["key"]
    return str(key)


def call(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """One POST."""
    query = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(query, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


# --- wrk


def wrk(
    url: str,
    body: Path,
    headers: dict[str, str],
    *,
    connections: int,
    seconds: float,
    script: str = "post.lua",
    env: dict[str, str] | None = None,
) -> dict[str, float]:
    """One bounded run with one wrk thread. Times in microseconds."""
    if seconds > MAX_SECONDS:
        fail(f"a load run lasts {MAX_SECONDS} s at most")
    lines = "\n".join(f"{name}: {value}" for name, value in headers.items())
    done = subprocess.run(
        [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "15s", "-s", str(HERE / script), url],
        env={**os.environ, "BENCH_BODY": str(body), "BENCH_HEADERS": lines, **(env or {})},
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            out: dict[str, float] = json.loads(line[7:])
            return out
    raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")


def load(service: Service, url: str, body: Path, *, connections: int, seconds: float) -> dict[str, Any]:
    """One run with the CPU time it cost `service`, in microseconds per request, by role."""
    before = service.cpu()
    result: dict[str, Any] = dict(wrk(url, body, service.headers, connections=connections, seconds=seconds))
    after = service.cpu()
    good = max(1.0, result["requests"] - result["bad_status"])
    result["rps"] = result["requests"] / (result["duration_us"] / 1e6)
    result["cpu_us"] = {role: (after[role] - before.get(role, 0.0)) * 1e6 / good for role in after}
    result["load1"] = os.getloadavg()[0]
    return result


def median(runs: Iterable[dict[str, Any]], *path: str) -> float:
    """The median of a number found under `path` in each run; 0 where it is missing."""
    values = []
    for item in runs:
        value: Any = item
        for name in path:
            value = value.get(name, 0.0)
        values.append(float(value))
    return statistics.median(values) if values else 0.0
