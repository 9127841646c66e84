"""What a message to an agent through the gateway costs, and whether it holds a thousand streams."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import harness
from harness import Service

PLENTY = 1_000_000_000
BUDGET_US = 200.0
"""CPU of a message in the process that serves A2A."""


def said(method: str, text: str) -> dict[str, Any]:
    """A message, in 1.0."""
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}}


def said_old(text: str) -> dict[str, Any]:
    """A message, in 0.3."""
    message = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": text}]}
    return {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}


CASES = (
    ("a message", "1.0", said("SendMessage", "message")),
    ("a message, translated", "0.3", said_old("message")),
    ("a task, kept", "1.0", said("SendMessage", "task")),
)


def start(run: Path) -> tuple[Service, Service]:
    """An agent that answers at once, and a gateway with keys, grants, limits and the ledger."""
    upstream, port = Service("a2a-upstream", run), harness.free_port()
    upstream.spawn([sys.executable, str(harness.HERE / "a2a_upstream.py"), str(port)])
    grant = {"agents": ["bench"]}
    key = {"name": "bench", "key": harness.CALLER_KEY, "rpm": PLENTY, "tpm": PLENTY, "object_permission": grant}
    listen = harness.free_port()
    config: dict[str, Any] = {
        "agents": [{"agent_name": name, "url": f"http://127.0.0.1:{port}"} for name in ("other", "bench")],
        "general_settings": {"master_key": harness.MASTER_KEY},
        "routeiq": {"port": listen, "workers": 1, "log_level": "warning", "keys": [key]},
    }
    file = run / "a2a.yaml"
    file.write_text(json.dumps(config))
    gateway = Service("routeiq", run, headers={"Authorization": f"Bearer {harness.CALLER_KEY}"})
    command = str(Path(sys.executable).with_name("routeiq"))
    gateway.spawn([command, "serve", "--config", str(file), "--state-dir", str(run / "state")])
    gateway.url = f"http://127.0.0.1:{listen}"
    gateway.wait_http(gateway.url + "/_health/ready", 60)
    return upstream, gateway


def load(gateway: Service, version: str, body: Path, seconds: float) -> dict[str, Any]:
    """CPU a message, by process."""
    before = gateway.cpu()
    headers = {**gateway.headers, "A2A-Version": version}
    result: dict[str, Any] = dict(
        harness.wrk(gateway.url + "/a2a/bench", body, headers, connections=32, seconds=seconds)
    )
    after = gateway.cpu()
    good = max(1.0, result["requests"] - result["bad_status"])
    result["cpu_us"] = {role: (after[role] - before.get(role, 0.0)) * 1e6 / good for role in after}
    return result


async def hold(gateway: Service, count: int) -> dict[str, Any]:
    """So many streams that stay open, each with its first event."""
    host, port = "127.0.0.1", int(gateway.url.rpartition(":")[2])
    before = gateway.memory()
    body = json.dumps(said("SendStreamingMessage", "hold")).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**gateway.headers, "A2A-Version": "1.0"}.items())
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(host, port)
        head = f"POST /a2a/bench HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        writers.append(writer)
        async with asyncio.timeout(10):
            await reader.readuntil(b"TASK_STATE_WORKING")
    after = gateway.memory()
    for writer in writers:
        writer.close()
    return {"streams": count, "memory_mb": after, "before_mb": before}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    harness.need("wrk")
    harness.open_files(4 * args.streams + 200)
    results: dict[str, Any] = {}
    bad = 0
    with harness.workspace() as run:
        upstream, gateway = start(run)
        try:
            for name, version, message in CASES:
                body = run / "body.json"
                body.write_text(json.dumps(message))
                load(gateway, version, body, 1)
                runs = [load(gateway, version, body, args.seconds) for _ in range(args.runs)]
                bad += sum(int(item["bad_status"] + item["socket_errors"]) for item in runs)
                roles = ("agents", "worker", "control", "total")
                results[name] = {role: harness.median(runs, "cpu_us", role) for role in roles}
                results[name] |= {"p50_us": harness.median(runs, "p50_us"), "p99_us": harness.median(runs, "p99_us")}
            results["held"] = asyncio.run(hold(gateway, args.streams))
            gateway.check()
        finally:
            gateway.stop()
            upstream.stop()
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        print("| what | CPU us a message: agents | worker | control | all | p50 us | p99 us |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, *_ in CASES:
            print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in results[name].values()) + " |")
        held = results["held"]
        memory = held["memory_mb"].get("agents", 0.0)
        print(f"{held['streams']} streams: {memory:.0f} MB in the process with A2A")
        print(f"load {os.getloadavg()[0]:.1f}")
    over = max(results[name]["agents"] for name, *_ in CASES) > BUDGET_US
    return 1 if bad or over else 0


if __name__ == "__main__":
    sys.exit(main())
