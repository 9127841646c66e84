"""A worker stays light: no framework, no database, no provider SDK in the process that serves requests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.gateway import Gateway

HEAVY = {
    "pydantic",
    "pydantic_core",
    "sqlalchemy",
    "alembic",
    "fastapi",
    "starlette",
    "uvicorn",
    "openai",
    "anthropic",
    "litellm",
    "azure",
    "boto3",
    "botocore",
    "google",
    "msal",
    "numpy",
    "rich",
    "cyclopts",
    "genai_prices",
    "yaml",
    "sqlite3",
    "requests",
    "httpx",
}
HEAVY_OURS = {
    "routeiq.config",
    "routeiq.store",
    "routeiq.control",
    "routeiq.cli",
    "routeiq.supervisor",
    "routeiq.longtail",
}


def worker_processes(gateway: Gateway) -> list[psutil.Process]:
    """The gateway's workers."""
    return [item for item in gateway.processes() if "routeiq.worker" in item.cmdline()]


def test_importing_a_worker_imports_nothing_heavy() -> None:
    code = "import json, sys, routeiq.worker.main; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    modules = set(json.loads(done.stdout))
    assert "routeiq.worker.main" in modules
    assert {name for name in modules if name.partition(".")[0] in HEAVY} == set()
    assert {name for name in modules if ".".join(name.split(".")[:2]) in HEAVY_OURS} == set()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_a_worker_that_has_served_has_loaded_nothing_heavy(gateway: Gateway) -> None:
    client = gateway.client()
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
    for _ in client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], stream=True
    ):
        pass
    client.embeddings.create(model="text-embedding-3-small", input="Hello")
    gateway.get("/metrics")
    workers = worker_processes(gateway)
    assert workers
    for worker in workers:
        maps = Path(f"/proc/{worker.pid}/maps").read_text()
        assert "httptools" in maps
        loaded = [name for name in ("pydantic_core", "sqlalchemy", "_sqlite3", "numpy", "jiter") if f"/{name}" in maps]
        assert loaded == []
