"""Credentials that are made or renewed as time goes by, and the headers they put on a request.

    control plane: sources ──► Grant ──► /internal/credentials/{id} ──► worker: Signer ──► header lines

`grant` and `sigv4` are what a worker loads; `sources` and the modules it loads on demand are the control plane's.
"""

from __future__ import annotations

from typing import Protocol

from routeiq.core.signing import Signing


class Signed(Protocol):
    """What has credentials of this kind: a deployment, an agent."""

    @property
    def signing(self) -> Signing | None: ...


class Signer(Protocol):
    """Puts credentials on requests. Never blocks."""

    def lines(self, method: bytes, target: bytes, host: bytes, body: tuple[bytes | memoryview, ...]) -> bytes:
        """Header lines for one request, each ended by CRLF.

        `target` is the path and query as they are sent, `host` the `Host` header as it is sent, `body` the payload
        in pieces.
        """


class CredentialSource(Protocol):
    """Where the pipeline takes signers from."""

    def signer(self, whose: Signed) -> Signer | None:
        """The signer of who has `signing`, when its credentials are known and not expired."""

    async def fetch(self, whose: Signed) -> Signer:
        """The same, asking the control plane when it has to. Raises `UpstreamError` (503) with the reason."""
