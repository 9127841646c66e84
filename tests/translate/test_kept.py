"""What a client asks for stands in the provider's body, or is refused or left out by name: never lost in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wishes import WISHES

from routeiq.core.errors import BadRequest
from routeiq.core.snapshot import CHAT
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.freetext import as_functions, text_tools
from routeiq.providers.translate.registry import CHAT_CLIENTS, CHAT_PROVIDERS

PROVIDERS: dict[str, tuple[str, Context]] = {
    "openai": ("openai", Context(provider="openai", model="gpt-4.1")),
    "gpt-5": ("openai", Context(provider="openai", model="gpt-5.1")),
    "vllm": ("openai", Context(provider="vllm", model="qwen", options={"reasoning_field": "reasoning_content"})),
    "deepseek": ("openai", Context(provider="deepseek", model="v3", options={"no_json_schema": "true"})),
    "anthropic": ("anthropic", Context(provider="anthropic", model="claude-sonnet-4-5")),
    "claude-3": ("anthropic", Context(provider="anthropic", model="claude-3-5-sonnet")),
    "gemini": ("gemini", Context(provider="gemini", model="gemini-2.5-flash")),
    "vertex": ("gemini", Context(provider="vertex_ai", model="gemini-3-pro")),
    "bedrock": ("bedrock", Context(provider="bedrock", model="anthropic.claude-sonnet-4-5-v1:0")),
    "nova": ("bedrock", Context(provider="bedrock", model="amazon.nova-pro-v1:0")),
    "cohere": ("cohere", Context(provider="cohere", model="command-a-03-2025")),
    "ollama": ("ollama", Context(provider="ollama", model="llama3.2")),
    "watsonx": ("watsonx", Context(provider="watsonx", model="ibm/granite-3")),
    "sagemaker": ("sagemaker", Context(provider="sagemaker_chat", model="endpoint")),
    "sagemaker_text": ("sagemaker_text", Context(provider="sagemaker", model="endpoint")),
    "replicate": ("replicate", Context(provider="replicate", model="meta/meta-llama-3-70b-instruct")),
}

CELLS = [(wish, client) for wish, found in WISHES.items() for client in found.bodies]
ALL = ("stop", "document of text", "many parts", "tools", "calls and results", "assistant first and last")
"""Wishes all of whose words must arrive; of the others one will do."""


def sent(client: str, provider: str, body: dict[str, Any], fit: Fit) -> str | BadRequest:
    """What the provider is told, with the client's custom tools as the pipeline hands them on, or why it is not."""
    dialect, context = PROVIDERS[provider]
    asked = CHAT_CLIENTS[client if client in CHAT_CLIENTS else CHAT].read(json.dumps(body).encode())
    if text_tools(asked):
        asked = as_functions(asked)
    try:
        outgoing = CHAT_PROVIDERS[dialect].write(asked, context, fit)
    except BadRequest as error:
        return error
    return (outgoing.body + outgoing.headers).decode()


@pytest.mark.parametrize("tolerant", [False, True], ids=["strict", "tolerant"])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("wish", "client"), CELLS)
def test_nothing_is_lost_in_silence(wish: str, client: str, provider: str, tolerant: bool) -> None:
    asked = WISHES[wish]
    fit = Fit(PROVIDERS[provider][1].provider, tolerant=tolerant)
    body = sent(client, provider, asked.bodies[client], fit)
    if isinstance(body, BadRequest):
        assert body.param, body.message
        assert body.param in asked.names, body.message
        assert not tolerant or body.code != "unsupported_parameter"
        return
    arrived = [word in body for word in asked.words]
    if all(arrived) if wish in ALL else any(arrived):
        return
    assert set(fit.dropped) & set(asked.names), (fit.dropped, body)
