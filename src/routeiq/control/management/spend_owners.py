"""Who has spent what: keys, users, members of teams, providers. https://docs.litellm.ai/docs/proxy/cost_tracking"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Request, Response
from sqlalchemy import and_, true

from routeiq.control.access import Access
from routeiq.control.management import key_answers, users
from routeiq.control.management.activity import metrics
from routeiq.control.management.desk import Desk
from routeiq.control.management.limits import dollars
from routeiq.control.management.rights import may_key, visible_keys, visible_users
from routeiq.control.management.shown import moment
from routeiq.control.management.spend_common import answer, days, iso_day, listed, seen_by
from routeiq.control.routes import Route
from routeiq.core.periods import Period
from routeiq.store.activity import Wanted
from routeiq.store.tables_accounts import users as user_table

if TYPE_CHECKING:
    from routeiq.control.plane import Plane

MOST = 1000
"""Keys or users in one answer; `/key/list` and `/user/list` have them in pages."""
LAST_DAYS = 30
_FIGURES = (
    "spend", "prompt_tokens", "completion_tokens", "total_tokens", "api_requests", "successful_requests",
    "failed_requests",
)  # fmt: skip


def routes(plane: Plane) -> tuple[Route, ...]:
    """Every endpoint."""
    desk = Desk(plane)

    def get_keys(request: Request) -> Response:
        """Keys with what they have spent in the period of their budget, or ever: the dearest first."""
        caller = request.state.caller
        with desk.accounts.read() as db:
            mine = [key for key in db.keys.all(visible_keys(caller), MOST) if may_key(db, caller, key, "/key/list")]
            return answer(_dearest(key_answers.listed(desk, db, mine)))

    def get_users(request: Request, user_id: Annotated[str | None, Query(max_length=255)] = None) -> Response:
        """The same of users, or of one."""
        with desk.accounts.read() as db:
            one = user_table.c.user_id == user_id if user_id else true()
            found = db.users.all(and_(visible_users(request.state.caller), one), MOST)
            return answer(_dearest(users.infos(desk, db, found)))

    def get_by_user(
        request: Request,
        team_ids: Annotated[str | None, Query(max_length=30_000)] = None,
        start_date: str | None = None,
        end_date: str | None = None,
    ) -> Response:
        """What the users of teams have spent there; who leads no team sees its own share."""
        today = int(time.time()) // 86_400
        first, last = days(start_date, end_date) if start_date or end_date else (today - LAST_DAYS, today)
        teams = listed(team_ids)
        asked = Wanted(
            first, last, seen_by(request.state.caller), "", {"team_id": teams} if teams else {}, {"team_id": [""]}
        )
        rows = plane.spend.activity.sums(asked, ("team_id", "user_id"), order="11 DESC, 1, 2")
        with desk.accounts.read() as db:
            names = db.teams.many(row.of["team_id"] for row in rows)
            people = db.users.many(row.of["user_id"] for row in rows)
        results = []
        for row in rows:
            team, user = names.get(row.of["team_id"]), people.get(row.of["user_id"])
            figures = metrics(row)
            results.append(
                {
                    "team_id": row.of["team_id"],
                    "team_alias": team.alias or None if team is not None else None,
                    "user_id": row.of["user_id"],
                    "user_email": user.email or None if user is not None else None,
                    "user_alias": user.alias or None if user is not None else None,
                    **{name: figures[name] for name in _FIGURES},
                }
            )
        return answer({"start_date": iso_day(first), "end_date": iso_day(last), "results": results})

    def get_providers() -> Response:
        """Budgets of providers, as routing goes by them."""
        snapshot = plane.current()
        found: dict[str, Any] = {}
        for name, limit in snapshot.providers.items():
            period = Period(limit.duration, snapshot.auth.timezone)
            now = desk.now()
            spent = plane.table.settled(f"limit:provider:{name}:budget:{limit.duration}", period.number(now))
            found[name] = {
                "budget_limit": dollars(limit.amount),
                "time_period": limit.duration,
                "spend": dollars(spent),
                "budget_reset_at": moment(period.bounds(now)[1]),
            }
        return answer({"providers": found})

    read = "spend:read"
    return (
        Route("GET", "/spend/keys", Access.MANAGE, get_keys, read),
        Route("GET", "/spend/users", Access.MANAGE, get_users, read),
        Route("GET", "/team/spend/by_user", Access.MANAGE, get_by_user, read),
        Route("GET", "/provider/budgets", Access.ADMIN_VIEW, get_providers),
    )


def _dearest(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=lambda entry: -entry["spend"])
