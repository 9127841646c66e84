"""`routeiq providers`: who can be called, how, and whether it answers.

test: one-model configuration ─► `routeiq serve` on loopback ─► one tiny request ─► status, tokens, cost
"""

from __future__ import annotations

import http.client
import json as jsonlib
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routeiq.cli.gateway import GatewayFailed, free_port, gateway
from routeiq.cli.place import Json, fail
from routeiq.config.longtail import INSTALL, sdk_installed
from routeiq.config.report import did_you_mean
from routeiq.core.provider import CAPABILITIES, DIALECTS, ProviderSpec, resolve
from routeiq.providers.catalog import load_catalog

ANSWER_TOKENS = 64
"""Room for a model that thinks before it says OK."""

providers_app = App(name="providers", help="Look at the providers that can be called, and try one.")


class Tested(msgspec.Struct):
    """What `providers test --json` prints. Cost in dollars, `""` without a price."""

    model: str
    endpoint: str
    ok: bool = False
    status: int = 0
    milliseconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: str = ""
    call_id: str = ""
    error: str = ""


@providers_app.command(name="list")
def list_(
    *,
    json: Json = False,
    dialect: str | None = None,
    capability: str | None = None,
    everyone: Annotated[bool, Parameter(name="--all", negative="")] = False,
) -> int:
    """List the providers that are served.

    Parameters
    ----------
    dialect
        Only those that speak this: `openai`, `anthropic`, `gemini`, `bedrock`, …
    capability
        Only those with this among what their models can do: `chat`, `embeddings`, `rerank`, …
    everyone
        Those too that are known and not served.
    """
    for given, known, what in ((dialect, DIALECTS, "dialect"), (capability, CAPABILITIES, "capability")):
        if given is not None and given not in known:
            return fail(f"no {what} is called {given}; there are {', '.join(known)}")
    found = [
        spec
        for spec in load_catalog().values()
        if (spec.served or everyone)
        and (dialect is None or (spec.served and dialect in _dialects(spec)))
        and (capability is None or (spec.served and capability in spec.capabilities))
    ]
    if json:
        print(jsonlib.dumps([_facts(spec) for spec in found], indent=2))
        return 0
    table = Table("provider", "dialect", "key", "can")
    for spec in found:
        if spec.served:
            keys = " or ".join(f"[green]{key}[/]" if os.environ.get(key) else key for key in spec.key_env)
            table.add_row(spec.name, ", ".join(_dialects(spec)), keys or "-", " ".join(spec.capabilities))
        else:
            table.add_row(spec.name, "-", "-", f"not served: {spec.reason}", style="dim")
    console = Console(highlight=False)
    console.print(table)
    if any(spec.served and spec.dialect == "litellm" for spec in found) and not sdk_installed():
        console.print(f"those of the dialect litellm need LiteLLM's SDK: {escape(INSTALL)}", soft_wrap=True)
    return 0


@providers_app.command
def show(name: str, /, *, json: Json = False) -> int:
    """Tell what is known about a provider.

    Parameters
    ----------
    name
        As in `provider/model`.
    """
    spec = _find(name)
    if spec is None:
        return 1
    if json:
        print(jsonlib.dumps(_facts(spec), indent=2))
        return 0
    console = Console(highlight=False)
    for label, value in _lines(spec):
        console.print(f"[bold]{label:<14}[/]{value}", soft_wrap=True)
    return 0


@providers_app.command(name="test")
def try_one(
    model: str,
    /,
    *,
    api_key_env: str | None = None,
    api_base: str | None = None,
    timeout: float = 60.0,
    json: Json = False,
) -> int:
    """Send one tiny request through a gateway with this one model. The exit status is 1 when it fails.

    Parameters
    ----------
    model
        `provider/model`, as in `litellm_params.model`.
    api_key_env
        The environment variable with the key. Default: the provider's own.
    api_base
        Where to call it instead of its usual address.
    timeout
        Seconds to wait for the answer.
    """
    name, slash, rest = model.partition("/")
    if not slash or not rest or "*" in rest:
        return fail("name one model as provider/model, for instance openai/gpt-4o-mini")
    spec = _find(name)
    if spec is None:
        return 1
    if not spec.served:
        return fail(f"{name} is not served: {spec.reason}")
    if spec.dialect == "litellm" and not sdk_installed():
        return fail(f"{name} is served by LiteLLM's SDK, which is not installed: {INSTALL}")
    if api_key_env is not None and not os.environ.get(api_key_env):
        return fail(f"the environment variable {api_key_env} is not set")
    tested = _try(resolve(spec, rest)[0], model, api_key_env, api_base, timeout)
    if json:
        print(msgspec.json.format(msgspec.json.encode(tested)).decode())
    else:
        _report(tested)
    return 0 if tested.ok else 1


def _try(spec: ProviderSpec, model: str, key_env: str | None, base: str | None, timeout: float) -> Tested:
    """Start a gateway, call it once."""
    endpoint, body = _question(spec, model)
    tested = Tested(model, endpoint)
    params: dict[str, Any] = {"model": model, "timeout": timeout}
    if key_env is not None:
        params["api_key"] = f"os.environ/{key_env}"
    if base is not None:
        params["api_base"] = base
    names = {key_env or "", *spec.key_env, *spec.base_env, *spec.version_env}
    keep = {name: value for name, value in os.environ.items() if name in names}
    if spec.dialect == "litellm":
        # LiteLLM looks for more than the key in the environment: accounts, regions, addresses.
        named = tuple(f"{prefix}_" for prefix in (spec.name.upper(), *(key.partition("_")[0] for key in spec.key_env)))
        keep |= {name: value for name, value in os.environ.items() if name.startswith(named)}
    config = {
        "model_list": [{"model_name": model, "litellm_params": params}],
        "router_settings": {"num_retries": 0},
    }
    with tempfile.TemporaryDirectory(prefix="routeiq-test-") as directory:
        path = Path(directory) / "config.yaml"
        path.write_text(jsonlib.dumps(config))
        try:
            with gateway(["--config", str(path)], free_port(), Path(directory), keep) as (_, url):
                _call(tested, url, body, timeout)
        except GatewayFailed as failed:
            tested.error = f"the gateway did not start: {failed}"
            if base is not None and key_env is None and spec.key_env:
                tested.error += f"\nwith --api-base the key is to be named: --api-key-env {spec.key_env[0]}"
    return tested


