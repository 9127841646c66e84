"""What the control plane tells the other processes, and what comes back."""

from __future__ import annotations

from routeiq.control.changes import Changes
from routeiq.core.messages import Message, Rebuild, Rebuilt


def test_each_rebuild_hears_its_own_answer() -> None:
    said: list[Message] = []
    changes = Changes(lambda message: said.append(message) is None)
    first, second = changes.rebuild(), changes.rebuild()
    assert said == [Rebuild(1), Rebuild(2)]
    changes.received(Rebuilt(2, ok=True, revision="b"))
    assert second.result(0).revision == "b"
    assert not first.done()
    changes.received(Rebuilt(2, ok=True, revision="c"))
    changes.received(Rebuilt(1, ok=False, revision="b"))
    assert not first.result(0).ok


def test_without_a_supervisor_nothing_is_waited_for() -> None:
    assert not Changes(lambda _: False).rebuild().result(0).ok
