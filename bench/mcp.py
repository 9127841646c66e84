"""What a tools/call through the gateway costs, and whether it holds a thousand sessions with a stream each."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import harness
from harness import Service

META = "io.modelcontextprotocol/"
MODERN, LEGACY = "2026-07-28", "2025-11-25"
TOOL = "bench-tool_7"
PLENTY = 1_000_000_000
BUDGET_US = 150.0
"""CPU of a call in the process that serves MCP."""


def start(run: Path) -> tuple[Service, Service]:
    """A server that answers at once, and a gateway with keys, grants, limits and the ledger."""
    upstream, port = Service("mcp-upstream", run), harness.free_port()
    upstream.spawn([sys.executable, str(harness.HERE / "mcp_upstream.py"), str(port)])
    server = {"url": f"http://127.0.0.1:{port}/mcp"}
    grant = {"mcp_servers": ["bench"], "mcp_tool_permissions": {"bench": [f"tool_{n}" for n in range(25)]}}
    key = {"name": "bench", "key": harness.CALLER_KEY, "rpm": PLENTY, "tpm": PLENTY, "object_permission": grant}
    listen = harness.free_port()
    config: dict[str, Any] = {
        "mcp_servers": {"bench": server, "other": server},
        "general_settings": {"master_key": harness.MASTER_KEY},
        "routeiq": {
            "port": listen, "workers": 1, "log_level": "warning", "mcp": {"tool_calls": True},
            "keys": [key],
        },
    }  # fmt: skip
    file = run / "mcp.yaml"
    file.write_text(json.dumps(config))
    gateway = Service("routeiq", run, headers={"Authorization": f"Bearer {harness.CALLER_KEY}"})
    command = str(Path(sys.executable).with_name("routeiq"))
    gateway.spawn([command, "serve", "--config", str(file), "--state-dir", str(run / "state")])
    gateway.url = f"http://127.0.0.1:{listen}"
    gateway.wait_http(gateway.url + "/_health/ready", 60)
    return upstream, gateway


def post(gateway: Service, method: str, params: dict[str, Any], headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """One message: the answer, and its headers."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    fields = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    query = urllib.request.Request(gateway.url + "/mcp", body, {**fields, **gateway.headers, **headers})
    with urllib.request.urlopen(query, timeout=30) as answer:
        text = answer.read()
        return (json.loads(text) if text else None), {name.lower(): value for name, value in answer.headers.items()}


def session(gateway: Service) -> dict[str, str]:
    """Headers of a session that has begun."""
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    _, headers = post(gateway, "initialize", params, {})
    return {"Mcp-Session-Id": headers["mcp-session-id"], "MCP-Protocol-Version": LEGACY}


def load(gateway: Service, headers: dict[str, str], meta: dict[str, Any], seconds: float) -> dict[str, Any]:
    """CPU a call, by process."""
    env = {"BENCH_META": json.dumps(meta), "BENCH_TOOL": TOOL}
    before = gateway.cpu()
    result: dict[str, Any] = dict(
        harness.wrk(
            gateway.url + "/mcp", Path("/dev/null"), {**gateway.headers, **headers}, connections=32, seconds=seconds,
            script="mcp.lua", env=env,
        )
    )  # fmt: skip
    after = gateway.cpu()
    good = max(1.0, result["requests"] - result["bad_status"])
    result["cpu_us"] = {role: (after[role] - before.get(role, 0.0)) * 1e6 / good for role in after}
    return result


async def hold(gateway: Service, count: int) -> dict[str, Any]:
    """So many sessions, each with a stream that stays open and answers a call meanwhile."""
    host, port = "127.0.0.1", int(gateway.url.rpartition(":")[2])
    loop = asyncio.get_running_loop()
    sessions = [await loop.run_in_executor(None, session, gateway) for _ in range(count)]
    before = gateway.memory()
    writers = []
    for headers in sessions:
        reader, writer = await asyncio.open_connection(host, port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**gateway.headers, **headers}.items())
        writer.write(f"GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{lines}\r\n".encode())
        writers.append(writer)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise RuntimeError(head.decode())
    after = gateway.memory()
    params = {"name": TOOL, "arguments": {"text": "hello"}}
    for headers in sessions[:: max(1, count // 50)]:
        answer, _ = await loop.run_in_executor(None, post, gateway, "tools/call", params, headers)
        if "result" not in answer:
            raise RuntimeError(str(answer))
    for writer in writers:
        writer.close()
    return {"sessions": count, "memory_mb": after, "before_mb": before}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    harness.need("wrk")
    harness.open_files(4 * args.sessions + 200)
    results: dict[str, Any] = {}
    bad = 0
    with harness.workspace() as run:
        upstream, gateway = start(run)
        try:
            modern = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": TOOL}
            meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
            for name, headers, envelope in ((MODERN, modern, meta), (LEGACY, session(gateway), {})):
                load(gateway, headers, envelope, 1)
                runs = [load(gateway, headers, envelope, args.seconds) for _ in range(args.runs)]
                bad += sum(int(item["bad_status"] + item["socket_errors"]) for item in runs)
                roles = ("agents", "worker", "control", "total")
                results[name] = {role: harness.median(runs, "cpu_us", role) for role in roles}
                results[name] |= {"p50_us": harness.median(runs, "p50_us"), "p99_us": harness.median(runs, "p99_us")}
            results["held"] = asyncio.run(hold(gateway, args.sessions))
            gateway.check()
        finally:
            gateway.stop()
            upstream.stop()
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        print("| revision | CPU us a call: agents | worker | control | all | p50 us | p99 us |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name in (MODERN, LEGACY):
            row = results[name]
            print(f"| {name} | " + " | ".join(f"{row[column]:.0f}" for column in row) + " |")
        held = results["held"]
        memory = held["memory_mb"].get("agents", 0.0)
        print(f"{held['sessions']} sessions with a stream each: {memory:.0f} MB in the process with MCP")
        print(f"load {os.getloadavg()[0]:.1f}")
    over = max(results[name]["agents"] for name in (MODERN, LEGACY)) > BUDGET_US
    return 1 if bad or over else 0


if __name__ == "__main__":
    sys.exit(main())
