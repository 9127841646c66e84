"""Compiles public names: groups, wildcards, aliases and fallbacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from routeiq.config.context import Context
from routeiq.config.report import Path, did_you_mean
from routeiq.config.schema.router import Fallbacks
from routeiq.config.stored import stores_models
from routeiq.config.strategies import compile_strategy
from routeiq.core.snapshot import Deployment, Group, Wildcard
from routeiq.core.stored import StoredAccessGroup

DEFAULT_RETRIES = 2
ANY = "*"


@dataclass(frozen=True, slots=True)
class Names:
    """The public names of a Snapshot."""

    groups: dict[str, Group]
    wildcards: tuple[Wildcard, ...]
    aliases: dict[str, str]
    hidden_aliases: tuple[str, ...]
    auto: tuple[str, ...] = ()
    """Of auto models, behind which groups are chosen."""

    def known(self, name: str) -> bool:
        """Whether a request for this name finds something."""
        return name in self.groups or name in self.aliases or name in self.auto or self.fits_wildcard(name)

    def fits_wildcard(self, name: str) -> bool:
        """Whether a wildcard stands for this name."""
        return any(_fits(w, name) for w in self.wildcards)

    def all(self) -> list[str]:
        return [*self.auto, *self.groups, *self.aliases]


def _fits(wildcard: Wildcard, name: str) -> bool:
    long_enough = len(name) >= len(wildcard.prefix) + len(wildcard.suffix)
    return long_enough and name.startswith(wildcard.prefix) and name.endswith(wildcard.suffix)


def compile_names(ctx: Context, deployments: Sequence[Deployment]) -> Names:
    """Groups in the file's order with all that hangs on their names."""
    members = _members(ctx, deployments)
    wildcards = find_wildcards(members)
    auto = tuple(ctx.config.routeiq.auto_models)
    plain = Names({name: Group(name=name, deployments=()) for name in members}, wildcards, {}, (), auto)
    aliases, hidden = _aliases(ctx, plain)
    names = Names(plain.groups, wildcards, aliases, hidden, auto)
    general = _fallbacks(ctx, names, "fallbacks")
    window = _fallbacks(ctx, names, "context_window_fallbacks")
    policy = _fallbacks(ctx, names, "content_policy_fallbacks")
    default = _default_fallbacks(ctx, names)
    strategy, choosing = compile_strategy(ctx)
    retries = _first(ctx.config.router.num_retries, ctx.config.litellm.num_retries, DEFAULT_RETRIES)
    discoverable = _discoverable(ctx)
    teams = {entry.group: (entry.model_info.team_id or "", entry.public) for _, entry in ctx.config.models}
    groups = {
        name: Group(
            name=name,
            deployments=tuple(positions),
            strategy=strategy,
            choosing=choosing if len(positions) > 1 else None,
            num_retries=retries,
            fallbacks=_unique([*general.get(name, general.get(ANY, ())), *default], but=name),
            context_window_fallbacks=_unique(window.get(name, window.get(ANY, ())), but=name),
            content_policy_fallbacks=_unique(policy.get(name, policy.get(ANY, ())), but=name),
            hidden=name not in discoverable,
            team=teams[name][0] if name in teams else "",
            public=teams[name][1] if name in teams and teams[name][0] else "",
        )
        for name, positions in members.items()
    }
    _check_weights(ctx, groups, deployments)
    return Names(groups, wildcards, aliases, hidden, auto)


def find_wildcards(names: Iterable[str]) -> tuple[Wildcard, ...]:
    """The names with a `*`, most specific first: more fixed characters, then a longer prefix."""
    parts = ((name, name.partition("*")) for name in names if name.count("*") == 1)
    found = [Wildcard(prefix, suffix, name) for name, (prefix, _, suffix) in parts]
    return tuple(sorted(found, key=lambda w: (-len(w.prefix) - len(w.suffix), -len(w.prefix), w.group)))


def _members(ctx: Context, deployments: Sequence[Deployment]) -> dict[str, list[int]]:
    """Positions by group. Names of entries that were reported stay known, so that no mistake is told twice."""
    members: dict[str, list[int]] = {}
    models = ctx.root.get(("model_list",))
    if ctx.report.errors and models is not None and isinstance(models.value, list):
        for index in range(len(models.value)):
            node = ctx.root.get(("model_list", index, "model_name"))
            if node is not None and isinstance(node.value, str):
                members.setdefault(node.value, [])
    for position, deployment in enumerate(deployments):
        if not deployment.blocked:
            members.setdefault(deployment.group, []).append(position)
    return members


