"""Microsoft Entra ID tokens for Azure's model services.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/managed-identity
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientSecretCredential,
    CredentialUnavailableError,
    DefaultAzureCredential,
    WorkloadIdentityCredential,
)

from routeiq.providers.signing.grant import BEARER, Grant, SourceError

SCOPE = "https://cognitiveservices.azure.com/.default"


def fetch(params: Mapping[str, str]) -> Grant:
    """A token for `scope`.

    From `tenant_id`, `client_id` and `client_secret`; else from `tenant_id`, `client_id` and the federated token in
    `token_file`; else from what the machine has (managed identity, the Azure CLI). Raises `SourceError`.
    """
    credential = _credential(params)
    try:
        token = credential.get_token(params.get("scope", SCOPE))
    except CredentialUnavailableError as error:
        raise SourceError(f"this machine has no Azure identity: {error.message}") from None
    except ClientAuthenticationError as error:
        raise SourceError(f"Microsoft Entra ID gave no token: {error.message}") from None
    finally:
        credential.close()
    return Grant(kind=BEARER, token=token.token, expires=float(token.expires_on))


def _credential(params: Mapping[str, str]) -> Any:
    more: dict[str, Any] = {}
    if "authority" in params:
        # An authority of one's own is not in Microsoft's list, which would be asked for it.
        more = {"authority": params["authority"], "disable_instance_discovery": True}
    if "client_secret" in params:
        return ClientSecretCredential(params["tenant_id"], params["client_id"], params["client_secret"], **more)
    if "token_file" in params:
        return WorkloadIdentityCredential(
            tenant_id=params["tenant_id"], client_id=params["client_id"], token_file_path=params["token_file"], **more
        )
    if "client_id" in params:
        more["managed_identity_client_id"] = params["client_id"]
    return DefaultAzureCredential(**more)
