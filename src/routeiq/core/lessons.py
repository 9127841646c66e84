"""What the control plane tells workers of decisions that were judged."""

from __future__ import annotations

import msgspec


class Lesson(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One judged decision. There is no text of its prompt in it."""

    seq: int
    """Of the judgement: later ones have higher numbers, as a rule."""
    auto: str
    """The auto model that was asked for."""
    model: str
    """The public name that answered."""
    score: float
    """0 to 1."""
    at: float
    """Unix seconds."""
    user: str = ""
    tokens: int = 0
    memento: str = ""
    """`routing.strategy.Ranking.memento`, base64."""


PATH = "/internal/routing/lessons"
"""Where workers ask the control plane for them."""
decode_all = msgspec.json.Decoder(list[Lesson]).decode
