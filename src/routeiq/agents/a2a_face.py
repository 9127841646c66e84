"""A2A, as this process serves it: which path is what, and who may come in.

/a2a                                 the gateway: the agent is the `tenant` of the request
/a2a/{agent}                         one agent, in JSON-RPC; below it the HTTP+JSON binding
/a2a/{agent}/message/{send,stream}   the same in JSON-RPC, as LiteLLM has it; all of them below /v1 too
/a2a/agents, /v1/agents              the agents a key may use; /v1/agents/{agent} is one of them
/.well-known/agent-card.json         the gateway's card, and an agent's below its own path
"""

from __future__ import annotations

import asyncio
import hashlib
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from routeiq.a2a import cards, old_http, relay, rest, wire
from routeiq.a2a.ask import Ask
from routeiq.a2a.gateway import Gateway
from routeiq.a2a.relay import Relay
from routeiq.a2a.upstream import Upstream
from routeiq.a2a.wire import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REFUSED,
    VERSION_NOT_SUPPORTED,
    A2aError,
    Json,
    Unavailable,
    encode,
)
from routeiq.agents.a2a_store import ControlPushes, ControlTasks
from routeiq.agents.callers import caller_of
from routeiq.agents.responder import Responder
from routeiq.agents.sealing import Cipher
from routeiq.core.a2a import NEW, OLD, VERBATIM, A2a
from routeiq.core.errors import GatewayError, Overloaded, UnknownPath
from routeiq.core.snapshot import Snapshot
from routeiq.governance.keys import Caller
from routeiq.process.heads import Request
from routeiq.transport.pool import Origin

if TYPE_CHECKING:
    from routeiq.agents.server import Agents, Handler

VERSION = b"a2a-version"
_LITELLM = {"/message/send": wire.SEND, "/message/stream": wire.STREAM}
"""Paths below an agent's that are JSON-RPC too, with what they are for."""
_PURPOSE = b"routeiq a2a webhooks 1"
_EVENT = b"data: %b\n\n"
_ONE = b"/v1/agents/"
_HEALTH = b"health_check=true"
_POST = b"Allow: POST\r\n"
_GET = b"Allow: GET\r\n"
_BEARER = b"WWW-Authenticate: Bearer\r\n"


