"""Calls without a Router: each says itself how to reach its model."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

import msgspec

from routeiq.core.snapshot import Snapshot
from routeiq.sdk.call import Call
from routeiq.sdk.engine import Engine
from routeiq.sdk.errors import BadRequestError
from routeiq.sdk.settings import compile_settings, is_deployment_name, router_names
from routeiq.sdk.surface import Surface

KEPT = 512
"""Configurations kept compiled, those used last."""
_sorted_json = msgspec.json.Encoder(order="sorted").encode


class Direct(Surface):
    """`model` is `provider/model`; options named in `litellm_params` say how to reach it, `num_retries` how often to
    try again. What a call is done with is a gateway with that one deployment."""

    def __init__(self) -> None:
        self._engine = Engine()
        self._lock = Lock()
        self._kept: OrderedDict[tuple[bytes, int], Snapshot] = OrderedDict()

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        named = [name for name in options if name == "num_retries" or is_deployment_name(name)]
        settings = {name: options.pop(name) for name in named}
        for name in options:
            if name in router_names():
                raise BadRequestError(
                    f"'{name}' is a setting of a Router.", status_code=400, code="operator_only_parameter", param=name
                )
        return settings

    def _timeout(self, settings: Mapping[str, Any]) -> float | None:
        return None  # it is the deployment's

    def _start(self, call: Call, model: str, settings: Mapping[str, Any]) -> None:
        self._engine.loop().submit(call, self._snapshot(model, dict(settings)))

    def _snapshot(self, model: str, settings: dict[str, Any]) -> Snapshot:
        """The configuration of a call, compiled when it is new or the environment has changed."""
        try:
            key = _sorted_json([model, settings]), hash(frozenset(os.environ.items()))
        except (TypeError, ValueError):
            key = None  # what can't be written is reported by the schema
        if key is not None:
            with self._lock:
                known = self._kept.get(key)
                if known is not None:
                    self._kept.move_to_end(key)
                    return known
        if "*" in str(model):
            raise BadRequestError("model: must name one model, without *", status_code=400, param="model")
        router = {"num_retries": settings.pop("num_retries")} if "num_retries" in settings else {}
        entry = {"model_name": model, "litellm_params": {"model": model, **settings}}
        snapshot, _ = compile_settings({"model_list": [entry], "router_settings": router})
        if key is not None:
            with self._lock:
                self._kept[key] = snapshot
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return snapshot
