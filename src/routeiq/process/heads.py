"""Request heads that were parsed before.

A client sends the same head again and again, with another `Content-Length`. llhttp judges each head once; when the
same bytes come again, the answer is the same, and looking it up costs a quarter of parsing. Only heads that came whole,
with their body, in one read are looked at; everything else goes through the parser.
"""

from __future__ import annotations

import msgspec

from routeiq.core.exchange import Header

_NAMES = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_NAME_LENGTH = 18
_MOST_DIGITS = 9
_LARGEST = 4096
"""Heads above this are not kept."""
_NEVER = frozenset((b"expect", b"transfer-encoding", b"upgrade"))
"""Requests whose handling depends on more than their head's bytes."""


class Request(msgspec.Struct, eq=False):
    """One parsed request."""

    method: bytes
    path: bytes
    query: bytes
    headers: list[Header]
    """As they came, names in lower case. Shared between requests with the same head: not to be changed."""
    fields: dict[bytes, bytes]
    """The same by name; of a repeated header the last."""
    body: bytes
    close: bool
    """Whether the connection ends with this answer."""
    http10: bool


class Heads:
    """Remembers up to `size` heads, and forgets all of them when there are more."""

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._known: dict[bytes, Request] = {}

    def find(self, data: bytes, most: int) -> tuple[bytes, Request | None]:
        """(key, request) of one whole request in `data`.

        The request is `None` when its head is new; the key is empty when `data` is not one whole request with a
        plain `Content-Length` of `most` at most.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > _LARGEST:
            return b"", None
        at = data.find(_NAMES[0], 0, end)
        if at < 0:
            at = data.find(_NAMES[1], 0, end)
            if at < 0:
                return b"", None
        stop = data.find(b"\r\n", at + _NAME_LENGTH, end + 2)
        digits = data[at + _NAME_LENGTH : stop]
        if not digits.isdigit() or len(digits) > _MOST_DIGITS:
            return b"", None
        length = int(digits)
        if length > most or len(data) != end + 4 + length:
            return b"", None
        key = data[:at] + data[stop:end]
        known = self._known.get(key)
        if known is None:
            return key, None
        return key, Request(
            known.method,
            known.path,
            known.query,
            known.headers,
            known.fields,
            data[end + 4 :],
            known.close,
            known.http10,
        )

    def remember(self, key: bytes, request: Request) -> None:
        """Keep what the parser made of a head."""
        if not _NEVER.isdisjoint(request.fields):
            return
        if len(self._known) >= self._size:
            self._known.clear()
        self._known[key] = Request(
            request.method,
            request.path,
            request.query,
            request.headers,
            request.fields,
            b"",
            request.close,
            request.http10,
        )

    def clear(self) -> None:
        """Forget everything: the limits that heads were judged by have changed."""
        self._known.clear()
