"""CPU per request of the gateway against nginx `proxy_pass`, run and run about. See README.md.

Exit code 1 when an answer was wrong or a cross-check failed; the ratio is reported, and judged with `--max-ratio`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import harness
from harness import Service, load, median

PATH = "/v1/chat/completions"
ROLES = ("worker", "control", "supervisor", "other", "reaped")


def first_byte(port: int, body: bytes, headers: dict[str, str], count: int) -> dict[str, float]:
    """Time to the first `data:` over one connection, microseconds, and in how many reads a stream came."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {PATH} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{lines}"
    query = head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    times, reads = [], []
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count + 3):
            start = time.perf_counter()
            sock.sendall(query)
            data, arrivals, first = b"", 0, 0.0
            while not data.endswith(b"\r\n0\r\n\r\n") and not data.endswith(b"\n0\r\n\r\n"):
                part = sock.recv(65536)
                if not part:
                    raise RuntimeError(f"closed in a stream: {data[-300:]!r}")
                data += part
                if b"data:" in data:
                    first = first or time.perf_counter() - start
                    arrivals += 1
            times.append(first * 1e6)
            reads.append(arrivals)
    return {"p50_us": statistics.median(times[3:]), "reads": statistics.median(reads[3:])}


def check_answers(service: Service, url: str, model: str) -> None:
    """One answer must be right before anything is measured."""
    status, body = harness.call(url, harness.request_body(model), service.headers)
    if status != 200 or not (b'"choices"' in body or b'"content"' in body):
        raise RuntimeError(f"{service.name} answered {status}: {body[:300]!r}\n{service.log()}")


def measure_unary(
    args: argparse.Namespace, run: Path, upstream: int, ref: Service, ours: Service, ref_port: int
) -> Any:
    """Alternating runs; the numbers of each."""
    body, named = run / "body.json", run / "body-ours.json"
    body.write_bytes(harness.request_body("bench-model", kilobytes=args.body_kb))
    named.write_bytes(harness.request_body("bench", kilobytes=args.body_kb))
    ref_url, url = f"http://127.0.0.1:{ref_port}{PATH}", ours.url + PATH
    load(ref, ref_url, body, connections=8, seconds=1)
    load(ours, url, named, connections=8, seconds=2)
    out: dict[str, Any] = {"request_bytes": len(named.read_bytes()), "nginx": [], "routeiq": []}
    for number in range(args.runs):
        out["nginx"].append(load(ref, ref_url, body, connections=args.connections, seconds=args.seconds))
        before = harness.stub_requests(upstream)
        mine = load(ours, url, named, connections=args.connections, seconds=args.seconds)
        # What was in flight when wrk stopped reached the upstream and was not counted.
        mine["upstream_requests"] = harness.stub_requests(upstream) - before - 1
        out["routeiq"].append(mine)
        note(
            f"run {number + 1}: {mine['rps']:.0f} req/s, {mine['cpu_us']['total']:.1f} CPU-us, load {mine['load1']:.1f}"
        )
    if args.one:
        out["nginx_one"] = load(ref, ref_url, body, connections=1, seconds=args.one)
        out["routeiq_one"] = load(ours, url, named, connections=1, seconds=args.one)
    return out


def measure_streams(args: argparse.Namespace, run: Path, sse: int, ref: Service, ours: Service, ref_port: int) -> Any:
    """The same for streams of `--events` events."""
    body, named = run / "stream.json", run / "stream-ours.json"
    body.write_bytes(harness.request_body("bench-model", stream=True))
    named.write_bytes(harness.request_body("bench-stream", stream=True))
    out: dict[str, Any] = {"nginx": [], "routeiq": []}
    port = int(ours.url.rpartition(":")[2])
    out["direct_first"] = first_byte(sse, body.read_bytes(), {}, args.samples)
    out["nginx_first"] = first_byte(ref_port, body.read_bytes(), {}, args.samples)
    out["routeiq_first"] = first_byte(port, named.read_bytes(), ours.headers, args.samples)
    for number in range(args.runs):
        url = f"http://127.0.0.1:{ref_port}{PATH}"
        out["nginx"].append(load(ref, url, body, connections=args.connections, seconds=args.seconds))
        mine = load(ours, ours.url + PATH, named, connections=args.connections, seconds=args.seconds)
        out["routeiq"].append(mine)
        note(f"streams {number + 1}: {mine['rps']:.0f} streams/s, {mine['cpu_us']['total']:.0f} CPU-us a stream")
    return out


def problems(results: dict[str, Any]) -> list[str]:
    """What must not be in a run that counts."""
    out = []
    for part in ("unary", "streams"):
        for name in ("nginx", "routeiq"):
            for item in results.get(part, {}).get(name, []):
                bad = {key: item[key] for key in ("bad_status", "socket_errors", "timeouts") if item[key]}
                if bad:
                    out.append(f"{part}, {name}: {bad}")
                seen = item.get("upstream_requests")
                if seen is not None and not 0 <= seen - item["requests"] <= 4 * results["args"]["connections"]:
                    out.append(f"{part}, {name}: the upstream saw {seen} requests, the clients {item['requests']:.0f}")
    return out


