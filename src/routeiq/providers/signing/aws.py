"""AWS credentials that are not in the configuration: profiles, roles, web identity, container and instance metadata.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.session import Session

from routeiq.providers.signing.grant import AWS, Grant, SourceError

SESSION_NAME = "routeiq"
_NOTHING = (
    "no AWS credentials were found: set aws_access_key_id and aws_secret_access_key, a profile or a role, or run "
    "where the machine has a role"
)


def fetch(params: Mapping[str, str]) -> Grant:
    """Credentials of `role`, or of `profile`, or what the machine has. Raises `SourceError`.

    A role is assumed with the web identity in `web_identity` or in the file `web_identity_file`, else with
    `access_key` and `secret_key`, else with the profile's or the machine's credentials.
    """
    try:
        session = Session(profile=params.get("profile"))
        if "access_key" in params:
            session.set_credentials(params["access_key"], params["secret_key"], params.get("session_token"))
        return _assume(session, params) if "role" in params else _own(session)
    except NoCredentialsError:
        raise SourceError(_NOTHING) from None
    except ClientError as error:
        found = error.response.get("Error", {})
        raise SourceError(f"AWS STS refused: {found.get('Code', '')}: {found.get('Message', '')}") from None
    except BotoCoreError as error:
        raise SourceError(f"AWS credentials: {error}") from None


def _own(session: Any) -> Grant:
    """What botocore's chain finds."""
    credentials = session.get_credentials()
    if credentials is None:
        raise SourceError(_NOTHING)
    frozen = credentials.get_frozen_credentials()
    if not frozen.access_key or not frozen.secret_key:
        raise SourceError(_NOTHING)
    # botocore renews these itself and shows their end to nobody else.
    expires: datetime.datetime | None = getattr(credentials, "_expiry_time", None)
    return Grant(
        kind=AWS,
        access_key=frozen.access_key,
        secret_key=frozen.secret_key,
        session_token=frozen.token or "",
        expires=expires.timestamp() if expires is not None else None,
    )


def _assume(session: Any, params: Mapping[str, str]) -> Grant:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and …WithWebIdentity"""
    token = _web_identity(params)
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        retries={"total_max_attempts": 2},
        signature_version=UNSIGNED if token else None,
    )
    client = session.create_client(
        "sts", region_name=params["region"], endpoint_url=params.get("sts_endpoint"), config=config
    )
    asked = {"RoleArn": params["role"], "RoleSessionName": params.get("session_name", SESSION_NAME)}
    try:
        if token:
            answer = client.assume_role_with_web_identity(WebIdentityToken=token, **asked)
        else:
            if "external_id" in params:
                asked["ExternalId"] = params["external_id"]
            answer = client.assume_role(**asked)
    finally:
        client.close()
    found = answer["Credentials"]
    return Grant(
        kind=AWS,
        access_key=found["AccessKeyId"],
        secret_key=found["SecretAccessKey"],
        session_token=found["SessionToken"],
        expires=found["Expiration"].timestamp(),
    )


def _web_identity(params: Mapping[str, str]) -> str:
    """The token, or the file's: the platform replaces it from time to time."""
    if "web_identity_file" not in params:
        return params.get("web_identity", "")
    path = params["web_identity_file"]
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        raise SourceError(f"can't read the web identity token {path}: {error.strerror}") from None
