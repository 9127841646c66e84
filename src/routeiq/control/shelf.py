"""Changes to what is stored beside the configuration files: tried, stored, then served by every process.

change ──► trial build of everything ──► database ──► rebuild ──► the next request finds it, whichever worker has it
              └─ a mistake: 400 with the findings, nothing stored
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from routeiq.core.errors import BadRequest, Overloaded
from routeiq.store.vault import NO_KEY, SecretsError

if TYPE_CHECKING:
    from routeiq.control.access import Caller
    from routeiq.control.build import Built
    from routeiq.control.changes import Changes
    from routeiq.core.settings import Finding
    from routeiq.core.snapshot import Snapshot
    from routeiq.core.stored import Stored
    from routeiq.store.stored import StoredRepository

SERVED_SECONDS = 30.0
"""How long an answer waits for every process to serve by a change."""
MOST_FINDINGS = 10


class Served(Protocol):
    """Where changes go, and what is served now."""

    @property
    def changes(self) -> Changes: ...

    def current(self) -> Snapshot:
        """The Snapshot served now."""


class Shelf:
    """The stored things of one control plane. Methods block; call them off the event loop."""

    def __init__(self, repository: StoredRepository, trial: Callable[[Stored], Built]) -> None:
        """`trial` builds everything as it would be with these rows, and keeps nothing."""
        self.repository = repository
        self._trial = trial
        self._lock = threading.Lock()

    def check_open(self, snapshot: Snapshot) -> None:
        """Raises `BadRequest` where deployments and credentials can't be stored."""
        if not snapshot.store_models:
            raise BadRequest(
                "Models are not kept in the database here. Set general_settings.store_model_in_db: true, or "
                "STORE_MODEL_IN_DB=True in the environment.",
                code="store_model_in_db_off",
            )
        if not self.repository.vault.ready:
            raise BadRequest(f"{NO_KEY}.", code="no_secrets_key")

    def change(
        self,
        edit: Callable[[Stored], Stored],
        concerned: Callable[[Stored], Iterable[str]],
        store: Callable[[], None],
    ) -> None:
        """Store what a trial of the edited rows finds nothing wrong with.

        `concerned` names the deployments that have to be served afterwards. Raises `BadRequest` with what is wrong.
        """
        with self._lock:
            rows, _ = self._load()
            edited = edit(rows)
            built = self._trial(edited)
            faulty = {id: built.left_out[id] for id in concerned(edited) if id in built.left_out}
            if faulty:
                before = self._trial(rows).left_out
                new = [finding for id, found in faulty.items() if before.get(id) != found for finding in found]
                if new:
                    raise _refusal(new)
            if not built.result.ok:
                raise _refusal(built.result.errors)
            store()

    def _load(self) -> tuple[Stored, tuple[str, ...]]:
        try:
            return self.repository.load()
        except SecretsError as error:
            raise BadRequest(f"{error}.", code="secrets_unreadable") from None


def merged(held: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """`said` over `held`; null takes away."""
    return {name: value for name, value in {**held, **said}.items() if value is not None}


def by(caller: Caller) -> str:
    """Who has changed something."""
    return caller.user_id or caller.name


def serve(plane: Served) -> None:
    """Wait until what has been stored is served. Raises `Overloaded` when that takes too long."""
    try:
        done = plane.changes.rebuild().result(SERVED_SECONDS)
    except concurrent.futures.TimeoutError:
        done = None
    if done is None or not done.ok:
        reason = f": {done.errors[0].message}" if done is not None and done.errors else ""
        raise Overloaded(
            f"It is stored, but not every process serves by it yet{reason}. The log says more.",
            code="not_served_yet",
            retry_after=5.0,
        )


def _refusal(findings: Iterable[Finding]) -> BadRequest:
    """What is wrong, with the path of each setting in the deployment."""
    told = [(_relative(finding.path), finding) for finding in findings]
    shown = [
        f"{path + ': ' if path else ''}{finding.message}{f' ({finding.hint})' if finding.hint else ''}"
        for path, finding in told[:MOST_FINDINGS]
    ]
    return BadRequest("; ".join(shown) + ".", param=told[0][0] or None, code="invalid_deployment")


def _relative(path: str) -> str:
    """`litellm_params.rpm` of `model_list[3].litellm_params.rpm`, `url` of `mcp_servers.notes.url`."""
    if path.startswith("mcp_servers."):
        path = path.partition(".")[2]
    elif not path.startswith(("model_list[", "agents[", "agent_list[")):
        return path
    return path.partition(".")[2]
