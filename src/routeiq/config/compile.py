"""From validated sections to the Snapshot workers serve by.

model_list ──► deployments ──► groups, aliases, fallbacks ──► auth ──► Snapshot under a revision
"""

from __future__ import annotations

import hashlib
import importlib.util
from typing import Any

import msgspec

from routeiq.config import a2a, mcp
from routeiq.config.accounts import compile_accounts
from routeiq.config.alerting import compile_alerting
from routeiq.config.auth import compile_auth
from routeiq.config.auto_models import compile_auto_models
from routeiq.config.budgets import compile_gateway, compile_providers, compile_runs
from routeiq.config.context import Context
from routeiq.config.deployments import compile_deployments, wildcard_prices
from routeiq.config.groups import compile_access_groups, compile_names
from routeiq.config.report import Path
from routeiq.config.shared import compile_shared
from routeiq.config.stored import policies, stores_models, subjects
from routeiq.core.money import nano
from routeiq.core.signing import Signing
from routeiq.core.snapshot import (
    Alerting,
    Auth,
    Deployment,
    Export,
    Journal,
    Ledger,
    Limits,
    Longtail,
    Prompts,
    Resilience,
    Responses,
    Snapshot,
    Timeouts,
)
from routeiq.core.stored import Stored

NOTHING = Stored()
_sorted_json = msgspec.json.Encoder(order="sorted").encode
MEGABYTE = 1024 * 1024


def compile_snapshot(ctx: Context, *, host: str | None, now: float, stored: Stored = NOTHING) -> Snapshot:
    """Everything a worker needs. Only to be used when the report holds no errors afterwards.

    `host` is where the server listens; `None` when nobody listens, so that nobody is asked for a key. `now` is the
    time of creation in Unix seconds. Deployments and credentials of `stored` are in the Context already.
    """
    own, general = ctx.config.routeiq, ctx.config.general
    deployments = compile_deployments(ctx)
    access_groups = compile_access_groups(ctx, stored.access_groups)
    names = compile_names(ctx, deployments)
    found = ctx.config
    if not (found.models or found.mcp_servers or found.agents or ctx.report.errors):
        ctx.warning(("model_list",), "no models are configured")
    _check_upstreams(ctx, deployments)
    snapshot = Snapshot(
        revision="",
        created=0.0,
        deployments=deployments,
        groups=names.groups,
        auto_models=compile_auto_models(ctx, names, deployments),
        wildcards=names.wildcards,
        prices=wildcard_prices(ctx, deployments),
        aliases=names.aliases,
        hidden_aliases=names.hidden_aliases,
        timeouts=_timeouts(ctx),
        limits=_limits(ctx),
        resilience=_resilience(ctx),
        auth=compile_auth(ctx, names, access_groups, host) if host is not None else Auth(open=True),
        accounts=compile_accounts(ctx),
        journal=_journal(ctx),
        responses=Responses(**_given(ctx.config.routeiq.responses)),
        ledger=_ledger(ctx),
        timeout_status=own.timeout_status,
        mock_testing=general.dangerously_allow_mock_testing_request_params,
        gateway=compile_gateway(ctx),
        providers=compile_providers(ctx, deployments),
        runs=compile_runs(ctx),
        shared=compile_shared(ctx),
        end_users=stored.end_users or bool(ctx.config.litellm.max_end_user_budget_id),
        end_user_header=(general.user_header_name or "").lower() or None,
        tags=subjects(stored.tags),
        policies=policies(stored.policies),
        alerting=compile_alerting(ctx),
        access_groups=access_groups,
        store_models=stores_models(ctx),
        stored=stored.revision,
        mcp=mcp.compile_mcp(ctx, host),
        a2a=a2a.compile_a2a(ctx, host),
        drop_unpriced=own.unpriced_models == "reject",
    )
    return msgspec.structs.replace(snapshot, revision=revision_of(snapshot), created=now)


def revision_of(snapshot: Snapshot) -> str:
    """First 12 hex digits of the SHA-256 of what is served, as sorted JSON; what holds secrets is hashed first."""
    deployments = tuple(
        msgspec.structs.replace(
            deployment,
            heads={endpoint: hashlib.sha256(head).digest() for endpoint, head in deployment.heads.items()},
            proxy=hashlib.sha256(deployment.proxy.encode()).hexdigest() if deployment.proxy else None,
            signing=_without_secrets(deployment.signing),
            longtail=_digested(deployment.longtail),
        )
        for deployment in snapshot.deployments
    )
    shared = snapshot.shared
    if shared is not None:
        shared = msgspec.structs.replace(shared, url=hashlib.sha256(shared.url.encode()).hexdigest())
    alerting = snapshot.alerting
    if alerting is not None:
        alerting = Alerting(webhook=hashlib.sha256(alerting.webhook.encode()).hexdigest())
    plain = msgspec.structs.replace(
        snapshot,
        revision="",
        created=0.0,
        stored=0,
        deployments=deployments,
        shared=shared,
        alerting=alerting,
        mcp=mcp.digested(snapshot.mcp),
        a2a=a2a.digested(snapshot.a2a),
    )
    return hashlib.sha256(_sorted_json(plain)).hexdigest()[:12]


def _without_secrets(signing: Signing | None) -> Signing | None:
    if signing is None:
        return None
    params = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in signing.params.items()}
    return msgspec.structs.replace(signing, params=params)


