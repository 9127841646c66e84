"""What is hidden in prompts and answers, and what is left alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.observe.personal import HIDDEN, hide, luhn

CARDS = ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011000990139424"]


@pytest.mark.parametrize("card", CARDS)
def test_cards(card: str) -> None:
    assert hide(f"pay with {card}, please", HIDDEN) == "pay with [CARD], please"
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert hide(f"number {wrong}.", ["cards"]) == f"number {wrong}."


@pytest.mark.parametrize("address", ["bob@example.com", "a.b+c_d@mail.example.co.uk", "x%y@sub-domain.io"])
def test_addresses(address: str) -> None:
    assert hide(f"to {address}!", HIDDEN) == "to [EMAIL]!"
    assert hide(json.dumps({"to": address}), HIDDEN) == '{"to": "[EMAIL]"}'
    assert hide(f"to {address}!", ["cards", "keys"]) == f"to {address}!"


def test_keys_and_escapes() -> None:
    assert "abcdef123456" not in hide("my key is sk-abcdef123456789", ["keys"])
    assert hide("bob\\u0040example.com", ["emails"]) == "[EMAIL]"
    assert hide("no @ address, 12:30 on 2027-01-31, 3.14159265358979", HIDDEN) == (
        "no @ address, 12:30 on 2027-01-31, 3.14159265358979"
    )


@given(st.text(max_size=200), st.sampled_from(CARDS), st.text(max_size=200))
def test_a_card_is_hidden_wherever_it_is(before: str, card: str, after: str) -> None:
    assert card not in hide(f"{before} _{card}_ {after}", ["cards"])


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    hide(text, HIDDEN)


@given(st.integers(0, 10**18))
def test_one_digit_in_ten_checks(number: int) -> None:
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1
