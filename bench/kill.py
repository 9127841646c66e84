"""`kill -9` under load: what a client was answered in full is in the ledger once, and nothing is there twice.

Clients write down the call id of every complete answer while a worker, the control plane and the supervisor are killed
in turn. When all is quiet the ids are compared with the ledger, and the ledger with itself (`routeiq ledger verify`).
Exit code 1 when one is missing or doubled, or a sum differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import harness
from client import Connection, post
from harness import Service


async def ask_on(port: int, queries: list[bytes], done: asyncio.Event, ids: list[str], counts: Counter[str]) -> None:
    """One client: request after request until `done`; the ids of complete answers go to `ids`."""
    connection = Connection(port)
    turn = 0
    while not done.is_set():
        turn += 1
        try:
            async with asyncio.timeout(20):
                answer = await connection.ask(queries[turn % len(queries)])
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            connection.close()
            counts["broken"] += 1
            await asyncio.sleep(0.02)
            continue
        counts[str(answer.status)] += 1
        call = answer.headers.get("x-litellm-call-id")
        if answer.status == 200:
            if call is None:
                raise RuntimeError("an answer without x-litellm-call-id")
            ids.append(call)
    connection.close()


async def back(service: Service, role: str, old: int, count: int, seconds: float = 30) -> float:
    """Wait until `count` others play the role and the gateway is ready; gives the seconds that took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        await asyncio.sleep(0.02)
        pids = service.pids(role)
        if len(pids) < count or old in pids:
            continue
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
            writer.write(b"GET /_health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(5):
                head = await reader.readline()
            writer.close()
            if b" 200 " in head:
                return time.monotonic() - start
        except (OSError, TimeoutError):
            continue
    raise TimeoutError(f"no new {role} in {seconds} s:\n{service.log()}")


async def load_and_kill(
    args: argparse.Namespace, service: Service, env: dict[str, str]
) -> tuple[list[str], Counter[str], dict[str, Any]]:
    """Everything that happens while there is load."""
    plain = post(harness.request_body("bench"), service.headers)
    stream = post(harness.request_body("bench-stream", stream=True), service.headers)
    done, ids, counts = asyncio.Event(), list[str](), Counter[str]()
    port = int(service.url.rpartition(":")[2])
    queries = [plain] * 9 + [stream]
    clients = [asyncio.create_task(ask_on(port, queries, done, ids, counts)) for _ in range(args.connections)]
    restarts: dict[str, Any] = {}
    try:
        await asyncio.sleep(1)
        for number in range(args.kills):
            for role in args.roles.split(","):
                if role == "supervisor":
                    restarts.setdefault(role, []).append(await restarted(service, env))
                    await asyncio.sleep(args.pause)
                    continue
                pids = service.pids(role)
                if not pids:
                    raise RuntimeError(f"no {role} among {service.samples()}")
                victim = pids[number % len(pids)]
                os.kill(victim, signal.SIGKILL)
                restarts.setdefault(role, []).append(await back(service, role, victim, len(pids)))
                await asyncio.sleep(args.pause)
                for task in clients:
                    if task.done():
                        task.result()
            print(f"bench: round {number + 1}, {len(ids):,} answers, {dict(counts)}", file=sys.stderr, flush=True)
    finally:
        done.set()
        await asyncio.gather(*clients, return_exceptions=True)
    return ids, counts, restarts


async def restarted(service: Service, env: dict[str, str], seconds: float = 60) -> float:
    """Kill the supervisor and start another in its place; gives the seconds until it is ready."""
    old = service.processes[-1]
    assert isinstance(old.args, list)
    old.kill()
    old.wait()
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        # Those under the old one go by themselves; until then they may hold the address.
        if service.processes[-1].poll() is not None:
            service.spawn(old.args, env)
        await asyncio.sleep(0.1)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
            writer.write(b"GET /_health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(5):
                head = await reader.readline()
            writer.close()
            if b" 200 " in head and service.pids("control"):
                return time.monotonic() - start
        except (OSError, TimeoutError):
            continue
    raise TimeoutError(f"no new supervisor in {seconds} s:\n{service.log()}")


def ledger(where: Path | str) -> Counter[str]:
    """How often each id is in the ledger: a file, or a PostgreSQL URL."""
    if isinstance(where, str):
        import psycopg

        with psycopg.connect(where) as connection:
            return Counter(row[0] for row in connection.execute("SELECT id FROM events"))
    file = where
    # Not `mode=ro`: with a write-ahead log that needs files which may be missing while the control plane restarts.
    with closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=30)) as database:
        database.execute("PRAGMA query_only = 1")
        return Counter(row[0] for row in database.execute("SELECT id FROM events"))


