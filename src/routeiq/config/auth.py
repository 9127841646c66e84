"""Compiles who may call: the master key, static keys, or openly nobody in particular."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from routeiq.config.address import is_loopback
from routeiq.config.context import Context
from routeiq.config.groups import Names, matches_any
from routeiq.config.report import NOWHERE, Path, did_you_mean
from routeiq.config.schema.routeiq import KeySettings
from routeiq.core.keys import BudgetLimit, Key, ModelRule, ObjectPermission, Subject
from routeiq.core.money import nano
from routeiq.core.periods import Period
from routeiq.core.snapshot import Auth

MASTER_KEY_ENV = "LITELLM_MASTER_KEY"
_KEY = re.compile(r"[\x21-\x7e]{1,512}")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ANYONE_KNOWS = re.compile(
    r"(sk-)?(1234(5(6(7890?)?)?)?|test|admin|dev|local|secret|example|password|changeme|litellm"
    r"|(litellm-|your-)?(master-?)?key|master)"
)
"""Keys that stand in tutorials."""
ADMIN_KEYS_ENV = "ADMIN_API_KEYS"
PREFIX = "sk-riq-"
SHORT = 16
"""A key of fewer characters is called weak."""


def compile_auth(ctx: Context, names: Names, access_groups: Container[str], host: str) -> Auth:
    """Authentication for a server that listens on `host`. Starting open beyond this machine is an error."""
    general, own = ctx.config.general, ctx.config.routeiq
    master = _master(ctx)
    admin_keys = _admin_keys(ctx)
    keys = _keys(ctx, names, access_groups, master)
    header = general.litellm_key_header_name
    if header is not None and not _HEADER.fullmatch(header):
        ctx.error(("general_settings", "litellm_key_header_name"), "is not a header name")
    status = own.budget_exceeded_status or ctx.config.litellm.budget_exceeded_status_code or 422
    if not 400 <= status <= 499:
        ctx.error(("litellm_settings", "budget_exceeded_status_code"), "must be from 400 to 499")
    guarded = bool(master or keys or admin_keys or own.keys or own.key_lookup)
    return Auth(
        master_key=master,
        open=_open(ctx, host, guarded=guarded),
        admin_keys=admin_keys,
        keys=keys,
        lookup=guarded if own.key_lookup is None else own.key_lookup,
        key_header=header.lower() if header is not None else None,
        budget_exceeded_status=status,
        metrics_public=own.metrics_public,
        timezone=_timezone(ctx),
    )


def _timezone(ctx: Context) -> str:
    """The zone whose calendar budgets go by."""
    name = ctx.config.litellm.timezone
    try:
        Period("", name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        ctx.error(("litellm_settings", "timezone"), "is no time zone", "write one such as Europe/Berlin or UTC")
        return "UTC"
    return name


def digest(key: str) -> str:
    """A key as it is compared: hex SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()


def _master(ctx: Context) -> str | None:
    key = ctx.config.general.master_key
    where: Path = ("general_settings", "master_key")
    if key is None:
        key = ctx.environ.get(MASTER_KEY_ENV) or None
    if key is None:
        return None
    mark = ctx.root.mark_of(where) if ctx.config.general.master_key is not None else NOWHERE
    if not _KEY.fullmatch(key):
        message = "must be up to 512 visible ASCII characters without spaces"
        ctx.report.error(mark, where, message)
    elif _ANYONE_KNOWS.fullmatch(key.lower()):
        if not ctx.config.general.dangerously_permit_weak_or_unset_master_key:
            ctx.report.warning(mark, where, "is a key everyone knows from tutorials", "use a long random key")
    elif len(key) < SHORT and not ctx.config.general.dangerously_permit_weak_or_unset_master_key:
        ctx.report.warning(mark, where, f"is shorter than {SHORT} characters", "use a long random key")
    return digest(key)


def _admin_keys(ctx: Context) -> tuple[str, ...]:
    """`ADMIN_API_KEYS`, separated by commas: a key may be sent with its prefix or without."""
    found: dict[str, None] = {}
    for text in ctx.environ.get(ADMIN_KEYS_ENV, "").split(","):
        key = text.strip().removeprefix(PREFIX)
        if not text.strip():
            continue
        if not _KEY.fullmatch(key):
            message = f"the environment variable {ADMIN_KEYS_ENV} holds a key that is not visible ASCII characters"
            ctx.report.error(NOWHERE, (), message)
            continue
        if len(key) < SHORT:
            message = f"{ADMIN_KEYS_ENV} holds a key of fewer than {SHORT} characters"
            ctx.report.warning(NOWHERE, (), message, "use a long random key")
        found.update(dict.fromkeys((digest(key), digest(PREFIX + key))))
    return tuple(found)


