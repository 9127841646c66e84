"""Gemini and Vertex AI as providers.

Operations: `generate`, `generate_stream`, `count`, `embed`, `embed_batch`; on Vertex AI `predict` embeds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.translate.chat import Answer, Chat
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing
from routeiq.providers.translate.embed import Embed, Embedded
from routeiq.providers.translate.gemini import wire
from routeiq.providers.translate.gemini.answer import EventReader, read_answer
from routeiq.providers.translate.gemini.request import write_request

_encode = msgspec.json.Encoder().encode
_TASKS = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}
"""https://ai.google.dev/api/embeddings#v1beta.TaskType"""
_COUNTED = ("contents", "systemInstruction", "tools", "generationConfig")
"""https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/countTokens"""


class GeminiProvider:
    """`ProviderCodec`, `EmbedProviderCodec` and `TokenCounter`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        body = _encode(write_request(chat, context, fit))
        return Outgoing("generate_stream" if chat.stream else "generate", body)

    def read(self, body: bytes, chat: Chat) -> Answer:
        return read_answer(body)

    def reader(self, chat: Chat) -> DeltaReader:
        return EventReader()

    def write_count(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        request = write_request(chat, context, fit)
        if _is_vertex(context):
            return Outgoing("count", _encode({name: request[name] for name in _COUNTED if name in request}))
        # A request and its instructions are counted only nested: https://ai.google.dev/api/tokens
        nested = {"model": f"models/{context.model}", **request}
        return Outgoing("count", _encode({"generateContentRequest": nested}))

    def read_count(self, body: bytes) -> int:
        answer: wire.CountAnswer = wire.decode_count(body)
        return answer.total_tokens

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        texts = []
        for index, text in enumerate(embed.inputs):
            if not isinstance(text, str):
                raise BadRequest(
                    "This model embeds text, not lists of tokens.", param=f"input[{index}]", code="unsupported_content"
                )
            texts.append(text)
        if embed.user:
            fit.ignore("user")
        dimensions = None if fit.leaves_out("dimensions") else embed.dimensions
        task = _TASKS.get(embed.task)
        if _is_vertex(context):
            return Outgoing("predict", _encode(_predict(texts, task, embed.title, dimensions)))
        members: dict[str, Any] = {}
        if task:
            members["taskType"] = task
        if embed.title:
            members["title"] = embed.title
        if dimensions is not None:
            members["outputDimensionality"] = dimensions
        contents = [{"content": {"parts": [{"text": text}]}, **members} for text in texts]
        if len(contents) == 1:
            return Outgoing("embed", _encode(contents[0]))
        model = f"models/{context.model}"
        return Outgoing("embed_batch", _encode({"requests": [{"model": model, **content} for content in contents]}))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        if b'"predictions"' in body:
            return _predicted(wire.decode_predictions(body), embed)
        answer: wire.EmbedAnswer = wire.decode_embedding(body)
        found = [answer.embedding] if answer.embedding is not None else answer.embeddings or []
        usage = None
        if answer.usage_metadata is not None:
            usage = Usage(prompt=answer.usage_metadata.usage().prompt)
        return _embedded([vector.values for vector in found], usage, embed)


def _is_vertex(context: Context) -> bool:
    return context.provider.startswith("vertex_ai")


def _predict(texts: list[str], task: str | None, title: str, dimensions: int | None) -> dict[str, Any]:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api"""
    instance = {"task_type": task} if task else {}
    if title:
        instance["title"] = title
    out: dict[str, Any] = {"instances": [{"content": text, **instance} for text in texts]}
    if dimensions is not None:
        out["parameters"] = {"outputDimensionality": dimensions}
    return out


def _predicted(answer: wire.PredictAnswer, embed: Embed) -> Embedded:
    tokens = 0
    for prediction in answer.predictions:
        statistics = prediction.embeddings.statistics
        tokens += int(max(statistics.token_count, 0)) if statistics is not None else 0
    vectors = [prediction.embeddings.values for prediction in answer.predictions]
    return _embedded(vectors, Usage(prompt=tokens), embed)


def _embedded(vectors: list[list[float]], usage: Usage | None, embed: Embed) -> Embedded:
    if len(vectors) != len(embed.inputs):
        raise errors.broken_answer("", f"{len(vectors)} vectors for {len(embed.inputs)} texts")
    return Embedded(vectors=vectors, usage=usage)
