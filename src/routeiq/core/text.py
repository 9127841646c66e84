"""Text that goes where not all characters may."""

from __future__ import annotations


def printable(value: str) -> str:
    """A header's value: printable ASCII, nothing that could end the line."""
    return "".join(char if " " <= char <= "~" else "?" for char in value)
