"""Secrets at rest: what opens them, and what each thing that does not open says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.store.vault import Damaged, NoKey, Vault, WrongKey, key_id_of

VAULT = Vault("sk-salt-0123456789")
OTHER = Vault("sk-salt-0123456780")


@given(st.binary(), st.text())
def test_what_is_sealed_opens_in_its_place_only(value: bytes, place: str) -> None:
    text = VAULT.seal(place, value)
    assert VAULT.open(place, text) == value
    assert text != VAULT.seal(place, value)
    with pytest.raises(Damaged):
        VAULT.open(place + "x", text)


@given(st.binary(min_size=1), st.data())
def test_a_changed_value_does_not_open(value: bytes, data: st.DataObject) -> None:
    text = VAULT.seal("t:1", value)
    head, _, body = text.rpartition(":")
    at = data.draw(st.integers(0, len(body.rstrip("=")) - 2))
    changed = body[:at] + ("A" if body[at] != "A" else "B") + body[at + 1 :]
    with pytest.raises(Damaged):
        VAULT.open("t:1", f"{head}:{changed}")


@given(st.text())
def test_whatever_stands_there_is_told_in_our_words(text: str) -> None:
    with pytest.raises(Damaged, match="t:1"):
        VAULT.open("t:1", text)


def test_a_key_that_does_not_fit_is_told_with_what_to_do() -> None:
    text = VAULT.seal("credentials:a", b"secret-value")
    assert key_id_of(text) == VAULT.key_id != OTHER.key_id
    with pytest.raises(WrongKey, match=r"credentials:a is encrypted under another key .*LITELLM_SALT_KEY") as wrong:
        OTHER.open("credentials:a", text)
    assert VAULT.key_id in str(wrong.value)
    with pytest.raises(NoKey, match="set LITELLM_SALT_KEY"):
        Vault("").open("credentials:a", text)
    with pytest.raises(NoKey, match="none are stored"):
        Vault("").seal("credentials:a", b"secret-value")


def test_values_and_keys_do_not_show() -> None:
    text = VAULT.seal("t:1", b"secret-value")
    assert "secret" not in text
    assert "salt" not in repr(VAULT) + str(vars(VAULT))
