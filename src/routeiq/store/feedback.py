"""Judgements of decisions, and what strategies learn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from routeiq.core.decisions import decode
from routeiq.core.lessons import Lesson
from routeiq.store.tables import event_decisions, events
from routeiq.store.tables_feedback import routing_feedback

if TYPE_CHECKING:
    from sqlalchemy import Engine

MOST = 1000
"""Lessons of one answer."""


class FeedbackRepository:
    """The table `routing_feedback`. Methods block; call them off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, decision_id: str, score: float, key: str, at: float) -> bool:
        """Keep a judgement made at Unix time `at`; False where the decision was judged before."""
        values = {"decision_id": decision_id, "score": score, "key": key, "at": int(at * 1e6)}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(routing_feedback).values(values))
        except IntegrityError:
            return False
        return True

    def lessons(self, after: int, limit: int = MOST) -> list[Lesson]:
        """Those with higher numbers, in their order, as long as their decisions are kept."""
        query = (
            select(routing_feedback, event_decisions.c.decision, events.c.group, events.c.fallbacks)
            .join(event_decisions, event_decisions.c.decision_id == routing_feedback.c.decision_id)
            .join(events, events.c.seq == event_decisions.c.seq)
            .where(routing_feedback.c.seq > after)
            .order_by(routing_feedback.c.seq)
            .limit(limit)
        )
        found = []
        with self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                decision = decode(row["decision"])
                lesson = Lesson(
                    seq=row["seq"],
                    auto=decision.model,
                    # A candidate's own name; behind an alias or a wildcard the group has another.
                    model=row["group"] if row["fallbacks"] else decision.selected,
                    score=row["score"],
                    at=row["at"] / 1e6,
                    user=decision.user,
                    tokens=decision.tokens,
                    memento=decision.memento,
                )
                found.append(lesson)
        return found
