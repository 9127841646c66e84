"""Lines of the Journal as rows of the ledger: the fast way for lines of templates, the careful one for damaged lines.

An Event becomes up to six rows. `event_rows` has what differs from Event to Event; `event_contexts` has, once, what
the Events of one caller, deployment and process have in common; `event_details` has what few Events say at all, and
`event_usage` what few requests use, `event_prompts` what was said, and `event_decisions` how a model was chosen. The
view `events` puts the first four together again.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, chain
from operator import add, itemgetter
from typing import Any

import msgspec

from routeiq.ledger.columns import COLUMNS, CONTEXT, HEAD, SIDES
from routeiq.ledger.event import Event
from routeiq.ledger.target import Row, Target

_FIELDS = {field.name: (field.name, field.type, field.default) for field in msgspec.structs.fields(Event)}

KNOWN = 32_768
"""Contexts remembered; one takes half a kilobyte."""


def _struct(name: str, fields: Iterable[str]) -> Any:
    """A struct of some of Event's fields that takes no others, so that nothing a line says is passed over."""
    return msgspec.defstruct(name, map(_FIELDS.__getitem__, fields), gc=False, forbid_unknown_fields=True)


_decode_heads = msgspec.json.Decoder(_struct("_Head", HEAD)).decode_lines
_decode_long_heads = msgspec.json.Decoder(_struct("_LongHead", COLUMNS[: COLUMNS.index("endpoint")])).decode_lines
_decode_context = msgspec.json.Decoder(_struct("_Context", CONTEXT)).decode
_decoder = msgspec.json.Decoder(Event)
_decode, _decode_lines = _decoder.decode, _decoder.decode_lines
_astuple = msgspec.structs.astuple

