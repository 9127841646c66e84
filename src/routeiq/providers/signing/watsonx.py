"""IBM Cloud IAM: an API key is exchanged for an access token of an hour.

https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey
"""

from __future__ import annotations

from collections.abc import Mapping

from routeiq.providers.signing.grant import Grant
from routeiq.providers.signing.oauth import ask_token

IAM_URL = "https://iam.cloud.ibm.com/identity/token"
_GRANT_TYPE = "urn:ibm:params:oauth:grant-type:apikey"


def fetch(params: Mapping[str, str]) -> Grant:
    """A token for `api_key`, from `iam_url` or IBM Cloud's. Raises `SourceError`."""
    url = params.get("iam_url", IAM_URL)
    return ask_token(url, {"grant_type": _GRANT_TYPE, "apikey": params["api_key"]})
