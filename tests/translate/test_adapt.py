"""The client's own bytes for servers that are nearly OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routeiq.core.provider import resolve
from routeiq.core.snapshot import CHAT, Deployment
from routeiq.providers.catalog import load_catalog
from routeiq.providers.translate.adapt import adaptation
from routeiq.providers.translate.codec import Fit


def adapted(provider: str, model: str, body: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    spec, name = resolve(load_catalog()[provider], model)
    quirks = {
        key: ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
        for key, value in spec.quirks.items()
    }
    deployment = Deployment(
        id="d", group="m", provider=provider, model=name, litellm_model="", dialect=spec.dialect, options=quirks
    )
    change = adaptation(deployment)
    assert change is not None
    fit = Fit(provider)
    found = change(CHAT, json.dumps({"model": "m", **body}).encode(), False, json.dumps(name).encode(), fit)
    assert found is not None
    return json.loads(found), fit.dropped


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("mistral-small-2503@001", "mistral-small-2503"),
        ("codestral-2", "codestral-2"),
        ("jamba-1.5-mini@001", "jamba-1.5-mini"),
    ],
)
def test_a_version_stands_in_the_path_only(model: str, named: str) -> None:
    body, _ = adapted("vertex_ai", model, {"messages": [], "max_completion_tokens": 5})
    assert body == {"model": named, "messages": [], "max_tokens": 5}


def test_mistral_on_vertex_has_mistrals_own_words() -> None:
    body, dropped = adapted("vertex_ai", "mistral-large-2411", {"seed": 1, "tool_choice": "required", "user": "u"})
    assert body == {"model": "mistral-large-2411", "random_seed": 1, "tool_choice": "any"}
    assert dropped == ["user"]
