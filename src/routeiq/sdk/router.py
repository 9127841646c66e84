"""Several deployments behind public names: the gateway's routing inside another program."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from routeiq.sdk.call import Call
from routeiq.sdk.engine import Engine
from routeiq.sdk.errors import BadRequestError
from routeiq.sdk.settings import compile_settings, deployment_names, router_names
from routeiq.sdk.surface import Surface

log = logging.getLogger("routeiq.sdk")


class Router(Surface):
    """Calls name a `model_name` of `model_list`; a deployment is chosen, retried and replaced as by a gateway.

    A call's own `timeout` is in seconds, for the whole of it (of a stream: until it begins).
    """

    def __init__(
        self,
        model_list: Sequence[Mapping[str, Any]],
        *,
        litellm_settings: Mapping[str, Any] | None = None,
        routeiq: Mapping[str, Any] | None = None,
        **router_settings: Any,
    ) -> None:
        """`router_settings` and the two sections are those of a configuration file.

        Raises `BadRequestError`, which names the setting, or `AuthenticationError`.
        """
        sections = {
            "model_list": list(model_list),
            "router_settings": router_settings,
            "litellm_settings": litellm_settings or {},
            "routeiq": routeiq or {},
        }
        self._snapshot, warnings = compile_settings(sections)
        for finding in warnings:
            log.warning("%s", finding)
        self._engine = Engine()

    @property
    def model_names(self) -> list[str]:
        """The public names it serves, in the order of `model_list`."""
        return [group.name for group in self._snapshot.groups.values() if not group.hidden]

    def close(self) -> None:
        """End every call that is under way, and its thread and connections."""
        self._engine.close()

    def __enter__(self) -> Router:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        timeout = options.pop("timeout", None)
        for name in options:
            if name in deployment_names() or name in router_names():
                raise BadRequestError(
                    f"'{name}' can't be set in a call: it is part of the Router's configuration.",
                    status_code=400,
                    code="operator_only_parameter",
                    param=name,
                )
        return {} if timeout is None else {"timeout": timeout}

    def _timeout(self, settings: Mapping[str, Any]) -> float | None:
        timeout = settings.get("timeout")
        if timeout is None:
            return None
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise BadRequestError("timeout: must be seconds above 0", status_code=400, param="timeout")
        return float(timeout)

    def _start(self, call: Call, model: str, settings: Mapping[str, Any]) -> None:
        self._engine.loop().submit(call, self._snapshot)
