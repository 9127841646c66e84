"""Rates that are guaranteed: https://docs.litellm.ai/docs/proxy/users#setting-rate-limits"""

from __future__ import annotations

from management.conftest import Api

GUARANTEED = "guaranteed_throughput"


def test_keys_of_a_team_are_not_guaranteed_more_than_it_has(api: Api) -> None:
    api.post("/team/new", {"team_id": "t", "rpm_limit": 100, "tpm_limit": 1000, "model_rpm_limit": {"m": 10}})
    api.new_key(team_id="t", rpm_limit=60, rpm_limit_type="best_effort_throughput")
    first = api.new_key(team_id="t", rpm_limit=30, rpm_limit_type=GUARANTEED, model_rpm_limit={"m": 8})
    more = {"team_id": "t", "rpm_limit": 20, "tpm_limit": 900}
    assert api.fails(400, "/key/generate", {**more, "rpm_limit_type": GUARANTEED})["param"] == "rpm_limit"
    assert "guaranteed more" in api.fails(400, "/key/generate", {**more, "rpm_limit_type": GUARANTEED})["message"]
    per_model = {"team_id": "t", "model_rpm_limit": {"m": 3}, "rpm_limit_type": GUARANTEED}
    assert api.fails(400, "/key/generate", per_model)["param"] == "model_rpm_limit"
    api.post("/key/generate", {**more, "rpm_limit": 10, "rpm_limit_type": GUARANTEED, "tpm_limit_type": GUARANTEED})
    api.post("/key/generate", {**more, "rpm_limit_type": "best_effort_throughput"})
    api.fails(400, "/key/update", {"key": first.key, "rpm_limit": 90})
    assert api.get("/key/info", key=first.key)["info"]["rpm_limit_type"] == GUARANTEED
    api.fails(400, "/key/generate", {"rpm_limit": 1, "rpm_limit_type": "dynamic"})


def test_teams_of_an_organization_neither(api: Api) -> None:
    api.post("/organization/new", {"organization_id": "o", "organization_alias": "o", "tpm_limit": 100})
    api.post("/team/new", {"organization_id": "o", "team_id": "a", "tpm_limit": 60, "tpm_limit_type": GUARANTEED})
    body = {"organization_id": "o", "team_id": "b", "tpm_limit": 60, "tpm_limit_type": GUARANTEED}
    assert api.fails(400, "/team/new", body)["param"] == "tpm_limit"
    api.post("/team/new", {**body, "tpm_limit": 40})
    api.post("/team/update", {"team_id": "b", "tpm_limit": 50, "tpm_limit_type": "best_effort_throughput"})
