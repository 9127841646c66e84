"""The paths a worker answers itself, matched exactly and undecoded; every other path belongs to another process."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

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

_SUFFIXES = {b"chat/completions": CHAT, b"completions": COMPLETION, b"embeddings": EMBEDDING}

HOT: dict[bytes, str] = {
    prefix + suffix: endpoint for suffix, endpoint in _SUFFIXES.items() for prefix in (b"/v1/", b"/")
} | {
    b"/v1/messages": MESSAGES,
    b"/v1/messages/count_tokens": COUNT_TOKENS,
    b"/v1/responses": RESPONSES,
    b"/responses": RESPONSES,
    b"/v2/chat": COHERE_CHAT,
    b"/cohere/v2/chat": COHERE_CHAT,
    b"/v2/embed": COHERE_EMBED,
    b"/cohere/v2/embed": COHERE_EMBED,
    b"/rerank": RERANK,
    b"/v1/rerank": RERANK,
    b"/v2/rerank": RERANK,
    b"/cohere/v2/rerank": RERANK,
}
"""POST."""

DEPLOYMENT_PREFIXES = (b"/openai/deployments/", b"/v1/engines/", b"/engines/")
"""Azure's form of the same, and OpenAI's oldest: the model is in the path."""

GEMINI_PREFIXES = (b"/v1beta/models/", b"/v1/models/", b"/models/", b"/gemini/v1beta/models/", b"/gemini/v1/models/")
"""Gemini's: the model and the method are in the path, `gemini-2.5-pro:generateContent`."""
_METHODS = {
    b"generateContent": GENERATE,
    b"streamGenerateContent": GENERATE_ARRAY,
    b"countTokens": GENERATE_COUNT,
    b"embedContent": GENERATE_EMBED,
    b"batchEmbedContents": GENERATE_EMBEDS,
}

LOCAL: dict[bytes, str] = {
    b"/v1/models": "models",
    b"/models": "models",
    b"/v1beta/models": "models",
    b"/v1/model/info": "model_info",
    b"/model/info": "model_info",
    b"/_health/live": "live",
    b"/health/liveliness": "live",
    b"/health/liveness": "live",
    b"/_health/ready": "ready",
    b"/health/readiness": "ready",
}
"""GET."""

MODEL_PREFIXES = (b"/v1/models/", b"/v1beta/models/", b"/models/")
"""GET, followed by a model's name, which may hold slashes."""


def deployment_route(path: bytes) -> tuple[str, bytes] | None:
    """(endpoint, percent-encoded model) of a path that names its model."""
    for prefix in DEPLOYMENT_PREFIXES:
        if path.startswith(prefix):
            rest = path[len(prefix) :]
            for suffix, endpoint in _SUFFIXES.items():
                model = rest.removesuffix(b"/" + suffix)
                if model is not rest and model and not model.endswith(b"/chat"):
                    return endpoint, model
    return None


def gemini_route(path: bytes, query: bytes) -> tuple[str, bytes, bool] | None:
    """(endpoint, percent-encoded model, whether to stream) of a path of Gemini's."""
    for prefix in GEMINI_PREFIXES:
        if path.startswith(prefix):
            model, colon, method = path[len(prefix) :].rpartition(b":")
            endpoint = _METHODS.get(method) if colon and model else None
            if endpoint is None:
                return None
            if endpoint == GENERATE_ARRAY:
                return (GENERATE if b"alt=sse" in query.split(b"&") else GENERATE_ARRAY), model, True
            return endpoint, model, False
    return None


def with_query_key(fields: dict[bytes, bytes], query: bytes) -> dict[bytes, bytes]:
    """Headers with the key of `?key=…`, where Gemini's clients may put it, if they have none."""
    if b"key=" in query and b"x-goog-api-key" not in fields:
        for pair in query.split(b"&"):
            if pair.startswith(b"key="):
                return {**fields, b"x-goog-api-key": unquote_to_bytes(pair[4:])}
    return fields
