"""Credentials of a deployment: a header that stays the same, or how to make and renew one.

The names and the environment variables are LiteLLM's. What stands in the environment is taken into the Snapshot
here, because `environment_variables` of the file reach no other process.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

import msgspec

from routeiq.config.address import Address, parse_base
from routeiq.config.context import Context
from routeiq.config.heads import credential
from routeiq.config.report import Path
from routeiq.config.schema.model_list import LitellmParams
from routeiq.config.upstream import find_key
from routeiq.core.provider import SIGNED, ProviderSpec
from routeiq.core.signing import Signing

_LIBRARIES = {"aws": ("botocore", "aws"), "google": ("google.auth", "gcp"), "azure_ad": ("azure.identity", "azure")}
"""Module and extra that a scheme needs in the control plane."""
_SERVICES = {"sagemaker": "sagemaker", "bedrock": "bedrock"}
"""What requests are signed for, by the first word of a provider's name; of others by that name."""
_sorted_json = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Access:
    """`header` is a name and value for every request; with `signing` the header is made at run time."""

    header: tuple[str, str] | None = None
    signing: Signing | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The deployment whose credentials are looked for; `values` are those of `find_values`."""

    ctx: Context
    spec: ProviderSpec
    params: LitellmParams
    address: Address
    values: Mapping[str, str]
    path: Path


def find_access(asked: Asked) -> Access:
    """How requests of a deployment prove who they are."""
    spec, params = asked.spec, asked.params
    if spec.auth in SIGNED and any(name.lower() == "authorization" for name in params.extra_headers):
        return Access(credential(spec, params.api_key, params.azure_ad_token))
    if spec.name.startswith("azure") or spec.auth == "azure_ad":
        return _azure(asked)
    find = _SCHEMES.get(spec.auth)
    if find is not None:
        return find(asked)
    return Access(credential(spec, find_key(asked.ctx, spec, params, asked.path), params.azure_ad_token))


def _signing(ctx: Context, scheme: str, params: dict[str, str], path: Path, *, static: bool = False) -> Access:
    """`static`: a worker needs nobody's help, and no library."""
    library = None if static else _LIBRARIES.get(scheme)
    if library is not None and not _installed(library[0]):
        message = "its credentials need a package that is not installed"
        ctx.error(path, message, f"pip install 'routeiq[{library[1]}]'")
    digest = hashlib.sha256(_sorted_json([scheme, params])).hexdigest()
    return Access(signing=Signing(id=digest[:24], scheme=scheme, params=params))


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _env(ctx: Context, *names: str) -> str | None:
    found = ctx.first_set(*names)
    return found[1] if found is not None else None


def _complete(ctx: Context, params: LitellmParams, names: tuple[str, ...], path: Path) -> bool | None:
    """Whether all of some settings are given; some without the others is an error, and `None`."""
    given = [name for name in names if getattr(params, name) is not None]
    absent = [name for name in names if name not in given]
    if given and absent:
        if not any(ctx.broken((*path, name)) for name in absent):
            ctx.error((*path, given[0]), f"needs {' and '.join(absent)} as well")
        return None
    return not absent


