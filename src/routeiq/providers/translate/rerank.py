"""Reranking as clients ask for it: in Cohere's words, version 1 or 2, which are LiteLLM's too.

https://docs.cohere.com/v2/reference/rerank, https://docs.litellm.ai/docs/rerank
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers.translate.codec import decode_request, unknown_members
from routeiq.providers.translate.embed import Ranked, Rerank

_encode = msgspec.json.Encoder().encode


class Request(msgspec.Struct, gc=False):
    query: str
    documents: list[str | dict[str, Any]]
    model: str = ""
    top_n: int | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: int | None = None
    rank_fields: list[str] | None = None
    priority: int | None = None
    user: str | None = None
    metadata: Any = None


_decoder = msgspec.json.Decoder(Request)
_KNOWN = frozenset(Request.__struct_fields__)
_HINTS = ("priority", "user", "metadata")


class RerankClient:
    """`RerankClientCodec` for `/rerank`, `/v1/rerank` and `/v2/rerank`."""

    def read_rerank(self, body: bytes) -> Rerank:
        request: Request = decode_request(_decoder, body)
        if not request.documents:
            raise BadRequest("'documents' must hold at least one text.", param="documents", code="invalid_value")
        if request.top_n is not None and request.top_n < 1:
            raise BadRequest("'top_n' must be at least 1.", param="top_n", code="invalid_value")
        return Rerank(
            model=request.model,
            query=request.query,
            documents=[_text(document, request.rank_fields) for document in request.documents],
            top_n=request.top_n,
            return_documents=bool(request.return_documents),
            max_tokens_per_doc=request.max_tokens_per_doc,
            hints=tuple(name for name in _HINTS if getattr(request, name) is not None),
            extra=unknown_members(body, _KNOWN),
        )

    def write_rerank(self, answer: Ranked, rerank: Rerank) -> bytes:
        usage = answer.usage or Usage()
        results: list[dict[str, Any]] = []
        for index, score in answer.results:
            result: dict[str, Any] = {"index": index, "relevance_score": score}
            if rerank.return_documents:
                result["document"] = {"text": rerank.documents[index]}
            results.append(result)
        meta: dict[str, Any] = {"api_version": {"version": "2"}, "billed_units": {"search_units": usage.units}}
        if usage.prompt or usage.completion:
            meta["billed_units"]["total_tokens"] = usage.prompt + usage.completion
            meta["tokens"] = {"input_tokens": usage.prompt, "output_tokens": usage.completion}
        return _encode({"id": answer.id, "results": results, "meta": meta})


def _text(document: str | dict[str, Any], fields: list[str] | None) -> str:
    """A document's text; one without is read whole, or by the fields that count."""
    if isinstance(document, str):
        return document
    text = document.get("text")
    if fields is None and isinstance(text, str):
        return text
    shown = document if fields is None else {name: document[name] for name in fields if name in document}
    return "\n".join(f"{name}: {_shown(value)}" for name, value in shown.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
