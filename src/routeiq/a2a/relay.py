"""Webhooks of clients: agents tell the gateway, and the gateway tells the client, until it has heard.

What is told is kept before the agent is answered, and told again after longer and longer pauses: at least once. It is
signed as https://github.com/standard-webhooks/standard-webhooks has it, with the webhook's own `token`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
import uuid
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from routeiq.a2a import webhooks, wire
from routeiq.a2a.exchange import Exchange
from routeiq.a2a.wire import A2aError, Json
from routeiq.core.a2a import A2a
from routeiq.core.a2a_push import Delivery, KeptHook
from routeiq.core.errors import GatewayError
from routeiq.pipeline.services import Services
from routeiq.transport.pool import Address, Origin

PATH = "/a2a/push/"
PAUSES = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0)
"""Seconds before the next try; after the last one it is given up."""
ANSWER_SECONDS = 15.0
LOOK_SECONDS = 2.0
"""How often it is looked for what is due."""
MAX_ANSWER = 64 * 1024

log = logging.getLogger("routeiq.a2a")


class Webhook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where and how a client is told."""

    config: bytes
    """As the client gave it, in the shape of 1.0: JSON."""
    old: bool = False
    """Whether the client speaks 0.3."""
    context: str = ""
    """The conversation as the client names it, and as the agent does."""
    inner: str = ""

    def __repr__(self) -> str:
        return "Webhook()"


class Seal(Protocol):
    """Encrypts what is kept."""

    def close(self, data: bytes) -> bytes:
        """Encrypted."""

    def open(self, data: bytes) -> bytes:
        """As it was. Raises `ValueError` for what is under another key."""


class PushStore(Protocol):
    """Where webhooks are kept. Everything raises `Overloaded` when it can't be reached."""

    async def put_hook(self, hook: KeptHook) -> None: ...

    async def hooks(self, agent: str, owner: str, task: str) -> list[KeptHook]: ...

    async def hook(self, token: str) -> KeptHook | None: ...

    async def remove_hook(self, token: str) -> None: ...

    async def add(self, delivery: Delivery) -> None: ...

    async def due(self) -> list[Delivery]: ...

    async def done(self, ident: str, again: float | None) -> None: ...


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Webhook).decode


