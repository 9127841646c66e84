"""What `core.stored` holds, at rest. Every change counts up the revision other nodes look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import delete, select, update

from routeiq.core.policies import UsagePolicy
from routeiq.core.stored import (
    Stored,
    StoredAccessGroup,
    StoredAgent,
    StoredCredential,
    StoredDeployment,
    StoredMcpServer,
    StoredTag,
)
from routeiq.store.accounts import BUDGETS
from routeiq.store.database import insert_into
from routeiq.store.rows import Rows
from routeiq.store.tables_a2a import agents
from routeiq.store.tables_accounts import end_users
from routeiq.store.tables_governance import usage_policies
from routeiq.store.tables_mcp import mcp_servers
from routeiq.store.tables_models import access_groups, credentials, deployments, stored_revision, tags
from routeiq.store.vault import Damaged, Vault, key_id_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping, Table

    from routeiq.store.records import Budget

T = TypeVar("T", StoredDeployment, StoredCredential, StoredMcpServer, StoredAgent)
S = TypeVar(
    "S", StoredDeployment, StoredCredential, StoredMcpServer, StoredAgent, StoredTag, StoredAccessGroup, UsagePolicy
)
FIRST_SCHEMA = "0022"
"""The revision of the schema that has all these tables."""
_policy = msgspec.json.Decoder(UsagePolicy).decode
_json = msgspec.json.Encoder().encode
_object: Callable[[str | bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
_names: Callable[[str | bytes], tuple[str, ...]] = msgspec.json.Decoder(tuple[str, ...]).decode
_SEALED = ((deployments, "id", "params"), (credentials, "name", "values"), (mcp_servers, "id", "settings"),
           (agents, "id", "settings"))  # fmt: skip
"""Tables with secrets in them: (table, its key, the column)."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """One value at rest."""

    place: str
    """`deployments:<id>`, `credentials:<name>`, `mcp_servers:<id>`, `agents:<id>`."""
    key_id: str
    """Empty for what is no sealed value."""
    text: str


class StoredRepository:
    """The tables behind `core.stored`. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self.vault = vault

    # --- reading

    def revision(self) -> int:
        """Of what is stored now."""
        with self._engine.connect() as connection:
            return _revision(connection)

    def end_users(self) -> bool:
        """Whether there are end users with limits."""
        with self._engine.connect() as connection:
            return _end_users(connection)

    def load(self, *, secrets: bool = True) -> tuple[Stored, tuple[str, ...]]:
        """All there is, and why single rows are left out: they can't be read. `secrets` asks for what holds them.

        Raises `WrongKey` and `NoKey`, which are no matter of single rows.
        """
        damaged: list[str] = []
        with self._engine.connect() as connection:
            # First: what is changed meanwhile is looked at again.
            number = _revision(connection)
            models = _whole(connection, deployments, "created_at", self._deployment, damaged) if secrets else ()
            named = _whole(connection, credentials, "name", self._credential, damaged) if secrets else ()
            servers = _whole(connection, mcp_servers, "created_at", self._mcp_server, damaged) if secrets else ()
            others = _whole(connection, agents, "created_at", self._agent, damaged) if secrets else ()
            marks = _effective(connection, [_tag(row) for row in _rows(connection, tags, "name")])
            groups = tuple(_access_group(row) for row in _rows(connection, access_groups, "name"))
            usage = _policies(connection)
            limited = _end_users(connection)
        found = Stored(
            revision=number,
            deployments=models,
            credentials=named,
            mcp_servers=servers,
            agents=others,
            tags=marks,
            access_groups=groups,
            policies=usage,
            end_users=limited,
        )
        return found, tuple(damaged)

    def deployment(self, id: str) -> StoredDeployment | None:
        """One by its id. Raises `SecretsError`."""
        row = self._one(deployments, "id", id)
        return self._deployment(row) if row is not None else None

    def credential(self, name: str) -> StoredCredential | None:
        """One by its name. Raises `SecretsError`."""
        row = self._one(credentials, "name", name)
        return self._credential(row) if row is not None else None

    def mcp_server(self, id: str) -> StoredMcpServer | None:
        """One by its id. Raises `SecretsError`."""
        row = self._one(mcp_servers, "id", id)
        return self._mcp_server(row) if row is not None else None

    def agent(self, id: str) -> StoredAgent | None:
        """One by its id. Raises `SecretsError`."""
        row = self._one(agents, "id", id)
        return self._agent(row) if row is not None else None

    def tags(self) -> tuple[StoredTag, ...]:
        """All, by name, as they were said."""
        with self._engine.connect() as connection:
            return tuple(_tag(row) for row in _rows(connection, tags, "name"))

    def effective(self, found: Iterable[StoredTag]) -> tuple[StoredTag, ...]:
        """Tags with the limits of their shared budgets where they have none themselves."""
        with self._engine.connect() as connection:
            return _effective(connection, list(found))

    def tag(self, name: str) -> StoredTag | None:
        """One by its name, as it was said."""
        row = self._one(tags, "name", name)
        return _tag(row) if row is not None else None

    def access_groups(self) -> tuple[StoredAccessGroup, ...]:
        """All, by name."""
        with self._engine.connect() as connection:
            return tuple(_access_group(row) for row in _rows(connection, access_groups, "name"))

    def policies(self) -> tuple[UsagePolicy, ...]:
        """All, by id."""
        with self._engine.connect() as connection:
            return _policies(connection)

    def policy(self, id: str) -> UsagePolicy | None:
        """One by its id."""
        row = self._one(usage_policies, "policy_id", id)
        return _policy(row["data"]) if row is not None else None

    # --- writing

    def put_policy(self, item: UsagePolicy) -> UsagePolicy:
        """Store or replace."""
        item = self._stamped(item)
        values = {"created_at": item.created_at, "data": _json(item).decode()}
        self._put(usage_policies, "policy_id", item.policy_id, values)
        return item

    def remove_policy(self, id: str) -> bool:
        """Whether there was one."""
        return self._remove(usage_policies, "policy_id", id)

    def put_deployment(self, item: StoredDeployment) -> StoredDeployment:
        """Store or replace; gives it with its times. Raises `NoKey`."""
        item = self._stamped(item)
        place = _place(deployments, item.id)
        values = {
            "name": item.name, "params": self.vault.seal(place, _json(item.params)), "info": _json(item.info).decode(),
            "blocked": item.blocked, **_who(item),
        }  # fmt: skip
        self._put(deployments, "id", item.id, values)
        return item

    def put_credential(self, item: StoredCredential) -> StoredCredential:
        """Store or replace. Raises `NoKey`."""
        item = self._stamped(item)
        place = _place(credentials, item.name)
        sealed = self.vault.seal(place, _json(item.values))
        self._put(credentials, "name", item.name, {"values": sealed, "info": _json(item.info).decode(), **_who(item)})
        return item

    def put_mcp_server(self, item: StoredMcpServer) -> StoredMcpServer:
        """Store or replace. Raises `NoKey`."""
        item = self._stamped(item)
        sealed = self.vault.seal(_place(mcp_servers, item.id), _json(item.settings))
        self._put(mcp_servers, "id", item.id, {"name": item.name, "settings": sealed, **_who(item)})
        return item

    def put_agent(self, item: StoredAgent) -> StoredAgent:
        """Store or replace. Raises `NoKey`."""
        item = self._stamped(item)
        sealed = self.vault.seal(_place(agents, item.id), _json(item.settings))
        self._put(agents, "id", item.id, {"name": item.name, "settings": sealed, **_who(item)})
        return item

    def put_tag(self, item: StoredTag, by: str = "") -> StoredTag:
        """Store or replace."""
        item = self._stamped(item)
        values = {
            "description": item.description, "models": _json(item.models).decode(), "max_budget": item.max_budget,
            "soft_budget": item.soft_budget, "budget_duration": item.budget_duration, "rpm": item.rpm, "tpm": item.tpm,
            "max_parallel_requests": item.max_parallel_requests, "budget_id": item.budget_id or None,
            "created_at": item.created_at,
            "created_by": item.created_by, "updated_at": item.updated_at, "updated_by": by,
        }  # fmt: skip
        self._put(tags, "name", item.name, values)
        return item

    def put_access_group(self, item: StoredAccessGroup) -> StoredAccessGroup:
        """Store or replace."""
        item = self._stamped(item)
        values = {"models": _json(item.models).decode(), "description": item.description, **_who(item)}
        self._put(access_groups, "name", item.name, values)
        return item

    def remove_deployment(self, id: str) -> bool:
        """Whether there was one."""
        return self._remove(deployments, "id", id)

    def remove_credential(self, name: str) -> bool:
        """Whether there was one."""
        return self._remove(credentials, "name", name)

    def remove_mcp_server(self, id: str) -> bool:
        """Whether there was one."""
        return self._remove(mcp_servers, "id", id)

    def remove_agent(self, id: str) -> bool:
        """Whether there was one."""
        return self._remove(agents, "id", id)

    def budget_changed(self) -> None:
        """A budget that tags share is another one: what is served has to be built anew."""
        with self._engine.begin() as connection:
            _count_up(connection)

    def remove_tag(self, name: str) -> bool:
        """Whether there was one."""
        return self._remove(tags, "name", name)

    def remove_access_group(self, name: str) -> bool:
        """Whether there was one."""
        return self._remove(access_groups, "name", name)

    # --- keys

    def sealed(self) -> tuple[Sealed, ...]:
        """Every secret value, unopened."""
        with self._engine.connect() as connection:
            return tuple(_sealed(connection))

    def rotate(self, old: Vault) -> int:
        """Seal anew, in one transaction, what `old` has sealed; how many that were. Raises `SecretsError`."""
        count = 0
        with self._engine.begin() as connection:
            for table, key, column in _SEALED:
                for row in connection.execute(select(table.c[key], table.c[column])).all():
                    if key_id_of(row[1]) == self.vault.key_id:
                        continue
                    place = _place(table, row[0])
                    again = self.vault.seal(place, old.open(place, row[1]))
                    connection.execute(update(table).where(table.c[key] == row[0]).values({column: again}))
                    count += 1
        return count

    # --- rows

    def _deployment(self, row: RowMapping) -> StoredDeployment:
        plain = self.vault.open(_place(deployments, row["id"]), row["params"])
        return StoredDeployment(
            id=row["id"], name=row["name"], params=_object(plain), info=_object(row["info"]), blocked=row["blocked"],
            **_when(row),
        )  # fmt: skip

    def _credential(self, row: RowMapping) -> StoredCredential:
        plain = self.vault.open(_place(credentials, row["name"]), row["values"])
        return StoredCredential(name=row["name"], values=_object(plain), info=_object(row["info"]), **_when(row))

    def _mcp_server(self, row: RowMapping) -> StoredMcpServer:
        plain = self.vault.open(_place(mcp_servers, row["id"]), row["settings"])
        return StoredMcpServer(id=row["id"], name=row["name"], settings=_object(plain), **_when(row))

    def _agent(self, row: RowMapping) -> StoredAgent:
        plain = self.vault.open(_place(agents, row["id"]), row["settings"])
        return StoredAgent(id=row["id"], name=row["name"], settings=_object(plain), **_when(row))

    def _stamped(self, item: S) -> S:
        """As it is written now."""
        now = self._clock()
        return msgspec.structs.replace(item, created_at=item.created_at or now, updated_at=now)

    def _one(self, table: Table, key: str, value: str) -> RowMapping | None:
        with self._engine.connect() as connection:
            return connection.execute(select(table).where(table.c[key] == value)).mappings().first()

    def _put(self, table: Table, key: str, value: str, values: dict[str, Any]) -> None:
        statement = insert_into(self._engine, table).values({key: value, **values})
        kept = {name: content for name, content in values.items() if name not in ("created_at", "created_by")}
        with self._engine.begin() as connection:
            _count_up(connection)
            connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=kept))

    def _remove(self, table: Table, key: str, value: str) -> bool:
        with self._engine.begin() as connection:
            _count_up(connection)
            return connection.execute(delete(table).where(table.c[key] == value)).rowcount > 0