def _aws(asked: Asked) -> Access:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/security-iam.html; its API keys are bearer tokens."""
    ctx, params, path, spec, values = asked.ctx, asked.params, asked.path, asked.spec, asked.values
    static = _complete(ctx, params, ("aws_access_key_id", "aws_secret_access_key"), path)
    if static is None:
        return Access()
    chosen = static or params.aws_role_name or params.aws_profile_name or params.aws_web_identity_token
    key = params.api_key if chosen else find_key(ctx, spec, params, path)
    if key is not None:
        return Access(("Authorization", f"Bearer {key}"))
    if params.aws_web_identity_token is not None and params.aws_role_name is None:
        ctx.error((*path, "aws_web_identity_token"), "needs aws_role_name as well")
        return Access()
    made = _given(
        region=values["aws_region_name"],
        service=_SERVICES.get(spec.name.partition("_")[0], spec.name),
        access_key=params.aws_access_key_id,
        secret_key=params.aws_secret_access_key,
        session_token=params.aws_session_token,
        profile=params.aws_profile_name,
        role=params.aws_role_name,
        session_name=params.aws_session_name,
        external_id=params.aws_external_id,
        sts_endpoint=params.aws_sts_endpoint,
    )
    if params.aws_web_identity_token is not None:
        made |= _web_identity(ctx, params.aws_web_identity_token, path)
    else:
        _from_environment(ctx, made)
    return _signing(ctx, "aws", made, path, static="access_key" in made and "role" not in made)


def _from_environment(ctx: Context, made: dict[str, str]) -> None:
    """What `AWS_*` adds: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html"""
    role, file = _env(ctx, "AWS_ROLE_ARN"), _env(ctx, "AWS_WEB_IDENTITY_TOKEN_FILE")
    key, secret = _env(ctx, "AWS_ACCESS_KEY_ID"), _env(ctx, "AWS_SECRET_ACCESS_KEY")
    if "access_key" in made or "profile" in made:
        return
    if role and file and made.get("role", role) == role:
        made |= {"role": role, "web_identity_file": file}
    elif key and secret:
        made |= _given(access_key=key, secret_key=secret, session_token=_env(ctx, "AWS_SESSION_TOKEN"))
    elif profile := _env(ctx, "AWS_PROFILE"):
        made["profile"] = profile


def _web_identity(ctx: Context, text: str, path: Path) -> dict[str, str]:
    """A token, a file with one, or LiteLLM's `oidc/file/PATH`, `oidc/env/NAME` and `oidc/env_path/NAME`."""
    kind, _, rest = text.removeprefix("oidc/").partition("/") if text.startswith("oidc/") else ("", "", text)
    where = (*path, "aws_web_identity_token")
    if kind in ("env", "env_path"):
        found = _env(ctx, rest)
        if found is None:
            ctx.error(where, f"the environment variable {rest} is not set")
            return {}
        return {"web_identity": found} if kind == "env" else {"web_identity_file": found}
    if kind == "file" or (not kind and text.startswith(("/", "./", "~/"))):
        return {"web_identity_file": str(FilePath(rest).expanduser())}
    if kind:
        hint = "write oidc/file/PATH, oidc/env/NAME, oidc/env_path/NAME or the path of a file"
        ctx.error(where, f"web identity tokens of {kind} are not served", hint)
        return {}
    return {"web_identity": text}


def _google(asked: Asked) -> Access:
    """https://cloud.google.com/vertex-ai/docs/authentication; an API key goes into `x-goog-api-key`."""
    ctx, params, path, address = asked.ctx, asked.params, asked.path, asked.address
    if params.api_key is not None:
        return Access(("x-goog-api-key", params.api_key))
    source = google_source(ctx, params, path)
    if source is None:
        return Access()
    own = address.host == "googleapis.com" or address.host.endswith(".googleapis.com") or address.loopback
    if params.vertex_credentials is None and not own:
        message = "the machine's Google credentials are only sent to Google, not to an api_base"
        ctx.error((*path, "api_base"), message, "write vertex_credentials")
    return _signing(ctx, "google", source, path)


def google_source(ctx: Context, params: LitellmParams, path: Path) -> dict[str, str] | None:
    """`credentials` (JSON text) or `file`, empty where the machine itself has them; `None` when they can't be used."""
    where = (*path, "vertex_credentials")
    if ctx.broken(where):
        return None
    given = params.vertex_credentials or _env(ctx, "VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS")
    if given is None:
        return {}
    if isinstance(given, dict):
        return {"credentials": json.dumps(given, sort_keys=True)}
    inline = given.lstrip().startswith("{")
    if inline:
        text = given
    else:
        try:
            text = FilePath(given).expanduser().read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            ctx.error(where, f"the file with Google credentials can't be read: {reason}")
            return None
    if google_document(text) is None:
        ctx.error(where, "holds no JSON object with a type, which Google credentials have")
        return None
    return {"credentials": text} if inline else {"file": str(FilePath(given).expanduser().absolute())}


