"""What a worker answers from its Snapshot: models and probes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

import msgspec

from routeiq.core.counters import GAUGE
from routeiq.core.deployments import shown_params
from routeiq.core.errors import GatewayError, UnknownModel
from routeiq.governance.keys import Caller
from routeiq.observe.metrics import LEDGER_UP
from routeiq.pipeline.answer import error_head
from routeiq.pipeline.authenticate import admitted, token_of
from routeiq.pipeline.plan import Plan
from routeiq.providers.dialects.faces import FACES
from routeiq.worker import models
from routeiq.worker.routes import MODEL_PREFIXES

if TYPE_CHECKING:
    from routeiq.process.heads import Request
    from routeiq.process.http import ClientConnection
    from routeiq.worker.server import Worker

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
"""Of an answer, up to `Content-Length`."""
_encode = msgspec.json.Encoder().encode


def handler(path: bytes, table: dict[bytes, str]) -> str | None:
    """The name of the local answer for a path."""
    found = table.get(path)
    if found is None and path.startswith(MODEL_PREFIXES):
        return "model"
    return found


class Answer:
    """One request for a local answer; waits where the key has to be looked up."""

    __slots__ = ("_connection", "_request", "_worker")

    def __init__(self, worker: Worker, connection: ClientConnection, request: Request) -> None:
        self._worker = worker
        self._connection = connection
        self._request = request
        connection.serve_as(self)

    def client_gone(self) -> None:
        """Nothing to stop."""

    def client_slow(self) -> None:
        """Nothing to hold back: the answer is written whole."""

    def client_ready(self) -> None:
        """Nothing was held back."""

    def run(self, name: str) -> None:
        """Answer now, or as soon as the caller is known."""
        try:
            if name == "live":
                self._send(HEAD, b'"I\'m alive!"')
            elif name == "ready":
                self._ready()
            else:
                self._with_caller(name)
        except GatewayError as error:
            self._refuse(error)

    def _ready(self) -> None:
        worker = self._worker
        if worker.draining:
            head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            self._send(head, b'{"status":"draining"}')
            return
        snapshot = worker.plan.snapshot
        # Requests are served without the database too: the journal keeps them for it.
        table = worker.services.table
        connected = table.total(table.row(LEDGER_UP.name, GAUGE)) > 0
        db = "connected" if connected else "Not connected"
        answer = {"status": "healthy", "db": db, "revision": snapshot.revision}
        self._send(HEAD, _encode(answer))

    def _with_caller(self, name: str) -> None:
        worker = self._worker
        plan, services = worker.plan, worker.services
        auth = plan.snapshot.auth
        if auth.open:
            self._answer(name, services.keys.anonymous)
            return
        token = token_of(self._request.fields, auth)
        if auth.lookup:
            known, _, caller = services.keys.known(token, services.now())
            if not known:
                services.start(self._look_up(name, token))
                return
        else:
            caller = services.keys.find(token)
        self._answer(name, admitted(caller, services.wall()))

    async def _look_up(self, name: str, token: bytes) -> None:
        services = self._worker.services
        try:
            caller = await services.keys.look_up(token, services.now())
            self._answer(name, admitted(caller, services.wall()))
        except GatewayError as error:
            self._refuse(error)

    @property
    def _reader(self) -> str:
        return models.reader_of(self._request.path, self._request.fields)

    def _refuse(self, error: GatewayError) -> None:
        self._send(error_head(None, error), FACES[self._reader].error(error))

    def _answer(self, name: str, caller: Caller) -> None:
        plan = self._worker.plan
        request = self._request
        if name == "models":
            self._send(HEAD, _encode(models.listed(models.names(plan, caller), self._reader)))
        elif name == "model_info":
            wanted = parse_qs(request.query.decode("latin-1")).get("litellm_model_id", [""])[0]
            found = model_info(plan, caller, wanted)
            if wanted and not found:
                raise UnknownModel(f"Model id = {wanted[:200]} not found on litellm proxy", param="litellm_model_id")
            self._send(HEAD, _encode({"data": found}))
        else:
            prefix = next(prefix for prefix in MODEL_PREFIXES if request.path.startswith(prefix))
            wanted = unquote(request.path[len(prefix) :].decode("latin-1"))
            self._send(HEAD, _encode(models.one(plan, caller, wanted, self._reader)))

    def _send(self, head: bytes, body: bytes) -> None:
        self._connection.respond(self, head, body)


def model_info(plan: Plan, caller: Caller, wanted: str) -> list[dict[str, object]]:
    """Deployments in LiteLLM's shape, without credentials; only the one with the id `wanted`, where given."""
    out: list[dict[str, object]] = []
    for spec in plan.snapshot.deployments:
        hidden = spec.team not in ("", caller.key.team_id) and not caller.key.admin
        if hidden or not (spec.team or caller.may_use(spec.group)) or (wanted and spec.id != wanted):
            continue
        out.append(
            {"model_name": spec.group, "litellm_params": shown_params(spec), "model_info": msgspec.Raw(spec.info)}
        )
    return out
