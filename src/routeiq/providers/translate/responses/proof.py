"""Signatures of other providers as `encrypted_content`, the one place of a reasoning item that clients send back.

https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items
"""

from __future__ import annotations

from routeiq.providers.dialects.responses import PROOF
from routeiq.providers.translate.chat import Thinking, sealed, unsealed
from routeiq.providers.translate.responses.wire import DIALECT


def write_proof(signature: str, redacted: str = "") -> str | None:
    """What stands for the proof of a thought; `None` for none."""
    own = unsealed(DIALECT, redacted)
    if own:
        return own
    if redacted:
        return f"{PROOF}redacted:{redacted}"
    return f"{PROOF}signature:{signature}" if signature else None


def write_call_proof(call_id: str, signature: str) -> str:
    """The proof of a call: it stands in a reasoning item before the call, because calls have no place for it."""
    return f"{PROOF}call:{call_id}:{signature}"


def read_proof(value: str | None, text: str, ident: str) -> Thinking | tuple[str, str]:
    """The thought of a reasoning item, or (call id, signature) of the call that comes after it."""
    if not value:
        return Thinking(text=text, id=ident)
    if not value.startswith(PROOF):
        return Thinking(text=text, redacted=sealed(DIALECT, value), id=ident)
    kind, _, rest = value.removeprefix(PROOF).partition(":")
    if kind == "call":
        call, _, signature = rest.rpartition(":")
        return call, signature
    if kind == "redacted":
        return Thinking(text=text, redacted=rest, id=ident)
    return Thinking(text=text, signature=rest if kind == "signature" else "", id=ident)
