"""Gemini's API as clients speak it.

The model, and whether to stream, stand in the path: `models/{model}:streamGenerateContent?alt=sse`.
"""

from __future__ import annotations

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import Answer, Chat
from routeiq.providers.translate.codec import DeltaWriter, decode_request
from routeiq.providers.translate.embed import Embed, Embedded
from routeiq.providers.translate.gemini import wire
from routeiq.providers.translate.gemini.client_answer import EventWriter, shows_thoughts, write_answer
from routeiq.providers.translate.gemini.client_request import chat_of

_encode = msgspec.json.Encoder().encode
_TASKS = {
    "RETRIEVAL_QUERY": "query",
    "QUESTION_ANSWERING": "query",
    "FACT_VERIFICATION": "query",
    "CODE_RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "SEMANTIC_SIMILARITY": "similarity",
}
"""https://ai.google.dev/api/embeddings#v1beta.TaskType"""


class GeminiClient:
    """`ClientCodec` of `generateContent` and `streamGenerateContent`.

    `array` says that it is called without `alt=sse`: then a stream is one JSON array.
    """

    def __init__(self, *, array: bool = False) -> None:
        self._array = array

    def read(self, body: bytes) -> Chat:
        chat = chat_of(decode_request(wire.chat_decoder, body))
        chat.extra |= wire.others_of(body)
        return chat

    def write(self, answer: Answer, chat: Chat) -> bytes:
        return write_answer(answer, chat)

    def writer(self, chat: Chat, model: str) -> DeltaWriter:
        return EventWriter(model, shows_thoughts=shows_thoughts(chat), array=self._array)


class GeminiCountClient:
    """`CountClientCodec` of `countTokens`."""

    def read(self, body: bytes) -> Chat:
        """A request of `countTokens`. Raises `BadRequest`."""
        request: wire.CountRequest = decode_request(wire.count_decoder, body)
        nested = request.generate_content_request
        if nested is None:
            return chat_of(request)
        if request.contents is not None:
            raise BadRequest(
                "'contents' and 'generateContentRequest' exclude each other.", param="contents", code="invalid_value"
            )
        return chat_of(nested)

    def write(self, tokens: int) -> bytes:
        """An answer of `countTokens`."""
        return _encode({"totalTokens": tokens})


class GeminiEmbedClient:
    """`EmbedClientCodec` of `embedContent` and `batchEmbedContents`, which tell themselves apart by their bodies."""

    def read_embed(self, body: bytes) -> Embed:
        request: wire.BatchEmbedRequest = decode_request(wire.embed_decoder, body)
        if request.requests is None:
            if request.content is None:
                raise BadRequest(
                    "Missing required parameter: 'content'.", param="content", code="missing_required_parameter"
                )
            single = wire.EmbedRequest(
                content=request.content,
                model=request.model,
                task_type=request.task_type,
                title=request.title,
                output_dimensionality=request.output_dimensionality,
            )
            return _embed([single], single=True)
        if not request.requests:
            raise BadRequest("'requests' must hold at least one request.", param="requests", code="invalid_value")
        return _embed(request.requests, single=False)

    def write_embed(self, answer: Embedded, embed: Embed) -> bytes:
        vectors = [{"values": vector} for vector in answer.vectors]
        out: dict[str, object] = {"embedding": vectors[0]} if embed.single else {"embeddings": vectors}
        if answer.usage is not None:
            out["usageMetadata"] = {"promptTokenCount": answer.usage.prompt}
        return _encode(out)


def _embed(requests: list[wire.EmbedRequest], *, single: bool) -> Embed:
    first = requests[0]
    inputs: list[str | list[int]] = []
    for index, request in enumerate(requests):
        param = "content" if single else f"requests[{index}].content"
        if (request.task_type, request.title, request.output_dimensionality) != (
            first.task_type,
            first.title,
            first.output_dimensionality,
        ):
            raise BadRequest(
                "This model takes texts of one taskType, title and outputDimensionality at a time.",
                param=f"requests[{index}]",
                code="unsupported_parameter",
            )
        texts = []
        for part in request.content.all_parts():
            if part.text is None:
                raise BadRequest("This model turns text alone into vectors.", param=param, code="unsupported_content")
            texts.append(part.text)
        inputs.append("".join(texts))
    return Embed(
        model=(first.model or "").removeprefix("models/"),
        inputs=inputs,
        dimensions=first.output_dimensionality,
        task=_TASKS.get((first.task_type or "").upper(), ""),
        title=first.title or "",
        single=single,
    )
