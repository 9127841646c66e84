"""Requests held against the types vendors' SDKs send them with: what those would not have produced is refused."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError


class Held:
    """A `TypedDict` of an SDK. Members it does not know are refused at every depth."""

    def __init__(self, kind: Any) -> None:
        self._adapter = TypeAdapter(list[kind], config=ConfigDict(extra="forbid"))

    def check(self, value: Any) -> None:
        """Raises `AssertionError` that says where."""
        try:
            _walk(self._adapter.validate_python([value]))
        except ValidationError as error:
            raise AssertionError(str(error)) from None


def _walk(value: Any) -> None:
    """Iterables are checked as they are read."""
    if isinstance(value, dict):
        for item in value.values():
            _walk(item)
    elif isinstance(value, list) or type(value).__name__ == "ValidatorIterator":
        for item in value:
            _walk(item)
