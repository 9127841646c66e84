"""Who can be translated to whom: codecs by the endpoint clients ask, and by the dialect providers speak."""

from __future__ import annotations

from routeiq.core.snapshot import (
    CHAT,
    COHERE_CHAT,
    COHERE_EMBED,
    COMPLETION,
    COUNT_TOKENS,
    EMBEDDING,
    GENERATE,
    GENERATE_ARRAY,
    GENERATE_COUNT,
    GENERATE_EMBED,
    GENERATE_EMBEDS,
    MESSAGES,
    RERANK,
    RESPONSES,
)
from routeiq.providers.translate.anthropic.client import AnthropicClient, AnthropicCountClient
from routeiq.providers.translate.anthropic.provider import AnthropicProvider
from routeiq.providers.translate.bedrock.embeddings import BedrockEmbedProvider
from routeiq.providers.translate.bedrock.provider import BedrockProvider
from routeiq.providers.translate.codec import (
    ClientCodec,
    CountClientCodec,
    Pending,
    Prefixer,
    ProviderCodec,
    TokenCounter,
)
from routeiq.providers.translate.cohere.client import CohereClient
from routeiq.providers.translate.cohere.client_embeddings import CohereEmbedClient
from routeiq.providers.translate.cohere.embeddings import CohereEmbedProvider
from routeiq.providers.translate.cohere.provider import CohereProvider
from routeiq.providers.translate.cohere.rerank import Reranker
from routeiq.providers.translate.embed import (
    EmbedClientCodec,
    EmbedProviderCodec,
    RerankClientCodec,
    RerankProviderCodec,
)
from routeiq.providers.translate.gemini.client import GeminiClient, GeminiCountClient, GeminiEmbedClient
from routeiq.providers.translate.gemini.provider import GeminiProvider
from routeiq.providers.translate.ollama.provider import OllamaProvider
from routeiq.providers.translate.openai.client import OpenAIClient
from routeiq.providers.translate.openai.completions import CompletionsClient
from routeiq.providers.translate.openai.embeddings import OpenAIEmbedClient, OpenAIEmbedProvider
from routeiq.providers.translate.openai.provider import OpenAIProvider
from routeiq.providers.translate.replicate.provider import ReplicateProvider, pending
from routeiq.providers.translate.rerank import RerankClient
from routeiq.providers.translate.responses.client import ResponsesClient
from routeiq.providers.translate.sagemaker.provider import SagemakerProvider
from routeiq.providers.translate.sagemaker.text import SagemakerTextProvider
from routeiq.providers.translate.tei.provider import TeiProvider
from routeiq.providers.translate.watsonx.provider import WatsonxProvider

_openai, _anthropic, _gemini = OpenAIProvider(), AnthropicProvider(), GeminiProvider()
_openai_embed = OpenAIEmbedProvider()
_bedrock, _ollama, _watsonx = BedrockProvider(), OllamaProvider(), WatsonxProvider()
_sagemaker, _sagemaker_text = SagemakerProvider(), SagemakerTextProvider()
_tei = TeiProvider()

CHAT_CLIENTS: dict[str, ClientCodec] = {
    CHAT: OpenAIClient(),
    COMPLETION: CompletionsClient(),
    RESPONSES: ResponsesClient(),
    MESSAGES: AnthropicClient(),
    GENERATE: GeminiClient(),
    GENERATE_ARRAY: GeminiClient(array=True),
    COHERE_CHAT: CohereClient(),
}
COUNT_CLIENTS: dict[str, CountClientCodec] = {
    COUNT_TOKENS: AnthropicCountClient(),
    GENERATE_COUNT: GeminiCountClient(),
}
EMBED_CLIENTS: dict[str, EmbedClientCodec] = {
    EMBEDDING: OpenAIEmbedClient(),
    GENERATE_EMBED: GeminiEmbedClient(),
    GENERATE_EMBEDS: GeminiEmbedClient(),
    COHERE_EMBED: CohereEmbedClient(),
}
RERANK_CLIENTS: dict[str, RerankClientCodec] = {RERANK: RerankClient()}

CHAT_PROVIDERS: dict[str, ProviderCodec] = {
    "openai": _openai,
    "demo": _openai,
    "anthropic": _anthropic,
    "cohere": CohereProvider(),
    "gemini": _gemini,
    "bedrock": _bedrock,
    "ollama": _ollama,
    "watsonx": _watsonx,
    "replicate": ReplicateProvider(),
    "sagemaker": _sagemaker,
    "sagemaker_text": _sagemaker_text,
}
COUNTERS: dict[str, TokenCounter] = {"anthropic": _anthropic, "gemini": _gemini, "bedrock": _bedrock}
PREFIXERS: dict[str, Prefixer] = {"openai": _openai, "anthropic": _anthropic}
EMBED_PROVIDERS: dict[str, EmbedProviderCodec] = {
    "openai": _openai_embed,
    "demo": _openai_embed,
    "cohere": CohereEmbedProvider(),
    "tei": _tei,
    "gemini": _gemini,
    "bedrock": BedrockEmbedProvider(),
    "ollama": _ollama,
    "watsonx": _watsonx,
    "sagemaker": _sagemaker,
    "sagemaker_text": _sagemaker_text,
}
PENDING: dict[str, Pending] = {"replicate": pending}
RERANKERS: dict[str, RerankProviderCodec] = {
    "cohere": Reranker(cuts_documents=True),
    "openai": Reranker(cuts_documents=False),
    "tei": _tei,
}
