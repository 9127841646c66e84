"""Text Embeddings Inference: `/embed` and `/rerank`, one model a server.

https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.providers.translate.codec import Context, Fit, Outgoing
from routeiq.providers.translate.embed import (
    Embed,
    Embedded,
    Ranked,
    Rerank,
    complete,
    estimate,
    estimate_rerank,
    ignore_hints,
    ranking,
)

_encode = msgspec.json.Encoder().encode
_OWN = ("raw_scores", "truncate", "truncation_direction")
"""Members of its own, which clients may send by their names."""


class Rank(msgspec.Struct, gc=False):
    index: int
    score: float


_decode_vectors = msgspec.json.Decoder(list[list[float]]).decode
_decode_ranks = msgspec.json.Decoder(list[Rank]).decode


class TeiProvider:
    """`EmbedProviderCodec` for the operation `tei_embed`, `RerankProviderCodec` for `tei_rerank`.

    It tells what it used in headers alone, which bill nobody: tokens are estimated.
    """

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        out: dict[str, Any] = {"inputs": embed.inputs}
        if embed.dimensions is not None and not fit.leaves_out("dimensions"):
            out["dimensions"] = embed.dimensions
        ignore_hints(embed, fit)
        return Outgoing("tei_embed", _encode(out))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        return Embedded(vectors=complete(_decode_vectors(body), embed), usage=estimate(embed))

    def write_rerank(self, rerank: Rerank, context: Context, fit: Fit) -> Outgoing:
        out: dict[str, Any] = {"query": rerank.query, "texts": rerank.documents}
        if rerank.max_tokens_per_doc is not None and not fit.leaves_out("max_tokens_per_doc"):
            fit.refuse("max_tokens_per_doc", "the server's own limit holds for each document")
        for name, value in rerank.extra.items():
            if name not in _OWN:
                fit.refuse(name)
            elif not fit.leaves_out(name):
                out[name] = value
        return Outgoing("tei_rerank", _encode(out))

    def read_rerank(self, body: bytes, rerank: Rerank) -> Ranked:
        results = ranking([(found.index, found.score) for found in _decode_ranks(body)], rerank)
        return Ranked(results=results, usage=estimate_rerank(rerank))
