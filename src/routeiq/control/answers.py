"""Answers in JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response

_encode = msgspec.json.Encoder().encode


def json_answer(data: Any) -> Response:
    """Any plain data, structs and raw JSON."""
    return Response(_encode(data), media_type="application/json")
