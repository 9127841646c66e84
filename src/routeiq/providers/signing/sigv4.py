"""AWS Signature Version 4 in the `Authorization` header.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_MOST_PATHS = 1024
"""Canonical paths that are kept: one for each model and operation, but models of a wildcard come from requests."""


class SigV4:
    """Signs requests to one service in one region with one set of keys.

    The host, the date and the session token are signed, and the body by its SHA-256; other headers are not, so that
    they may be added behind.
    """

    __slots__ = (
        "_access_key",
        "_clock",
        "_day",
        "_key",
        "_paths",
        "_region",
        "_scope",
        "_second",
        "_secret",
        "_service",
        "_signed",
        "_stamp",
        "_token",
    )

    def __init__(
        self,
        *,
        access_key: str,
        secret_key: str,
        session_token: str = "",
        region: str,
        service: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives Unix seconds."""
        self._access_key = access_key
        self._secret = f"AWS4{secret_key}".encode()
        self._token = session_token
        self._region = region
        self._service = service
        self._clock = clock
        self._signed = "host;x-amz-date;x-amz-security-token" if session_token else "host;x-amz-date"
        self._day = ""
        self._scope = ""
        self._key = b""
        self._second = -1
        self._stamp = ""
        self._paths: dict[bytes, tuple[str, str]] = {}

    def lines(self, method: bytes, target: bytes, host: bytes, body: tuple[bytes | memoryview, ...]) -> bytes:
        """`X-Amz-Date`, `X-Amz-Security-Token` with a session token, and `Authorization`, each ended by CRLF."""
        second = int(self._clock())
        if second != self._second:
            self._tick(second)
        stamp, token = self._stamp, self._token
        path_query = self._paths.get(target)
        if path_query is None:
            path_query = self._canonical(target)
        digest = sha256()
        for piece in body:
            digest.update(piece)
        security = f"x-amz-security-token:{token}\n" if token else ""
        request = (
            f"{method.decode('ascii')}\n{path_query[0]}\n{path_query[1]}\n"
            f"host:{host.decode('ascii').strip().lower()}\nx-amz-date:{stamp}\n{security}\n"
            f"{self._signed}\n{digest.hexdigest()}"
        )
        to_sign = f"{_ALGORITHM}\n{stamp}\n{self._scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        more = f"X-Amz-Security-Token: {token}\r\n" if token else ""
        return (
            f"X-Amz-Date: {stamp}\r\n{more}Authorization: {_ALGORITHM} Credential={self._access_key}/{self._scope}, "
            f"SignedHeaders={self._signed}, Signature={signature}\r\n"
        ).encode()

    def _tick(self, second: int) -> None:
        """A new second: the stamp, and on a new day the signing key."""
        self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        self._second = second
        day = self._stamp[:8]
        if day != self._day:
            key = self._secret
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = key
            self._scope = f"{day}/{self._region}/{self._service}/aws4_request"
            self._day = day

    def _canonical(self, target: bytes) -> tuple[str, str]:
        """Canonical path and query of a request target.

        The path is encoded once more than it is sent (every service but S3 has it so): `%3A` counts as `%253A`.
        """
        path, _, query = target.decode("ascii").partition("?")
        pairs = sorted(tuple(part.partition("=")[::2]) for part in query.split("&")) if query else []
        made = quote(path or "/", safe="/~"), "&".join(f"{name}={value}" for name, value in pairs)
        if len(self._paths) >= _MOST_PATHS:
            self._paths.clear()
        self._paths[target] = made
        return made
