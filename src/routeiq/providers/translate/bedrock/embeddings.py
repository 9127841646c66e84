"""Embeddings by InvokeModel, where each family has a body of its own.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html, /-titan-embed-mm.html,
/-embed.html (Cohere), https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers.translate.codec import Context, Fit, Outgoing
from routeiq.providers.translate.cohere.embeddings import TASKS, ByType
from routeiq.providers.translate.embed import Embed, Embedded, estimate, texts_of

_encode = msgspec.json.Encoder().encode
_PURPOSES = {
    "query": "GENERIC_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


class NovaVector(msgspec.Struct, gc=False):
    embedding: list[float]


class Answer(msgspec.Struct, rename={"tokens": "inputTextTokenCount"}, gc=False):
    """Titan's `embedding`, or Cohere's and Nova's `embeddings`."""

    embedding: list[float] | None = None
    tokens: int | None = None
    embeddings: ByType | list[list[float] | NovaVector] | None = None


_decode = msgspec.json.Decoder(Answer).decode


class BedrockEmbedProvider:
    """`EmbedProviderCodec` for the operation `invoke`."""

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        texts = texts_of(embed)
        model = context.model
        dimensions = embed.dimensions if not fit.leaves_out("dimensions") else None
        if "cohere" in model:
            out: dict[str, Any] = {
                "texts": texts,
                "input_type": TASKS.get(embed.task, "search_document"),
                "embedding_types": ["float"],
            }
            if dimensions is not None:
                out["output_dimension"] = dimensions
        elif "nova" in model:
            purpose = {"embeddingPurpose": _PURPOSES.get(embed.task, "GENERIC_INDEX")}
            text = {"truncationMode": "NONE", "value": _only(texts)}
            out = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {**purpose, "text": text}}
            if dimensions is not None:
                out["singleEmbeddingParams"]["embeddingDimension"] = dimensions
        elif "titan-embed" in model:
            out = _titan(_only(texts), model, dimensions, fit)
            if embed.task:
                fit.ignore("task")
        else:
            raise BadRequest(
                f"The model '{model}' is not known to embed: Titan, Cohere and Nova models are.",
                param="model",
                code="unsupported_endpoint",
            )
        for hint in ("user", "title"):
            if getattr(embed, hint):
                fit.ignore(hint)
        return Outgoing("invoke", _encode(out))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        answer = _decode(body)
        found = answer.embeddings
        if isinstance(found, ByType):
            vectors = found.vectors
        elif found is not None:
            vectors = [each.embedding if isinstance(each, NovaVector) else each for each in found]
        elif answer.embedding is not None:
            vectors = [answer.embedding]
        else:
            raise msgspec.ValidationError("there is no embedding in it")
        if answer.tokens is not None:
            return Embedded(vectors=vectors, usage=Usage(prompt=max(answer.tokens, 0)))
        return Embedded(vectors=vectors, usage=estimate(embed))


def _titan(text: str, model: str, dimensions: int | None, fit: Fit) -> dict[str, Any]:
    out: dict[str, Any] = {"inputText": text}
    if dimensions is not None:
        if "embed-text-v1" in model:
            fit.refuse("dimensions")
        elif "embed-image" in model:
            out["embeddingConfig"] = {"outputEmbeddingLength": dimensions}
        else:
            out["dimensions"] = dimensions
    return out


def _only(texts: list[str]) -> str:
    if len(texts) != 1:
        raise BadRequest(
            f"This model embeds one text per request, not {len(texts)}: send each 'input' alone.",
            param="input",
            code="unsupported_value",
        )
    return texts[0]
