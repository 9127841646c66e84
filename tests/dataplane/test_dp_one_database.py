"""Two gateways on one database: what a webhook is told of budgets, and what one tells the other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from support.gateway import Gateway, deployment
from support.managed import CENT, manage, new_key, statuses, wait_managed
from support.postgres import PostgresServer
from support.upstream import Upstream


class Webhook:
    """Takes what it is sent, but for the first, which it refuses."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.refused = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if outer.refused:
                    outer.told.append(body)
                outer.refused += 1
                self.send_response(200 if outer.refused > 1 else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook?secret=s3cret-word"

    def wait(self, event: str, **fields: Any) -> dict[str, Any]:
        end = time.monotonic() + 20
        while True:
            for body in self.told:
                if body["event"] == event and fields.items() <= body.items():
                    return body
            assert time.monotonic() < end, self.told
            time.sleep(0.1)


@pytest.fixture(scope="module")
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture(scope="module")
def gateways(provider: Upstream, postgres: PostgresServer, webhook: Webhook) -> Iterator[list[Gateway]]:
    """Two on one database."""
    provider.reset()
    env = {"DATABASE_URL": postgres.database(), "WEBHOOK_URL": webhook.url}
    config = {
        "model_list": [deployment(provider, "m", **CENT)],
        "general_settings": {"alerting": ["webhook"]},
        "litellm_settings": {"max_budget": 1000},
    }
    with Gateway(config, env=env) as first, Gateway(config, env=env) as second:
        wait_managed(first)
        wait_managed(second)
        yield [first, second]


def test_a_webhook_is_told_once_whichever_gateway_saw_it(gateways: list[Gateway], webhook: Webhook) -> None:
    first, second = gateways
    team = uuid4().hex
    manage(first, "/team/new", {"team_id": team, "team_alias": "Core", "max_budget": 0.1, "soft_budget": 0.05,
                                "budget_duration": "1d"})  # fmt: skip
    manage(first, "/user/new", {"user_id": team, "user_email": f"{team}@example.com", "auto_create_key": False})
    key = new_key(first, team_id=team, key_alias=f"alias-{team}", max_budget=0.1)
    assert statuses(first, key, 4) == [200] * 4
    time.sleep(3)
    assert not [body for body in webhook.told if body["team_id"] == team]
    assert statuses(first, key, 5) == [200] * 5
    soft = webhook.wait("soft_budget_crossed", team_id=team)
    assert soft["event_message"] == "Soft Budget Crossed: Total Soft Budget:`0.05`"
    near = webhook.wait("threshold_crossed", team_id=team, event_group="team")
    assert near["event_message"] == "Team Budget: 15% or less of budget remaining"
    assert (near["spend"], near["max_budget"], near["team_alias"]) == (0.09, 0.1, "Core")
    assert statuses(first, key, 2) == [200, 422]
    full = webhook.wait("budget_crossed", team_id=team, event_group="key")
    assert (full["key_alias"], full["spend"]) == (f"alias-{team}", 0.1)
    assert full["event_message"] == "Key Budget: Budget Crossed\n Total Budget:`0.1`"
    webhook.wait("budget_crossed", team_id=team, event_group="team")
    assert statuses(second, key, 2) == [422, 422]
    time.sleep(5)
    of_team = [body["event"] for body in webhook.told if body["event_group"] == "team" and body["team_id"] == team]
    assert sorted(of_team) == ["budget_crossed", "soft_budget_crossed", "threshold_crossed"]
    assert webhook.refused > len(webhook.told), "the first was refused and sent again"
    # A raised budget is another one.
    manage(first, "/team/update", {"team_id": team, "max_budget": 0.11})
    manage(first, "/key/update", {"key": key, "max_budget": None})
    assert statuses(first, key, 2) == [200, 422]
    webhook.wait("budget_crossed", team_id=team, max_budget=0.11)
    for gateway in gateways:
        assert "s3cret-word" not in gateway.logs()


def test_what_was_spent_is_set_back_at_every_gateway(gateways: list[Gateway]) -> None:
    first, second = gateways
    key = new_key(first, max_budget=0.02)
    other = new_key(first, max_budget=0.02)
    assert statuses(second, key, 3) == [200, 200, 422]
    assert statuses(second, other, 3) == [200, 200, 422]
    end = time.monotonic() + 10
    while manage(first, f"/key/info?key={key}")["info"]["spend"] < 0.02:
        assert time.monotonic() < end
        time.sleep(0.1)
    manage(first, f"/key/{key}/reset_spend", {"reset_to": 0.01})
    while statuses(second, key, 1) == [422]:
        assert time.monotonic() < end + 10
        time.sleep(0.1)
    assert statuses(second, key, 2) == [422, 422], "0.01 was left, and that is spent"
    assert statuses(second, other, 1) == [422]
    while manage(first, f"/key/info?key={other}")["info"]["spend"] < 0.02:
        assert time.monotonic() < end + 10
        time.sleep(0.1)
    manage(first, "/global/spend/reset", method="POST")
    while statuses(second, other, 1) == [422]:
        assert time.monotonic() < end + 20
        time.sleep(0.1)
