"""safetensors files: what is written is read, and nothing else is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from routeiq.routing.learned.tensors import BadTensors, read_tensors, write_tensors

ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=12).filter(lambda name: name != "__metadata__"),
    st.sampled_from(
        [np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_]
    ).flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))),
    max_size=4,
)


@given(ARRAYS)
def test_round_trip(arrays: dict[str, np.ndarray]) -> None:
    read = read_tensors(write_tensors(arrays))
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read_tensors(data)
    except BadTensors:
        pass


@given(ARRAYS.filter(bool), st.data())
def test_damaged_headers_are_read_or_refused(arrays: dict[str, np.ndarray], data: st.DataObject) -> None:
    good = bytearray(write_tensors(arrays))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= data.draw(st.integers(1, 255))
    try:
        read_tensors(bytes(good))
    except BadTensors:
        pass


def made(header: object, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, b"12345678"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"123456789"),
        ({"a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}, b"12345678"),
        ({"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}, b"12345678"),
        (
            {
                "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            },
            b"1234",
        ),
    ],
    ids=["short", "wrong shape", "more bytes", "unknown type", "negative", "overlap"],
)
def test_what_is_not_whole_is_refused(header: object, body: bytes) -> None:
    with pytest.raises(BadTensors):
        read_tensors(made(header, body))


def test_the_reference_implementation_agrees() -> None:
    """A file as its documentation describes it, byte for byte."""
    data = made(
        {"__metadata__": {"format": "np"}, "w": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}},
        np.array([[1.5, -2]], np.float32).tobytes(),
    )
    assert read_tensors(data)["w"].tolist() == [[1.5, -2.0]]
