"""What is known of a deployment's model besides its prices: windows, capabilities, size, region.

`model_info` says it in LiteLLM's words (https://docs.litellm.ai/docs/proxy/model_management); the size is also read
out of names such as `llama-3.1-8b`, the window out of genai-prices' table.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from routeiq.config.context import Context
from routeiq.config.report import Path
from routeiq.config.schema.model_list import LitellmParams, ModelInfo
from routeiq.core.provider import ProviderSpec
from routeiq.core.routing import Traits

SAID = {
    "supports_vision": ("vision",),
    "supports_audio_input": ("audio",),
    "supports_pdf_input": ("documents",),
    "supports_function_calling": ("tools",),
    "supports_response_schema": ("json", "schema"),
    "supports_reasoning": ("reasoning",),
}
"""LiteLLM's flags of `model_info`, and what they tell."""
_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z0-9])", re.I)
"""`70b`, `8x7B`: a mixture counts for all of its experts."""


def find_traits(
    ctx: Context, spec: ProviderSpec, model: str, params: LitellmParams, info: ModelInfo, path: Path
) -> Traits:
    """What the configuration says, and where it says nothing what the name and the table tell."""
    more: dict[str, Any] = info.model_extra or {}
    where: Path = (*path, "model_info")
    capabilities = {
        capability: more[flag] for flag, told in SAID.items() if isinstance(more.get(flag), bool) for capability in told
    }
    window = _tokens(ctx, more, "max_input_tokens", where) or _tokens(ctx, more, "max_tokens", where)
    size = more.get("size")
    billions = _billions(str(size)) if size is not None else _billions(model)
    if size is not None and billions is None:
        ctx.error((*where, "size"), "must be billions of parameters, such as 7B")
    region = more.get("region") or params.aws_region_name or params.region_name or params.vertex_location or ""
    url = params.engine_metrics_url or more.get("engine_metrics_url") or ""
    if url and not _is_address(url):
        ctx.error(where, "engine_metrics_url must be an http:// or https:// address")
    return Traits(
        context_window=window or ctx.prices.context_window(spec.price_provider, info.base_model or model),
        capabilities=capabilities,
        size=billions,
        region=str(region),
        metrics_url=str(url),
    )


def _tokens(ctx: Context, more: dict[str, Any], name: str, where: Path) -> int | None:
    value = more.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        ctx.error((*where, name), "must be a whole number of tokens, 1 or more")
        return None
    return value


def _is_address(url: Any) -> bool:
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _billions(text: str) -> float | None:
    found = _SIZE.search(text if not text.replace(".", "", 1).isdigit() else f"{text}b")
    return float(found[2]) * int(found[1] or 1) if found else None
