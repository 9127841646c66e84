"""Tells a webhook of budgets that come to their end, in LiteLLM's words: https://docs.litellm.ai/docs/proxy/alerting

    counters ──scan──► alerts (table) ──claim──► webhook

Gateways on one database note an alert once for a budget's period; one of them sends it, and again while that fails.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from routeiq.core.keys import UNLIMITED, BudgetLimit, Subject
from routeiq.core.money import dollars
from routeiq.core.periods import Period
from routeiq.store.alerts import Noted
from routeiq.transport import once

if TYPE_CHECKING:
    from routeiq.control.plane import Plane
    from routeiq.core.snapshot import Snapshot
    from routeiq.store.accounts import Session
    from routeiq.store.alerts import AlertRepository

SCAN_SECONDS = 2.0
SEND_SECONDS = 10.0
FIRST_WAIT, LONGEST_WAIT = 2.0, 3600.0
"""Seconds until a webhook that failed is tried again: twice as many each time."""
MOST_TRIES = 12
"""About an hour and a half."""
THRESHOLDS = ((0.95, "5%"), (0.85, "15%"))
"""Shares of a budget, and how LiteLLM calls what is left of it then."""
_GROUPS = {"member": "team_member", "global": "proxy"}
"""LiteLLM's names of who a budget is of, where they are other than ours."""
_TITLES = {"member": "Team Member", "global": "Proxy", "end_user": "Customer"}
log = logging.getLogger("routeiq.control")


async def tell_of_budgets(plane: Plane, repository: AlertRepository) -> None:
    """Scan and send, for as long as the process lives."""
    alerts = BudgetAlerts(plane, repository)
    while True:
        await asyncio.sleep(SCAN_SECONDS)
        if plane.snapshot is None or plane.snapshot.alerting is None or plane.database.trouble is not None:
            continue
        try:
            await asyncio.to_thread(alerts.run, plane.snapshot)
        except SQLAlchemyError as error:
            log.warning("alerts of budgets wait for the database: %s", type(error).__name__)
        except Exception:
            log.exception("alerts of budgets could not be looked after")


class BudgetAlerts:
    """What one gateway sees and sends. `run` blocks."""

    def __init__(self, plane: Plane, repository: AlertRepository) -> None:
        self._plane = plane
        self._repository = repository
        self._noted: set[tuple[str, str, int, int]] = set()

    def run(self, snapshot: Snapshot) -> None:
        """Note what has happened to budgets, and send what is due."""
        now = self._plane.accounts.clock()
        zone = snapshot.auth.timezone
        for subject, limit, period, spent in self._spent(snapshot, zone, now):
            for event, message in happened(limit, spent, now):
                key = (subject.name, event, period, limit.amount)
                if key not in self._noted:
                    self._note(key, subject, limit, spent, message, now)
        if snapshot.alerting is not None:
            for alert in self._repository.claim():
                self._send(snapshot.alerting.webhook, alert)

    def _spent(self, snapshot: Snapshot, zone: str, now: float) -> Iterator[tuple[Subject, BudgetLimit, int, int]]:
        """Every budget that is counted: (of whom, the budget, its period, nano-dollars)."""
        leases, table = self._plane.leases, self._plane.table
        numbers: dict[str, int] = {}

        def number_of(limit: BudgetLimit) -> int:
            if limit.duration not in numbers:
                numbers[limit.duration] = Period(limit.duration, zone).number(now)
            return numbers[limit.duration]

        if leases is not None:
            for subject, slot in leases.budgets():
                for place, limit in enumerate(subject.budgets):
                    number = number_of(limit)
                    yield subject, limit, number, leases.settled(slot, place, number)
        for subject in _configured(snapshot):
            for limit in subject.budgets:
                number = number_of(limit)
                name = f"limit:{subject.name}:budget:{limit.duration}"
                yield subject, limit, number, table.settled(name, number)

    def _note(
        self, key: tuple[str, str, int, int], subject: Subject, limit: BudgetLimit, spent: int, message: str, now: float
    ) -> None:
        kind = subject.kind
        most = _most(limit, now)
        body = {
            "spend": float(dollars(spent)),
            "max_budget": float(dollars(most)) if most < UNLIMITED else None,
            "soft_budget": float(dollars(limit.soft)) if limit.soft else None,
            "event": key[1].partition(":")[0],
            "event_group": _GROUPS.get(kind, kind),
            "event_message": message.format(title=_TITLES.get(kind, kind.replace("_", " ").title())),
            "projected_exceeded_date": None,
            "projected_spend": None,
        }
        with self._plane.accounts.read() as db:
            body |= who(db, subject)
        if len(self._noted) >= 100_000:
            self._noted.clear()
        self._noted.add(key)
        name, event, period, amount = key
        self._repository.note(Noted(name, event, period, amount, msgspec.json.encode(body).decode()))

    def _send(self, url: str, alert: Noted) -> None:
        trouble = post(url, alert.body.encode())
        if trouble is None:
            self._repository.done(alert)
            return
        host = urlsplit(url).hostname
        if alert.tries + 1 >= MOST_TRIES:
            log.error("%s was not told of %s of %s: %s", host, alert.event, alert.subject[:100], trouble)
            self._repository.done(alert)
            return
        log.warning("%s can't be told of %s now: %s", host, alert.event, trouble)
        self._repository.later(alert, min(FIRST_WAIT * 2.0**alert.tries, LONGEST_WAIT))


