"""Lines of the Journal as rows of the ledger: the fast way for lines of templates, the careful one for damaged lines.

An Event becomes up to three rows. `event_rows` has what differs from Event to Event; `event_contexts` has, once, what
the Events of one caller, deployment and process have in common; `event_details` has what few Events say at all. The
view `events` puts them together again.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from routeiq.ledger.event import Event

if TYPE_CHECKING:
    import sqlite3

HEAD = (
    "id", "at", "model", "prompt_tokens", "completion_tokens", "duration", "ttft", "overhead", "cost",
    "cached_tokens", "reasoning_tokens",
)  # fmt: skip
"""What `LineTemplate` writes in front, in its order: the columns of `event_rows` after `context`."""
CONTEXT = (
    "endpoint", "key", "key_name", "group", "deployment", "provider", "upstream_model", "strategy", "stream",
    "estimated", "tags", "revision", "worker",
)  # fmt: skip
"""What `LineTemplate` writes as its constant part: the columns of `event_contexts` after `id`."""
DETAILS = ("request_id", "upstream_model", "status", "error", "retries", "fallbacks", "hedged", "user")
"""Columns of `event_details` after `seq`. `upstream_model` stands in for that of the context, where it has none."""

_FIELDS = {field.name: (field.name, field.type, field.default) for field in msgspec.structs.fields(Event)}
COLUMNS: tuple[str, ...] = tuple(_FIELDS)
"""Columns of a whole row, in order: Event's fields."""

KNOWN = 32_768
"""Contexts remembered; one takes half a kilobyte."""


def _struct(name: str, fields: Iterable[str]) -> Any:
    """A struct of some of Event's fields that takes no others, so that nothing a line says is passed over."""
    return msgspec.defstruct(name, map(_FIELDS.__getitem__, fields), gc=False, forbid_unknown_fields=True)


_decode_heads = msgspec.json.Decoder(_struct("_Head", HEAD)).decode_lines
_decode_context = msgspec.json.Decoder(_struct("_Context", CONTEXT)).decode
_decoder = msgspec.json.Decoder(Event)
_decode, _decode_lines = _decoder.decode, _decoder.decode_lines
_astuple = msgspec.structs.astuple

_FIRST_FIELD = b'{"id":'
_CONSTANT = b',"endpoint":"'
"""Where a template's constant part begins. Within a JSON string the quotes would have backslashes."""
_NO_TEMPLATE = b',"model":"'
"""In what follows `_CONSTANT` when `encode_line` has written the line."""
_MOST, _LEAST = 2**63 - 1, -(2**63)

