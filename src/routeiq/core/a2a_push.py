"""Webhooks of clients, and what is to be told there: what the agents process and the control plane tell each other."""

from __future__ import annotations

import msgspec


class KeptHook(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One webhook of one task."""

    token: str
    """Hex SHA-256 of what the agent calls the gateway with."""
    agent: str
    owner: str
    id: str
    """As its client names it."""
    task: str = ""
    """Empty until the agent has named the task."""
    sealed: bytes = b""
    """`a2a.relay.Webhook`, encrypted."""


class Delivery(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing to be told."""

    id: str
    token: str
    """Of its webhook."""
    body: bytes
    attempts: int = 0
    sealed: bytes = b""
    """The webhook, where it is read."""


encode = msgspec.json.Encoder().encode
decode_hook = msgspec.json.Decoder(KeptHook).decode
decode_hooks = msgspec.json.Decoder(list[KeptHook]).decode
decode_delivery = msgspec.json.Decoder(Delivery).decode
decode_deliveries = msgspec.json.Decoder(list[Delivery]).decode
