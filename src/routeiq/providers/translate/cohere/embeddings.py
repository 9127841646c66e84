"""Embeddings as Cohere serves them: https://docs.cohere.com/v2/reference/embed"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.providers.dialects.cohere import WireUsage
from routeiq.providers.translate.codec import Context, Fit, Outgoing
from routeiq.providers.translate.embed import Embed, Embedded, complete, estimate, texts_of

_encode = msgspec.json.Encoder().encode
TASKS = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
"""`input_type` by task."""


class ByType(msgspec.Struct, rename={"vectors": "float"}, gc=False):
    vectors: list[list[float]]


class Answer(msgspec.Struct, gc=False):
    embeddings: ByType
    meta: WireUsage | None = None


_decode = msgspec.json.Decoder(Answer, strict=False).decode


class CohereEmbedProvider:
    """`EmbedProviderCodec` for the operation `cohere_embed`."""

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        out: dict[str, Any] = {
            "model": context.model,
            "texts": texts_of(embed),
            "input_type": TASKS.get(embed.task, "search_document"),
            "embedding_types": ["float"],
        }
        if embed.dimensions is not None and not fit.leaves_out("dimensions"):
            out["output_dimension"] = embed.dimensions
        for hint in ("user", "title"):
            if getattr(embed, hint):
                fit.ignore(hint)
        return Outgoing("cohere_embed", _encode(out))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        answer = _decode(body)
        usage = answer.meta.usage() if answer.meta is not None else estimate(embed)
        return Embedded(vectors=complete(answer.embeddings.vectors, embed), usage=usage)
