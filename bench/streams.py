"""Ten thousand open streams that say nothing, held by one worker. See README.md.

Clients in processes of their own open the streams from several loopback addresses; the upstream sends one event and
then waits until it is told to end them. Where the worker may not open two files for each, the rest go to an upstream
that speaks HTTP/2, many on a connection. Exit code 1 when a stream missed its first event or its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import signal
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
SPARE = 200
"""Files a process opens for other things than streams."""
SHARED = 100
"""Streams on one connection of the gateway's HTTP/2 client, whatever the upstream allows."""
H2_HOST = "127.0.0.2"
MODELS = ("bench-stream", "bench-stream-h2")
VERSIONS = ("HTTP/1.1", "HTTP/2")


def divide(streams: int, files: int) -> list[int]:
    """How many streams a worker with so many files holds by HTTP version: all, or the most, over HTTP/1.1."""
    files -= SPARE
    shared = 0
    while shared < streams and 2 * (streams - shared) + shared + -(-shared // SHARED) > files:
        shared += 1
    while shared + -(-shared // SHARED) > files:
        shared -= 1
        streams -= 1
    return [streams - shared, shared]


async def hold(
    port: int, queries: list[tuple[bytes, int]], source: str, pipe: multiprocessing.connection.Connection
) -> None:
    """Open so many streams by each query, tell when each has its first event, then wait for their ends."""
    gate = asyncio.Semaphore(STEP)
    failures: list[str] = []

    async def start(query: bytes) -> Connection | None:
        connection = Connection(port, source)
        try:
            async with gate, asyncio.timeout(60):
                status, _ = await connection.start(query)
                if status != 200 or not (await connection.chunk()).startswith(b"data: {"):
                    raise ValueError(f"status {status}")
            return connection
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            failures.append(f"{type(error).__name__}: {error}")
            return None

    async def finish(connection: Connection | None) -> bool:
        if connection is None:
            return False
        data = b""
        try:
            async with asyncio.timeout(120):
                while part := await connection.chunk():
                    data += part
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            return False
        return data.endswith(b"data: [DONE]\n\n")

    starts = [asyncio.gather(*(start(query) for _ in range(count))) for query, count in queries]
    opened = [await group for group in starts]
    pipe.send({"opened": [len(group) - group.count(None) for group in opened], "failures": failures[:3]})
    ends = [asyncio.gather(*(finish(connection) for connection in group)) for group in opened]
    pipe.send({"ended": [sum(await group) for group in ends]})


def client(
    port: int, queries: list[tuple[bytes, int]], source: str, pipe: multiprocessing.connection.Connection
) -> None:
    """One client process."""
    harness.open_files(sum(count for _, count in queries) + SPARE)
    uvloop.run(hold(port, queries, source, pipe))


def measure(args: argparse.Namespace, counts: list[int], service: Service, sse: int, h2: Service) -> dict[str, Any]:
    """Open so many streams by HTTP version, weigh, end."""
    queries = [post(harness.request_body(model, stream=True), service.headers) for model in MODELS]
    for model in MODELS:
        harness.call(service.url + "/v1/chat/completions", harness.request_body(model), service.headers)
    idle = service.memory()
    port = int(service.url.rpartition(":")[2])
    start = time.monotonic()
    crew = []
    context = multiprocessing.get_context("spawn")
    for number in range(args.clients):
        mine, theirs = context.Pipe()
        share = [count // args.clients + (number < count % args.clients) for count in counts]
        work = list(zip(queries, share, strict=True))
        process = context.Process(target=client, args=(port, work, f"127.0.0.{number + 2}", theirs), daemon=True)
        process.start()
        crew.append((process, mine))
    try:
        firsts = [receive(pipe, args.seconds) for _, pipe in crew]
        opening = time.monotonic() - start
        time.sleep(2)
        loaded = service.memory()
        files = max(sample.fds for sample in service.samples() if sample.role == "worker")
        cpu = service.cpu()
        time.sleep(args.idle)
        cpu_idle = (service.cpu()["total"] - cpu["total"]) / args.idle
        start = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{sse}/finish", timeout=60):
            pass
        h2.processes[0].send_signal(signal.SIGUSR1)
        lasts = [receive(pipe, args.seconds) for _, pipe in crew]
        ending = time.monotonic() - start
    finally:
        for process, _ in crew:
            process.terminate()
            process.join(10)
    opened = [sum(number) for number in zip(*(item["opened"] for item in firsts), strict=True)]
    ended = [sum(number) for number in zip(*(item["ended"] for item in lasts), strict=True)]
    return {
        "asked": args.streams,
        "opened": sum(opened),
        "ended": sum(ended),
        "versions": {
            version: dict(zip(("asked", "opened", "ended"), numbers, strict=True))
            for version, *numbers in zip(VERSIONS, counts, opened, ended, strict=True)
        },
        "worker_files": files,
        "failures": [text for item in firsts for text in item["failures"]],
        "open_seconds": opening,
        "end_seconds": ending,
        "idle_cpu_share": cpu_idle,
        "memory_idle": idle,
        "memory_loaded": loaded,
        "kb_per_stream": (loaded.get("worker", 0) - idle.get("worker", 0)) * 1e3 / max(1, sum(opened)),
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
    counts = divide(args.streams, limit)
    if counts[1]:
        print(
            f"bench: the worker may open {limit:,} files: {counts[0]:,} streams with two each over HTTP/1.1, "
            f"{counts[1]:,} over HTTP/2",
            file=sys.stderr,
        )
    many = 4 * args.streams
    services: list[Service] = []
    with harness.workspace() as run:
        try:
            held, sse = harness.streaming_upstream(run, events=1, interval=-1)
            services.append(held)
            h2, h2_port = harness.http2_upstream(run, H2_HOST)
            services.append(h2)
            limits = {"max_in_flight": many, "max_connections": many, "pool_per_host": many}
            timeouts = {"idle": 600, "first_byte": 600}
            ours = harness.gateway(
                run,
                dict(zip(MODELS, (sse, f"{H2_HOST}:{h2_port}"), strict=True)),
                limits=limits,
                timeouts=timeouts,
                upstreams=[{"host": H2_HOST, "http2": True}],
            )
            services.append(ours)
            result = measure(args, counts, ours, sse, h2)
        finally:
            for service in reversed(services):
                service.stop()
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        for version, count in result["versions"].items():
            print(f"{version}: {count['opened']:,} of {count['asked']:,} open, {count['ended']:,} ended as asked")
        print(
            f"{result['opened']:,} of {result['asked']:,} streams open in {result['open_seconds']:.1f} s, "
            f"{result['ended']:,} ended as asked in {result['end_seconds']:.1f} s\n"
            f"worker {result['memory_idle'].get('worker', 0):.1f} MB before, "
            f"{result['memory_loaded'].get('worker', 0):.1f} MB with them: {result['kb_per_stream']:.1f} KB a stream, "
            f"{result['worker_files']:,} files\n"
            f"CPU while they are silent: {100 * result['idle_cpu_share']:.1f} % of a core"
        )
        for failure in result["failures"]:
            print(f"failure: {failure}")
    return 0 if result["ended"] == result["asked"] else 1


if __name__ == "__main__":
    sys.exit(main())
