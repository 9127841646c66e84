"""From Python's words to a Snapshot, by the same schema and compiler as a gateway's files."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Mapping
from typing import Any

from routeiq.config.compile import compile_snapshot
from routeiq.config.load import load, read_value
from routeiq.config.longtail import ADDRESSING
from routeiq.config.report import Report
from routeiq.config.schema.model_list import LitellmParams
from routeiq.config.schema.router import RouterSettings
from routeiq.config.validate import names_of
from routeiq.core.provider import ProviderSpec
from routeiq.core.settings import Finding
from routeiq.core.snapshot import Snapshot
from routeiq.providers.catalog import load_catalog
from routeiq.sdk.errors import APIError, AuthenticationError, BadRequestError

_ONE = "model_list[0].litellm_params."


@functools.cache
def deployment_names() -> frozenset[str]:
    """The parameters that say how to reach a deployment: those of `litellm_params`."""
    return frozenset(names_of(LitellmParams))


def is_deployment_name(name: str) -> bool:
    """Whether a parameter says how to reach a deployment, be it only to LiteLLM's SDK."""
    return name in deployment_names() or ADDRESSING.fullmatch(name) is not None


@functools.cache
def router_names() -> frozenset[str]:
    """The parameters of `router_settings`."""
    return frozenset(names_of(RouterSettings))


def compile_settings(sections: Mapping[str, Any]) -> tuple[Snapshot, tuple[Finding, ...]]:
    """The Snapshot of a configuration and what is to be said about it.

    Keys come from this process's environment where the configuration has none. Raises `BadRequestError`, whose
    `param` is the setting that is wrong, or `AuthenticationError` when what is missing is a key.
    """
    report = Report()
    now = datetime.datetime.now(datetime.UTC)
    ctx = load(read_value(dict(sections), report), dict(os.environ), _catalog(), now, report)
    snapshot = compile_snapshot(ctx, host=None, now=now.timestamp())
    if report.errors:
        raise _refusal(report.errors)
    return snapshot, report.warnings


@functools.cache
def _catalog() -> dict[str, ProviderSpec]:
    return load_catalog()


def _refusal(errors: tuple[Finding, ...]) -> APIError:
    said = []
    for finding in errors:
        path = finding.path.removeprefix(_ONE)
        hint = f" ({finding.hint})" if finding.hint else ""
        said.append(f"{path}: {finding.message}{hint}" if path else f"{finding.message}{hint}")
    first = errors[0]
    param = first.path.removeprefix(_ONE) or None
    if len(errors) == 1 and first.path.endswith(".api_key") and " needs an api_key" in first.message:
        return AuthenticationError(
            said[0], status_code=401, code="invalid_api_key", param=param, type="authentication_error"
        )
    return BadRequestError(
        "; ".join(said), status_code=400, code="invalid_configuration", param=param, type="invalid_request_error"
    )