def _policies(connection: Connection) -> tuple[UsagePolicy, ...]:
    return tuple(_policy(row["data"]) for row in _rows(connection, usage_policies, "policy_id"))


def _revision(connection: Connection) -> int:
    return int(connection.execute(select(stored_revision.c.number)).scalar() or 0)


def _end_users(connection: Connection) -> bool:
    return connection.execute(select(end_users.c.user_id).limit(1)).first() is not None


def _count_up(connection: Connection) -> None:
    """Also keeps two changes from happening at once: the row stays locked until the transaction ends."""
    connection.execute(update(stored_revision).values(number=stored_revision.c.number + 1))


def _rows(connection: Connection, table: Table, order: str) -> Iterable[RowMapping]:
    return connection.execute(select(table).order_by(table.c[order], *table.primary_key)).mappings()


def _whole(
    connection: Connection, table: Table, order: str, read: Callable[[RowMapping], T], damaged: list[str]
) -> tuple[T, ...]:
    out: list[T] = []
    for row in _rows(connection, table, order):
        try:
            out.append(read(row))
        except Damaged as error:
            damaged.append(str(error))
    return tuple(out)


def _sealed(connection: Connection) -> Iterable[Sealed]:
    for table, key, column in _SEALED:
        for row in connection.execute(select(table.c[key], table.c[column]).order_by(table.c[key])):
            yield Sealed(_place(table, row[0]), key_id_of(row[1]) or "", row[1])