class A2aFace:
    """`agents.server.Face` of A2A."""

    def __init__(self, agents: Agents, control: Origin) -> None:
        snapshot = agents.snapshot
        self._agents = agents
        self._there = snapshot.a2a is not None
        a2a = snapshot.a2a or A2a()
        seal = Cipher(agents.secret, _PURPOSE) if agents.secret else None
        self._relay = Relay(agents.services, a2a, ControlPushes(control), seal)
        self.gateway = Gateway(agents.services, snapshot, a2a, ControlTasks(control), self._relay)

    def find(self, request: Request) -> Handler | None:
        """Everything with `a2a` in front, and the list of agents."""
        path = request.path
        if not self._there:
            return None
        if path in (b"/.well-known/agent-card.json", b"/.well-known/agent.json"):
            return self._gateway_card
        if path in (b"/a2a/agents", b"/v1/agents") or path.startswith(_ONE):
            return self._list
        if path.startswith(relay.PATH.encode()):
            return self._called
        path = path.removeprefix(b"/v1")
        return self._serve if path == b"/a2a" or path.startswith(b"/a2a/") else None

    def adopt(self, snapshot: Snapshot) -> None:
        """Serve by another configuration."""
        self._there = snapshot.a2a is not None
        self.gateway.adopt(snapshot, snapshot.a2a or A2a())

    def tidy(self, now: float) -> None:
        """Tell clients what they have not heard yet."""
        self._relay.tidy(now)

    async def close(self) -> None:
        """Streams end with their agents, or with the drain."""

    async def _caller(self, request: Request) -> Caller:
        return await caller_of(self._agents.services, self._agents.snapshot.auth, request.fields)

    # cards and lists

    async def _gateway_card(self, request: Request, responder: Responder) -> None:
        """Without a key nobody's agents are on it."""
        found: list[tuple[Any, Json]] = []
        if self._agents.snapshot.auth.open or b"authorization" in request.fields or b"x-api-key" in request.fields:
            caller = await self._caller(request)
            there = self.gateway.agents(caller)
            read = await asyncio.gather(*map(_card_or_nothing, there))
            found = [(one.agent, card) for one, card in zip(there, read, strict=True)]
        self._card(request, responder, encode(cards.of_gateway(found, self._base(request) + "/a2a")))

    async def _list(self, request: Request, responder: Responder) -> None:
        """https://docs.litellm.ai/docs/a2a: a list of agents with their cards."""
        if request.method != b"GET":
            responder.respond(405, b"", headers=_GET)
            return
        caller = await self._caller(request)
        path = unquote(request.path.decode("latin-1"))
        one = path.removeprefix("/v1/agents/") if path.startswith("/v1/agents/") else ""
        found = [self.gateway.find(caller, one)] if one else self.gateway.agents(caller)
        if _HEALTH in request.query:
            alive = await asyncio.gather(*(upstream.alive() for upstream in found))
            found = [upstream for upstream, well in zip(found, alive, strict=True) if well]
            if one and not found:
                raise Overloaded(f"The agent {one[:100]} does not answer.", code="agent_unavailable")
        out = await asyncio.gather(*(self._shown(request, upstream) for upstream in found))
        responder.respond(200, encode(out[0] if one else out))

    async def _shown(self, request: Request, upstream: Upstream) -> Json:
        agent = upstream.agent
        card = cards.shown({"name": agent.name, **await _card_or_nothing(upstream)}, self._url(request, upstream))
        return {
            "agent_id": agent.id, "agent_name": agent.name, "enabled": agent.enabled, "agent_card_params": card,
            "access_groups": list(agent.access_groups), "rpm_limit": agent.rpm,
        }  # fmt: skip

    def _card(self, request: Request, responder: Responder, body: bytes, changed: float | None = None) -> None:
        """Answer with a card. `changed` is in Unix seconds."""
        etag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
        headers = b"ETag: %b\r\nCache-Control: private, max-age=60\r\n" % etag
        if changed is not None:
            headers += b"Last-Modified: %b\r\n" % formatdate(changed, usegmt=True).encode()
        if request.fields.get(b"if-none-match", b"").strip() == etag:
            responder.respond(304, b"", headers=headers)
        else:
            responder.respond(200, body, headers=headers)

    async def _agent_card(self, request: Request, responder: Responder, upstream: Upstream) -> None:
        card, raw = await upstream.card()
        if upstream.agent.signatures == VERBATIM and card.get("signatures"):
            self._card(request, responder, raw, upstream.card_changed)
        else:
            body = encode(cards.shown(card, self._url(request, upstream)))
            self._card(request, responder, body, upstream.card_changed)

    def _base(self, request: Request) -> str:
        base = self.gateway.a2a.public_url.rstrip("/")
        if base:
            return base
        scheme = "https" if request.fields.get(b"x-forwarded-proto") == b"https" else "http"
        return f"{scheme}://{request.fields.get(b'host', b'localhost').decode('latin-1')}"

    def _url(self, request: Request, upstream: Upstream) -> str:
        return f"{self._base(request)}/a2a/{upstream.agent.name}"

    # agents

    async def _called(self, request: Request, responder: Responder) -> None:
        """An agent tells of a task: what its address ends with is all it needs to know."""
        if request.method != b"POST":
            responder.respond(405, b"", headers=_POST)
            return
        token = request.path.decode("latin-1").removeprefix(relay.PATH)
        try:
            await self.gateway.pushes.received(token, request.body)
        except A2aError as error:
            Http().refuse(responder, error)
        else:
            responder.respond(200, b"{}")

    async def _serve(self, request: Request, responder: Responder) -> None:
        """What is below /a2a."""
        path = unquote(request.path.removeprefix(b"/v1").removeprefix(b"/a2a").decode("latin-1"))
        name, _, rest_of = path[1:].partition("/")
        rest_of = f"/{rest_of}" if rest_of else ""
        binding: Binding = JsonRpc() if rest_of in ("", *_LITELLM) else Http()
        if rest_of.startswith(old_http.PREFIX + "/"):
            binding = OldHttp("")
        try:
            caller = await self._caller(request)
            if not name:
                await self._rpc(request, responder, caller, None, "")
                return
            upstream = self.gateway.find(caller, name)
            if rest_of in cards.WELL_KNOWN:
                if request.method != b"GET":
                    responder.respond(405, b"", headers=_GET)
                    return
                await self._agent_card(request, responder, upstream)
            elif rest_of in ("", *_LITELLM):
                await self._rpc(request, responder, caller, upstream, _LITELLM.get(rest_of, ""))
            else:
                await self._http(request, responder, caller, upstream, rest_of)
        except A2aError as error:
            binding.refuse(responder, error)
        except GatewayError as error:
            _refuse(responder, error, binding)

    async def _rpc(
        self, request: Request, responder: Responder, caller: Caller, upstream: Upstream | None, wanted: str
    ) -> None:
        """One JSON-RPC request. `wanted` is the operation the path is for; empty is any."""
        binding = JsonRpc()
        try:
            if request.method != b"POST":
                responder.respond(405, b"", headers=_POST)
                return
            _check_content(request)
            message = wire.decode(request.body)
            if isinstance(message, dict) and wire.is_id(message.get("id")):
                binding.ident = message.get("id")
            binding.ident, method, params = wire.params_of(message)
            version = _version(request)
            operation = _operation(method, version)
            if wanted and operation in wire.SENDS:
                operation = wanted
            if upstream is None:
                tenant = params.get("tenant")
                if not isinstance(tenant, str) or not tenant:
                    raise A2aError(wire.INVALID_PARAMS, "params.tenant must name an agent.")
                upstream = self.gateway.find(caller, tenant)
            url = self._url(request, upstream)
            await self._answer(
                responder, binding, Ask(caller, upstream, version, operation, params, request.fields, url)
            )
        except A2aError as error:
            binding.refuse(responder, error)
        except GatewayError as error:
            _refuse(responder, error, binding)

    async def _http(
        self, request: Request, responder: Responder, caller: Caller, upstream: Upstream, path: str
    ) -> None:
        """One request of the HTTP+JSON binding."""
        old = path.startswith(old_http.PREFIX + "/")
        method = request.method.decode("latin-1")
        found = old_http.find(method, path.removeprefix(old_http.PREFIX)) if old else rest.find(method, path)
        if found is None:
            raise UnknownPath("There is no such path below an agent.")
        operation, named = found
        params: Json = rest.asked(request.query.decode("latin-1")) if request.method == b"GET" else {}
        params.pop("A2A-Version", None)
        if request.body and request.method == b"POST":
            _check_content(request)
            body = wire.decode(request.body)
            if not isinstance(body, dict):
                raise A2aError(INVALID_REQUEST, "The body must be a JSON object.")
            params = body
        if _version(request) != (OLD if old else NEW):
            raise A2aError(VERSION_NOT_SUPPORTED, "These are paths of 1.0, which A2A-Version must say; of 0.3 is /v1.")
        params = {**params, **named}
        if old:
            params = old_http.params_in(operation, params)
        ask = Ask(caller, upstream, NEW, operation, params, request.fields, self._url(request, upstream))
        await self._answer(responder, OldHttp(operation) if old else Http(), ask)

    async def _answer(self, responder: Responder, binding: Binding, ask: Ask) -> None:
        if ask.operation not in wire.STREAMED:
            responder.respond(200, binding.result(await self.gateway.answer(ask)), kind=binding.kind)
            return
        try:
            async for result in self.gateway.stream(ask):
                responder.begin()
                responder.write(_EVENT % binding.result(result))
        except (A2aError, GatewayError) as error:
            if not responder.began:
                raise
            told = error if isinstance(error, A2aError) else _told(error)
            responder.write(_EVENT % binding.error(told))
        responder.end()


