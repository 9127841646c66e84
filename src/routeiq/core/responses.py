"""Responses that are kept for their client: what workers and the control plane tell each other about them."""

from __future__ import annotations

import msgspec
from msgspec import Raw

QUEUED, RUNNING, CANCELLED, FAILED = "queued", "in_progress", "cancelled", "failed"
UNDER_WAY = (QUEUED, RUNNING)
ALIVE_SECONDS = 2.0
"""How often a worker says which background responses it is still at, and learns which were cancelled."""
DEAD_SECONDS = 60.0
"""After how long without that such a response counts as failed."""


class KeptResponse(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One response of one key."""

    id: str
    owner: str
    """Hex SHA-256 of the key that asked; empty where none is asked for."""
    status: str
    """`completed`, `incomplete`, `failed`, `queued`, `in_progress`, `cancelled`."""
    model: str = ""
    """The public name it was asked of."""
    deployment: str = ""
    """Where the provider keeps it; empty where the gateway does, with all that follows."""
    previous: str = ""
    background: bool = False
    input: Raw = Raw(b"[]")
    """The items of its own request, without those of the responses before."""
    response: Raw = Raw(b"{}")
    """The `response` object as its client sees it."""


class Conversation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a request that goes on from a response has to know."""

    deployment: str = ""
    """Where the provider keeps it; then there are no items here."""
    status: str = "completed"
    items: list[Raw] = []
    """Of all responses up to it: input, output, input, output."""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(KeptResponse).decode
decode_conversation = msgspec.json.Decoder(Conversation).decode
