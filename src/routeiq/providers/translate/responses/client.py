"""Responses as clients speak it."""

from __future__ import annotations

from routeiq.providers.translate.chat import Answer, Chat
from routeiq.providers.translate.codec import DeltaWriter
from routeiq.providers.translate.responses.answer import write_answer
from routeiq.providers.translate.responses.request import read_request
from routeiq.providers.translate.responses.writer import EventWriter


class ResponsesClient:
    """`ClientCodec` for `/v1/responses`."""

    def read(self, body: bytes) -> Chat:
        return read_request(body)

    def write(self, answer: Answer, chat: Chat) -> bytes:
        return write_answer(answer, chat)

    def writer(self, chat: Chat, model: str) -> DeltaWriter:
        return EventWriter(chat, model)
