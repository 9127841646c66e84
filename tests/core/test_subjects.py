"""Names of those requests count for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.keys import Subject

TEXTS = st.text(alphabet="ab:/%*\n", min_size=1, max_size=6)
SUBJECTS = st.builds(Subject, kind=st.sampled_from(["team", "end_user"]), id=TEXTS, share=TEXTS | st.just(""))


@given(SUBJECTS, SUBJECTS)
def test_nobody_can_be_called_as_somebody_else(one: Subject, other: Subject) -> None:
    """Ids may be chosen by who makes a team or names an end user: they are not to share what is counted."""
    assert (one.name == other.name) == (one == other)


def test_a_team_is_not_named_like_a_share_of_another() -> None:
    assert Subject(kind="team", id="red:gpt-4o").name != Subject(kind="team", id="red", share="gpt-4o").name
