"""Change top-level members of a JSON object without touching any other byte.

A request body is the client's; only `model` and, for streams, `stream_options` differ on the way to a provider.
Re-serialising 200 KB of prompt to change one string costs more than everything else the gateway does, and loses
number spellings, duplicate members and key order.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Raw, UnsetType

_SPACE = rb"[ \t\r\n]*"
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]', re.DOTALL)
_FIRST = (b'{"model":"', b'{"model": "')
_KEY = b'"model"'
_ESCAPED = b"\\u006"
"""How the escape of any letter of it begins: `"\\u006dodel"` is `"model"`."""
_SHORT = 4096
"""Up to here searching is cheaper than decoding."""


class Model(msgspec.Struct, gc=False):
    """The one member that is spliced."""

    model: Raw | UnsetType = UNSET


decode_model = msgspec.json.Decoder(Model).decode


Piece = bytes | memoryview
"""Bytes to be sent; of a large body a view, because a copy of it costs more than everything else."""
_LARGE = 16 * 1024


def replace_model(body: bytes, raw: Raw, value: bytes, *, extra: bytes = b"") -> tuple[Piece, ...]:
    """The body with its top-level `model` set to `value`, as pieces to be sent in order.

    `body` is a valid JSON object and `raw` its `model` as msgspec decoded it from these very bytes. `extra` is put
    before the member, for instance `"stream_options":{"include_usage":true},`. Duplicates of the member are all
    replaced: a provider that reads the first must not see another model than one that reads the last.
    """
    start = _offset(raw, body)
    end = start + len(memoryview(raw))
    view: Piece = memoryview(body) if len(body) > _LARGE else body
    if start <= 10 and body.startswith(_FIRST) and not extra:
        return view[:start], value, view[end:]
    key = _key_before(body, start)
    if key > 0 and _first_of_its_name(body, key):
        if not extra:
            return view[:start], value, view[end:]
        return view[:key], extra, view[key:start], value, view[end:]
    changed = replace_members(body, {"model": value})
    brace = changed.index(b"{") + 1
    return changed[:brace], extra, changed[brace:]


def show_model(body: bytes, model: str, value: bytes) -> bytes:
    """An answer with its top-level `model`, which is `model`, shown as `value` (a JSON string)."""
    # Inside a JSON string the quotes would be escaped, so this can only be a member; and the one, if there is one.
    before = b'"model":' + msgspec.json.encode(model)
    if body.count(before) == 1:
        return body.replace(before, b'"model":' + value)
    raw = decode_model(body).model
    if raw is UNSET:
        return body
    start = _offset(raw, body)
    return body[:start] + value + body[start + len(memoryview(raw)) :]


def model_member(payload: bytes) -> tuple[bytes, bytes]:
    """The top-level `model` of an event as it is spelled there: up to its value, and the value. Empty without one."""
    raw = decode_model(payload).model
    if raw is UNSET:
        return b"", b""
    start = _offset(raw, payload)
    key = _key_before(payload, start)
    return (payload[key:start], bytes(raw)) if key > 0 else (b"", b"")


def _key_before(body: bytes, value: int) -> int:
    """Where the plainly spelled key `"model"` of the value at `value` starts; 0 when it is spelled otherwise."""
    key = body.rfind(b'"', 0, value) - len(_KEY) + 1
    plain = key > 0 and body.startswith(_KEY, key) and body[key + len(_KEY) : value].strip(b" \t\r\n") == b":"
    return key if plain else 0


def _first_of_its_name(body: bytes, key: int) -> bool:
    """Whether no member before the one whose key starts at `key` is called `model` too."""
    if key < _SHORT and body.find(_KEY, 0, key) < 0 and body.find(_ESCAPED, 0, key) < 0:
        return True  # spelled nowhere before, neither plainly nor escaped
    before = body[:key].rstrip(b" \t\r\n")
    if before.endswith(b"{") and not before[:-1].strip(b" \t\r\n"):
        return True
    return decode_model(before[:-1] + b"}").model is UNSET


class _PyBuffer(ctypes.Structure):
    """`Py_buffer` of https://docs.python.org/3/c-api/buffer.html"""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_view = _PyBuffer()
_view_reference = ctypes.byref(_view)
"""Filled and released within one call of `_offset`, so one is enough."""
_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_get_buffer.restype = ctypes.c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_PyBuffer)]
_release_buffer.restype = None
_BYTES_HEADER = bytes.__basicsize__ - 1
"""CPython keeps the characters of a bytes object behind its header, and one zero after them."""


def _offset(raw: Raw, body: bytes) -> int:
    """Where in `body` the view `raw` begins.

    msgspec's `Raw` is a window on the message it came from, but does not tell its position; the buffer protocol
    tells its address. Searching for it would cost more than decoding did: 0.1 ms on 200 KB.
    """
    _get_buffer(raw, _view_reference, 0)
    address: int = _view.buf
    _release_buffer(_view_reference)
    return address - id(body) - _BYTES_HEADER


def replace_members(body: bytes, values: Mapping[str, bytes | None]) -> bytes:
    """The body with top-level members replaced by JSON values, or removed where the value is `None`.

    Members that are not there are not added; duplicates are all treated alike. `body` is a valid JSON object.
    """
    out: list[bytes] = []
    copied = 0
    for key_start, value_start, value_end, name in _members(body):
        if name not in values:
            continue
        value = values[name]
        if value is not None:
            out += (body[copied:value_start], value)
            copied = value_end
        else:
            out.append(body[copied:key_start])
            copied = _after_comma(body, value_end)
    out.append(body[copied:])
    result = b"".join(out)
    # Removing the last member leaves the comma before it.
    return re.sub(rb"," + _SPACE + rb"\}(" + _SPACE + rb")\Z", rb"}\1", result) if None in values.values() else result


def _members(body: bytes) -> list[tuple[int, int, int, str]]:
    """Top-level members as (start of key, start of value, end of value, decoded key)."""
    members = []
    depth = 0
    key: tuple[int, str] | None = None
    key_start = value_start = 0
    for match in _TOKEN.finditer(body):
        token = body[match.start()]
        if token == 0x22:  # a string
            if depth == 1 and key is None:
                key_start = match.start()
                key = (key_start, _unescape(match.group()))
        elif token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
            if depth == 0 and key is not None:
                members.append((key[0], value_start, _trim(body, match.start()), key[1]))
                key = None
        elif depth == 1:
            if token == 0x3A:  # a colon
                value_start = _skip_space(body, match.end())
            elif key is not None:  # a comma
                members.append((key[0], value_start, _trim(body, match.start()), key[1]))
                key = None
    return members


def _unescape(quoted: bytes) -> str:
    if b"\\" not in quoted:
        return quoted[1:-1].decode("utf-8", "replace")
    try:
        return msgspec.json.decode(quoted, type=str)
    except msgspec.DecodeError:
        return quoted[1:-1].decode("utf-8", "replace")


def _skip_space(body: bytes, at: int) -> int:
    while at < len(body) and body[at] in b" \t\r\n":
        at += 1
    return at


def _trim(body: bytes, end: int) -> int:
    while body[end - 1] in b" \t\r\n":
        end -= 1
    return end


def _after_comma(body: bytes, at: int) -> int:
    at = _skip_space(body, at)
    if at < len(body) and body[at] == 0x2C:
        return _skip_space(body, at + 1)
    return at
