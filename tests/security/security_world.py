"""The control plane's application with everything it has, and a key for everybody there is."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from routeiq.control.access import OPERATIONS, Access
from routeiq.control.app import create_app
from routeiq.control.build import Built
from routeiq.control.changes import Changes
from routeiq.control.endpoints import routes
from routeiq.control.plane import Plane
from routeiq.control.routes import Route
from routeiq.control.shelf import Shelf
from routeiq.core import keys as roles
from routeiq.core.messages import Message, Rebuild, Rebuilt
from routeiq.core.settings import BuildResult
from routeiq.core.snapshot import Auth, Deployment, Group, Snapshot
from routeiq.store.database import database_path, engine
from routeiq.store.migrate import migrate
from routeiq.store.stored import StoredRepository
from routeiq.store.vault import Vault
from support.plane import make_plane

MASTER = "sk-master-0123456789abcdef"
ADMIN = "0123456789abcdef-admin"

IS = {
    "proxy_admin": {roles.PROXY_ADMIN},
    "proxy_admin_viewer": {roles.PROXY_ADMIN_VIEWER},
    "internal_user": {roles.INTERNAL_USER},
    "internal_user_viewer": {roles.INTERNAL_USER_VIEWER},
    "team_admin": {roles.INTERNAL_USER, "team_admin", "team_member"},
    "team_member": {roles.INTERNAL_USER, "team_member"},
    "org_admin": {roles.INTERNAL_USER, roles.ORG_ADMIN},
    "stranger": {roles.INTERNAL_USER, "team_admin", "team_member"},
    "service": {"service"},
    "team": {"service", "team"},
    "master": {roles.PROXY_ADMIN},
    "admin": {roles.PROXY_ADMIN},
    "prefixed": {roles.PROXY_ADMIN},
}
"""What everybody with a good key is."""
PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class World:
    """The application, and who may try it."""

    app: FastAPI
    plane: Plane
    client: TestClient
    routes: dict[tuple[str, str], Route]
    keys: dict[str, str] = field(default_factory=dict)
    """By who has it: `internal_user`, `team_admin`, `blocked`, …"""

    def ask(self, method: str, path: str, key: str | None = MASTER, body: Any = None) -> tuple[int, Any]:
        """The status, and the answer decoded."""
        fields = {"Authorization": f"Bearer {key}"} if key is not None else {}
        # With a host, or `//a/b` would be path `/b` on host `a`.
        answer = self.client.request(method, f"http://testserver{path}", json=body, headers=fields)
        return answer.status_code, answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    def made(self, path: str, body: Any, method: str = "POST") -> Any:
        status, answer = self.ask(method, path, body=body)
        assert status == 200, (path, answer)
        return answer

    def key_of(self, who: str, **body: Any) -> None:
        self.keys[who] = self.made("/key/generate", {"key_alias": who, **body})["key"]


def snapshot() -> Snapshot:
    deployment = Deployment(id="d1", group="gpt-4o", provider="openai", model="gpt-4o", litellm_model="openai/gpt-4o")
    return Snapshot(
        revision="abc",
        created=0.0,
        deployments=(deployment,),
        groups={"gpt-4o": Group(name="gpt-4o", deployments=(0,))},
        access_groups={"best": ("gpt-4o",)},
        store_models=True,
        auth=Auth(master_key=sha(MASTER), admin_keys=(sha(ADMIN), sha(f"sk-riq-{ADMIN}")), lookup=True),
    )


def make(directory: Path) -> World:
    """Everything over a file."""
    migrate(database_path(directory))
    opened = engine(database_path(directory))

    def send(message: Message) -> bool:
        if isinstance(message, Rebuild):
            changes.received(Rebuilt(message.id, ok=True, revision="abc"))
        return True

    changes = Changes(send)
    stored = Shelf(StoredRepository(opened, Vault("salt")), lambda _: Built(BuildResult(ok=True)))
    plane = make_plane(directory, opened, snapshot(), changes, stored=stored)
    app = create_app(plane)
    table = {(route.method, route.path): route for route in routes(plane, app)}
    return World(app, plane, TestClient(app, raise_server_exceptions=False), table)


def populate(world: World) -> None:
    """A key for everybody."""
    for role in ("proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"):
        world.made("/user/new", {"user_id": role, "user_role": role, "auto_create_key": False})
        world.key_of(role, user_id=role)
    for user in ("team_admin", "team_member", "org_admin", "stranger"):
        world.made("/user/new", {"user_id": user, "user_role": "internal_user", "auto_create_key": False})
    world.made("/organization/new", {"organization_id": "o", "organization_alias": "o"})
    boss = {"user_id": "org_admin", "role": "org_admin"}
    world.made("/organization/member_add", {"organization_id": "o", "member": boss})
    world.made("/team/new", {"team_id": "t", "organization_id": "o"})
    world.made("/team/new", {"team_id": "other"})
    world.made("/team/new", {"team_id": "gone"})
    members = (("t", "team_admin", "admin"), ("t", "team_member", "user"), ("other", "stranger", "admin"))
    for team, user, role in members:
        world.made("/team/member_add", {"team_id": team, "member": {"user_id": user, "role": role}})
    world.key_of("team_admin", user_id="team_admin")
    world.key_of("team_member", user_id="team_member")
    world.key_of("org_admin", user_id="org_admin")
    world.key_of("stranger", user_id="stranger")
    world.key_of("service")
    world.key_of("team", team_id="t")
    world.key_of("blocked", user_id="proxy_admin")
    world.made("/key/block", {"key": world.keys["blocked"]})
    world.key_of("expired", user_id="proxy_admin", duration="1s")
    world.key_of("deleted", user_id="proxy_admin")
    world.made("/key/delete", {"keys": [world.keys["deleted"]]})
    world.key_of("team_blocked", team_id="gone")
    world.made("/team/block", {"team_id": "gone"})
    world.keys |= {"master": MASTER, "admin": ADMIN, "prefixed": f"sk-riq-{ADMIN}"}


def filled(path: str) -> str:
    return PARAMETER.sub("x", path)


def may(route: Route, who: str) -> bool:
    """Whether somebody with a good key may try a route."""
    mine = IS[who]
    if route.access is Access.KEY:
        return True
    if route.access is Access.ADMIN:
        return roles.PROXY_ADMIN in mine
    if route.access in (Access.ADMIN_VIEW, Access.METRICS):
        return bool(mine & {roles.PROXY_ADMIN, roles.PROXY_ADMIN_VIEWER})
    return bool(mine & OPERATIONS[route.operation])
