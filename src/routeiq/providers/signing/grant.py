"""What a source of credentials gives out: a token or AWS keys, and until when."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from routeiq.core.signing import Signing
from routeiq.providers.signing import Signer
from routeiq.providers.signing.sigv4 import SigV4

AWS = "aws"
BEARER = "bearer"


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credentials as the control plane hands them to workers. Its text form holds no secret."""

    kind: str
    """`bearer` or `aws`."""
    token: str = ""
    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""
    expires: float | None = None
    """Unix seconds; `None`: not known to end."""

    def __repr__(self) -> str:
        return f"Grant(kind={self.kind!r}, expires={self.expires!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("kind", self.kind), ("expires", self.expires)]


class SourceError(Exception):
    """Credentials could not be had. The message says what to do and holds no secret."""


class Bearer:
    """`Authorization: Bearer TOKEN` (RFC 6750 2.1)."""

    __slots__ = ("_lines",)

    def __init__(self, token: str) -> None:
        """Raises `SourceError` for a token that can't stand in a header."""
        if not token or any(not "!" <= c <= "~" for c in token):
            raise SourceError("the token that was issued is empty or can't stand in a header")
        self._lines = f"Authorization: Bearer {token}\r\n".encode()

    def lines(self, method: bytes, target: bytes, host: bytes, body: tuple[bytes | memoryview, ...]) -> bytes:
        """The same line for every request."""
        return self._lines


def static_grant(signing: Signing) -> Grant | None:
    """The grant that stands in the configuration: AWS keys as they are. `None` when it has to be fetched."""
    params = signing.params
    if signing.scheme != AWS or "access_key" not in params or "role" in params:
        return None
    return aws_grant(params)


def aws_grant(params: Mapping[str, str], expires: float | None = None) -> Grant:
    """AWS keys from `access_key`, `secret_key` and `session_token`."""
    return Grant(
        kind=AWS,
        access_key=params["access_key"],
        secret_key=params["secret_key"],
        session_token=params.get("session_token", ""),
        expires=expires,
    )


def make_signer(signing: Signing, grant: Grant, clock: Callable[[], float] = time.time) -> Signer:
    """The signer for a grant. `clock` gives Unix seconds. Raises `SourceError` when the grant can't be used."""
    if grant.kind == BEARER:
        return Bearer(grant.token)
    return SigV4(
        access_key=grant.access_key,
        secret_key=grant.secret_key,
        session_token=grant.session_token,
        region=signing.params["region"],
        service=signing.params["service"],
        clock=clock,
    )


def renewal(now: float, expires: float) -> float:
    """When the control plane renews a grant, Unix seconds.

    Five minutes or a fifth of what is left of its life before it ends, whichever is earlier, but not before half of
    what is left: a grant that its issuer keeps handing out until close to its end is not asked for all the time.
    """
    life = max(expires - now, 0.0)
    return expires - min(max(300.0, life / 5), life / 2)
