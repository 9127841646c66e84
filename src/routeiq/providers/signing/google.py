"""Google access tokens: service accounts, workload identity federation, application default credentials.

https://cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Mapping
from typing import Any

import google.auth
import requests
from google.auth import aws, identity_pool, impersonated_credentials, pluggable
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

from routeiq.providers.signing.grant import BEARER, Grant, SourceError

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
SECONDS = 20


def fetch(params: Mapping[str, str]) -> Grant:
    """A token for the JSON in `credentials`, the file `file`, or what the machine itself has. Raises `SourceError`."""
    with requests.Session() as session:
        ask: Any = functools.partial(Request(session), timeout=SECONDS)
        try:
            credentials = _load(params, ask)
            credentials.refresh(ask)
        except DefaultCredentialsError as error:
            raise SourceError(f"no usable Google credentials: {error}") from None
        except GoogleAuthError as error:
            raise SourceError(f"Google gave no token: {error.args[0] if error.args else error}") from None
    if not credentials.token:
        raise SourceError("Google gave no token")
    expiry: datetime.datetime | None = credentials.expiry
    return Grant(
        kind=BEARER,
        token=credentials.token,
        expires=expiry.replace(tzinfo=datetime.UTC).timestamp() if expiry else None,
    )


def _load(params: Mapping[str, str], ask: Any) -> Any:
    """google-auth's object for what is configured."""
    if "credentials" in params:
        return _from_document(_json(params["credentials"]))
    if "file" in params:
        try:
            with open(params["file"], encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SourceError(f"can't read the credentials file {params['file']}: {reason}") from None
        return _from_document(_json(text))
    return google.auth.default(scopes=SCOPES, request=ask)[0]


def _from_document(document: dict[str, Any]) -> Any:
    """The credentials of a key file, by the loader of its own kind: the general one asks for the project as well."""
    kind = document.get("type")
    load = _external(document) if kind == "external_account" else _LOADERS.get(kind if isinstance(kind, str) else "")
    if load is None:
        raise SourceError(f"Google credentials must be of a type among {', '.join((*_LOADERS, 'external_account'))}")
    try:
        return load(document, scopes=SCOPES)
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"the Google credentials can't be used: {error}") from None


def _external(document: dict[str, Any]) -> Any:
    """Workload identity federation, by where the subject token is: AWS, a program, or a file or address."""
    source = document.get("credential_source")
    if document.get("subject_token_type") == "urn:ietf:params:aws:token-type:aws4_request":
        return aws.Credentials.from_info
    if isinstance(source, dict) and "executable" in source:
        return pluggable.Credentials.from_info
    return identity_pool.Credentials.from_info


_LOADERS: dict[str, Any] = {
    "service_account": service_account.Credentials.from_service_account_info,
    "authorized_user": oauth2.Credentials.from_authorized_user_info,
    "impersonated_service_account": impersonated_credentials.Credentials.from_impersonated_service_account_info,
}


def _json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise SourceError("the Google credentials are not a JSON object")
    return document
