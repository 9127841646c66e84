"""Where grants come from: one blocking function for every scheme, for the control plane only.

The vendors' libraries are imported when a scheme first needs them; without one the error names the extra.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module

from routeiq.core.signing import Signing
from routeiq.observe.redact import MASK, redact
from routeiq.providers.signing.grant import Grant, SourceError, static_grant

EXTRAS = {"aws": "aws", "google": "gcp", "azure_ad": "azure"}
"""The extra that brings the library of a scheme."""
_MODULES = {"aws": "aws", "google": "google", "azure_ad": "azure", "watsonx": "watsonx", "databricks": "databricks"}
_SECRETS = ("access_key", "secret_key", "session_token", "web_identity", "client_secret", "api_key", "credentials")
_SHORTEST = 6
"""Characters of a value that is looked for in a reason: shorter ones are no secrets, and parts of words."""
_LONGEST = 400
"""Characters of a vendor's reason that are kept."""


def fetch(signing: Signing) -> Grant:
    """New credentials. Blocks for seconds. Raises `SourceError` with a reason that holds no secret."""
    static = static_grant(signing)
    if static is not None:
        return static
    module = _MODULES.get(signing.scheme)
    if module is None:
        raise SourceError(f"there is no source of credentials called {signing.scheme}")
    try:
        source: Callable[[Mapping[str, str]], Grant] = import_module(f"routeiq.providers.signing.{module}").fetch
    except ImportError:
        raise SourceError(missing(signing.scheme)) from None
    try:
        return source(signing.params)
    except Exception as error:
        # The vendors' libraries raise what they like, and their words may repeat what they were given.
        reason = str(error) or type(error).__name__
        raise SourceError(scrub(" ".join(reason.split()), signing.params)[:_LONGEST]) from None


def missing(scheme: str) -> str:
    """What to do about a library that is not installed."""
    return f"credentials of this kind need a package that is not installed: pip install 'routeiq[{EXTRAS[scheme]}]'"


def scrub(text: str, params: Mapping[str, str]) -> str:
    """`text` without the secrets among `params`, and without what looks like one."""
    for value in _secret_values(params):
        text = text.replace(value, MASK)
    return redact(text)


def _secret_values(params: Mapping[str, str]) -> list[str]:
    """The longest first, so that none is cut by a shorter one."""
    values = [params[name] for name in _SECRETS if params.get(name)]
    if "credentials" in params:
        try:
            document = json.loads(params["credentials"])
        except ValueError:
            document = {}
        if isinstance(document, dict):
            values += [value for name, value in document.items() if isinstance(value, str) and _is_secret(name)]
    return sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("private_key", "secret", "token")) and not name.endswith(
        ("_id", "_type", "_uri", "_url")
    )
