"""`POST /v1/routing/explain`: which model a request would get, and why, without asking any."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from routeiq.core.decisions import encode, for_its_key
from routeiq.core.errors import BadRequest
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import CHAT
from routeiq.governance.keys import Caller
from routeiq.pipeline import attribute, read
from routeiq.pipeline.admit import not_allowed
from routeiq.pipeline.ranking import explain
from routeiq.worker.local import HEAD, Answer

PATH = b"/v1/routing/explain"


class Explanation(Answer):
    """One question; the body is a chat request, or has a `prompt` in place of its messages."""

    def _answer(self, name: str, caller: Caller) -> None:
        exchange = self._exchange(_as_chat(self._request.body), caller)
        read.read(exchange)
        rule = caller.forbidding(exchange.model) if exchange.auto is None else None
        if rule is not None:
            raise not_allowed(rule, exchange.model)
        attribute.attribute(exchange)
        decision = explain(exchange)
        self._send(HEAD, encode(decision if caller.key.admin else for_its_key(decision)))

    def _exchange(self, body: bytes, caller: Caller) -> Exchange:
        """A request that goes no further than to its decision: nothing is counted for it."""
        worker = self._worker
        now = worker.services.now()
        exchange = Exchange(
            worker.plan, self._connection, CHAT, self._request.fields, body, now, time.time_ns() // 1000, ""
        )
        exchange.settled = True
        exchange.key = caller
        return exchange


def _as_chat(body: bytes) -> bytes:
    """The body with messages. Raises `BadRequest` for what is no JSON object."""
    try:
        found: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body must be a JSON object.", code="invalid_json") from None
    prompt = found.pop("prompt", None)
    if prompt is None:
        return body
    if not isinstance(prompt, str) or "messages" in found:
        raise BadRequest("prompt must be text, in place of messages.", param="prompt", code="invalid_value")
    return msgspec.json.encode({**found, "messages": [{"role": "user", "content": prompt}]})