_FIRST_FIELD = b'{"id":'
_CONSTANT = b',"endpoint":"'
"""Where the constant part of a line begins. Within a JSON string the quotes would have backslashes."""
_OF_TEMPLATE = b',"upstream_model":"'
"""In the constant part of a template, and in no other."""
_MOST, _LEAST = 2**63 - 1, -(2**63)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a damaged line may raise."""

_row_of = itemgetter(*map(COLUMNS.index, HEAD))
_context_of = itemgetter(*map(COLUMNS.index, CONTEXT[:-1]))
_sides_of = itemgetter(*map(COLUMNS.index, chain.from_iterable(SIDES.values())))
_TAGS = CONTEXT.index("tags")
_NO_SIDES = _sides_of(_astuple(Event(id="", at=0)))
_ENDS = list(accumulate(map(len, SIDES.values())))
_PARTS = {table: slice(end - len(columns), end) for (table, columns), end in zip(SIDES.items(), _ENDS, strict=True)}
"""Where the columns of each table are among those of all."""


class Ledger:
    """Writes Events to one target, in transactions that its owner begins and ends.

    It remembers the ids of contexts, those too that were inserted by the transaction in progress: `forget` them when
    it is rolled back.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._templates: dict[bytes, tuple[int]] = {}
        """Ids by constant parts of lines from templates, from the endpoint on."""
        self._others: dict[bytes, tuple[int]] = {}
        """The same for `encode_line`."""
        self._contexts: dict[Row, tuple[int]] = {}
        """Ids by what those parts say."""

    def forget(self) -> None:
        """Remember no context."""
        self._templates.clear()
        self._others.clear()
        self._contexts.clear()

    def write(self, data: bytes) -> int:
        """Insert the Events of whole lines; how many. Raises one of `UNREADABLE` when one is no Event."""
        lines = data.split(b"\n")
        lines.pop()
        known = self._templates.get
        heads: list[bytes] = []
        contexts: list[tuple[int]] = []
        others: list[tuple[int, bytes, bytes, bytes]] = []
        for line in lines:
            head, mark, tail = line.partition(_CONSTANT)
            context = known(tail) or self._meet(tail)
            if context is None:
                others.append((len(heads) + len(others), head, mark, tail))
            else:
                heads.append(head)
                contexts.append(context)
        rows = map(add, contexts, map(_astuple, _decoded(_decode_heads, heads, b"}")))
        return self._merge(list(rows), others) if others else self._insert(rows, [], len(heads))

    def write_rows(self, rows: Iterable[Row]) -> int:
        """The same for whole rows, as from `salvage`."""
        split = list(map(self._split, rows))
        return self._insert([row for row, _ in split], list(enumerate(sides for _, sides in split)), len(split))

    def _insert(self, rows: Iterable[Row], sides: list[tuple[int, Row]], count: int) -> int:
        """`sides` (the columns of all of `SIDES`) with their places among the rows."""
        first = self._target.insert_rows(rows) - count + 1
        if sides:
            written = [(first + place, row) for place, row in sides if row != _NO_SIDES]
            for table, part in _PARTS.items():
                nothing = _NO_SIDES[part]
                rows = [(seq, *map(_cell, row[part])) for seq, row in written if row[part] != nothing]
                if rows:
                    self._target.insert_side(table, rows)
        return count

    def _merge(self, rows: list[Row], others: list[tuple[int, bytes, bytes, bytes]]) -> int:
        """Insert rows of templates and lines that are from none, in parts, each with its place among the rows."""
        known = self._others.get
        heads: list[bytes] = []
        contexts: list[tuple[int]] = []
        places: list[int] = []
        whole: list[bytes] = []
        whole_places: list[int] = []
        for place, head, mark, tail in others:
            context = known(tail)
            if context is None:
                whole.append(head + mark + tail)
                whole_places.append(place)
            else:
                heads.append(head)
                contexts.append(context)
                places.append(place)
        decoded = list(map(_astuple, _decoded(_decode_long_heads, heads, b"}")))
        split = list(zip(places, map(add, contexts, map(_row_of, decoded)), map(_sides_of, decoded), strict=True))
        if whole:
            values = map(self._split, map(_astuple, _decoded(_decode_lines, whole)))
            split += [(place, *parts) for place, parts in zip(whole_places, values, strict=True)]
            split.sort(key=itemgetter(0))
        for place, row, _ in split:
            rows.insert(place, row)
        return self._insert(rows, [(place, sides) for place, _, sides in split], len(rows))

    def _split(self, row: Row) -> tuple[Row, Row]:
        """A whole row as one of `event_rows`, and those of the tables beside it in one, without `seq`."""
        context = (*_context_of(row), "")
        return (self._contexts.get(context) or self._find(context)) + _row_of(row), _sides_of(row)

    def _meet(self, tail: bytes) -> tuple[int] | None:
        """Remember a constant part that is new; its context when it is a template's."""
        if not tail or tail in self._others:
            return None
        try:
            tail.decode()
            context = _astuple(_decode_context(b"{" + _CONSTANT[1:] + tail))
        except UNREADABLE:
            return None
        known = self._templates if _OF_TEMPLATE in tail else self._others
        if len(known) >= KNOWN:
            known.clear()
        known[tail] = found = self._contexts.get(context) or self._find(context)
        return found if known is self._templates else None

    def _find(self, context: Row) -> tuple[int]:
        """The id of a context, inserted when new."""
        values = (*context[:_TAGS], _listed(context[_TAGS]), *context[_TAGS + 1 :])
        known = self._target.find_context(values)
        found = (self._target.insert_context(values) if known is None else known,)
        if len(self._contexts) >= KNOWN:
            self._contexts.clear()
        self._contexts[context] = found
        return found


def _cell(value: Any) -> Any:
    return _listed(value) if isinstance(value, tuple) else value


def _listed(words: tuple[str, ...]) -> str:
    """As the ledger keeps a list: JSON, empty for none."""
    return msgspec.json.encode(words).decode() if words else ""


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
