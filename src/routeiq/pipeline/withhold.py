"""Keeps the operator's secrets out of what a provider says about them: some tell the key they refuse.

What is withheld is what the deployment is called with: the values of the request head's lines, less those everybody may
know, and the parameters of its signing.
"""

from __future__ import annotations

from routeiq.core.errors import UpstreamError
from routeiq.core.snapshot import Deployment

MASK = "***"
SHORT = 6
"""Characters: shorter values are words, such as `none`."""
_KNOWN = frozenset(
    (
        b"host", b"content-type", b"content-length", b"accept", b"accept-encoding", b"user-agent", b"connection",
        b"anthropic-version", b"x-amz-date", b"x-amz-content-sha256", b"x-routeiq-deployment",
    )
)  # fmt: skip


def withhold(error: UpstreamError, spec: Deployment, head: bytes = b"") -> None:
    """Take secrets out of an error before a client is told. `head` is the one that was sent, where that is known."""
    for secret in _secrets(spec, head):
        error.message = error.message.replace(secret, MASK)
        error.type = error.type.replace(secret, MASK)
        error.code = error.code.replace(secret, MASK) if error.code else error.code
        error.param = error.param.replace(secret, MASK) if error.param else error.param


def _secrets(spec: Deployment, head: bytes) -> list[str]:
    """Longest first, so that no part is left of one that holds another."""
    found: set[str] = set(spec.signing.params.values()) if spec.signing is not None else set()
    for lines in (head, *spec.heads.values()):
        for line in lines.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() not in _KNOWN:
                text = value.decode("latin-1").strip()
                found.update((text, *text.replace(",", " ").split()))
    return sorted((text for text in found if len(text) >= SHORT), key=len, reverse=True)
