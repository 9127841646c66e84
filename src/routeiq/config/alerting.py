"""Compiles where somebody is told about budgets: `alerting: [webhook]` and `WEBHOOK_URL`, as LiteLLM has them.

https://docs.litellm.ai/docs/proxy/alerting
"""

from __future__ import annotations

from routeiq.config.address import parse_base
from routeiq.config.context import Context
from routeiq.config.report import NOWHERE, Path
from routeiq.core.snapshot import Alerting

WEBHOOK = "webhook"
URL_ENV = "WEBHOOK_URL"


def compile_alerting(ctx: Context) -> Alerting | None:
    """The webhook; `None` where nobody is told."""
    wanted = ctx.config.general.alerting or []
    where: Path = ("general_settings", "alerting")
    for index, name in enumerate(wanted):
        if name != WEBHOOK:
            ctx.warning((*where, index), f"{name} is not served: it has no effect", f"write {WEBHOOK}")
    if WEBHOOK not in wanted:
        return None
    url = ctx.environ.get(URL_ENV, "")
    if not url:
        ctx.error(where, f"webhook needs {URL_ENV} in the environment")
        return None
    try:
        address = parse_base(url.partition("?")[0])
    except ValueError as error:
        ctx.report.error(NOWHERE, (URL_ENV,), str(error), "write https://host/path")
        return None
    if address.scheme == "http" and address.public:
        ctx.report.warning(NOWHERE, (URL_ENV,), "is not encrypted on its way", "write https://")
    return Alerting(webhook=url)
