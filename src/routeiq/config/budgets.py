"""Compiles the limits that are nobody's in particular: of the gateway, of providers, of runs of agents."""

from __future__ import annotations

from routeiq.config.context import Context
from routeiq.config.report import Path, did_you_mean
from routeiq.config.schema.routeiq import RunSettings
from routeiq.core.keys import BudgetLimit, Subject
from routeiq.core.money import nano
from routeiq.core.snapshot import Deployment, Runs


def compile_gateway(ctx: Context) -> Subject | None:
    """What all requests together may come to; `None` without a limit."""
    settings = ctx.config.litellm
    if settings.budget_duration is not None and settings.max_budget is None:
        ctx.error(("litellm_settings", "budget_duration"), "needs max_budget")
    parallel = ctx.config.general.global_max_parallel_requests
    budgets: tuple[BudgetLimit, ...] = ()
    if settings.max_budget is not None:
        budgets = (BudgetLimit(amount=nano(settings.max_budget), duration=settings.budget_duration or ""),)
    if not budgets and parallel is None:
        return None
    return Subject(kind="global", id="", max_parallel_requests=parallel, budgets=budgets)


def compile_providers(ctx: Context, deployments: tuple[Deployment, ...]) -> dict[str, BudgetLimit]:
    """Budgets by provider."""
    served = {deployment.provider for deployment in deployments}
    out: dict[str, BudgetLimit] = {}
    for name, settings in ctx.config.router.provider_budget_config.items():
        path: Path = ("router_settings", "provider_budget_config", name)
        if name not in served and not ctx.report.errors:
            ctx.warning(path, f"no deployment is of the provider {name}; it has no effect", did_you_mean(name, served))
        out[name] = BudgetLimit(amount=nano(settings.budget_limit), duration=settings.time_period)
    return out


def compile_runs(ctx: Context) -> Runs | None:
    """What one run of an agent may come to; `None` without a limit."""
    settings = ctx.config.routeiq.runs
    if settings == RunSettings():
        return None
    given = {name: value for name, value in settings if value is not None}
    if "max_budget" in given:
        given["max_budget"] = nano(given["max_budget"])
    return Runs(**given)
