"""Compiles `model_list` entries to Deployments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from routeiq.config.address import Address
from routeiq.config.context import Context
from routeiq.config.credentials import Access, Asked, find_access
from routeiq.config.heads import render
from routeiq.config.litellm_prices import litellm_prices
from routeiq.config.longtail import find_longtail
from routeiq.config.prices import DEMO_PRICES, configured_prices
from routeiq.config.references import masked
from routeiq.config.report import Path
from routeiq.config.schema.model_list import LitellmParams, ModelEntry
from routeiq.config.traits import find_traits
from routeiq.config.upstream import Reach, find_address, find_provider, find_reach
from routeiq.config.values import find_options, find_values, unplaced
from routeiq.core.keys import BudgetLimit
from routeiq.core.money import PICO_PER_DOLLAR, Prices, nano
from routeiq.core.provider import ProviderSpec, resolve
from routeiq.core.snapshot import CHAT, COMPLETION, EMBEDDING, RERANK, Deployment

_SECRETS = (
    *("api_key", "azure_ad_token", "client_secret", "token", "zen_api_key", "vertex_credentials", "extra_headers"),
    "sdk",
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_web_identity_token", "aws_external_id"),
)
_UNKNOWN = Address("https", "localhost", 443, "")
_NOWHERE = Reach("direct", None, False, True, None)
_sorted_json = msgspec.json.Encoder(order="sorted").encode


def compile_deployments(ctx: Context) -> tuple[Deployment, ...]:
    """Every entry that can be served, in the file's order; what can't goes to the report."""
    out: list[Deployment] = []
    seen: dict[str, Path] = {}
    for index, entry in ctx.config.models:
        path: Path = ("model_list", index)
        id = _identity(ctx, entry, path, seen)
        deployment = _deployment(ctx, entry, path, id)
        if deployment is not None:
            out.append(deployment)
    return tuple(out)


def wildcard_prices(ctx: Context, deployments: Iterable[Deployment]) -> dict[str, dict[str, Prices]]:
    """Price lists by provider, for the deployments whose model is only known when a request names it."""
    names = {d.provider for d in deployments if d.prices is None and "*" in d.model and d.kind == "http"}
    specs = (ctx.providers[name] for name in sorted(names))
    return {spec.name: ctx.prices.listing(spec.price_provider) for spec in specs if spec.price_provider is not None}


def _identity(ctx: Context, entry: ModelEntry, path: Path, seen: dict[str, Path]) -> str:
    """`model_info.id`, else the SHA-256 of the name and parameters; twins get different ids."""
    id = entry.model_info.id
    if id is not None:
        if id in seen:
            ctx.error((*path, "model_info", "id"), f"{id} is the id of another deployment")
        seen[id] = path
        return id
    params = entry.litellm_params.model_dump(exclude_defaults=True)
    for name in _SECRETS:
        if name in params:
            params[name] = hashlib.sha256(_sorted_json(params[name])).hexdigest()
    what: dict[str, Any] = {"model_name": entry.model_name, "litellm_params": params}
    id = _digest(what)
    while id in seen:
        ctx.warning(path, "is the same as another deployment; it counts as a second one")
        what["twin"] = what.get("twin", 1) + 1
        id = _digest(what)
    seen[id] = path
    return id


def _digest(what: dict[str, Any]) -> str:
    return hashlib.sha256(_sorted_json(what)).hexdigest()


def _deployment(ctx: Context, entry: ModelEntry, path: Path, id: str) -> Deployment | None:
    params, info = entry.litellm_params, entry.model_info
    where: Path = (*path, "litellm_params")
    found = find_provider(ctx, params, where)
    if found is None:
        return None
    spec, model = resolve(*found)
    if not _stars_agree(ctx, entry, model, where):
        return None
    kind = "demo" if spec.dialect == "demo" else "mock" if params.mock_response is not None else "http"
    address: Address | None = None
    heads: dict[str, bytes] = {}
    reach, access = _NOWHERE, Access()
    longtail, base = None, ""
    if kind == "http" and spec.dialect == "litellm":
        called = find_longtail(ctx, spec, params, id, where)
        if called is None:
            return None
        longtail, heads, base = called
    elif kind == "http":
        values = find_values(ctx, spec, params, model, where)
        model = unplaced(spec, model)
        address = find_address(ctx, spec, params, values, where)
        # Without an address, only what is wrong with the credentials is of interest.
        access = find_access(Asked(ctx, spec, params, address or _UNKNOWN, values, where))
        if address is None:
            return None
        rendered = _heads(ctx, spec, address, params, model, access, where)
        if rendered is None:
            return None
        heads = rendered
        reach = find_reach(ctx, address, params, where)
        bearer = access.header is not None or (access.signing is not None and access.signing.scheme != "aws")
        if bearer and address.scheme == "http" and address.public:
            ctx.warning((*where, "api_base"), f"the key is sent to {address.host} without encryption")
    prices = _prices(ctx, spec, model, entry, path, kind)
    router, general = ctx.config.router, ctx.config.general
    mode = info.mode or _mode(spec, model)
    return Deployment(
        id=id,
        group=entry.group,
        team=entry.model_info.team_id or "",
        provider=spec.name,
        model=model,
        litellm_model=params.model,
        dialect="openai" if longtail is not None else spec.dialect,
        signing=access.signing,
        options=find_options(ctx, spec, params),
        drop_params=ctx.config.litellm.drop_params if params.drop_params is None else params.drop_params,
        drop=tuple(params.additional_drop_params),
        kind=kind,
        scheme=address.scheme if address else "https",
        host=address.host if address else "",
        port=address.port if address else 443,
        heads=heads,
        api_base=address.url if address else base,
        via="longtail" if longtail is not None else reach.via,
        longtail=longtail,
        proxy=reach.proxy,
        http2=reach.http2,
        verify_tls=reach.verify_tls,
        ca_file=reach.ca_file,
        weight=params.weight,
        rpm=params.rpm,
        tpm=params.tpm,
        budget=_budget(ctx, params, path),
        max_parallel_requests=params.max_parallel_requests
        or router.default_max_parallel_requests
        or general.max_parallel_requests,
        order=params.order,
        timeout=params.timeout or router.timeout,
        stream_timeout=params.stream_timeout or (None if params.timeout else router.stream_timeout),
        max_retries=params.max_retries,
        allowed_fails=info.allowed_fails if info.allowed_fails is not None else params.allowed_fails,
        cooldown_time=info.cooldown_time if info.cooldown_time is not None else params.cooldown_time,
        prices=prices,
        mock_response=params.mock_response,
        mode=mode,
        blocked=info.blocked,
        traits=find_traits(ctx, spec, model, params, info, path),
        info=_info(ctx, path, id, mode, prices),
    )


def _budget(ctx: Context, params: LitellmParams, path: Path) -> BudgetLimit | None:
    if params.max_budget is None:
        if params.budget_duration is not None:
            ctx.error((*path, "litellm_params", "budget_duration"), "needs max_budget")
        return None
    return BudgetLimit(amount=nano(params.max_budget), duration=params.budget_duration or "")


def _stars_agree(ctx: Context, entry: ModelEntry, model: str, where: Path) -> bool:
    name = entry.public
    if "*" in name and entry.model_info.team_id:
        ctx.error((*where[:-1], "model_info", "team_id"), "can't have a name with a *")
        return False
    if name.count("*") > 1:
        ctx.error((*where[:-1], "model_name"), "holds more than one *")
        return False
    if model.count("*") > 1:
        ctx.error((*where, "model"), "holds more than one *")
        return False
    if "*" in model and "*" not in name:
        ctx.error((*where, "model"), "holds a * but model_name does not", f"did you mean model_name: {model}?")
        return False
    return True


def _heads(
    ctx: Context, spec: ProviderSpec, address: Address, params: LitellmParams, model: str, access: Access, where: Path
) -> dict[str, bytes] | None:
    version = params.api_version
    if version is None and (found := ctx.first_set(*spec.version_env)):
        version = found[1]
    version = version or spec.default_version
    if params.api_version is not None and spec.default_version is None:
        ctx.warning((*where, "api_version"), f"the provider {spec.name} has no versions; it has no effect")
    extra = dict(params.extra_headers)
    if params.organization is not None:
        extra.setdefault("OpenAI-Organization", params.organization)
    try:
        return render(spec, address, model=model, version=version, auth=access.header, extra=extra)
    except ValueError as error:
        ctx.error(where, str(error))
        return None


def _mode(spec: ProviderSpec, model: str) -> str:
    if "embed" in model.lower():
        return EMBEDDING
    if "rerank" in model.lower():
        return RERANK
    return COMPLETION if spec.name == "text-completion-openai" else CHAT


def _prices(ctx: Context, spec: ProviderSpec, model: str, entry: ModelEntry, path: Path, kind: str) -> Prices | None:
    """The configuration's prices, else the table's for `base_model` or the model."""
    own = configured_prices(entry.litellm_params, entry.model_info)
    if own is not None:
        return own
    if kind == "demo":
        return DEMO_PRICES
    base = entry.model_info.base_model
    if base is not None:
        prefix, slash, rest = base.partition("/")
        named = ctx.providers.get(prefix) if slash else None
        found = ctx.prices.find(named.price_provider, rest) if named else ctx.prices.find(spec.price_provider, base)
        found = found or ctx.prices.find_anywhere(rest if named else base)
    elif "*" in model:
        if spec.price_provider is not None:
            return None
        found = None
    else:
        found = ctx.prices.find(spec.price_provider, model)
        if found is None and spec.dialect == "litellm":
            found = litellm_prices(spec.name, model)
    if found is None and kind == "http":
        what = "a wildcard has" if "*" in model else f"model {entry.model_name} has"
        ctx.warning(
            path,
            f"{what} no price: its requests are counted as unpriced",
            "set input_cost_per_token and output_cost_per_token, or model_info.base_model",
        )
    return found


def _info(ctx: Context, path: Path, id: str, mode: str, prices: Prices | None) -> bytes:
    """`model_info` as shown, JSON: what was written less secrets, the id and mode in use, the prices in dollars."""
    node = ctx.root.get((*path, "model_info"))
    written = masked(node) if node is not None else None
    shown: dict[str, Any] = {
        "db_model": False,
        **(written if isinstance(written, dict) else {}),
        "id": id,
        "mode": mode,
    }
    if prices is not None:
        shown["input_cost_per_token"] = prices.input / PICO_PER_DOLLAR
        shown["output_cost_per_token"] = prices.output / PICO_PER_DOLLAR
    return msgspec.json.encode(shown)
