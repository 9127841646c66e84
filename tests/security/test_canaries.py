"""Secrets that are recognised anywhere, through every success and fault of a running gateway: found nowhere.

Looked through: logs, every answer, metrics, Events, the state directory, the database, what `ps` and `/proc` show.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from sqlalchemy import MetaData, select

from routeiq.core.database import parse_database
from routeiq.store.database import engine
from support.addresses import free_port
from support.gateway import ROUTEIQ, Gateway, environment
from support.postgres import PASSWORD, PostgresServer
from support.upstream import HEAD, Request, Script, Upstream

OPERATOR = (
    "openai", "anthropic", "gemini", "azure", "cohere", "header", "credential", "reference", "stored", "patched",
    "awskey", "awssecret", "awstoken", "oauthsecret", "vertexkey", "proxy", "master", "salt", "adminkey", "ollama",
)  # fmt: skip
CLIENT = ("static", "unknown", "query", "cookie", "basic", "goog", "prompt", "embedded", "instructions", "tool",
          "badfield", "blockedkey")  # fmt: skip
assert len(OPERATOR) + len(CLIENT) >= 30


class Canaries:
    """One unmistakable text a name."""

    def __init__(self) -> None:
        self.of = {name: f"sk-cnry-{name}-{secrets.token_hex(12)}" for name in (*OPERATOR, *CLIENT)}

    def found(self, data: bytes, but: tuple[str, ...] = ()) -> list[str]:
        """Names of those that are in some bytes, plain or encoded."""
        out = []
        for name, text in self.of.items():
            forms = (text.encode(), quote(text, safe="").encode(), base64.b64encode(text.encode())[:-4])
            if name not in but and any(form in data for form in forms):
                out.append(name)
        return out


class Watched:
    """A gateway of which every answer is looked through."""

    def __init__(self, gateway: Gateway, canaries: Canaries) -> None:
        self.gateway = gateway
        self.canaries = canaries
        self.leaks: list[str] = []
        self.statuses: set[int] = set()

    def call(self, path: str, body: Any = None, *, own: tuple[str, ...] = (), **more: Any) -> Any:
        """One request; `own` are the client's texts it may be told again: an echoed prompt."""
        try:
            status, headers, answer = self.gateway.call(path, body, **more)
        except OSError:
            return None  # cut off, as asked
        self.statuses.add(status)
        self.look(f"{path} ({status})", answer + str(headers).encode(), own)
        with contextlib.suppress(ValueError):
            return json.loads(answer)
        return None

    def look(self, where: str, data: bytes, own: tuple[str, ...] = ()) -> None:
        self.leaks += [f"{name} in {where}" for name in self.canaries.found(data, own)]


def config(up: Upstream, of: dict[str, str]) -> dict[str, Any]:
    def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
        return {"model_name": name, "litellm_params": {"model": model, **params}}

    account = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": of["vertexkey"],
               "project_id": "p", "token_uri": up.url + "/token"}  # fmt: skip
    return {
        "model_list": [
            entry("gpt", "openai/gpt-4o", api_base=up.base, api_key=of["openai"]),
            entry("claude", "anthropic/claude-x", api_base=up.url, api_key=of["anthropic"]),
            entry("gem", "gemini/gemini-x", api_base=up.url, api_key=of["gemini"]),
            entry("az", "azure/gpt-4o", api_base=up.url, api_key=of["azure"], api_version="2024-10-21"),
            entry("co", "cohere/command-x", api_base=up.url, api_key=of["cohere"]),
            entry("head", "openai/gpt-4o", api_base=up.base, api_key="none", extra_headers={"X-Secret": of["header"]}),
            entry("named", "openai/gpt-4o", litellm_credential_name="c", api_base=up.base),
            entry("env", "openai/gpt-4o", api_base=up.base, api_key="os.environ/CANARY_REFERENCE"),
            entry("aws", "bedrock/anthropic.claude-x", aws_access_key_id=of["awskey"], aws_region_name="us-east-1",
                  aws_secret_access_key=of["awssecret"], aws_session_token=of["awstoken"], api_base=up.url),
            entry("dbx", "databricks/x", api_base=up.base, client_id="id", client_secret=of["oauthsecret"]),
            entry("vertex", "vertex_ai/gemini-x", vertex_credentials=json.dumps(account)),
            entry("llama", "ollama/llama3", api_base=up.url, api_key=of["ollama"]),
            entry("proxied", "openai/gpt-4o", api_base="http://proxied.invalid/v1", api_key=of["openai"]),
            entry("closed", "openai/gpt-4o", api_base=f"http://127.0.0.1:{free_port()}/v1", api_key=of["openai"]),
        ],
        "credential_list": [{"credential_name": "c", "credential_values": {"api_key": of["credential"]}}],
        "general_settings": {"master_key": of["master"], "store_model_in_db": True},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "routeiq": {
            "timeouts": {"connect": 1, "first_byte": 1, "idle": 1},
            "upstreams": [{"host": "proxied.invalid", "proxy": f"http://user:{of['proxy']}@127.0.0.1:{free_port()}"}],
            "keys": [
                {"name": "static", "key": of["static"]},
                {"name": "blocked", "key": of["blockedkey"], "blocked": True},
            ],
        },
    }  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def watched(request: pytest.FixtureRequest, provider: Upstream) -> Iterator[Watched]:
    canaries = Canaries()
    env = {
        "LITELLM_SALT_KEY": canaries.of["salt"],
        "ADMIN_API_KEYS": canaries.of["adminkey"],
        "CANARY_REFERENCE": canaries.of["reference"],
        "LITELLM_LOG": "debug",
    }
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        env["DATABASE_URL"] = server.database()
    with Gateway(config(provider, canaries.of), key=None, env=env) as gateway:
        gateway.key = canaries.of["master"]
        yield Watched(gateway, canaries)