def note(text: str) -> None:
    """Progress, away from the result."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def table(results: dict[str, Any]) -> str:
    """The results for people."""
    lines = []

    def row(*cells: object) -> None:
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")

    def rule(count: int) -> None:
        lines.append("|---" * count + "|")

    if unary := results.get("unary"):
        row("unary", "CPU us/req", "x nginx", "req/s", "p50 ms", "p99 ms", "1 conn. p50 us")
        rule(7)
        base = median(unary["nginx"], "cpu_us", "total")
        for name in ("nginx", "routeiq"):
            runs = unary[name]
            cpu = median(runs, "cpu_us", "total")
            one = unary.get(f"{name}_one", {}).get("p50_us", "-")
            p50, p99 = median(runs, "p50_us") / 1e3, median(runs, "p99_us") / 1e3
            row(name, f"{cpu:.1f}", f"{cpu / base:.2f}", f"{median(runs, 'rps'):,.0f}", f"{p50:.2f}", f"{p99:.2f}", one)
        lines.append("")
        lines.append("by process, CPU us/req: " + by_role(unary["routeiq"]))
        lines.append("")
    if streams := results.get("streams"):
        count = results["args"]["events"] + 1
        row(
            "streams",
            "CPU us/stream",
            "CPU us/event",
            "x nginx",
            "streams/s",
            "first event added us",
            f"reads of {count}",
        )
        rule(7)
        base = median(streams["nginx"], "cpu_us", "total")
        for name in ("nginx", "routeiq"):
            runs = streams[name]
            cpu = median(runs, "cpu_us", "total")
            added = streams[f"{name}_first"]["p50_us"] - streams["direct_first"]["p50_us"]
            reads = f"{streams[f'{name}_first']['reads']:.0f}"
            rate = f"{median(runs, 'rps'):.0f}"
            row(name, f"{cpu:.0f}", f"{cpu / count:.1f}", f"{cpu / base:.2f}", rate, f"{added:.0f}", reads)
        lines.append("")
        lines.append("by process, CPU us/stream: " + by_role(streams["routeiq"]))
        lines.append("")
    row("memory, MB resident", *results["memory_loaded"])
    rule(1 + len(results["memory_loaded"]))
    row("idle", *(results["memory_idle"].get(role, "-") for role in results["memory_loaded"]))
    row("after load", *results["memory_loaded"].values())
    return "\n".join(lines)


def by_role(runs: list[dict[str, Any]]) -> str:
    """The gateway's CPU time by process."""
    return ", ".join(
        f"{role} {median(runs, 'cpu_us', role):.1f}" for role in ROLES if any(role in r["cpu_us"] for r in runs)
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="alternations (3)")
    parser.add_argument("--seconds", type=float, default=8, help=f"each run, {harness.MAX_SECONDS} at most (8)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--one", type=float, default=3, metavar="SECONDS", help="run with one connection; 0: none (3)")
    parser.add_argument("--body-kb", type=int, default=1, help="size of the request (1)")
    parser.add_argument("--part", choices=("all", "unary", "streams"), default="all")
    parser.add_argument(
        "--dialect", choices=harness.DIALECTS, default="openai", help="of the upstream; not openai: translated"
    )
    parser.add_argument("--events", type=int, default=50, help="per stream (50)")
    parser.add_argument("--interval-ms", type=float, default=5.0, help="between two events (5)")
    parser.add_argument("--samples", type=int, default=30, help="streams for the time to the first event (30)")
    parser.add_argument(
        "--key",
        choices=("master", "limited", "governed"),
        default="master",
        help="the caller: without limits; with rpm and tpm; of the database, limited with its user, team, organization",
    )
    parser.add_argument("--max-ratio", type=float, help="exit 1 when CPU per unary request is over this times nginx's")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    args = arguments()
    if args.seconds > harness.MAX_SECONDS:
        harness.fail(f"--seconds is {harness.MAX_SECONDS} at most")
    harness.need("nginx", "wrk")
    results: dict[str, Any] = {
        "date": time.strftime("%F %T"),
        "host": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "args": {key: value for key, value in vars(args).items() if key not in ("json", "out")},
    }
    services: list[Service] = []
    with harness.workspace() as run:
        try:
            up, upstream = harness.unary_upstream(run, args.dialect)
            services.append(up)
            interval = args.interval_ms / 1000
            paced, sse = harness.streaming_upstream(run, events=args.events, interval=interval, dialect=args.dialect)
            services.append(paced)
            ref, ref_port, ref_sse = harness.reference(run, upstream, sse)
            services.append(ref)
            ours = harness.gateway(run, {"bench": upstream, "bench-stream": sse}, args.dialect)
            if args.key != "limited":
                key = harness.MASTER_KEY if args.key == "master" else harness.governed_key(ours)
                ours.headers = {"Authorization": f"Bearer {key}"}
            services.append(ours)
            check_answers(ref, f"http://127.0.0.1:{ref_port}{PATH}", "bench-model")
            check_answers(ours, ours.url + PATH, "bench")
            results["memory_idle"] = ours.memory()
            if args.part != "streams":
                results["unary"] = measure_unary(args, run, upstream, ref, ours, ref_port)
            if args.part != "unary":
                results["streams"] = measure_streams(args, run, sse, ref, ours, ref_sse)
            results["memory_loaded"] = ours.memory()
            ours.check()
        finally:
            for service in reversed(services):
                service.stop()
    results["problems"] = problems(results)
    text = json.dumps(results, indent=1)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text)
    print(text if args.json else table(results))
    for problem in results["problems"]:
        note(f"PROBLEM: {problem}")
    ratio = 0.0
    if "unary" in results:
        unary = results["unary"]
        ratio = median(unary["routeiq"], "cpu_us", "total") / median(unary["nginx"], "cpu_us", "total")
    if args.max_ratio and ratio > args.max_ratio:
        note(f"{ratio:.2f} x nginx is over {args.max_ratio}")
        return 1
    return 1 if results["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