def _question(spec: ProviderSpec, model: str) -> tuple[str, dict[str, Any]]:
    """(endpoint, body) of the smallest request such a model answers."""
    can, name = spec.capabilities, model.lower()
    if "rerank" in can and "rerank" in name:
        return "/v1/rerank", {"model": model, "query": "OK", "documents": ["OK", "not"]}
    if "chat" in can and not ("embeddings" in can and "embed" in name):
        limit = str(spec.quirks.get("max_tokens_field", "max_tokens"))
        return "/v1/chat/completions", {
            "model": model,
            "messages": [{"role": "user", "content": "Say OK."}],
            limit: ANSWER_TOKENS,
        }
    if "embeddings" in can:
        return "/v1/embeddings", {"model": model, "input": "OK"}
    return "/v1/completions", {"model": model, "prompt": "Say OK.", "max_tokens": ANSWER_TOKENS}


def _call(tested: Tested, url: str, body: dict[str, Any], timeout: float) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout + 10)
    started = time.perf_counter()
    try:
        connection.request("POST", tested.endpoint, jsonlib.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = jsonlib.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        tested.error = f"{type(error).__name__}: {error}"
        return
    finally:
        tested.milliseconds = round((time.perf_counter() - started) * 1e3, 1)
        connection.close()
    tested.status = response.status
    tested.call_id = response.headers.get("x-litellm-call-id", "")
    tested.cost = response.headers.get("x-litellm-response-cost", "")
    tested.ok = response.status == 200
    if tested.ok:
        usage = answer.get("usage") or answer.get("meta", {}).get("tokens") or {}
        tested.prompt_tokens = usage.get("prompt_tokens") or usage.get("input_tokens") or 0
        tested.completion_tokens = usage.get("completion_tokens") or usage.get("output_tokens") or 0
    else:
        told = answer.get("error")
        tested.error = str(told.get("message") if isinstance(told, dict) else answer)


def _report(tested: Tested) -> None:
    console = Console(highlight=False)
    console.print(f"{tested.model}: " + ("[green]it answers[/]" if tested.ok else "[red]it failed[/]"), soft_wrap=True)
    if tested.status:
        console.print(f"status   {tested.status}")
        console.print(f"latency  {tested.milliseconds:.0f} ms")
    if tested.ok:
        console.print(f"tokens   {tested.prompt_tokens} in, {tested.completion_tokens} out")
        console.print(f"cost     {'$' + tested.cost if tested.cost else 'no price is known'}")
    if tested.error:
        console.print(tested.error, style="red", markup=False, soft_wrap=True)


def _find(name: str) -> ProviderSpec | None:
    """The provider; when there is none, that is told."""
    catalog = load_catalog()
    spec = catalog.get(name)
    if spec is None:
        hint = did_you_mean(name, catalog) or "`routeiq providers list` names them"
        fail(f"no provider is called {name}; {hint}")
    return spec


def _dialects(spec: ProviderSpec) -> list[str]:
    return list(dict.fromkeys((spec.dialect, *(variant.dialect or spec.dialect for variant in spec.variants))))


def _facts(spec: ProviderSpec) -> dict[str, Any]:
    """All that is known, defaults written out."""
    if not spec.served:
        return {"name": spec.name, "served": False, "reason": spec.reason}
    facts: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(spec))
    del facts["reason"]
    return facts


def _lines(spec: ProviderSpec) -> list[tuple[str, str]]:
    if not spec.served:
        return [("provider", spec.name), ("not served", spec.reason)]
    base = spec.base_url or ("LiteLLM's SDK knows" if spec.dialect == "litellm" else "give api_base")
    lines = [("provider", spec.name), ("dialect", spec.dialect)]
    if spec.dialect == "litellm":
        lines.append(("LiteLLM's SDK", "is installed" if sdk_installed() else f"is not installed: {escape(INSTALL)}"))
    else:
        lines.append(("credentials", spec.auth))
    lines.append(("base", " or ".join((base, *spec.base_env))))
    if spec.key_env:
        keys = (f"{key} (set)" if os.environ.get(key) else key for key in spec.key_env)
        lines.append(("key", " or ".join(keys) + ("" if spec.key_required else " (optional)")))
    if spec.default_version:
        lines.append(("api_version", spec.default_version))
    lines += [(operation, path) for operation, path in spec.paths.items() if path]
    lines += [(f"quirk {name}", f" {jsonlib.dumps(value)}") for name, value in spec.quirks.items()]
    for variant in spec.variants:
        paths = ", ".join((variant.paths or {}).values()) or "as usual"
        lines.append(("models", f"{variant.match}: {variant.dialect or spec.dialect}, {paths}"))
    lines.append(("can", ", ".join(spec.capabilities)))
    prices = "LiteLLM's list" if spec.dialect == "litellm" else "only as configured"
    lines.append(("prices", f"genai-prices, {spec.price_provider}" if spec.price_provider else prices))
    return lines