class Binding:
    """How results and errors are told."""

    kind = b"application/json"

    def result(self, result: Any) -> bytes:
        """One result."""
        return encode(result if result is not None else {})

    def error(self, error: A2aError) -> bytes:
        """One error."""
        return wire.status_of(error)

    def refuse(self, responder: Responder, error: A2aError, headers: bytes = b"") -> None:
        """The whole answer to a request that failed."""
        responder.respond(error.status or error.meaning.status, self.error(error), headers=headers)


class Http(Binding):
    """HTTP+JSON."""


class OldHttp(Binding):
    """HTTP+JSON of 0.3."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def result(self, result: Any) -> bytes:
        """One result."""
        return encode(old_http.result_out(self._operation, result) or {})

    def error(self, error: A2aError) -> bytes:
        """One error."""
        return old_http.error_out(error)


class JsonRpc(Binding):
    """JSON-RPC. `ident` is the request's, once it is known."""

    ident: Any = None

    def result(self, result: Any) -> bytes:
        """One result."""
        return wire.answer(self.ident, result)

    def error(self, error: A2aError) -> bytes:
        """One error."""
        return wire.refusal(self.ident, error)

    def refuse(self, responder: Responder, error: A2aError, headers: bytes = b"") -> None:
        """With the status 200, but for what HTTP itself has a word for."""
        responder.respond(error.status or 200, self.error(error), headers=headers)


