"""The table of conversations: shared by processes, forgetting in time, never failing."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from routeiq.routing.sessions import BUCKETS, WAYS, Sessions, digest


def test_what_one_process_keeps_another_finds(tmp_path: Path) -> None:
    one, two = Sessions(tmp_path), Sessions(tmp_path)
    one.keep(digest("talk"), digest("model"), 100.0, 10.0)
    assert two.find(digest("talk"), 109.0) == digest("model")
    assert two.find(digest("talk"), 110.0) == 0
    assert two.find(digest("other talk"), 100.0) == 0
    two.keep(digest("talk"), digest("other"), 105.0, 10.0)
    assert one.find(digest("talk"), 114.0) == digest("other")
    one.close()
    two.close()
    again = Sessions(tmp_path)
    assert again.find(digest("talk"), 114.0) == digest("other")
    again.close()


def test_a_file_of_another_kind_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "sessions.bin").write_bytes(b"something else")
    sessions = Sessions(tmp_path)
    sessions.keep(1, 2, 0.0, 10.0)
    assert sessions.find(1, 5.0) == 2
    sessions.close()


def test_a_full_bucket_forgets_who_ends_first() -> None:
    sessions = Sessions(None)
    rivals = [1 + BUCKETS * number for number in range(WAYS + 1)]
    for number, rival in enumerate(rivals):
        sessions.keep(rival, 7, 0.0, 100.0 - number)
    found = [sessions.find(rival, 1.0) for rival in rivals]
    assert found == [7] * (WAYS - 1) + [0, 7]


@given(st.lists(st.tuples(st.text(), st.text(), st.floats(0, 1e9), st.floats(0, 1e6)), max_size=30))
def test_the_last_word_counts(said: list[tuple[str, str, float, float]]) -> None:
    sessions = Sessions(None)
    for talk, model, now, seconds in said:
        sessions.keep(digest(talk), digest(model), now, seconds)
        expected = digest(model) if now + seconds > now else 0
        assert sessions.find(digest(talk), now) == expected
    sessions.close()