def echo(request: Request) -> bytes:
    """What a careless provider answers: everything it was sent."""
    return json.dumps(
        {"error": {"message": f"Incorrect API key: {dict(request.headers)} {request.target}", "type": "invalid"}}
    ).encode()


def _telling(status: int) -> Script:
    """An error whose message has the request's headers in it."""
    script = Script(status=status, body=b"{}", hook=lambda request: object.__setattr__(script, "body", echo(request)))
    return script


MODELS = ("gpt", "claude", "gem", "az", "co", "head", "named", "env", "aws", "dbx", "vertex", "llama", "proxied",
          "closed")  # fmt: skip


def test_through_everything_that_happens_no_secret_shows(watched: Watched, upstream: Upstream) -> None:
    gateway, of = watched.gateway, watched.canaries.of
    deadline = time.monotonic() + 30
    while gateway.call("/api/v1/routeiq/status")[0] != 200:
        assert time.monotonic() < deadline, gateway.logs()
        time.sleep(0.1)
    own = ("prompt", "embedded", "instructions", "tool", "badfield")
    messages = [{"role": "system", "content": of["instructions"]}, {"role": "user", "content": of["prompt"]}]
    tools = [{"type": "function", "function": {"name": "f", "description": of["tool"], "parameters": {}}}]

    def chat(model: str, **more: Any) -> dict[str, Any]:
        return {"model": model, "messages": messages, "tools": tools, **more}

    # served, or refused by providers that tell what they were sent, or go away
    faults = (
        None, _telling(401), _telling(400), _telling(429), _telling(500), Script(body=b"<html>"), Script(cut="rst"),
        Script(cut="fin", after=HEAD), Script(status=302, headers=[("Location", "http://x/")]),
    )  # fmt: skip
    for fault in faults:
        upstream.always(fault)
        # Those that tell are asked by all deployments, since each has its secrets elsewhere.
        for model in MODELS if fault is None or fault.status in (400, 401) else MODELS[:2]:
            watched.call("/v1/chat/completions", chat(model), own=own, key=of["static"])
        for stream in ("gpt", "claude"):
            watched.call("/v1/chat/completions", chat(stream, stream=True), own=own, key=of["static"])
        body = {"model": "claude", "max_tokens": 9, "messages": messages[1:]}
        watched.call("/v1/messages", body, own=own, headers={"x-api-key": of["static"]}, key=None)
        watched.call("/v1/responses", {"model": "gpt", "input": of["prompt"], "store": False}, own=own)
        watched.call("/v1/embeddings", {"model": "gpt", "input": of["embedded"]}, own=own)
    upstream.always(Script(error_after=1))
    watched.call("/v1/chat/completions", chat("gpt", stream=True), own=own)
    upstream.always(Script(cut="stall"))
    watched.call("/v1/chat/completions", chat("gpt"), own=own)
    upstream.always(None)

    # keys that are none, in every place a key may be
    for headers in (
        {"Authorization": f"Bearer {of['unknown']}"}, {"x-api-key": of["unknown"]}, {"api-key": of["unknown"]},
        {"x-goog-api-key": of["goog"]}, {"x-litellm-api-key": of["unknown"]}, {"Cookie": f"token={of['cookie']}"},
        {"Authorization": "Basic " + base64.b64encode(f"u:{of['basic']}".encode()).decode()},
        {"Authorization": f"Bearer {of['blockedkey']}"}, {"X-Admin-API-Key": of["unknown"]},
    ):  # fmt: skip
        for path in ("/v1/chat/completions", "/v1/models", "/model/new", "/metrics", "/health", "/credentials"):
            post = chat("gpt") if path in ("/v1/chat/completions", "/model/new") else None
            watched.call(path, post, headers=headers, key=None, own=own)
    for path in ("/v1/models", "/metrics", "/v1beta/models/gpt:generateContent", "/nowhere"):
        watched.call(f"{path}?key={of['query']}&api_key={of['query']}", key=None)

    # what can't be read
    wrong = of["badfield"]
    for body in (b"{", {"model": "gpt", "messages": wrong}, chat("nobody"), chat("gpt", temperature=wrong)):
        watched.call("/v1/chat/completions", body, own=own)

    # the management API, with mistakes that have secrets in them
    params = {"model": "openai/gpt-4o", "api_base": upstream.base, "api_key": of["stored"]}
    made = watched.call("/model/new", {"model_name": "stored", "litellm_params": params})
    assert made is not None
    id = made["model_id"]
    watched.call("/v1/chat/completions", chat("stored"), own=own)
    for bad in ({"api_base": of["patched"]}, {"rpm": of["patched"]}, {"model": of["patched"]}, {"no": of["patched"]},
                {"vertex_credentials": {"private_key": of["patched"]}, "rpm": -1}):  # fmt: skip
        watched.call("/model/new", {"model_name": "x", "litellm_params": {**params, **bad}}, own=("patched",))
        watched.call(f"/model/{id}/update", {"litellm_params": bad}, method="PATCH", own=("patched",))
    watched.call(f"/model/{id}/update", {"litellm_params": {"api_key": of["patched"]}}, method="PATCH")
    values = {"api_key": of["credential"], "password": of["stored"], "api_base": f"http://u:{of['proxy']}@x.y/"}
    watched.call("/credentials", {"credential_name": "k", "credential_values": values})
    watched.call("/credentials", {"credential_name": "k", "credential_values": values})
    for path in ("/credentials", "/credentials/by_name/k", f"/credentials/by_model/{id}", "/v2/model/info",
                 "/model/info", "/v1/model/info", "/model_group/info", "/v1/models", "/health", "/metrics",
                 "/openapi.json", "/api/v1/routeiq/status", "/api/v1/routeiq/requests", "/tag/list",
                 "/access_group/list", "/nowhere", "/health/readiness"):  # fmt: skip
        watched.call(path)
    gateway.wait_events(1) if "DATABASE_URL" not in gateway.env else time.sleep(2)

    # a reload that is refused, and one that is not
    broken = config(upstream, of)
    broken["model_list"][0]["litellm_params"] |= {"rpm": of["openai"], "no_such_key": of["openai"]}
    broken["general_settings"]["unknown_key"] = of["master"]
    good = gateway.file.read_text()
    gateway.file.write_text(yaml.safe_dump({**yaml.safe_load(good), **broken}))
    for command in (("config", "reload"), ("status",), ("config", "check", "--config", str(gateway.file)),
                    ("config", "show", "--config", str(gateway.file))):  # fmt: skip
        watched.look(
            " ".join(command),
            _cli(gateway, command),
            ("openai",) if command[0] == "config" and "--config" in command else (),
        )
    gateway.file.write_text(good)
    watched.look("config reload", gateway.cli("config", "reload").encode())

    # what everybody on the machine may see, and what stays on it
    for process in gateway.processes():
        watched.look("a command line", " ".join(process.cmdline()).encode())
    gateway.stop()
    for file in gateway.state_dir.rglob("*"):
        if file.is_file():
            watched.look(f"the file {file.name}", file.read_bytes())
    watched.look("the log", gateway.logs().encode())
    watched.look("the database", _dump(gateway))
    for place, data in (("the log", gateway.logs().encode()), ("the database", _dump(gateway))):
        assert PASSWORD.encode() not in data, place
        assert quote(PASSWORD, safe="").encode() not in data, place
    assert watched.statuses >= {200, 400, 401, 403, 404, 429, 500, 502}
    leaks = "\n".join(sorted(set(watched.leaks)))
    assert not leaks, leaks


def _cli(gateway: Gateway, command: tuple[str, ...]) -> bytes:
    place = () if command[0] == "config" and command[1] != "reload" else ("--state-dir", str(gateway.state_dir))
    done = subprocess.run(
        [ROUTEIQ, *command, *place], env={**environment(), **gateway.env}, capture_output=True, timeout=60, check=False,
        cwd=gateway.directory,
    )  # fmt: skip
    return done.stdout + done.stderr


def _dump(gateway: Gateway) -> bytes:
    """Every row of every table."""
    url = gateway.env.get("DATABASE_URL")
    if url is None:
        file = gateway.state_dir / "routeiq.db"
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return "\n".join(connection.iterdump()).encode()
    made = engine(parse_database(url))
    tables = MetaData()
    tables.reflect(made)
    with made.connect() as connection:
        rows = [str([*connection.execute(select(table))]) for table in tables.sorted_tables]
    made.dispose()
    assert len(rows) > 5
    return "\n".join(rows).encode()
