"""What keys in the database cost: the first use of one, and a request, with one key there and with a million.

Every key has requests, tokens and dollars limited, and its team too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import harness
from harness import Service

PATH = "/v1/chat/completions"
BATCH = 10_000
TEAM = {"team_id": "bench", "rpm_limit": 10**9, "tpm_limit": 10**12, "max_budget": 10**6, "budget_duration": "30d"}
LIMITS = {"rpm_limit": 10**9, "tpm_limit": 10**12, "max_budget": 10**6, "budget_duration": "30d"}


def token(number: int) -> str:
    """The key with this number."""
    return f"sk-bench-{number:08d}"


def fill(database: Path, first: int, last: int) -> None:
    """Keys like number 0, which is there, from `first` to before `last`."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(virtual_keys)")]
        own = hashlib.sha256(token(0).encode()).hexdigest()
        row = connection.execute("SELECT * FROM virtual_keys WHERE digest = ?", (own,)).fetchone()
        like = dict(zip(names, row, strict=True))
        insert = f"INSERT INTO virtual_keys ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        for start in range(first, last, BATCH):
            rows = []
            for number in range(start, min(start + BATCH, last)):
                digest = hashlib.sha256(token(number).encode()).hexdigest()
                made = {**like, "digest": digest, "alias": None}
                made |= {name: like[name].replace(own, digest) for name in ("key", "data")}
                rows.append(tuple(made[name] for name in names))
            with connection:
                connection.executemany(insert, rows)


def first_use(service: Service, body: bytes, numbers: range) -> dict[str, float]:
    """Microseconds from a request with a key no worker knows to its answer, and with the same key again."""
    first: list[float] = []
    again: list[float] = []
    for number in numbers:
        headers = {"Authorization": f"Bearer {token(number)}"}
        for times in (first, again):
            start = time.perf_counter()
            status, answer = harness.call(service.url + PATH, body, headers)
            times.append((time.perf_counter() - start) * 1e6)
            if status != 200:
                raise RuntimeError(f"{status}: {answer[:300]!r}")
    return {
        "first_p50_us": statistics.median(first),
        "first_p99_us": sorted(first)[len(first) * 99 // 100],
        "again_p50_us": statistics.median(again),
    }


def load(service: Service, body: Path, keys: int, seconds: float) -> dict[str, Any]:
    """CPU a request, with so many keys in turn."""
    before = service.cpu()
    result: dict[str, Any] = dict(
        harness.wrk(
            service.url + PATH, body, {}, connections=32, seconds=seconds, script="keys.lua",
            env={"BENCH_KEYS": str(keys)},
        )
    )  # fmt: skip
    after = service.cpu()
    good = max(1.0, result["requests"] - result["bad_status"])
    result["cpu_us"] = {role: (after[role] - before.get(role, 0.0)) * 1e6 / good for role in after}
    return result


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default="1,1000,1000000", help="keys in the database, one after the other")
    parser.add_argument("--used", type=int, default=1000, help="of them in use, in turn (1000)")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=200, help="keys used for the first time")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    harness.need("nginx", "wrk")
    counts = [int(count) for count in args.counts.split(",")]
    results: list[dict[str, Any]] = []
    bad = 0
    with harness.workspace() as run:
        services: list[Service] = []
        try:
            up, upstream = harness.unary_upstream(run)
            services.append(up)
            ours = harness.gateway(run, {"bench": upstream})
            services.append(ours)
            body = run / "body.json"
            body.write_bytes(harness.request_body("bench"))
            harness.manage(ours, "/team/new", **TEAM)
            harness.manage(ours, "/key/generate", key=token(0), team_id="bench", **LIMITS)
            there = 1
            for count in counts:
                print(f"keys: {count:,} in the database", file=sys.stderr, flush=True)
                fill(run / "state" / "routeiq.db", there, count)
                there = max(there, count)
                found: dict[str, Any] = {"keys": count}
                used = min(count, args.used)
                if count > args.samples + used:
                    found |= first_use(ours, body.read_bytes(), range(count - args.samples, count))
                load(ours, body, used, 2)
                runs = [load(ours, body, used, args.seconds) for _ in range(args.runs)]
                bad += sum(int(item["bad_status"] + item["socket_errors"]) for item in runs)
                found["one_key_cpu_us"] = harness.median(
                    [load(ours, body, 1, args.seconds) for _ in range(args.runs)], "cpu_us", "total"
                )
                found["used"] = used
                found["cpu_us"] = harness.median(runs, "cpu_us", "total")
                found["worker_cpu_us"] = harness.median(runs, "cpu_us", "worker")
                found["memory_mb"] = ours.memory()
                found["load1"] = os.getloadavg()[0]
                results.append(found)
            ours.check()
        finally:
            for service in reversed(services):
                service.stop()
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        print("| keys | first use p50, p99 ms | again p50 ms | one key CPU us | in use | CPU us/req | worker MB |")
        print("|---" * 7 + "|")
        for item in results:
            first = (
                f"{item['first_p50_us'] / 1e3:.2f}, {item['first_p99_us'] / 1e3:.2f}" if "first_p50_us" in item else "-"
            )
            again = f"{item['again_p50_us'] / 1e3:.2f}" if "again_p50_us" in item else "-"
            print(
                f"| {item['keys']:,} | {first} | {again} | {item['one_key_cpu_us']:.1f} | {item['used']:,} |"
                f" {item['cpu_us']:.1f} | {item['memory_mb'].get('worker', 0):.1f} |"
            )
    if bad:
        print(f"keys: {bad} requests went wrong", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