class Relay:
    """All webhooks. It is there where agents can call the gateway (`public_url`) and secrets can be kept."""

    def __init__(self, services: Services, a2a: A2a, store: PushStore, seal: Seal | None) -> None:
        self.a2a = a2a
        self._services = services
        self._store = store
        self._seal = seal
        self._next = 0.0

    @property
    def there(self) -> bool:
        """Whether agents tell the gateway, and not the client."""
        return bool(self.a2a.public_url) and self._seal is not None

    async def register(self, hook: KeptHook, webhook: Webhook) -> Json:
        """Keep a webhook; what the agent is told in its place, in the shape of 1.0."""
        assert self._seal is not None
        token = secrets.token_urlsafe(24)
        hook.token, hook.sealed = digest(token), self._seal.close(_encode(webhook))
        await self._store.put_hook(hook)
        return {"id": hook.id, "url": self.a2a.public_url.rstrip("/") + PATH + token}

    async def bind(self, hook: KeptHook, task: str) -> None:
        """The agent has named the task."""
        if hook.task != task:
            hook.task = task
            await self._store.put_hook(hook)

    async def configs(self, agent: str, owner: str, task: str) -> list[tuple[KeptHook, Json]]:
        """The webhooks of a task, as their client gave them."""
        return [(hook, self.config(hook, task)) for hook in await self._store.hooks(agent, owner, task)]

    def config(self, hook: KeptHook, task: str) -> Json:
        """One of them."""
        return {"taskId": task, **wire.decode(self.webhook(hook.sealed).config), "id": hook.id}

    def webhook(self, sealed: bytes) -> Webhook:
        """What is kept of one."""
        assert self._seal is not None
        return _decode(self._seal.open(sealed))

    async def remove(self, hook: KeptHook) -> None:
        """Forget one."""
        await self._store.remove_hook(hook.token)

    async def called(self, token: str) -> KeptHook | None:
        """The webhook an agent calls for."""
        return await self._store.hook(digest(token))

    async def tell(self, hook: KeptHook, body: bytes) -> None:
        """Tell a client; returns when that is kept."""
        delivery = Delivery(id=f"msg_{uuid.uuid4().hex}", token=hook.token, body=body)
        await self._store.add(delivery)
        delivery.sealed = hook.sealed
        self._services.start(self._deliver(delivery))

    def tidy(self, now: float) -> None:
        """Look for what is due."""
        if self.there and now >= self._next:
            self._next = now + LOOK_SECONDS
            self._services.start(self._look())

    async def _look(self) -> None:
        try:
            for delivery in await self._store.due():
                self._services.start(self._deliver(delivery))
        except GatewayError:
            return  # there will be another time

    async def _deliver(self, delivery: Delivery) -> None:
        again: float | None = None
        try:
            webhook = self.webhook(delivery.sealed)
            config = wire.decode(webhook.config)
            if not await self._post(config, delivery):
                again = PAUSES[delivery.attempts] if delivery.attempts < len(PAUSES) else None
                if again is None:
                    log.warning("a webhook has not heard %d times: it is given up", len(PAUSES) + 1)
        except ValueError:
            log.warning("a webhook is kept under another key: it is given up")
        try:
            await self._store.done(delivery.id, again)
        except GatewayError:
            return  # it is told again

    async def _post(self, config: Json, delivery: Delivery) -> bool:
        """Whether the client has heard."""
        try:
            await webhooks.check(config, self._services.pool.resolver, private=self.a2a.private_webhooks)
            parts = urlsplit(config["url"])
            port = parts.port or (443 if parts.scheme == "https" else 80)
            guarded = not self.a2a.private_webhooks
            address = Address(parts.scheme, parts.hostname or "", port, guarded=guarded)
            pool = self._services.pool
            origin = Origin(address, pool.resolver, pool.limits, pool.outbox)  # one more host is not kept
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            head = f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in _headers(config, delivery).items())
            head += f"Content-Type: application/a2a+json\r\nContent-Length: {len(delivery.body)}\r\n\r\n"
            exchange = Exchange((head.encode("latin-1", "replace"), delivery.body), MAX_ANSWER, ANSWER_SECONDS)
            origin.send(exchange)
            try:
                await exchange.body()
                return 200 <= exchange.status < 300
            finally:
                exchange.close()
                origin.close()
        except A2aError:
            return False


def _headers(config: Json, delivery: Delivery) -> dict[str, str]:
    """How a client knows that it is the gateway."""
    stamp = str(int(time.time()))
    made = {"webhook-id": delivery.id, "webhook-timestamp": stamp}
    token = config.get("token")
    if isinstance(token, str) and _is_plain(token):
        signed = f"{delivery.id}.{stamp}.".encode() + delivery.body
        signature = hmac.new(token.encode(), signed, hashlib.sha256).digest()
        made["webhook-signature"] = f"v1,{base64.b64encode(signature).decode()}"
        made["X-A2A-Notification-Token"] = token
    found = config.get("authentication")
    if isinstance(found, dict) and found.get("scheme") and found.get("credentials"):
        value = f"{found['scheme']} {found['credentials']}"
        if _is_plain(value):
            made["Authorization"] = value
    return made


def _is_plain(value: str) -> bool:
    """Whether a header may have it."""
    return bool(value) and all(" " <= c <= "~" for c in value)


def digest(token: str) -> str:
    """What a token is kept as."""
    return hashlib.sha256(token.encode()).hexdigest()


def named(found: Any) -> str:
    """The name of a webhook, made up where its client has none."""
    ident = found.get("id") if isinstance(found, dict) else None
    return ident if isinstance(ident, str) and ident else str(uuid.uuid4())
