"""Clients others have written: the official SDK of both eras, and FastMCP. They can't live in one environment, so each
is a script that `uv` runs in one of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.gateway import Gateway
from support.mcp_client import AGENT

CLIENTS = Path(__file__).parent / "clients"
UV = str(Path(sys.executable).with_name("uv"))


def run(script: str, *arguments: str) -> dict[str, Any]:
    command = [UV, "run", "--quiet", "--no-project", "--system-certs", "--script", str(CLIENTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("script", "mode", "version"),
    [
        ("sdk_v1.py", "", "2025-11-25"),
        ("sdk_v2.py", "auto", "2026-07-28"),
        ("sdk_v2.py", "legacy", "2025-11-25"),
        ("fastmcp_client.py", "", None),
    ],
)
def test_clients_of_others(mcp_gateway: Gateway, script: str, mode: str, version: str | None) -> None:
    seen = run(script, f"{mcp_gateway.url}/mcp", AGENT, *filter(None, [mode]))
    assert seen.get("version") == version
    assert {"all-echo", "second-echo"} <= set(seen["tools"])
    assert seen["echo"] == "hi"
    assert "sampled" in seen["sampling"]
    assert "u@example.com" in seen["elicitation"]
    assert seen["progress"] == sorted(seen["progress"])
    assert len(seen["progress"]) == 3
    assert seen["resource"]
    assert "all-test_simple_prompt" in seen["prompts"]
    assert seen["unknown"] == -32602 if version else "no_such_tool" in seen["unknown"]
