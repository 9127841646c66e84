"""Who can be translated to whom: codecs by the endpoint clients ask, and by the dialect providers speak."""

from __future__ import annotations

from routeiq.core.snapshot import CHAT, COMPLETION, COUNT_TOKENS, MESSAGES
from routeiq.providers.translate.anthropic.client import AnthropicClient, AnthropicCountClient
from routeiq.providers.translate.anthropic.provider import AnthropicProvider
from routeiq.providers.translate.codec import ClientCodec, CountClientCodec, ProviderCodec, TokenCounter
from routeiq.providers.translate.embed import EmbedClientCodec, EmbedProviderCodec, RerankProviderCodec
from routeiq.providers.translate.openai.client import OpenAIClient
from routeiq.providers.translate.openai.completions import CompletionsClient
from routeiq.providers.translate.openai.provider import OpenAIProvider

_openai, _anthropic = OpenAIProvider(), AnthropicProvider()

CHAT_CLIENTS: dict[str, ClientCodec] = {
    CHAT: OpenAIClient(),
    COMPLETION: CompletionsClient(),
    MESSAGES: AnthropicClient(),
}
COUNT_CLIENTS: dict[str, CountClientCodec] = {COUNT_TOKENS: AnthropicCountClient()}
EMBED_CLIENTS: dict[str, EmbedClientCodec] = {}

CHAT_PROVIDERS: dict[str, ProviderCodec] = {"openai": _openai, "demo": _openai, "anthropic": _anthropic}
COUNTERS: dict[str, TokenCounter] = {"anthropic": _anthropic}
EMBED_PROVIDERS: dict[str, EmbedProviderCodec] = {}
RERANKERS: dict[str, RerankProviderCodec] = {}