def _version(request: Request) -> str:
    """The version a client speaks: https://a2a-protocol.org/latest/specification/#361-client-responsibilities"""
    told = request.fields.get(VERSION, b"").strip().decode("latin-1")
    if not told and b"A2A-Version=" in request.query:
        told = str(rest.asked(request.query.decode("latin-1")).get("A2A-Version", ""))
    version = ".".join(told.split(".")[:2])
    if not told or version == OLD:
        return OLD
    if version != NEW:
        raise A2aError(VERSION_NOT_SUPPORTED, f"A2A-Version {told[:20]} is not served: 1.0 and 0.3 are.")
    return NEW


def _operation(method: str, version: str) -> str:
    if version == NEW and method in wire.OPERATIONS:
        return method
    if version == OLD and method in wire.OLD_METHODS:
        return wire.OLD_METHODS[method]
    if method in wire.OPERATIONS:
        raise A2aError(VERSION_NOT_SUPPORTED, "This is a method of version 1.0: send A2A-Version: 1.0.")
    raise A2aError(METHOD_NOT_FOUND, f"Method not found: {method[:100]}")


def _check_content(request: Request) -> None:
    """JSON, whichever kind of it."""
    kind = request.fields.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind not in (b"application/json", b"application/a2a+json"):
        raise A2aError(wire.CONTENT_TYPE, "The body must be application/json.")


async def _card_or_nothing(upstream: Upstream) -> Json:
    """The agent's card, empty while it can't be read."""
    try:
        card, _ = await upstream.card()
    except Unavailable:
        return {}
    return card


def _told(error: GatewayError) -> A2aError:
    return A2aError(REFUSED, error.message, {"code": error.code or error.kind, "type": error.type}, status=error.status)


def _refuse(responder: Responder, error: GatewayError, binding: Binding) -> None:
    headers = _BEARER if error.status == 401 else b""
    if error.retry_after is not None:
        headers += b"Retry-After: %d\r\n" % max(1, round(error.retry_after))
    binding.refuse(responder, _told(error), headers)
