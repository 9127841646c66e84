"""The endpoints clients can ask, and the face each shows."""

from __future__ import annotations

from routeiq.core.snapshot import CHAT, COMPLETION, COUNT_TOKENS, EMBEDDING, MESSAGES
from routeiq.providers.dialects.anthropic import AnthropicFace
from routeiq.providers.dialects.face import Face
from routeiq.providers.dialects.openai import OpenAIFace

FACES: dict[str, Face] = {
    CHAT: OpenAIFace(CHAT),
    COMPLETION: OpenAIFace(COMPLETION),
    EMBEDDING: OpenAIFace(EMBEDDING),
    MESSAGES: AnthropicFace(MESSAGES),
    COUNT_TOKENS: AnthropicFace(COUNT_TOKENS),
}
"""By endpoint."""
