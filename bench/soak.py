"""A million mixed requests; resident memory and open files must stay where they were. See README.md.

Exit code 1 when a process grows by more than `--max-slope` megabytes per 100,000 requests.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import harness
from harness import Service

PATH = "/v1/chat/completions"


def slope(points: list[tuple[float, float]]) -> float:
    """Least-squares slope of (x, y)."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def snapshot(service: Service, requests: float) -> list[dict[str, Any]]:
    """One line a process. What was swapped out counts as memory."""
    return [
        {
            "requests": requests,
            "role": sample.role,
            "pid": sample.pid,
            "mb": (sample.rss + sample.swap) / 1e6,
            "fds": sample.fds,
            "threads": sample.threads,
        }
        for sample in service.samples()
    ]


def run_load(args: argparse.Namespace, service: Service, run: Path) -> tuple[list[dict[str, Any]], float]:
    """Slices of load with a look at every process after each; gives the looks and the number of requests."""
    body, stream = run / "body.json", run / "stream.json"
    body.write_bytes(harness.request_body("bench"))
    stream.write_bytes(harness.request_body("bench-stream", stream=True))
    script = "post.lua" if args.plain else "mixed.lua"
    looks: list[dict[str, Any]] = []
    total, end = 0.0, time.monotonic() + args.max_minutes * 60
    while total < args.requests and time.monotonic() < end:
        result = harness.wrk(
            service.url + PATH,
            body,
            service.headers,
            connections=args.connections,
            seconds=args.slice,
            script=script,
            env={"BENCH_STREAM_BODY": str(stream)},
        )
        total += result["requests"]
        looks += snapshot(service, total)
        service.check()
        worker = next((look for look in reversed(looks) if look["role"] == "worker"), looks[-1])
        print(
            f"bench: {total:,.0f} requests, worker {worker['mb']:.1f} MB, {worker['fds']} files, "
            f"errors {result['socket_errors']:.0f}",
            file=sys.stderr,
            flush=True,
        )
    return looks, total


def main() -> int:
    """Load, then judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--max-minutes", type=float, default=30, help="stop then, whatever the count (30)")
    parser.add_argument("--slice", type=float, default=8, help="seconds between two looks (8)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--plain", action="store_true", help="only right unary requests")
    parser.add_argument("--max-slope", type=float, default=1.0, help="MB per 100,000 requests (1)")
    parser.add_argument(
        "--warm", type=float, default=0.2, help="leave out this share of the requests at the start (0.2)"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    harness.need("nginx", "wrk")
    services: list[Service] = []
    with harness.workspace() as run:
        try:
            up, upstream = harness.unary_upstream(run)
            services.append(up)
            paced, sse = harness.streaming_upstream(run, events=5, interval=0)
            services.append(paced)
            ours = harness.gateway(run, {"bench": upstream, "bench-stream": sse})
            services.append(ours)
            before = snapshot(ours, 0)
            looks, total = run_load(args, ours, run)
            time.sleep(5)
            after = snapshot(ours, total)
        finally:
            for service in reversed(services):
                service.stop()
    lines, bad = [], False
    points: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for look in looks:
        if look["requests"] >= args.warm * total:
            points[look["role"], look["pid"]].append((look["requests"] / 1e5, look["mb"]))
    first = {(look["role"], look["pid"]): look for look in before}
    for look in after:
        key = look["role"], look["pid"]
        growth = slope(points[key])
        bad = bad or growth > args.max_slope
        start = first.get(key, look)
        lines.append({**look, "slope": growth, "mb_start": start["mb"], "fds_start": start["fds"]})
    if args.json:
        print(json.dumps({"requests": total, "processes": lines, "looks": looks}, indent=1))
    else:
        print("| process | MB at start | MB at end | MB per 100k requests | files at start | at end | threads |")
        print("|---|---|---|---|---|---|---|")
        for line in lines:
            cells = f"{line['mb_start']:.1f} | {line['mb']:.1f} | {line['slope']:+.2f}"
            print(f"| {line['role']} | {cells} | {line['fds_start']} | {line['fds']} | {line['threads']} |")
        print(f"\n{total:,.0f} requests")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
