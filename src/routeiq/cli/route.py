"""`routeiq route`: which model a running gateway would choose for a prompt, and why."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from routeiq.cli.place import Json, StateDir, fail, state_directory
from routeiq.core.decisions import Decision, Option
from routeiq.supervisor.answers import Status
from routeiq.supervisor.client import NotRunning, ask

SECONDS = 30.0


def route(
    prompt: str = "-",
    *,
    model: Annotated[str, Parameter(name=["--model", "-m"])] = "auto",
    target_quality: float | None = None,
    max_cost: float | None = None,
    willingness_to_pay: float | None = None,
    profile: str | None = None,
    url: str | None = None,
    key: str | None = None,
    state_dir: StateDir = None,
    json: Json = False,
) -> int:
    """Show which model a prompt would be sent to, without sending it.

    Parameters
    ----------
    prompt
        The prompt, or - for standard input.
    model
        The auto model to ask for.
    target_quality
        Share of the best model's quality to be reached, 0 to 1.
    max_cost
        US dollars the request may be expected to cost.
    willingness_to_pay
        US dollars one unit of quality is worth.
    profile
        auto, eco, premium, free or reasoning.
    url
        The gateway. Default: LITELLM_PROXY_URL, else the one that runs here.
    key
        The key to ask with. Default: LITELLM_PROXY_API_KEY, else LITELLM_MASTER_KEY.
    """
    text = sys.stdin.read() if prompt == "-" else prompt
    wishes = {
        "target_quality": target_quality,
        "max_cost": max_cost,
        "willingness_to_pay": willingness_to_pay,
        "profile": profile,
    }
    asked = {name: value for name, value in wishes.items() if value is not None}
    body = {"model": model, "prompt": text, **({"metadata": {"routeiq": asked}} if asked else {})}
    try:
        where = url or os.environ.get("LITELLM_PROXY_URL") or _running(state_dir)
    except (NotRunning, TimeoutError) as error:
        return fail(f"{error}; name the gateway with --url")
    key = key or os.environ.get("LITELLM_PROXY_API_KEY") or os.environ.get("LITELLM_MASTER_KEY")
    try:
        found = _ask(where, key, msgspec.json.encode(body))
    except OSError as error:
        return fail(str(error))
    if json:
        print(found.decode())
    else:
        _show(msgspec.json.decode(found, type=Decision))
    return 0


def _running(state_dir: Any) -> str:
    url: str = ask(state_directory(state_dir), "status", Status, timeout=10).url
    return url


def _ask(url: str, key: str | None, body: bytes) -> bytes:
    """Raises `OSError` with what the gateway says."""
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url} is no http:// or https:// address")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/routing/explain", body, headers)  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            data: bytes = answer.read()
            return data
    except urllib.error.HTTPError as error:
        try:
            message = msgspec.json.decode(error.read())["error"]["message"]
        except (msgspec.DecodeError, KeyError, TypeError):
            message = f"{url} answered {error.code}"
        raise OSError(message) from None
    except urllib.error.URLError as error:
        raise OSError(f"{url} can't be reached: {error.reason}") from None


def _show(decision: Decision) -> None:
    console = Console(highlight=False)
    sure = f", confidence {decision.confidence:.2f}" if decision.confidence is not None else ""
    console.print(f"{decision.selected or 'nobody'}  by {decision.strategy}{sure}", style="bold", markup=False)
    if decision.reason:
        console.print(decision.reason, markup=False)
    table = Table("rank", "model", "provider", "quality", "cost", "score", "left out", box=None, pad_edge=False)
    for option in sorted(decision.candidates, key=lambda one: one.rank or sys.maxsize):
        table.add_row(*_cells(option))
    console.print(table)
    timings = decision.timings
    console.print(f"{timings.total} µs: filters {timings.filters}, strategy {timings.strategy}", style="dim")


def _cells(option: Option) -> tuple[str, ...]:
    return (
        str(option.rank or ""),
        option.model,
        option.provider,
        "" if option.quality is None else f"{option.quality:.3f}",
        "" if option.cost is None else f"${option.cost:.6f}",
        "" if option.score is None else f"{option.score:.4f}",
        option.removed,
    )
