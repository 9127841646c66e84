"""Tokens one request used."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, omit_defaults=True, gc=False):
    """Token counts; `cached` and `written` are parts of `prompt`, `reasoning` of `completion`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    estimated: bool = False
    """True when the provider sent no usage and the counts come from sizes."""