def google_document(text: str) -> dict[str, object] | None:
    """Google credentials as their JSON object."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("type"), str) else None


def _azure(asked: Asked) -> Access:
    """https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference#authentication"""
    ctx, params, path, spec = asked.ctx, asked.params, asked.path, asked.spec
    named = "api-key" if spec.auth == "azure_ad" else spec.auth
    if params.api_key is not None or ctx.broken((*path, "api_key")):
        keyed = msgspec.structs.replace(spec, auth=named)
        return Access(credential(keyed, params.api_key, params.azure_ad_token))
    token = params.azure_ad_token
    names = ("tenant_id", "client_id", "client_secret")
    complete = None if token else _complete(ctx, params, names, path)
    made = _given(
        scope=params.azure_scope or _env(ctx, "AZURE_SCOPE"),
        authority=_env(ctx, "AZURE_AUTHORITY_HOST"),
        tenant_id=params.tenant_id,
        client_id=params.client_id,
        client_secret=params.client_secret,
    )
    if complete:
        return _signing(ctx, "azure_ad", made, path)
    if token is None and complete is None:
        return Access()
    keys = ctx.first_set(*spec.key_env)
    if token is None and keys is None:
        token = _env(ctx, "AZURE_AD_TOKEN")
    if token is not None:
        if token.startswith("oidc/"):
            hint = "set AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_ID and AZURE_TENANT_ID"
            ctx.error((*path, "azure_ad_token"), "tokens by oidc/ are not served", hint)
            return Access()
        return Access(("Authorization", f"Bearer {token}"))
    if keys is None:
        tenant, client = _env(ctx, "AZURE_TENANT_ID"), _env(ctx, "AZURE_CLIENT_ID")
        secret, file = _env(ctx, "AZURE_CLIENT_SECRET"), _env(ctx, "AZURE_FEDERATED_TOKEN_FILE")
        if tenant and client and (secret or file):
            more = {"client_secret": secret} if secret else _given(token_file=file)
            return _signing(ctx, "azure_ad", {**made, "tenant_id": tenant, "client_id": client, **more}, path)
        if ctx.config.litellm.enable_azure_ad_token_refresh:
            return _signing(ctx, "azure_ad", {**made, **_given(client_id=client)}, path)
    keyed = msgspec.structs.replace(spec, auth=named)
    return Access(credential(keyed, find_key(ctx, spec, params, path), None))


def _watsonx(asked: Asked) -> Access:
    """https://cloud.ibm.com/apidocs/watsonx-ai#authentication; Cloud Pak for Data has Zen API keys."""
    ctx, params, path, spec = asked.ctx, asked.params, asked.path, asked.spec
    own = params.token or params.zen_api_key or params.api_key
    token = params.token or (None if own else _env(ctx, "WATSONX_TOKEN"))
    if token:
        return Access(("Authorization", f"Bearer {token}"))
    zen = params.zen_api_key or (None if own else _env(ctx, "WATSONX_ZENAPIKEY"))
    if zen:
        return Access(("Authorization", f"ZenApiKey {zen}"))
    key = find_key(ctx, spec, params, path)
    if key is None:
        if not ctx.broken((*path, "api_key")):
            ctx.error((*path, "api_key"), f"the provider {spec.name} needs an api_key, a token or WATSONX_APIKEY")
        return Access()
    url = _env(ctx, "WATSONX_IAM_URL")
    if url is not None and not _is_url(url):
        ctx.error(path, "the environment variable WATSONX_IAM_URL is not an address")
    return _signing(ctx, "watsonx", _given(api_key=key, iam_url=url), path)


def _databricks(asked: Asked) -> Access:
    """https://docs.databricks.com/aws/en/dev-tools/auth/: a personal access token, or OAuth of a service principal."""
    ctx, params, path, spec, address = asked.ctx, asked.params, asked.path, asked.spec, asked.address
    complete = _complete(ctx, params, ("client_id", "client_secret"), path)
    if complete is None:
        return Access()
    key = params.api_key if complete else find_key(ctx, spec, params, path)
    if key is not None:
        return Access(("Authorization", f"Bearer {key}"))
    client, secret = params.client_id, params.client_secret
    if not complete:
        client, secret = _env(ctx, "DATABRICKS_CLIENT_ID"), _env(ctx, "DATABRICKS_CLIENT_SECRET")
        if client and secret and params.api_base is not None:
            message = "DATABRICKS_CLIENT_SECRET is only sent to DATABRICKS_HOST, not to an api_base"
            ctx.error((*path, "api_base"), message, "write client_id and client_secret")
            return Access()
    if not client or not secret:
        if not ctx.broken((*path, "api_key")):
            ctx.error((*path, "api_key"), f"the provider {spec.name} needs an api_key, or client_id and client_secret")
        return Access()
    host = f"{address.scheme}://{address.host_header}"
    return _signing(ctx, "databricks", {"host": host, "client_id": client, "client_secret": secret}, path)


def _is_url(text: str) -> bool:
    try:
        parse_base(text)
    except ValueError:
        return False
    return True


_SCHEMES: dict[str, Callable[[Asked], Access]] = {
    "aws": _aws,
    "google": _google,
    "watsonx": _watsonx,
    "databricks": _databricks,
}