Row = tuple[Any, ...]
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a damaged line may raise."""

_row_of = itemgetter(*map(COLUMNS.index, HEAD))
_context_of = itemgetter(*map(COLUMNS.index, CONTEXT))
_details_of = itemgetter(*map(COLUMNS.index, DETAILS))
_UPSTREAM_MODEL, _TAGS = CONTEXT.index("upstream_model"), CONTEXT.index("tags")
_NO_DETAILS = _details_of(_astuple(Event(id="", at=0)))


def _insert(table: str, columns: Iterable[str]) -> str:
    names = [f'"{name}"' for name in columns]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


_INSERT_ROW = _insert("event_rows", ("context", *HEAD))
_INSERT_CONTEXT = _insert("event_contexts", CONTEXT)
_INSERT_DETAILS = _insert("event_details", ("seq", *DETAILS))
_FIND_CONTEXT = "SELECT id FROM event_contexts WHERE " + " AND ".join(f'"{name}" = ?' for name in CONTEXT)  # noqa: S608


class Batch(NamedTuple):
    """Rows to insert together, in order."""

    size: int
    rows: Iterable[Row]
    details: list[Row]
    """Each with its place among the rows in front."""


class Ledger:
    """Writes Events through one connection, in transactions that its owner begins and ends.

    It remembers the ids of contexts, those too that were inserted by the transaction in progress: `forget` them when
    it is rolled back.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tails: dict[bytes, tuple[int]] = {}
        """Ids by constant parts of lines, without `_CONSTANT`."""
        self._contexts: dict[Row, tuple[int]] = {}
        """Ids by what those parts say."""

    def forget(self) -> None:
        """Remember no context."""
        self._tails.clear()
        self._contexts.clear()

    def write(self, data: bytes) -> int:
        """Insert the Events of whole lines; how many. Raises one of `UNREADABLE` when one is no Event."""
        return self._insert(self._batch(data))

    def write_rows(self, rows: list[Row]) -> int:
        """The same for whole rows, as from `salvage`."""
        return self._insert(self._split(rows))

    def _insert(self, batch: Batch) -> int:
        self._connection.executemany(_INSERT_ROW, batch.rows)
        if batch.details:
            # Nobody else can insert during a transaction, so its rows are the last and without gaps.
            newest = self._connection.execute("SELECT max(seq) FROM event_rows").fetchone()[0]
            first = newest - batch.size + 1
            self._connection.executemany(_INSERT_DETAILS, [(first + row[0], *row[1:]) for row in batch.details])
        return batch.size

    def _batch(self, data: bytes) -> Batch:
        lines = data.split(b"\n")
        lines.pop()
        known = self._tails.get
        heads: list[bytes] = []
        contexts: list[tuple[int]] = []
        others: list[bytes] = []
        places: list[int] = []
        for line in lines:
            head, _, tail = line.partition(_CONSTANT)
            context = known(tail) or self._meet(tail)
            if context is None:
                places.append(len(heads) + len(others))
                others.append(line)
            else:
                heads.append(head)
                contexts.append(context)
        rows: Iterable[Row] = map(add, contexts, map(_astuple, _decoded(_decode_heads, heads, b"}")))
        if not others:
            return Batch(len(heads), rows, [])
        split = self._split(list(map(_astuple, _decoded(_decode_lines, others))))
        merged = list(rows)
        for place, row in zip(places, split.rows, strict=True):
            merged.insert(place, row)
        return Batch(len(merged), merged, [(places[row[0]], *row[1:]) for row in split.details])

    def _split(self, rows: list[Row]) -> Batch:
        """Whole rows as those of the tables."""
        out: list[Row] = []
        details: list[Row] = []
        known = self._contexts.get
        for place, row in enumerate(rows):
            context = list(_context_of(row))
            # A client may choose it freely (behind a wildcard), so that there would be no bound to the contexts.
            context[_UPSTREAM_MODEL] = ""
            key = tuple(context)
            out.append((known(key) or self._find(key)) + _row_of(row))
            detail = _details_of(row)
            if detail != _NO_DETAILS:
                details.append((place, *detail))
        return Batch(len(out), out, details)

    def _meet(self, tail: bytes) -> tuple[int] | None:
        """The context of a template's constant part that is not remembered; `None` when it is none."""
        if not tail or _NO_TEMPLATE in tail:
            return None
        try:
            tail.decode()
            context = _astuple(_decode_context(b"{" + _CONSTANT[1:] + tail))
        except UNREADABLE:
            return None
        found = self._find(context)
        if len(self._tails) >= KNOWN:
            self._tails.clear()
        self._tails[tail] = found
        return found

    def _find(self, context: Row) -> tuple[int]:
        """The id of a context, inserted when new."""
        tags = context[_TAGS]
        text = msgspec.json.encode(tags).decode() if tags else ""
        values = (*context[:_TAGS], text, *context[_TAGS + 1 :])
        found: tuple[int] | None = self._connection.execute(_FIND_CONTEXT, values).fetchone()
        if found is None:
            made = self._connection.execute(_INSERT_CONTEXT, values).lastrowid
            assert made is not None
            found = (made,)
        if len(self._contexts) >= KNOWN:
            self._contexts.clear()
        self._contexts[context] = found
        return found


def _decoded(decode: Any, lines: list[bytes], end: bytes = b"") -> list[Any]:
    """Decode lines that lack `end`, each as one value."""
    if not lines:
        return []
    data = (end + b"\n").join(lines) + end
    if not data.isascii():
        data.decode()
    values: list[Any] = decode(data)
    if len(values) != len(lines):
        raise msgspec.DecodeError("a line is not one value")
    return values


def salvage(data: bytes) -> tuple[list[Row], list[bytes]]:
    """The lines that can be read, as whole rows, and those that can't.

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
