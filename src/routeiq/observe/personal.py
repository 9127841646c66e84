"""Takes what is personal or secret out of what people and models say: addresses, keys, card numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from routeiq.observe.redact import redact

_ATOM = r"A-Za-z0-9._%+\-"
_PART = r"[A-Za-z0-9\-]{1,63}+"
_EMAIL = re.compile(rf"(?<![{_ATOM}])[{_ATOM}]{{1,128}}+(?:@|\\u0040){_PART}(?:\.{_PART}){{1,8}}")
_CARD = re.compile(r"(?<![\d.])\d(?:[ \-]?\d){12,18}(?!\d)")
"""ISO/IEC 7812: 13 to 19 digits, the last one a check by Luhn's formula."""


def hide(text: str, kinds: Iterable[str]) -> str:
    """`text` without what is of these kinds: `emails`, `keys`, `cards`."""
    for kind in kinds:
        text = HIDDEN[kind](text)
    return text


def _emails(text: str) -> str:
    return _EMAIL.sub("[EMAIL]", text) if "@" in text or "\\u0040" in text else text


def _cards(text: str) -> str:
    return _CARD.sub(lambda found: "[CARD]" if luhn(found[0]) else found[0], text)


def luhn(number: str) -> bool:
    """Whether the last digit of a number is its check digit; anything between digits is passed over."""
    digits = [int(digit) for digit in number if digit.isdecimal()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


HIDDEN = {"emails": _emails, "keys": redact, "cards": _cards}
"""How each kind is hidden."""
