"""Compiles how counters are shared with other machines."""

from __future__ import annotations

import importlib.util
from urllib.parse import quote, urlsplit

from routeiq.config.context import Context
from routeiq.config.report import NOWHERE, Path
from routeiq.core.snapshot import Shared

_SCHEMES = ("redis", "rediss", "unix")


def compile_shared(ctx: Context) -> Shared | None:
    """Where Redis is, and how it is used; `None` where no Redis is named."""
    own = ctx.config.routeiq.shared
    given = {name: value for name, value in own if value is not None and name != "redis_url"}
    url, where = _url(ctx)
    if url is None:
        if given:
            hint = "set routeiq.shared.redis_url or REDIS_URL"
            ctx.report.error(NOWHERE, ("routeiq", "shared"), "needs a Redis to share the counters over", hint)
        return None
    try:
        parts = urlsplit(url)
        sound = parts.scheme in _SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        ctx.report.error(NOWHERE, where, "is no address of a Redis", "write redis://user:password@host:6379/0")
        return None
    if importlib.util.find_spec("redis") is None:
        message, hint = "sharing counters needs a package that is not installed", "pip install 'routeiq[redis]'"
        if where == ("REDIS_URL",) or where == ("REDIS_HOST",):
            # It may be there for another program.
            ctx.report.warning(NOWHERE, where, message, hint)
            return None
        ctx.report.error(NOWHERE, where, message, hint)
        return None
    return Shared(url=url, **given)


def _url(ctx: Context) -> tuple[str | None, Path]:
    """The first that is there: ours, LiteLLM's settings, LiteLLM's variables."""
    router, environ = ctx.config.router, ctx.environ
    if ctx.config.routeiq.shared.redis_url is not None:
        return ctx.config.routeiq.shared.redis_url, ("routeiq", "shared", "redis_url")
    if router.redis_url is not None:
        return router.redis_url, ("router_settings", "redis_url")
    if router.redis_host is not None:
        url = _built(
            router.redis_host,
            str(router.redis_port or 6379),
            router.redis_username or "",
            router.redis_password or "",
            str(router.redis_db or 0),
            tls=router.redis_ssl,
        )
        return url, ("router_settings", "redis_host")
    if environ.get("REDIS_URL"):
        return environ["REDIS_URL"], ("REDIS_URL",)
    if environ.get("REDIS_HOST"):
        url = _built(
            environ["REDIS_HOST"],
            environ.get("REDIS_PORT") or "6379",
            environ.get("REDIS_USERNAME") or "",
            environ.get("REDIS_PASSWORD") or "",
            environ.get("REDIS_DB") or "0",
            tls=environ.get("REDIS_SSL", "").lower() in ("1", "true", "yes"),
        )
        return url, ("REDIS_HOST",)
    return None, ()


def _built(host: str, port: str, user: str, password: str, number: str, *, tls: bool) -> str:
    who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    return f"{'rediss' if tls else 'redis'}://{who}{host}:{port}/{number}"