def happened(limit: BudgetLimit, spent: int, now: float) -> Iterator[tuple[str, str]]:
    """Events of a budget, and what LiteLLM says of them: of those about its amount the last that was reached."""
    if limit.soft and spent >= limit.soft:
        yield "soft_budget_crossed", f"Soft Budget Crossed: Total Soft Budget:`{dollars(limit.soft)}`"
    most = _most(limit, now)
    if most >= UNLIMITED:
        return
    if spent >= most:
        yield "budget_crossed", f"{{title}} Budget: Budget Crossed\n Total Budget:`{dollars(most)}`"
        return
    for share, left in THRESHOLDS:
        if spent >= share * most:
            yield f"threshold_crossed:{left}", f"{{title}} Budget: {left} or less of budget remaining"
            return


def _most(limit: BudgetLimit, now: float) -> int:
    return limit.amount + limit.extra if limit.extra and now < limit.extra_until else limit.amount


def _configured(snapshot: Snapshot) -> Iterator[Subject]:
    """Whom the configuration gives budgets to."""
    if snapshot.gateway is not None:
        yield snapshot.gateway
    yield from snapshot.tags.values()
    for key in snapshot.auth.keys.values():
        yield from key.subjects


def who(db: Session, subject: Subject) -> dict[str, Any]:
    """Whose budget it is, in LiteLLM's fields, and in `tag`, `workspace_id` and `model`, for which it has none."""
    kind, id = subject.kind, subject.id
    found: dict[str, Any] = dict.fromkeys(
        ("token", "key_alias", "user_id", "user_email", "team_id", "team_alias", "organization_id", "customer_id")
    )
    if kind == "key":
        key = db.keys.get(id)
        found["token"] = id
        if key is not None:
            found |= {"key_alias": key.alias or None, "user_id": key.user_id or None, "team_id": key.team_id or None}
            found["organization_id"] = key.organization_id or None
    elif kind == "member":
        found["team_id"], _, found["user_id"] = id.partition("/")
    elif kind in ("user", "team", "organization"):
        found[f"{kind}_id"] = id
    elif kind == "end_user":
        found["customer_id"] = id
    elif kind == "tag":
        found["tag"] = id
    elif kind == "workspace":
        found["workspace_id"] = id
    if subject.share:
        found["model"] = subject.share
    user = db.users.get(found["user_id"]) if found["user_id"] else None
    team = db.teams.get(found["team_id"]) if found["team_id"] else None
    if user is not None:
        found["user_email"] = user.email or None
    if team is not None:
        found["team_alias"] = team.alias or None
        found["organization_id"] = team.organization_id or found["organization_id"]
    return found


def post(url: str, body: bytes, more: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """Send JSON, with more headers; why that failed, where it did. The reason never has the URL in it."""
    headers = {"Content-Type": "application/json", "User-Agent": "routeiq", **more}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - checked at start
    try:
        with once.send(request, SEND_SECONDS) as answer:
            status: int = answer.status
    except urllib.error.HTTPError as error:
        with error:
            return f"it answered {error.code}"
    except urllib.error.URLError as error:
        return f"it can't be reached: {error.reason}"
    except (OSError, HTTPException) as error:
        return f"it can't be reached: {type(error).__name__}"
    return None if 200 <= status < 300 else f"it answered {status}"
