"""Chat Completions as clients speak it."""

from __future__ import annotations

from routeiq.providers.translate.chat import Answer, Chat
from routeiq.providers.translate.codec import DeltaWriter
from routeiq.providers.translate.openai.answer import write_answer
from routeiq.providers.translate.openai.request import read_request
from routeiq.providers.translate.openai.writer import ChunkWriter


class OpenAIClient:
    """`ClientCodec` for `/v1/chat/completions`."""

    def read(self, body: bytes) -> Chat:
        return read_request(body)

    def write(self, answer: Answer, chat: Chat) -> bytes:
        return write_answer(answer)

    def writer(self, chat: Chat, model: str) -> DeltaWriter:
        return ChunkWriter(model, include_usage=chat.include_usage)
