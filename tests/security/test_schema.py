"""Requests made up from the OpenAPI description: no server error, and errors of one shape, whatever is sent.

https://schemathesis.readthedocs.io/
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from security_world import MASTER, World, make, populate

CASES = int(os.environ.get("ROUTEIQ_SCHEMA_CASES", "8"))
"""For each of over a hundred operations, good ones and bad ones; `ROUTEIQ_SCHEMA_CASES=400` for a night."""
QUICK = settings(
    max_examples=CASES, database=None, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose keys may come to harm."""
    made = make(tmp_path_factory.mktemp("schema"))
    with made.client:
        populate(made)
        yield made


def operations(world: World) -> list[Any]:
    """What the description has, which is all but what is internal."""
    schema = schemathesis.openapi.from_dict(world.app.openapi())
    found = [each.ok() for each in schema.get_all_operations()]
    assert {(op.method.upper(), op.path) for op in found} == {
        (method, path.replace(":path}", "}")) for method, path in world.routes if not path.startswith("/internal/")
    }
    return found


def send(world: World, case: Any) -> tuple[int, bytes, str]:
    """One made-up request, by an admin. Headers that HTTP can't say are not said."""
    sent = case.as_transport_kwargs(base_url="http://testserver")
    said = {name: str(value) for name, value in dict(sent["headers"]).items()}
    headers = {name: value for name, value in said.items() if value.isprintable() and value.isascii()}
    answer = world.client.request(
        sent["method"], sent["url"], params=sent.get("params"), json=sent.get("json"), content=sent.get("data"),
        headers={**headers, "Authorization": f"Bearer {MASTER}"},
    )  # fmt: skip
    return answer.status_code, answer.content, answer.headers.get("content-type", "")


def wrong(status: int, body: bytes, kind: str) -> str:
    """What is not right about an answer."""
    if status >= 500:
        return f"{status}: {body[:300]!r}"
    if status < 400:
        return ""
    try:
        error = json.loads(body)["error"]
        fine = {"message", "type", "param", "code"} <= set(error) and isinstance(error["message"], str)
        fine = fine and isinstance(error["code"], str) and kind == "application/json"
    except (ValueError, KeyError, TypeError):
        fine = False
    return "" if fine else f"{status} is no error of ours: {body[:300]!r} ({kind})"


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_sent_there_is_an_answer(own: World, mode: GenerationMode) -> None:
    faults: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    for operation in operations(own):

        @QUICK
        @given(case=operation.as_strategy(generation_mode=mode))
        def attempt(case: Any) -> None:
            if len(urlencode(case.query or {}, doseq=True)) > 8 * 1024:
                return  # which no worker passes on
            status, body, kind = send(own, case)
            statuses[status] += 1
            fault = wrong(status, body, kind)
            if fault:
                faults.setdefault(f"{case.operation.label} {fault}", case.as_curl_command())

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                attempt()
            except Unsatisfiable:
                continue  # nothing can be wrong about it
    assert not faults, "\n".join(f"{fault}\n    {command}" for fault, command in faults.items())
    assert sum(statuses.values()) > 4 * CASES
    assert statuses[200] or mode is GenerationMode.NEGATIVE
