"""Responses by their id: got, listed, deleted, cancelled; each by the key that asked for it.

https://platform.openai.com/docs/api-reference/responses/get and the pages after it.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Raw

from routeiq.core.errors import BadRequest, GatewayError, UnknownPath
from routeiq.core.responses import CANCELLED, UNDER_WAY, KeptResponse
from routeiq.core.snapshot import RESPONSES
from routeiq.governance.keys import Caller
from routeiq.pipeline import background
from routeiq.pipeline.answer import error_head, reason
from routeiq.pipeline.plan import Route
from routeiq.pipeline.services import ResponseStore
from routeiq.providers.dialects.responses import decode_response
from routeiq.providers.dialects.splice import show_model
from routeiq.worker.forward import forward
from routeiq.worker.local import HEAD, Answer

if TYPE_CHECKING:
    from routeiq.process.heads import Request
    from routeiq.process.http import ClientConnection
    from routeiq.worker.server import Worker

log = logging.getLogger("routeiq.worker")

_PATH = re.compile(rb"(?:/v1)?/responses/([^/]+)(/cancel|/input_items)?")
_METHODS = {b"": (b"GET", b"DELETE"), b"/cancel": (b"POST",), b"/input_items": (b"GET",)}
_MOST_ITEMS = 100
_USUAL_ITEMS = 20
_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def matched(method: bytes, path: bytes) -> tuple[str, bytes] | None:
    """(id, what of it) of a path that is about one response."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    rest = found[2] or b""
    return (unquote(found[1].decode("latin-1")), rest) if method in _METHODS[rest] else None


class ResponseAnswer(Answer):
    """One request about one response."""

    __slots__ = ("_ident", "_method", "_rest")

    def __init__(
        self, worker: Worker, connection: ClientConnection, request: Request, found: tuple[str, bytes]
    ) -> None:
        super().__init__(worker, connection, request)
        self._ident, self._rest = found
        self._method = request.method

    def _answer(self, name: str, caller: Caller) -> None:
        services = self._worker.services
        services.start(self._tell(caller))

    async def _tell(self, caller: Caller) -> None:
        store = self._worker.services.responses
        assert store is not None
        try:
            kept = await store.find(caller.key.id, self._ident)
            if kept is None:
                raise self._missing()
            if kept.deployment:
                await self._ask_provider(kept, store, caller)
            else:
                self._send(HEAD, await self._own(kept, store))
        except GatewayError as error:
            self._send(error_head(None, error), error.body())
        except Exception:
            log.exception("a question about a response could not be answered")
            failure = GatewayError("The gateway failed to handle this request.", code="internal_error")
            self._send(error_head(None, failure), failure.body())

    async def _own(self, kept: KeptResponse, store: ResponseStore) -> bytes:
        """What the gateway keeps itself."""
        if self._rest == b"/input_items":
            return input_items(kept, self._request.query)
        if self._rest == b"/cancel":
            return await self._cancel(kept, store)
        if self._method == b"DELETE":
            background.stop(self._worker.services, kept.id)
            if not await store.remove(kept.owner, kept.id):
                raise self._missing()
            return _encode({"id": kept.id, "object": "response", "deleted": True})
        _refuse_stream(self._request.query)
        return bytes(kept.response)

    async def _cancel(self, kept: KeptResponse, store: ResponseStore) -> bytes:
        if not kept.background:
            raise BadRequest("Cannot cancel a synchronous response.", code="response_not_in_background")
        ended = await store.cancel(kept.owner, kept.id)
        if ended is None:
            raise self._missing()
        if ended.status == CANCELLED:
            background.stop(self._worker.services, kept.id)  # where it runs in another process, that hears of it
        return bytes(ended.response)

    async def _ask_provider(self, kept: KeptResponse, store: ResponseStore, caller: Caller) -> None:
        worker = self._worker
        route: Route | None = worker.plan.find(kept.deployment)
        if route is None or RESPONSES not in route.heads:
            raise UnknownPath(
                f"The response '{kept.id}' is kept by the deployment '{kept.deployment}', which is not configured any "
                "more.",
                code="response_not_found",
            )
        query = self._request.query
        _refuse_stream(query)
        status, body = await forward(worker.services, route, self._method, kept.id, self._rest, query)
        if self._method == b"DELETE" and (status < 300 or status == 404):
            await store.remove(kept.owner, kept.id)
        elif status < 300 and self._rest != b"/input_items":
            body = _renamed(body, kept.model)
            if kept.background and kept.status in UNDER_WAY:
                await self._note_end(kept, body, route, store, caller)
        head = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        self._send(head % (status, reason(status)), body)

    async def _note_end(
        self, kept: KeptResponse, body: bytes, route: Route, store: ResponseStore, caller: Caller
    ) -> None:
        """Account for what a provider has done in the background, when its end is first seen."""
        shown = decode_response(body)
        if not shown.status or shown.status in UNDER_WAY:
            return
        kept.status = shown.status
        usage = shown.used()
        if await store.put(kept) and usage is not None:
            self._worker.account(self._connection, caller, route, kept.model, usage)

    def _missing(self) -> UnknownPath:
        return UnknownPath(f"Response with id '{self._ident[:200]}' not found.", code="response_not_found")


def _refuse_stream(query: bytes) -> None:
    if b"stream=true" in query.lower():
        raise BadRequest(
            "A response can't be streamed again: get it without stream, as often as it takes.",
            param="stream",
            code="unsupported_parameter",
        )


def _renamed(body: bytes, model: str) -> bytes:
    """A provider's response under the name its client asked for."""
    try:
        shown = decode_response(body).model
        return show_model(body, shown, _encode(model)) if shown and model and shown != model else body
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body


def input_items(kept: KeptResponse, query: bytes) -> bytes:
    """The items of its request as a page: `limit` (1 to 100, 20), `order` (`desc`, `asc`), `after`.

    https://platform.openai.com/docs/api-reference/responses/input-items
    """
    asked = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    try:
        limit = int(asked.get("limit", _USUAL_ITEMS))
    except ValueError:
        limit = 0
    if not 1 <= limit <= _MOST_ITEMS:
        raise BadRequest(f"'limit' must be a number from 1 to {_MOST_ITEMS}.", param="limit", code="invalid_value")
    order = asked.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("'order' must be asc or desc.", param="order", code="invalid_value")
    items = _decode_items(kept.input)
    if order == "desc":
        items.reverse()
    idents: list[str] = [msgspec.json.decode(item["id"], type=str) for item in items]
    after = asked.get("after")
    if after is not None:
        if after not in idents:
            raise BadRequest(f"There is no item '{after[:200]}'.", param="after", code="invalid_value")
        start = idents.index(after) + 1
        items, idents = items[start:], idents[start:]
    page = idents[:limit]
    return _encode(
        {
            "object": "list",
            "data": items[:limit],
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
            "has_more": len(idents) > limit,
        }
    )
