"""Access groups in lists of models."""

from __future__ import annotations

from routeiq.core.access_groups import expand


def test_groups_stand_for_their_models() -> None:
    groups = {"beta": ("a", "b"), "all-*": ("c",), "empty": ()}
    assert expand((), groups) == ()
    assert expand(("x", "gpt-*"), groups) == ("x", "gpt-*")
    assert expand(("x", "beta", "b", "x"), groups) == ("x", "beta", "a", "b")
    assert expand(("all-*", "empty"), groups) == ("all-*", "c", "empty")
    assert expand(("beta",), {}) == ("beta",)


def test_a_group_is_not_looked_for_in_a_group() -> None:
    assert expand(("one",), {"one": ("two",), "two": ("three",)}) == ("one", "two")
