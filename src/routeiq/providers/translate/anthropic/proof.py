"""Signatures on Anthropic's wire: its own as they are, another provider's marked, so that Anthropic is never sent one.

https://docs.claude.com/en/docs/build-with-claude/extended-thinking#preserving-thinking-blocks
"""

from __future__ import annotations

from routeiq.providers.dialects.anthropic import FOREIGN
from routeiq.providers.translate.chat import sealed, unsealed

_CALL = "call:"


def write_proof(value: str) -> str:
    """A proof, `sealed`, as a client keeps it; empty stays empty."""
    own = unsealed("anthropic", value)
    return own if own or not value else f"{FOREIGN}{value}"


def write_call_proof(value: str) -> str:
    """The proof of a call: it stands in a thinking block before the call, because calls have no place for it."""
    return f"{FOREIGN}{_CALL}{value}"


def read_proof(value: str) -> str:
    """Sealed again."""
    return value.removeprefix(FOREIGN) if value.startswith(FOREIGN) else sealed("anthropic", value)


def read_call_proof(value: str) -> str | None:
    """What `read_proof` gave, when it is the proof of the call that comes next; `None` for that of a thought."""
    return value.removeprefix(_CALL) if value.startswith(_CALL) else None
