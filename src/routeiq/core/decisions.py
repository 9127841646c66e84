"""A routing decision as it is told: in headers, in the Event, to who asks for it later."""

from __future__ import annotations

from typing import Any

import msgspec


class Option(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One candidate, and what was thought of it. `None` is what nobody predicted."""

    model: str
    """The public name."""
    provider: str = ""
    removed: str = ""
    """Which filter took it out: `not_allowed`, `not_asked_for`, `excluded`, `capability:vision`, `context_window`,
    `region`, `unavailable`, `budget`, `max_cost`, `profile`. Empty: it was ranked."""
    rank: int = 0
    """1 is the first; 0 for one that is not among them."""
    score: float | None = None
    quality: float | None = None
    """Predicted, 0 to 1."""
    cost: float | None = None
    """Predicted, US dollars."""


class Timings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Microseconds."""

    total: int = 0
    strategy: int = 0
    embedding: int = 0
    filters: int = 0


class Decision(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which model was chosen for a request, and why. `id` is the request's `x-litellm-call-id`."""

    id: str
    model: str
    """As requested: the auto model's name."""
    strategy: str
    version: str = ""
    """Of the artifact, where there is one."""
    variant: str = "default"
    """Of an experiment."""
    selected: str
    reason: str = ""
    confidence: float | None = None
    propensity: float = 1.0
    """The probability with which this model was chosen."""
    sticky: bool = False
    """Whether it is the conversation's, whatever the ranking says."""
    candidates: list[Option] = []
    features: dict[str, Any] = {}
    timings: Timings = Timings()
    query_length: int = 0
    """Characters of the prompt; its text is not kept."""
    tokens: int = 0
    """Of the prompt, estimated."""
    user: str = ""
    """Whose preferences counted."""
    memento: str = ""
    """What the strategy needs to learn from a judgement, base64: numbers, no text of the prompt."""


NOT_ALLOWED = "not_allowed"
"""`Option.removed` of what the key may not use."""


def for_its_key(decision: Decision) -> Decision:
    """The same without candidates the key may not use, of which it need not know."""
    allowed = [option for option in decision.candidates if option.removed != NOT_ALLOWED]
    return msgspec.structs.replace(decision, candidates=allowed)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Decision).decode
