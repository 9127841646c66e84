"""Lines of the Journal as rows of the `events` table: the fast way for good lines, the careful one for bad."""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.ledger.event import Event

_NO_TAGS = msgspec.Raw(b"")


def _fields() -> list[tuple[str, Any, Any]]:
    """Event's fields; `tags` is kept as the JSON it came as, which saves decoding it to encode it again."""
    out = []
    for field in msgspec.structs.fields(Event):
        if field.name == "tags":
            out.append((field.name, msgspec.Raw, _NO_TAGS))
        else:
            out.append((field.name, field.type, field.default))
    return out


COLUMNS: tuple[str, ...] = tuple(name for name, _, _ in _fields())
"""Columns of a row, in order: Event's fields."""

_Line = msgspec.defstruct("_Line", _fields(), kw_only=True, gc=False)
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Line)
_decode, _decode_lines = _decoder.decode, _decoder.decode_lines
_astuple = msgspec.structs.astuple
_TAGS = COLUMNS.index("tags")
_FIRST_FIELD = b'{"id":'
_MOST, _LEAST = 2**63 - 1, -(2**63)

Row = tuple[Any, ...]
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a damaged line may raise."""


def rows(data: bytes) -> list[Row]:
    """Whole lines as rows. Raises one of `UNREADABLE` when one is no Event."""
    if not data.isascii():
        data.decode()
    return list(map(_astuple, _decode_lines(data)))


def salvage(data: bytes) -> tuple[list[Row], list[bytes]]:
    """The rows that can be read, and the lines that can't.

    A line that a cut write left unfinished has the next Event on its end; that Event is kept.
    """
    good: list[Row] = []
    bad: list[bytes] = []
    for line in data.split(b"\n"):
        if not line.strip():
            if line:
                bad.append(line)
            continue
        row = _row(line)
        if row is None:
            start = line.rfind(_FIRST_FIELD)
            row = _row(line[start:]) if start > 0 else None
            bad.append(line if row is None else line[:start])
        if row is not None:
            good.append(row)
    return good, bad


def _row(line: bytes) -> Row | None:
    try:
        line.decode()
        row = _astuple(_decode(line))
    except UNREADABLE:
        return None
    if any(isinstance(value, int) and not _LEAST <= value <= _MOST for value in row):
        return None
    return row


def insert_statement() -> str:
    """The INSERT for `executemany`. Names are Event's own fields; values are bound."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    marks = ", ".join("NULLIF(CAST(? AS TEXT), '')" if name == "tags" else "?" for name in COLUMNS)
    return f"INSERT INTO events ({names}) VALUES ({marks})"  # noqa: S608