def _open(ctx: Context, host: str, *, guarded: bool) -> bool:
    where: Path = ("routeiq", "allow_unauthenticated")
    permitted = ctx.config.routeiq.allow_unauthenticated
    if guarded:
        if permitted:
            ctx.warning(where, "has no effect: keys are configured, so a key is asked for")
        return False
    if ctx.broken(("general_settings", "master_key")):
        return False
    permitted = permitted or ctx.config.general.dangerously_permit_weak_or_unset_master_key
    if permitted or is_loopback(host):
        ctx.report.warning(NOWHERE, (), f"no key is configured: whoever reaches {host} may call every model")
        return True
    ctx.report.error(
        NOWHERE,
        ("general_settings", "master_key"),
        f"no key is configured and {host} can be reached from other machines",
        f"set general_settings.master_key or {MASTER_KEY_ENV}, or routeiq.allow_unauthenticated: true",
    )
    return False


def _keys(ctx: Context, names: Names, access_groups: Container[str], master: str | None) -> dict[str, Key]:
    out: dict[str, Key] = {}
    called: set[str] = set()
    for index, settings in enumerate(ctx.config.routeiq.keys):
        path: Path = ("routeiq", "keys", index)
        if settings.name in called:
            ctx.error((*path, "name"), f"another key is called {settings.name} as well")
        called.add(settings.name)
        id = _key_id(ctx, settings, path)
        if id is None:
            continue
        if id in out or id == master:
            other = "the master key" if id == master else out[id].name
            ctx.error(path, f"is the same key as {other}")
            continue
        out[id] = _key(ctx, settings, names, access_groups, id, path)
    return out


def _key_id(ctx: Context, settings: KeySettings, path: Path) -> str | None:
    if settings.key is not None and settings.hash is not None:
        ctx.error(path, "has both key and hash", "remove one")
        return None
    if settings.hash is not None:
        return settings.hash
    if settings.key is None:
        if not ctx.broken((*path, "key")):
            ctx.error(path, "needs a key or a hash", "write key: os.environ/NAME")
        return None
    if not _KEY.fullmatch(settings.key):
        ctx.error((*path, "key"), "must be up to 512 visible ASCII characters without spaces")
        return None
    if len(settings.key) < SHORT:
        ctx.warning((*path, "key"), f"is shorter than {SHORT} characters", "use a long random key")
    return digest(settings.key)


def _key(ctx: Context, settings: KeySettings, names: Names, access_groups: Container[str], id: str, path: Path) -> Key:
    for index, pattern in enumerate(settings.models):
        if pattern not in access_groups and not matches_any(pattern, names):
            hint = did_you_mean(pattern, names.all())
            ctx.warning((*path, "models", index), f"no model is called {pattern}", hint)
    if settings.budget_duration is not None and settings.max_budget is None:
        ctx.error((*path, "budget_duration"), "needs max_budget")
    budgets: tuple[BudgetLimit, ...] = ()
    if settings.max_budget is not None:
        budgets = (BudgetLimit(amount=nano(settings.max_budget), duration=settings.budget_duration or ""),)
    subject = Subject(
        kind="key",
        id=id,
        rpm=settings.rpm,
        tpm=settings.tpm,
        max_parallel_requests=settings.max_parallel_requests,
        budgets=budgets,
    )
    return Key(
        id=id,
        name=settings.name,
        admin=settings.admin,
        rules=(ModelRule(kind="key", models=tuple(settings.models)),) if settings.models else (),
        permissions=_permissions(settings),
        subjects=(subject,),
        expires=settings.expires,
        blocked=settings.blocked,
        tags=tuple(settings.tags),
    )


def _permissions(settings: KeySettings) -> tuple[ObjectPermission, ...]:
    if settings.object_permission is None:
        return ()
    return (msgspec.convert({"kind": "key", **settings.object_permission.model_dump()}, ObjectPermission),)
