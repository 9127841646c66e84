"""Alerts are noted once, sent by one gateway, and tried again."""

from __future__ import annotations

from routeiq.core.database import Database
from routeiq.core.periods import FOR_EVER
from routeiq.store.alerts import CLAIM_SECONDS, KEEP_SECONDS, AlertRepository, Noted
from routeiq.store.database import engine
from routeiq.store.migrate import migrate

ALERT = Noted("team:t", "budget_crossed", 1_800_000_000, 5, '{"a": 1}')


def test_two_gateways_share_the_work(database: Database) -> None:
    migrate(database)
    now = [1_800_000_000.0]
    opened = engine(database)
    one, two = (AlertRepository(opened, lambda: now[0]) for _ in range(2))
    assert one.note(ALERT)
    assert not two.note(ALERT)
    (claimed,) = one.claim()
    assert (claimed.body, claimed.tries) == ('{"a": 1}', 0)
    assert two.claim() == []
    one.later(claimed, 10)
    now[0] += 11
    (again,) = two.claim()
    assert again.tries == 1
    now[0] += CLAIM_SECONDS + 1
    (after_a_crash,) = one.claim()
    one.done(after_a_crash)
    now[0] += 10_000
    assert two.claim() == []
    assert not two.note(ALERT), "what was sent stays noted"
    one.note(Noted("key:k", "budget_crossed", FOR_EVER, 5, "{}"))
    now[0] += KEEP_SECONDS
    assert one.note(ALERT), "a period long gone is forgotten"
    assert not one.note(Noted("key:k", "budget_crossed", FOR_EVER, 5, "{}")), "one without an end is not"
    opened.dispose()
