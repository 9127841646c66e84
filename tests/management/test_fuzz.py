"""Whatever a request says, the answer is one of the API's."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from management.conftest import Api
from routeiq.control.management import (
    bodies,
    customers,
    key_bodies,
    organizations,
    team_bodies,
    user_bodies,
    workspaces,
)
from routeiq.control.management.bodies import Body

MODELS = [
    model
    for module in (bodies, key_bodies, user_bodies, team_bodies, organizations, customers, workspaces)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Body)
]
NAMES = sorted({name for model in MODELS for name in (*model.model_fields, *model.UNSUPPORTED, *model.LIFTED)})
SCALARS: Any = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["t", "u", "b", "1d", "30d", "0s", "-1", "sk-fuzz", "proxy_admin", "all-team-models", "/key/*"])
)
VALUES: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), body=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8) | VALUES)
def test_no_request_is_too_much(api: Api, data: st.DataObject, body: Any) -> None:
    app: Any = api.client.app
    routes = [it for it in app.routes if isinstance(it, APIRoute) and it.body_field is not None and it.responses]
    # What is built into the Snapshot has nobody to build it here.
    routes = [it for it in routes if not it.path.startswith("/api/v1/routeiq/usage-policies")]
    route = data.draw(st.sampled_from(routes))
    path = route.path.format(**dict.fromkeys(route.param_convertors, "t"))
    method = next(iter(route.methods))
    answer = api.client.request(method, path, json=body, headers={"Authorization": f"Bearer {api.key}"})
    assert answer.status_code in (200, 400, 403, 404, 409), (path, body, answer.text)
    if answer.status_code != 200:
        assert set(answer.json()) == {"error"}