def verified(state: Path, url: str | None) -> dict[str, Any]:
    """What `routeiq ledger verify` says."""
    command = [str(Path(sys.executable).with_name("routeiq")), "ledger", "verify", "--json", "--state-dir", str(state)]
    env = {**os.environ, **({"DATABASE_URL": url} if url else {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if not done.stdout:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def settle(file: Path | str, wanted: set[str], seconds: float) -> Counter[str]:
    """The ledger once it holds every wanted id, or has not grown for `seconds`."""
    found = ledger(file)
    quiet = time.monotonic()
    while time.monotonic() - quiet < seconds and not wanted <= found.keys():
        time.sleep(0.5)
        now = ledger(file)
        if now.total() != found.total():
            quiet = time.monotonic()
        found = now
    time.sleep(1)
    return ledger(file)


def main() -> int:
    """Load, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each role (20)")
    parser.add_argument("--roles", default="worker,control,supervisor")
    parser.add_argument("--postgres", action="store_true", help="the ledger in a PostgreSQL of the tests' own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--pause", type=float, default=0.4, help="seconds of load after each recovery (0.4)")
    parser.add_argument("--quiet", type=float, default=15, help="give up when the ledger stands still this long (15)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    harness.need("nginx")
    services: list[Service] = []
    with ExitStack() as stack:
        run = stack.enter_context(harness.workspace())
        where: Path | str = run / "state" / "routeiq.db"
        url: str | None = None
        if args.postgres:
            sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
            from support.postgres import PostgresServer  # type: ignore[import-not-found]

            url = where = stack.enter_context(PostgresServer()).database()
        env = {"DATABASE_URL": url} if url else {}
        try:
            up, upstream = harness.unary_upstream(run)
            services.append(up)
            paced, sse = harness.streaming_upstream(run, events=5, interval=0.001)
            services.append(paced)
            ours = harness.gateway(run, {"bench": upstream, "bench-stream": sse}, env=env, workers=args.workers)
            services.append(ours)
            ids, counts, restarts = asyncio.run(load_and_kill(args, ours, env))
            found = settle(where, set(ids), args.quiet)
            verdict = verified(run / "state", url)
        finally:
            for service in reversed(services):
                service.stop()
    lost = [item for item in ids if item not in found]
    twice = [item for item, count in found.items() if count > 1]
    repeated = len(ids) - len(set(ids))
    result = {
        "answers": len(ids),
        "statuses": dict(counts),
        "in_ledger": found.total(),
        "lost": len(lost),
        "doubled": len(twice),
        "ids_given_twice": repeated,
        "verify": {name: verdict[name] for name in ("ok", "rows", "added_up", "findings")},
        "restart_seconds": {
            role: {"median": round(statistics.median(times), 2), "worst": round(max(times), 2), "count": len(times)}
            for role, times in restarts.items()
        },
        "examples": [*lost[:5], *twice[:5]],
    }
    print(
        json.dumps(result, indent=1) if args.json else "\n".join(f"{name}: {value}" for name, value in result.items())
    )
    return 1 if lost or twice or repeated or not verdict["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
