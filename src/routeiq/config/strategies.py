"""Compiles strategies that rank candidates, with the trained artifacts some of them need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import msgspec

from routeiq.config.artifacts import Untrusted, trust_of, verify
from routeiq.config.context import Context
from routeiq.config.report import Path, did_you_mean
from routeiq.config.schema.types import seconds
from routeiq.core.artifacts import MANIFEST
from routeiq.core.routing import BALANCING, PLAYING, RANKING, ArtifactFiles, Choosing

RELOAD_SECONDS = 10.0
"""Between two looks whether `model_path` leads to another artifact."""
_OF_ARTIFACTS = frozenset(("model_path", "model_s3_bucket", "model_s3_key", "hot_reload", "reload_interval"))
WITHIN = "strategies"
"""The argument that holds the strategies another one is made of."""
_ALIASES = {"usage-based-routing": "usage-based-routing-v2", "provider-budget-routing": "simple-shuffle"}
"""LiteLLM's older names; providers over their budget are left out by any strategy."""


def compile_strategy(ctx: Context) -> tuple[str, Choosing | None]:
    """The router's strategy, and how it is made where it ranks."""
    router = ctx.config.router
    name = _ALIASES.get(router.routing_strategy, router.routing_strategy)
    where: Path = ("router_settings", "routing_strategy")
    if name in BALANCING:
        if router.routing_strategy_args:
            ctx.warning(("router_settings", "routing_strategy_args"), f"has no effect on {name}")
        return name, None
    if name in PLAYING and not ctx.config.routeiq.auto_models:
        ctx.error(where, f"{name} asks several models: it needs an auto model", "add routeiq.auto_models: {auto: {}}")
    arguments: Path = ("router_settings", "routing_strategy_args")
    if name in PLAYING:
        return "simple-shuffle", None  # the deployments of one model are as good as each other
    return name, compile_choosing(ctx, name, router.routing_strategy_args, where, arguments)


def compile_choosing(ctx: Context, name: str, args: Mapping[str, Any], where: Path, arguments: Path) -> Choosing:
    """A strategy with its arguments; what is wrong with it goes to the report."""
    if name not in RANKING:
        known = (*RANKING, *BALANCING)
        ctx.error(where, f"no routing strategy is called {name}", did_you_mean(name, known) or _list(known))
    within = []
    named = args.get(WITHIN) or []
    if not isinstance(named, list):
        ctx.error((*arguments, WITHIN), "must be a list of strategies")
        named = []
    for index, entry in enumerate(named):
        place: Path = (*arguments, WITHIN, index)
        entry = {"strategy": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not isinstance(entry.get("strategy"), str):
            ctx.error(place, "must name a strategy: {strategy: NAME, args: {…}}")
            continue
        own = entry.get("args") or {}
        if not isinstance(own, dict):
            ctx.error((*place, "args"), "must be a map")
            continue
        if entry["strategy"] in PLAYING:
            ctx.error(place, f"{entry['strategy']} asks models itself: it can't be part of {name}")
            continue
        within.append(compile_choosing(ctx, entry["strategy"], own, (*place, "strategy"), (*place, "args")))
    artifact, rest = _artifact(ctx, args, arguments)
    for argument, value in rest.items():
        try:
            msgspec.msgpack.encode(value)
        except (OverflowError, TypeError, RecursionError) as error:
            ctx.error((*arguments, argument), f"can't be given to workers: {error}")
            return Choosing(strategy=name)
    return Choosing(strategy=name, args=rest, artifact=artifact, within=tuple(within))


def model_path(args: Mapping[str, Any]) -> Any:
    """Where the arguments say a trained artifact is; `None` where they say nothing."""
    if args.get("model_path") is None and args.get("model_s3_bucket") is not None:
        return f"s3://{args['model_s3_bucket']}/{args.get('model_s3_key') or ''}".rstrip("/")
    return args.get("model_path")


def local_directory(source: str) -> FilePath:
    """The directory of an artifact that is named by itself or by its manifest."""
    place = FilePath(source).expanduser()
    return place.parent if place.name == MANIFEST else place


def _artifact(ctx: Context, args: Mapping[str, Any], arguments: Path) -> tuple[ArtifactFiles | None, dict[str, Any]]:
    """The trained artifact, verified, and the arguments that are the strategy's own."""
    rest = {name: value for name, value in args.items() if name not in _OF_ARTIFACTS}
    source = model_path(args)
    if source is None:
        for name in _OF_ARTIFACTS & args.keys():
            ctx.error((*arguments, name), "needs model_path")
        return None, rest
    where: Path = (*arguments, "model_path")
    if not isinstance(source, str) or not source:
        ctx.error(where, "must be a directory, or a URL of an object store")
        return None, rest
    try:
        interval = seconds(args.get("reload_interval", RELOAD_SECONDS))
    except ValueError as error:
        ctx.error((*arguments, "reload_interval"), str(error))
        return None, rest
    if "://" in source:
        if source not in ctx.copies:
            return None, rest  # which has been told
        directory = ctx.copies[source]
    else:
        directory = local_directory(source).resolve()
    try:
        files = verify(directory, trust_of(ctx.environ))
    except Untrusted as error:
        ctx.error(where, str(error))
        return None, rest
    hot = args.get("hot_reload", True) is not False
    return ArtifactFiles(path=str(directory), files=files, source=source, interval=interval if hot else 0.0), rest


def _list(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}"
