"""Databricks OAuth for service principals: a token of an hour for a client id and secret.

https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m
"""

from __future__ import annotations

from collections.abc import Mapping

from routeiq.providers.signing.grant import Grant
from routeiq.providers.signing.oauth import ask_token


def fetch(params: Mapping[str, str]) -> Grant:
    """A token of the workspace at `host` (scheme and authority) for `client_id` and `client_secret`."""
    form = {"grant_type": "client_credentials", "scope": "all-apis"}
    return ask_token(f"{params['host']}/oidc/v1/token", form, (params["client_id"], params["client_secret"]))