def _digested(longtail: Longtail | None) -> Longtail | None:
    if longtail is None:
        return None
    return Longtail(arguments={"": hashlib.sha256(_sorted_json(longtail)).hexdigest()})


def _given(settings: Any) -> dict[str, Any]:
    """The fields of a section that are set."""
    return {name: value for name, value in settings if value is not None}


def _timeouts(ctx: Context) -> Timeouts:
    given = _given(ctx.config.routeiq.timeouts)
    if ctx.config.litellm.request_timeout is not None:
        given.setdefault("total", ctx.config.litellm.request_timeout)
    return Timeouts(**given)


def _limits(ctx: Context) -> Limits:
    general = ctx.config.general
    given = _given(ctx.config.routeiq.limits)
    if general.max_request_size_mb:
        body = int(general.max_request_size_mb * MEGABYTE)
        if given.setdefault("max_body", body) != body:
            ctx.warning(("general_settings", "max_request_size_mb"), "has no effect: routeiq.limits.max_body wins")
    if general.max_in_flight_requests_per_worker is not None:
        own = general.max_in_flight_requests_per_worker
        if given.setdefault("max_in_flight", own) != own:
            where: Path = ("general_settings", "max_in_flight_requests_per_worker")
            ctx.warning(where, "has no effect: routeiq.limits.max_in_flight wins")
    return Limits(**given)


def _resilience(ctx: Context) -> Resilience:
    router, litellm, own = ctx.config.router, ctx.config.litellm, ctx.config.routeiq.resilience
    given = _given(own)
    hedge = given.pop("hedge")
    if own.backoff_base is not None and own.backoff_max is not None and own.backoff_base > own.backoff_max:
        ctx.error(("routeiq", "resilience", "backoff_base"), "must not be over backoff_max")
    if hedge.after is None and hedge.quantile is None and (hedge.max_share is not None or hedge.max_cost is not None):
        ctx.error(("routeiq", "resilience", "hedge"), "needs after or quantile")
    given |= {f"hedge_{name}": value for name, value in _given(hedge).items()}
    if "hedge_max_cost" in given:
        given["hedge_max_cost"] = nano(given["hedge_max_cost"])
    fallbacks = router.max_fallbacks if router.max_fallbacks is not None else litellm.max_fallbacks
    if fallbacks is not None:
        given["max_fallbacks"] = fallbacks
    if router.cooldown_time is not None:
        given["cooldown_time"] = router.cooldown_time
    return Resilience(
        retry_after=router.retry_after,
        retries={_error_class(name): count for name, count in _given(router.retry_policy).items()},
        allowed_fails=router.allowed_fails if router.allowed_fails is not None else litellm.allowed_fails,
        disable_cooldowns=router.disable_cooldowns,
        **given,
    )


def _error_class(setting: str) -> str:
    """LiteLLM's class for a setting of `retry_policy`: the one for `TimeoutErrorRetries` is called `Timeout`."""
    name = setting.removesuffix("Retries")
    return "Timeout" if name == "TimeoutError" else name


def _journal(ctx: Context) -> Journal:
    journal = Journal(**_given(ctx.config.routeiq.journal))
    if journal.max_bytes < journal.segment_bytes:
        ctx.error(("routeiq", "journal", "max_bytes"), "must not be under segment_bytes")
    return journal


def _ledger(ctx: Context) -> Ledger:
    general = ctx.config.general
    return Ledger(
        retention=general.maximum_spend_logs_retention_period,
        interval=general.maximum_spend_logs_retention_interval or Ledger().interval,
        prompts=_prompts(ctx),
        export=_export(ctx),
    )


def _export(ctx: Context) -> Export | None:
    settings = ctx.config.routeiq.export
    if settings is None:
        return None
    if any(importlib.util.find_spec(name) is None for name in ("obstore", "pyarrow")):
        ctx.error(("routeiq", "export"), "needs the extra: pip install 'routeiq[export]'")
    return Export(**_given(settings))


def _prompts(ctx: Context) -> Prompts | None:
    settings = ctx.config.routeiq.prompts
    if not ctx.config.general.store_prompts_in_spend_logs:
        if settings is not None:
            ctx.warning(("routeiq", "prompts"), "has no effect without general_settings.store_prompts_in_spend_logs")
        return None
    given = _given(settings) if settings is not None else {}
    if "redact" in given:
        given["redact"] = tuple(given["redact"])
    return Prompts(**given)


def _check_upstreams(ctx: Context, deployments: tuple[Deployment, ...]) -> None:
    """`routeiq.upstreams` must reach something, and HTTP/2 needs its library."""
    hosts = {
        name for d in deployments for name in (d.host, f"{d.host}:{d.port}", f"[{d.host}]", f"[{d.host}]:{d.port}")
    }
    for index, upstream in enumerate(ctx.config.routeiq.upstreams):
        path: Path = ("routeiq", "upstreams", index)
        if upstream.host.lower() not in hosts and not ctx.report.errors:
            ctx.warning((*path, "host"), f"no deployment is on {upstream.host}; it has no effect")
    for name in ("h2", "httpx2") if any(d.via == "library" for d in deployments) else ():
        if importlib.util.find_spec(name) is None:
            ctx.error(
                ("routeiq", "upstreams"),
                "a proxy or HTTP/2 needs packages that are not installed",
                "pip install 'routeiq[http2]'",
            )
            break
