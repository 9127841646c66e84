"""Processes that are killed, agents that are switched off, and the flag of the whole."""

from __future__ import annotations

import os
import signal
import threading
import time

from support.a2a_client import ADMIN, ALICE, A2aClient, process_of, said, wait_for_control
from support.a2a_script import Script
from support.gateway import Gateway


def test_a_killed_process_loses_no_task_and_a_switched_off_agent_ends_what_it_does() -> None:
    with Script() as script:
        agent = {"agent_name": "script", "url": script.url}
        keys = [{"name": "alice", "key": ALICE, "object_permission": {"agents": ["script"]}}]
        config = {"agents": [agent], "routeiq": {"keys": keys}}
        with Gateway(config, key=ADMIN) as running:
            wait_for_control(running)
            client = A2aClient(running, ALICE, "script")
            made = [client.ask("SendMessage", said(f"fine 0 task-{n}"))["task"]["id"] for n in range(5)]
            os.kill(process_of(running).pid, signal.SIGKILL)
            listed = wait_list(client)
            assert [one["id"] for one in listed] == made[::-1]
            assert client.ask("GetTask", {"id": "task-0"})["status"]["state"] == "TASK_STATE_COMPLETED"

            stream = client.stream("SendStreamingMessage", said("waits 2 task-9"))
            assert next(stream)["result"]["task"]["id"] == "task-9"
            threading.Timer(0.3, lambda: running.reload({**config, "agents": [{**agent, "enabled": False}]})).start()
            last = list(stream)[-1]["result"]["statusUpdate"]["status"]
            assert last["state"] == "TASK_STATE_FAILED"
            assert "switched off" in last["message"]["parts"][0]["text"]
            assert client.call("POST", client.path, {"jsonrpc": "2.0", "id": 1, "method": "GetTask"})[0] == 404


def test_the_flag_switches_it_all_off() -> None:
    config = {"agents": [{"agent_name": "one", "url": "http://127.0.0.1:9", "allow_all_keys": True}]}
    with Gateway(config, key=ADMIN, env={"A2A_GATEWAY_ENABLED": "false"}) as running:
        wait_for_control(running)
        client = A2aClient(running, ADMIN, "one")
        for method, path in (("POST", client.path), ("GET", f"{client.path}/.well-known/agent-card.json")):
            assert client.call(method, path, {} if method == "POST" else None)[0] == 404


def wait_list(client: A2aClient) -> list[dict[str, object]]:
    """Tasks, as soon as there is somebody to ask."""
    for _ in range(100):
        message = client.rpc_or_nothing("ListTasks")
        if message is not None:
            return list(message["result"]["tasks"])
        time.sleep(0.1)
    raise TimeoutError