def _place(table: Table, id: str) -> str:
    return f"{table.name}:{id}"


def _who(
    item: StoredDeployment | StoredCredential | StoredMcpServer | StoredAgent | StoredAccessGroup,
) -> dict[str, Any]:
    return {
        "created_at": item.created_at, "created_by": item.created_by,
        "updated_at": item.updated_at, "updated_by": item.updated_by,
    }  # fmt: skip


def _when(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in ("created_at", "created_by", "updated_at", "updated_by")}


def _tag(row: RowMapping) -> StoredTag:
    return StoredTag(
        name=row["name"], description=row["description"], models=_names(row["models"]), max_budget=row["max_budget"],
        soft_budget=row["soft_budget"], budget_duration=row["budget_duration"], rpm=row["rpm"], tpm=row["tpm"],
        max_parallel_requests=row["max_parallel_requests"], budget_id=row["budget_id"] or "",
        created_at=row["created_at"], created_by=row["created_by"], updated_at=row["updated_at"],
    )  # fmt: skip


def _effective(connection: Connection, found: list[StoredTag]) -> tuple[StoredTag, ...]:
    ids = {tag.budget_id for tag in found if tag.budget_id}
    if not ids:
        return tuple(found)
    shared = Rows(connection, BUDGETS).many(ids)
    return tuple(_with_budget(tag, shared.get(tag.budget_id)) for tag in found)


def _with_budget(tag: StoredTag, budget: Budget | None) -> StoredTag:
    if budget is None:
        return tag
    limits = budget.limits
    own = tag.max_budget is not None
    return msgspec.structs.replace(
        tag,
        max_budget=tag.max_budget if own else limits.max_budget,
        budget_duration=tag.budget_duration if own else limits.budget_duration,
        soft_budget=tag.soft_budget if tag.soft_budget is not None else limits.soft_budget,
        rpm=tag.rpm if tag.rpm is not None else limits.rpm_limit,
        tpm=tag.tpm if tag.tpm is not None else limits.tpm_limit,
        max_parallel_requests=(
            tag.max_parallel_requests if tag.max_parallel_requests is not None else limits.max_parallel_requests
        ),
    )


def _access_group(row: RowMapping) -> StoredAccessGroup:
    return StoredAccessGroup(
        name=row["name"], models=_names(row["models"]), description=row["description"], **_when(row)
    )
