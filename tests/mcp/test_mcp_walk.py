"""The walk of the documentation: the example's server, the example's configuration, one call."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from support.addresses import free_port
from support.gateway import Gateway
from support.mcp_client import ADMIN, AGENT, McpClient, text_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_example_adds_two_and_three() -> None:
    port = free_port()
    server = subprocess.Popen([sys.executable, str(EXAMPLES / "mcp_server.py"), str(port)])
    try:
        config = yaml.safe_load((EXAMPLES / "mcp.yaml").read_text())
        config["mcp_servers"]["notes"]["url"] = f"http://127.0.0.1:{port}/mcp"
        environ = {"AGENT_KEY": AGENT, "LITELLM_MASTER_KEY": ADMIN}
        with Gateway(config, key=None, env=environ) as running:
            wait(port)
            client = McpClient(running, AGENT, "/mcp/notes")
            assert text_of(client.call("add", a=2, b=3)) == "5"
            assert McpClient(running, AGENT).names() == ["notes-add"]
    finally:
        server.kill()
        server.wait()


def wait(port: int) -> None:
    """Until the server answers, whatever it does."""
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
