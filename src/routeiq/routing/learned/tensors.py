"""Arrays as safetensors files: https://github.com/huggingface/safetensors#format. Nothing in them is executed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_TYPES: dict[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(code): name for name, code in _TYPES.items()}
_LONGEST_HEADER = 100_000_000
"""Bytes, as the reference implementation has it."""


class BadTensors(ValueError):
    """The bytes are not a safetensors file. Its text says why."""


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def read_tensors(data: bytes) -> dict[str, Array]:
    """Arrays by name, read-only views of the bytes. Raises `BadTensors`."""
    if len(data) < 8:
        raise BadTensors("it is shorter than its header")
    size = int.from_bytes(data[:8], "little")
    if size > _LONGEST_HEADER or 8 + size > len(data):
        raise BadTensors("its header is longer than the file")
    try:
        header = msgspec.json.decode(data[8 : 8 + size], type=dict[str, msgspec.Raw])
        header.pop("__metadata__", None)
        entries = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in header.items()}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadTensors(f"its header can't be read: {error}") from None
    body = memoryview(data)[8 + size :]
    covered = 0
    arrays: dict[str, Array] = {}
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        code = _TYPES.get(entry.dtype)
        if code is None:
            raise BadTensors(f"{name} is of type {entry.dtype}, which is not supported")
        begin, end = entry.data_offsets
        if begin != covered or end < begin or end > len(body) or min(entry.shape, default=0) < 0:
            raise BadTensors(f"{name} is not where it should be")
        if math.prod(entry.shape) * np.dtype(code).itemsize != end - begin:
            raise BadTensors(f"{name} is not as large as its shape says")
        arrays[name] = np.frombuffer(body[begin:end], code).reshape(entry.shape)
        covered = end
    if covered != len(body):
        raise BadTensors("it has bytes that belong to no array")
    return arrays


def write_tensors(arrays: Mapping[str, Array]) -> bytes:
    """The file's bytes. The same arrays make the same bytes."""
    header: dict[str, _Entry] = {}
    parts: list[bytes] = []
    place = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.reshape(arrays[name].shape).astype(array.dtype.newbyteorder("<"), copy=False)
        part = array.tobytes()
        header[name] = _Entry(_NAMES[array.dtype], list(array.shape), (place, place + len(part)))
        parts.append(part)
        place += len(part)
    text = msgspec.json.encode(header)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)
