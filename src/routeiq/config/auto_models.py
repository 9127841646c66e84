"""Compiles auto models: their candidates, and the strategies that choose among them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from routeiq.config.context import Context
from routeiq.config.groups import Names, unknown
from routeiq.config.report import Path, did_you_mean
from routeiq.config.schema.routing import AutoModelSettings, WishSettings
from routeiq.config.stored import stores_models
from routeiq.config.strategies import compile_choosing
from routeiq.core.routing import RANKING, AutoModel, Choosing, Wishes
from routeiq.core.snapshot import CHAT, Deployment, Group

DEFAULT = "llmrouter-nadirclaw-centroid"
"""Of an auto model that names no strategy where the router's own ranks nothing: it needs no training."""


def compile_auto_models(ctx: Context, names: Names, deployments: Sequence[Deployment]) -> dict[str, AutoModel]:
    """Every auto model by its name."""
    found: dict[str, AutoModel] = {}
    for name, settings in ctx.config.routeiq.auto_models.items():
        where: Path = ("routeiq", "auto_models", name)
        if name in names.groups:
            ctx.error(where, f"a model of model_list is called {name} too")
        elif "*" in name:
            ctx.error(where, "must be one name, without a *")
        if settings.residency and not settings.region:
            ctx.error((*where, "residency"), "needs region: where data has to stay")
        models = _candidates(ctx, settings, names, deployments, where)
        found[name] = AutoModel(
            name=name,
            models=models,
            choosing=_choosing(ctx, settings, where),
            wishes=compile_wishes(settings),
            session_ttl=settings.session_ttl,
        )
    return found


def compile_wishes(settings: WishSettings) -> Wishes:
    """What is set of them."""
    given = {name: getattr(settings, name) for name in WishSettings.model_fields}
    given["excluded"] = tuple(given["excluded"] or ())
    return Wishes(**{name: value for name, value in given.items() if value is not None})


def _choosing(ctx: Context, settings: AutoModelSettings, where: Path) -> Choosing:
    if settings.strategy is not None:
        return compile_choosing(ctx, settings.strategy, settings.args, (*where, "strategy"), (*where, "args"))
    router = ctx.config.router
    arguments: Path = ("router_settings", "routing_strategy_args")
    if settings.args:
        ctx.error((*where, "args"), "needs strategy")
    if router.routing_strategy in RANKING:
        return compile_choosing(ctx, router.routing_strategy, router.routing_strategy_args, where, arguments)
    return Choosing(strategy=DEFAULT)


def _candidates(
    ctx: Context, settings: AutoModelSettings, names: Names, deployments: Sequence[Deployment], where: Path
) -> tuple[str, ...]:
    chatting = [
        name
        for name, group in names.groups.items()
        if "*" not in name and not group.hidden and _chats(group, deployments)
    ]
    if settings.models is None:
        if not chatting and not ctx.report.errors and not stores_models(ctx):
            ctx.error(where, "no model of model_list can be a candidate")
        return tuple(chatting)
    if not settings.models:
        ctx.error((*where, "models"), "must name a model; leave it out for all of them")
    found: dict[str, None] = {}
    for index, pattern in enumerate(settings.models):
        place: Path = (*where, "models", index)
        if "*" in pattern:
            fitting = [name for name in chatting if fnmatchcase(name, pattern)]
        elif names.aliases.get(pattern, pattern) in names.auto:
            ctx.error(place, f"{pattern} is an auto model, and can't be a candidate of one")
            continue
        else:
            group = names.groups.get(names.aliases.get(pattern, pattern))
            if group is not None and group.deployments and not _chats(group, deployments):
                mode = deployments[group.deployments[0]].mode
                ctx.error(place, f"{pattern} does not chat, its mode is {mode}: it can't be a candidate")
                continue
            fitting = [pattern] if names.known(pattern) else []
        if not fitting:
            unknown(ctx, place, pattern, did_you_mean(pattern, names.groups))
        found.update(dict.fromkeys(fitting))
    return tuple(found)


def _chats(group: Group, deployments: Sequence[Deployment]) -> bool:
    return any(deployments[position].mode == CHAT for position in group.deployments)
