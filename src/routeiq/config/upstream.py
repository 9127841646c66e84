"""How to reach a deployment: provider, address, credentials, TLS and proxy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from routeiq.config.address import Address, check_proxy, environment_proxy, parse_base
from routeiq.config.context import Context
from routeiq.config.report import Path, did_you_mean
from routeiq.config.schema.model_list import LitellmParams
from routeiq.config.schema.routeiq import UpstreamSettings
from routeiq.core.provider import ProviderSpec

_OPENAI_NAMES = re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|text-embedding-|ft:gpt-|davinci-|babbage-|codex-)")
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_]+)\}")
_VERTEX_HOST = "{vertex_location}-aiplatform.googleapis.com"
DIRECT = ("none", "direct")
"""Values of `routeiq.upstreams[].proxy` that mean no proxy."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The way to a host. `via`, `proxy`, `http2`, `verify_tls` and `ca_file` are those of `Deployment`."""

    via: str
    proxy: str | None
    http2: bool
    verify_tls: bool
    ca_file: str | None


def find_provider(ctx: Context, params: LitellmParams, path: Path) -> tuple[ProviderSpec, str] | None:
    """The provider and its own model name, as LiteLLM reads `provider/model`."""
    where = (*path, "model")
    prefix, slash, rest = params.model.partition("/")
    if params.custom_llm_provider is not None:
        name, where = params.custom_llm_provider, (*path, "custom_llm_provider")
        model = rest if slash and prefix == name else params.model
    elif slash:
        name, model = prefix, rest
    elif _OPENAI_NAMES.match(params.model):
        name, model = "openai", params.model
    else:
        hint = "write provider/model, for instance openai/" + params.model
        ctx.error(where, "does not name a provider", hint)
        return None
    spec = ctx.providers.get(name)
    if spec is None:
        hint = did_you_mean(name, ctx.providers) or "for any OpenAI-compatible endpoint write openai/MODEL and api_base"
        ctx.error(where, f"no provider is called {name}", hint)
        return None
    if not spec.served:
        hint = "if it has an OpenAI-compatible endpoint, write openai/MODEL and its api_base"
        ctx.error(where, f"the provider {name} is known but not served: {spec.reason}", hint)
        return None
    if not model:
        ctx.error(where, "names no model after the provider")
        return None
    return spec, model


def find_address(
    ctx: Context, spec: ProviderSpec, params: LitellmParams, values: Mapping[str, str], path: Path
) -> Address | None:
    """The base URL: `api_base`, else the provider's environment variable, else its default with `values` put in."""
    text, where, source = params.api_base, (*path, "api_base"), ""
    if ctx.broken(where) or ctx.broken((*path, "base_url")):
        return None
    if text is None:
        found = ctx.first_set(*spec.base_env)
        if found is not None:
            source, text = f"the environment variable {found[0]} ", found[1]
        elif spec.base_url is not None:
            text = _fill(ctx, spec, values, path)
            if text is None:
                return None
        elif "region_name" in values:
            text = f"https://{values['region_name']}.ml.cloud.ibm.com"
        else:
            names = f" or the environment variable {spec.base_env[0]}" if spec.base_env else ""
            ctx.error(where, f"the provider {spec.name} needs an api_base{names}")
            return None
    try:
        return parse_base(text)
    except ValueError as error:
        ctx.error(where, f"{source}{error}")
        return None


def _fill(ctx: Context, spec: ProviderSpec, values: Mapping[str, str], path: Path) -> str | None:
    """The default base with `{NAME}` replaced from the environment and `{name}` from `values`."""
    assert spec.base_url is not None
    names = _PLACEHOLDER.findall(spec.base_url)
    known = {name: (values if name.islower() else ctx.environ).get(name, "") for name in names}
    missing = [name for name in names if not known[name]]
    if missing:
        name = missing[0]
        if name.islower():
            if not ctx.broken((*path, name)):
                ctx.error((*path, name), f"the provider {spec.name} needs a {name}")
        else:
            ctx.error((*path, "api_base"), f"the provider {spec.name} needs an api_base or the variable {name}")
        return None
    base = spec.base_url.replace(_VERTEX_HOST, vertex_host(values.get("vertex_location", "")))
    filled = _PLACEHOLDER.sub(lambda found: known[found[1]], base)
    # https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
    china = values.get("aws_region_name", "").startswith("cn-") and filled.endswith(".amazonaws.com")
    return f"{filled}.cn" if china else filled


def vertex_host(location: str) -> str:
    """Where a location of Vertex AI is: one of the world, multi-regions, or a region.

    https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
    """
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def find_key(ctx: Context, spec: ProviderSpec, params: LitellmParams, path: Path) -> str | None:
    """The provider's key. A key from the environment goes to the provider's own address only, not to any `api_base`."""
    if params.api_key is not None or spec.auth == "none" or ctx.broken((*path, "api_key")):
        return params.api_key
    found = ctx.first_set(*spec.key_env)
    if params.api_base is None or spec.base_url is None:
        if found is not None:
            return found[1]
    elif found is not None and spec.key_required:
        hint = f"write api_key: os.environ/{found[0]}, or api_key: none"
        ctx.error((*path, "api_key"), f"{found[0]} is only sent to {spec.name}'s own address, not to an api_base", hint)
        return None
    if spec.key_required and params.azure_ad_token is None:
        names = f" or the environment variable {spec.key_env[0]}" if spec.key_env else ""
        hint = "write api_key: none where no key is needed" if params.api_base is not None else ""
        ctx.error((*path, "api_key"), f"the provider {spec.name} needs an api_key{names}", hint)
    return None


def find_reach(ctx: Context, address: Address, params: LitellmParams, path: Path) -> Reach:
    """Proxy, protocol and TLS: `routeiq.upstreams` for the host, else the deployment's, else the defaults."""
    index, upstream = _upstream(ctx, address)
    verify, ca_file = True, None
    for value in (ctx.config.litellm.ssl_verify, params.ssl_verify):
        if isinstance(value, str):
            verify, ca_file = True, value
        elif value is not None:
            verify = value
    where: Path = (*path, "ssl_verify")
    http2 = False
    proxy: str | None = None
    if upstream is not None:
        where = ("routeiq", "upstreams", index)
        http2 = upstream.http2
        verify = verify if upstream.verify_tls is None else upstream.verify_tls
        ca_file = upstream.ca_file or ca_file
    if ca_file is not None and not FilePath(ca_file).is_file():
        ctx.error(where, "the file with certificate authorities does not exist")
    if not verify and address.scheme == "https" and not address.loopback:
        ctx.warning(where, f"the certificate of {address.host} is not checked")
    try:
        if upstream is not None and upstream.proxy is not None:
            where = (*where, "proxy")
            proxy = None if upstream.proxy in DIRECT else check_proxy(upstream.proxy)
        else:
            where = path
            proxy = environment_proxy(address, ctx.environ)
    except ValueError as error:
        source = "the proxy in the environment " if where == path else ""
        ctx.error(where, f"{source}{error}")
    via = "library" if proxy is not None or http2 else "direct"
    return Reach(via, proxy, http2, verify, ca_file if verify else None)


def _upstream(ctx: Context, address: Address) -> tuple[int, UpstreamSettings | None]:
    """The first entry of `routeiq.upstreams` for an address: `host` or `host:port`."""
    names = {address.host, address.host_header, f"{address.host}:{address.port}", f"[{address.host}]"}
    for index, upstream in enumerate(ctx.config.routeiq.upstreams):
        if upstream.host.lower() in names:
            return index, upstream
    return -1, None