def compile_access_groups(ctx: Context, stored: Iterable[StoredAccessGroup]) -> dict[str, tuple[str, ...]]:
    """Public model names by the group's name: what `model_info.access_groups` says, and the database's groups."""
    found: dict[str, dict[str, None]] = {}
    for _, entry in ctx.config.models:
        for group in entry.model_info.access_groups:
            found.setdefault(group, {})[entry.public] = None
    for item in stored:
        found.setdefault(item.name, {}).update(dict.fromkeys(item.models))
    return {name: tuple(models) for name, models in found.items()}


def _discoverable(ctx: Context) -> set[str]:
    found = (entry for _, entry in ctx.config.models if entry.model_info.discoverable)
    return {entry.model_name for entry in found if not entry.model_info.team_id}


def _aliases(ctx: Context, names: Names) -> tuple[dict[str, str], tuple[str, ...]]:
    """`model_group_alias` with chains followed to a group."""
    declared = ctx.config.router.model_group_alias
    where: Path = ("router_settings", "model_group_alias")
    aliases: dict[str, str] = {}
    for alias, target in declared.items():
        name, seen = target.model, {alias}
        while name in declared and name not in names.groups and name not in seen:
            seen.add(name)
            name = declared[name].model
        if name in seen:
            ctx.error((*where, alias), f"leads back to {name}: no model is behind it")
        elif not names.known(name):
            unknown(ctx, (*where, alias), name, did_you_mean(name, names.groups))
        else:
            if alias in names.groups:
                ctx.warning((*where, alias), f"hides the model of the same name: requests for {alias} go to {name}")
            aliases[alias] = name
    return aliases, tuple(alias for alias in aliases if declared[alias].hidden)


def _setting(ctx: Context, name: str) -> tuple[Fallbacks, Path]:
    """A list of fallbacks and its place: `router_settings` wins over `litellm_settings`."""
    own: Fallbacks | None = getattr(ctx.config.router, name)
    if own is not None:
        return own, ("router_settings", name)
    general: Fallbacks | None = getattr(ctx.config.litellm, name)
    return general or [], ("litellm_settings", name)


def _fallbacks(ctx: Context, names: Names, setting: str) -> dict[str, tuple[str, ...]]:
    """Targets by group name (or `*`), aliases resolved."""
    entries, where = _setting(ctx, setting)
    out: dict[str, tuple[str, ...]] = {}
    for index, entry in enumerate(entries):
        for source, targets in entry.items():
            path: Path = (*where, index, source)
            group = names.aliases.get(source, source)
            if group not in names.groups and source != ANY:
                unknown(ctx, path, source, did_you_mean(source, names.all()))
                continue
            if group in out:
                ctx.error(path, f"{source} already has {setting}")
                continue
            out[group] = tuple(_targets(ctx, names, targets, path, group))
    return out


def _targets(ctx: Context, names: Names, targets: Sequence[str], path: Path, group: str) -> Iterable[str]:
    for index, target in enumerate(targets):
        resolved = names.aliases.get(target, target)
        if target in names.auto or resolved in names.auto:
            ctx.error((*path, index), f"{target} is an auto model, which has fallbacks of its own and can't be one")
        elif not names.known(target):
            unknown(ctx, (*path, index), target, did_you_mean(target, names.all()))
        elif resolved == group and group != ANY:
            ctx.error((*path, index), f"{group} can't fall back to itself")
        else:
            yield resolved


def unknown(ctx: Context, path: Path, name: str, hint: str) -> None:
    """A mistake; only a warning where models are in the database, which come and go and may be away."""
    tell = ctx.warning if stores_models(ctx) else ctx.error
    tell(path, f"no model is called {name}", hint)


def _default_fallbacks(ctx: Context, names: Names) -> tuple[str, ...]:
    own, where = ctx.config.router.default_fallbacks, "router_settings"
    if own is None:
        own, where = ctx.config.litellm.default_fallbacks, "litellm_settings"
    return tuple(_targets(ctx, names, own or (), (where, "default_fallbacks"), ANY))


def _check_weights(ctx: Context, groups: dict[str, Group], deployments: Sequence[Deployment]) -> None:
    for group in groups.values():
        weights = [deployments[position].weight for position in group.deployments]
        if weights and all(weight == 0 for weight in weights):
            index = next(i for i, entry in ctx.config.models if entry.group == group.name)
            where: Path = ("model_list", index, "litellm_params", "weight")
            ctx.error(where, f"every weight of {group.name} is 0: nothing could be chosen")


def _unique(names: Iterable[str], *, but: str) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if name != but)


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def matches_any(pattern: str, names: Names) -> bool:
    """Whether a key's model pattern allows at least one name."""
    if names.known(pattern):
        return True
    return any(fnmatchcase(name, pattern) for name in names.all())
