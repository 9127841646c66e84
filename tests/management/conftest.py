"""The control plane's application over an empty database of each kind, and whoever asks it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import Match
from starlette.testclient import TestClient

from routeiq.control.app import create_app
from routeiq.control.changes import Changes
from routeiq.control.plane import Plane
from routeiq.core.accounts import Accounts as Settings
from routeiq.core.database import Database
from routeiq.core.keys import Key
from routeiq.core.messages import Invalidate, Message
from routeiq.core.snapshot import Auth, Snapshot
from routeiq.store.database import engine
from routeiq.store.migrate import migrate
from support.plane import make_plane

MASTER = "sk-master-0123456789"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Api:
    """Somebody with a key."""

    client: TestClient
    plane: Plane
    key: str | None = MASTER
    told: list[Invalidate] = field(default_factory=list)
    """What the workers were told."""

    @property
    def routes(self) -> list[APIRoute]:
        """Those that say what they answer."""
        app: Any = self.client.app
        return [route for route in app.routes if isinstance(route, APIRoute) and route.responses]

    def as_(self, key: str | None) -> Api:
        """Somebody else."""
        return Api(self.client, self.plane, key, self.told)

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key is not None else {}
        answer = self.client.request(method, path, json=body, params=query or None, headers=headers)
        if answer.status_code == 200:
            self.described(method, path, answer.content)
        return answer.status_code, answer.json()

    def described(self, method: str, path: str, content: bytes) -> None:
        """Raises unless the answer is what the description says."""
        for route in self.routes:
            matches, _ = route.matches({"type": "http", "method": method, "path": path, "root_path": ""})
            if matches is Match.FULL:
                TypeAdapter(route.responses[200]["model"]).validate_json(content)
                return

    def get(self, path: str, **query: Any) -> Any:
        status, body = self.ask("GET", path, **query)
        assert status == 200, body
        return body

    def post(self, path: str, body: Any = None, method: str = "POST") -> Any:
        status, answer = self.ask(method, path, body)
        assert status == 200, answer
        return answer

    def fails(self, status: int, path: str, body: Any = None, method: str = "POST", **query: Any) -> Any:
        """The error of what must not work."""
        found, answer = self.ask(method, path, body, **query)
        assert found == status, answer
        assert set(answer) == {"error"}
        return answer["error"]

    def new_key(self, **body: Any) -> Api:
        """Make a key, and be who has it."""
        return self.as_(self.post("/key/generate", body)["key"])

    def find(self) -> Key | None:
        """What a worker gets of this key."""
        assert self.key is not None
        return self.plane.keys.find(sha(self.key))

    def configure(self, **settings: Any) -> None:
        """Other settings of accounts."""
        self.plane.snapshot = snapshot(**settings)


def snapshot(**settings: Any) -> Snapshot:
    auth = Auth(master_key=sha(MASTER), lookup=True)
    return Snapshot(revision="abc", created=0.0, deployments=(), groups={}, auth=auth, accounts=Settings(**settings))


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Iterator[Api]:
    migrate(database)
    opened = engine(database)
    told: list[Invalidate] = []

    def send(message: Message) -> bool:
        assert isinstance(message, Invalidate)
        told.append(message)
        return True

    plane = make_plane(tmp_path, opened, snapshot(), Changes(send))
    with TestClient(create_app(plane), raise_server_exceptions=False) as client:
        yield Api(client, plane, told=told)
    opened.dispose()
