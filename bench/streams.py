"""Ten thousand open streams that say nothing, held by one worker. See README.md.

Clients in processes of their own open the streams from several loopback addresses; the upstream sends one event and
then waits until it is told to end them. Exit code 1 when a stream missed its first event or its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import sys
import time
import urllib.request
from typing import Any

import uvloop

import harness
from client import Connection, post
from harness import Service

STEP = 200
"""Streams being opened at a time by one client process."""


async def hold(port: int, query: bytes, count: int, source: str, pipe: multiprocessing.connection.Connection) -> None:
    """Open `count` streams, tell when each has its first event, then wait for their ends."""
    gate = asyncio.Semaphore(STEP)
    opened: list[Connection] = []
    failures: list[str] = []

    async def start() -> None:
        connection = Connection(port, source)
        try:
            async with gate, asyncio.timeout(60):
                status, _ = await connection.start(query)
                if status != 200 or not (await connection.chunk()).startswith(b"data: {"):
                    raise ValueError(f"status {status}")
            opened.append(connection)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            failures.append(f"{type(error).__name__}: {error}")

    async def finish(connection: Connection) -> bool:
        data = b""
        try:
            async with asyncio.timeout(120):
                while part := await connection.chunk():
                    data += part
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            return False
        return data.endswith(b"data: [DONE]\n\n")

    await asyncio.gather(*(start() for _ in range(count)))
    pipe.send({"opened": len(opened), "failures": failures[:3]})
    ended = await asyncio.gather(*(finish(connection) for connection in opened))
    pipe.send({"ended": sum(ended)})


def client(port: int, query: bytes, count: int, source: str, pipe: multiprocessing.connection.Connection) -> None:
    """One client process."""
    harness.open_files(count + 200)
    uvloop.run(hold(port, query, count, source, pipe))


def measure(args: argparse.Namespace, service: Service, sse: int) -> dict[str, Any]:
    """Open, weigh, end."""
    body = harness.request_body("bench-stream", stream=True)
    query = post(body, service.headers)
    harness.call(service.url + "/v1/chat/completions", harness.request_body("bench-stream"), service.headers)
    idle = service.memory()
    port = int(service.url.rpartition(":")[2])
    share = [args.streams // args.clients + (n < args.streams % args.clients) for n in range(args.clients)]
    start = time.monotonic()
    crew = []
    context = multiprocessing.get_context("spawn")
    for number, count in enumerate(share):
        mine, theirs = context.Pipe()
        process = context.Process(
            target=client, args=(port, query, count, f"127.0.0.{number + 2}", theirs), daemon=True
        )
        process.start()
        crew.append((process, mine))
    try:
        firsts = [receive(pipe, args.seconds) for _, pipe in crew]
        opening = time.monotonic() - start
        time.sleep(2)
        loaded = service.memory()
        cpu = service.cpu()
        time.sleep(args.idle)
        cpu_idle = (service.cpu()["total"] - cpu["total"]) / args.idle
        start = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{sse}/finish", timeout=60):
            pass
        lasts = [receive(pipe, args.seconds) for _, pipe in crew]
        ending = time.monotonic() - start
    finally:
        for process, _ in crew:
            process.terminate()
            process.join(10)
    opened = sum(item["opened"] for item in firsts)
    return {
        "asked": args.streams,
        "opened": opened,
        "ended": sum(item["ended"] for item in lasts),
        "failures": [text for item in firsts for text in item["failures"]],
        "open_seconds": opening,
        "end_seconds": ending,
        "idle_cpu_share": cpu_idle,
        "memory_idle": idle,
        "memory_loaded": loaded,
        "kb_per_stream": (loaded.get("worker", 0) - idle.get("worker", 0)) * 1e3 / max(1, opened),
    }


def receive(pipe: Any, seconds: float) -> dict[str, Any]:
    """A client's next report."""
    if not pipe.poll(seconds):
        raise TimeoutError("a client did not report")
    out: dict[str, Any] = pipe.recv()
    return out


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=2, help="client processes (2)")
    parser.add_argument("--idle", type=float, default=5, help="seconds of silence in which CPU is counted (5)")
    parser.add_argument("--seconds", type=float, default=180, help="longest wait for all streams to open or end (180)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    limit = harness.open_files(2 * args.streams + 1000)
    most = (limit - 200) // 2
    if most < args.streams:
        print(f"bench: {most:,} streams: the worker may open {limit:,} files, two a stream", file=sys.stderr)
        args.streams = most
    many = 4 * args.streams
    services: list[Service] = []
    with harness.workspace() as run:
        try:
            held, sse = harness.streaming_upstream(run, events=1, interval=-1)
            services.append(held)
            limits = {"max_in_flight": many, "max_connections": many, "pool_per_host": many}
            timeouts = {"idle": 600, "first_byte": 600}
            ours = harness.gateway(run, {"bench-stream": sse}, limits=limits, timeouts=timeouts)
            services.append(ours)
            result = measure(args, ours, sse)
        finally:
            for service in reversed(services):
                service.stop()
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        print(
            f"{result['opened']:,} of {result['asked']:,} streams open in {result['open_seconds']:.1f} s, "
            f"{result['ended']:,} ended as asked in {result['end_seconds']:.1f} s\n"
            f"worker {result['memory_idle'].get('worker', 0):.1f} MB before, "
            f"{result['memory_loaded'].get('worker', 0):.1f} MB with them: {result['kb_per_stream']:.1f} KB a stream\n"
            f"CPU while they are silent: {100 * result['idle_cpu_share']:.1f} % of a core"
        )
        for failure in result["failures"]:
            print(f"failure: {failure}")
    return 0 if result["ended"] == result["asked"] else 1


if __name__ == "__main__":
    sys.exit(main())
