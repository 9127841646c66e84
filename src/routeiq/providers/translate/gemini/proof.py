"""Thought signatures on Gemini's wire, where another provider's must look like Gemini's own: bytes in base64.

https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

from routeiq.providers.translate.chat import sealed, unsealed

_HEAD = "routeiq"
"""Begins what stands for a proof of another provider."""


class Proof(NamedTuple):
    """Sealed; both empty for none."""

    signature: str = ""
    redacted: str = ""


_NONE = Proof()


def read_proof(value: str | None) -> Proof:
    """A `thoughtSignature` of the wire: Gemini's, or another provider's that `write_proof` put there."""
    if not value:
        return _NONE
    if value.startswith("cm91dGVpc"):  # base64 of the head
        try:
            text = binascii.a2b_base64(value.translate({45: 43, 95: 47}) + "==").decode()
        except (binascii.Error, UnicodeDecodeError):
            return Proof(signature=sealed("gemini", value))
        kind, _, proof = text.removeprefix(_HEAD)[1:].partition(":")
        if kind in ("signature", "redacted") and "#" in proof:
            return Proof(signature=proof) if kind == "signature" else Proof(redacted=proof)
    return Proof(signature=sealed("gemini", value))


def write_proof(signature: str, redacted: str = "") -> str:
    """What stands for it in `thoughtSignature`; empty for none."""
    own = unsealed("gemini", signature)
    if own or not (signature or redacted):
        return own
    text = f"{_HEAD}:signature:{signature}" if signature else f"{_HEAD}:redacted:{redacted}"
    return binascii.b2a_base64(text.encode(), newline=False).decode()
