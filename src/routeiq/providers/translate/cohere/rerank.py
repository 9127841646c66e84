"""Reranking as Cohere serves it, and those who serve it nearly so: Jina, Voyage, Together, Infinity, vLLM, LiteLLM.

https://docs.cohere.com/v2/reference/rerank, https://jina.ai/reranker, https://docs.voyageai.com/reference/reranker-api,
https://docs.together.ai/reference/rerank, https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.providers.dialects.cohere import WireTokens, WireUsage
from routeiq.providers.translate.codec import Context, Fit, Outgoing
from routeiq.providers.translate.embed import Ranked, Rerank, estimate_rerank, ranking

_encode = msgspec.json.Encoder().encode


class Result(msgspec.Struct, gc=False):
    index: int
    relevance_score: float


class Answer(msgspec.Struct, gc=False):
    """`data` is Voyage's name for the results."""

    results: list[Result] | None = None
    data: list[Result] | None = None
    id: str | None = None
    model: str | None = None
    usage: WireTokens | None = None
    meta: WireUsage | None = None


_decode = msgspec.json.Decoder(Answer, strict=False).decode


class Reranker:
    """`RerankProviderCodec` for the operation `rerank`."""

    def __init__(self, *, cuts_documents: bool) -> None:
        """`cuts_documents`: whether it knows `max_tokens_per_doc`, as Cohere does."""
        self._cuts_documents = cuts_documents

    def write_rerank(self, rerank: Rerank, context: Context, fit: Fit) -> Outgoing:
        out: dict[str, Any] = {"model": context.model, "query": rerank.query, "documents": rerank.documents}
        if rerank.top_n is not None and not fit.leaves_out("top_n"):
            out["top_k" if context.options.get("rerank_top_k") == "true" else "top_n"] = rerank.top_n
        if rerank.max_tokens_per_doc is not None and not fit.leaves_out("max_tokens_per_doc"):
            if self._cuts_documents or context.provider == "litellm_proxy":
                out["max_tokens_per_doc"] = rerank.max_tokens_per_doc
            else:
                fit.refuse("max_tokens_per_doc")
        for name, value in rerank.extra.items():
            if name == "max_chunks_per_doc" and context.provider != "litellm_proxy":
                fit.refuse(name, "version 2 has max_tokens_per_doc" if self._cuts_documents else "")
            elif not fit.leaves_out(name):
                out.setdefault(name, value)  # its own members: each of them has some
        return Outgoing("rerank", _encode(out))

    def read_rerank(self, body: bytes, rerank: Rerank) -> Ranked:
        answer = _decode(body)
        found = answer.results if answer.results is not None else answer.data
        if found is None:
            raise msgspec.ValidationError("there are no results in it")
        told = answer.usage or answer.meta
        usage = told.usage() if told is not None else estimate_rerank(rerank)
        usage.units = usage.units or 1
        results = ranking([(result.index, result.relevance_score) for result in found], rerank)
        return Ranked(id=answer.id or "", model=answer.model or "", results=results, usage=usage)
