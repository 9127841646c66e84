"""The walk of the documentation: the example's agent, the example's configuration, one message."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml

from support.a2a_client import ADMIN, ALICE, A2aClient, said, wait_for_control
from support.addresses import free_port
from support.gateway import Gateway

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_example_shouts() -> None:
    port = free_port()
    agent = subprocess.Popen([sys.executable, str(EXAMPLES / "a2a_agent.py"), str(port)])
    try:
        config = yaml.safe_load((EXAMPLES / "a2a.yaml").read_text())
        config["agents"][0]["url"] = f"http://127.0.0.1:{port}"
        with Gateway(config, key=None, env={"AGENT_KEY": ALICE, "LITELLM_MASTER_KEY": ADMIN}) as running:
            wait(port)
            wait_for_control(running)
            client = A2aClient(running, ALICE, "echo")
            assert client.ask("SendMessage", said("hello"))["message"]["parts"] == [{"text": "HELLO"}]
    finally:
        agent.kill()
        agent.wait()


def wait(port: int) -> None:
    """Until the agent listens."""
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
