"""The endpoints clients can ask, and the face each shows; and how each provider's errors are read."""

from __future__ import annotations

from typing import Protocol

from routeiq.core.errors import UpstreamError
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
from routeiq.providers import errors
from routeiq.providers.dialects import bedrock, cohere, gemini, sagemaker
from routeiq.providers.dialects.anthropic import AnthropicFace
from routeiq.providers.dialects.cohere import CohereFace
from routeiq.providers.dialects.face import Face
from routeiq.providers.dialects.gemini import GeminiFace
from routeiq.providers.dialects.openai import OpenAIFace
from routeiq.providers.dialects.responses import ResponsesFace

_anthropic, _gemini = AnthropicFace(), GeminiFace()

FACES: dict[str, Face] = {
    CHAT: OpenAIFace(CHAT),
    COMPLETION: OpenAIFace(COMPLETION),
    EMBEDDING: OpenAIFace(EMBEDDING),
    RESPONSES: ResponsesFace(),
    MESSAGES: _anthropic,
    COUNT_TOKENS: _anthropic,
    GENERATE: _gemini,
    GENERATE_ARRAY: GeminiFace(array=True),
    GENERATE_COUNT: _gemini,
    GENERATE_EMBED: _gemini,
    GENERATE_EMBEDS: _gemini,
    COHERE_CHAT: CohereFace(COHERE_CHAT),
    COHERE_EMBED: CohereFace(COHERE_EMBED),
    RERANK: CohereFace(RERANK),
}
"""By endpoint."""


class ErrorReader(Protocol):
    """Reads an answer with a status of 300 or above. Never raises."""

    def __call__(self, status: int, body: bytes, *, provider: str, retry_after: float | None) -> UpstreamError:
        """The error in our words."""


ERRORS: dict[str, ErrorReader] = {
    "gemini": gemini.from_answer,
    "bedrock": bedrock.from_answer,
    "sagemaker": sagemaker.from_answer,
    "sagemaker_text": sagemaker.from_answer,
    "cohere": cohere.from_answer,
}
"""By the provider's dialect; what is not here is read by `errors.from_answer`, which knows most shapes."""


def error_of(dialect: str) -> ErrorReader:
    """How errors of a provider of this dialect are read."""
    return ERRORS.get(dialect, errors.from_answer)
