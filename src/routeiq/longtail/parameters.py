"""From a client's request to arguments of LiteLLM's functions: what a client may set, and what it may not.

https://docs.litellm.ai/docs/completion/input, https://platform.openai.com/docs/api-reference/chat/create

LiteLLM's functions take addresses, credentials and callbacks by the same door as a temperature: only what is named here
goes through it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.codec import HINTS, Fit

_CHAT = frozenset((
    "messages", "temperature", "top_p", "n", "stream", "stream_options", "stop", "max_tokens", "max_completion_tokens",
    "presence_penalty", "frequency_penalty", "logit_bias", "user", "tools", "tool_choice", "parallel_tool_calls",
    "response_format", "seed", "logprobs", "top_logprobs", "functions", "function_call", "reasoning_effort",
    "modalities", "prediction", "audio", "service_tier", "prompt_cache_key", "safety_identifier", "verbosity",
    "web_search_options", "thinking",
))  # fmt: skip
_OWN = frozenset((
    "top_k", "min_p", "top_a", "typical_p", "repetition_penalty", "length_penalty", "best_of", "ignore_eos",
    "min_tokens", "stop_token_ids", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
    "chat_template_kwargs",
))  # fmt: skip
"""What open models take besides."""
_EMBEDDING = frozenset(("input", "dimensions", "user", "encoding_format"))
_LABELS = frozenset((*HINTS.values(), "safety_identifier"))
_AS_USUAL: dict[str, object] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "parallel_tool_calls": True,
    "modalities": ["text"],
}
"""Values that ask for what happens anyway."""


def chat_arguments(request: dict[str, Any], supported: Collection[str] | None, fit: Fit) -> dict[str, Any]:
    """`supported`: OpenAI's parameters that LiteLLM knows the provider to take; `None` when it does not know.

    Raises `BadRequest` for what is no parameter of a model; LiteLLM itself refuses what this provider can't take.
    """
    if not isinstance(request.get("messages"), list) or not request["messages"]:
        raise BadRequest("messages must be a list with at least one message.", param="messages")
    out = _allowed(request, _CHAT | _OWN, fit)
    if supported is None:
        return out
    for name, other in (("max_completion_tokens", "max_tokens"), ("max_tokens", "max_completion_tokens")):
        if name in out and name not in supported and other in supported:
            out[other] = out.pop(name)
    for name in [name for name in out if name in _CHAT and name not in supported]:
        if name in _LABELS or (name in _AS_USUAL and out[name] == _AS_USUAL[name]):
            del out[name]
    return out


def embedding_arguments(request: dict[str, Any], fit: Fit) -> dict[str, Any]:
    """The same for embeddings; they are asked for as numbers, whatever the client wants."""
    if not request.get("input"):
        raise BadRequest("input must be text, or a list of texts.", param="input")
    out = _allowed(request, _EMBEDDING, fit)
    out.pop("encoding_format", None)
    out.pop("user", None)
    return out


def _allowed(request: dict[str, Any], names: Collection[str], fit: Fit) -> dict[str, Any]:
    out = {}
    for name, value in request.items():
        if name in names:
            if value is not None:
                out[name] = value
        elif name not in _LABELS and name != "model":
            fit.refuse(name)
    return out
