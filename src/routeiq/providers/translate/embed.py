"""Embeddings and reranking in the gateway's own words, and what a dialect must be able to do for them."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.translate.codec import Context, Fit, Outgoing

BYTES_PER_TOKEN = 4
"""Of the estimate where an answer does not tell: about English text."""


class Embed(msgspec.Struct, kw_only=True):
    """Texts (or lists of token ids) to be turned into vectors."""

    model: str = ""
    inputs: list[str | list[int]]
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    """How the client wants the vectors: numbers, or little-endian float32 in base64."""
    task: str = ""
    """What for: `query`, `document`, `classification`, `clustering`, `similarity`; empty when not said."""
    title: str = ""
    user: str = ""
    single: bool = False
    """Whether the client asked for one text outside a list (Gemini's `embedContent`)."""
    hints: tuple[str, ...] = ()
    """Names of what was sent, does not change the vectors and is passed over."""
    extra: dict[str, Any] = {}
    """What no other dialect has, by its name in the client's."""


class Embedded(msgspec.Struct, kw_only=True):
    id: str = ""
    model: str = ""
    vectors: list[list[float]]
    usage: Usage | None = None


class EmbedClientCodec(Protocol):
    def read_embed(self, body: bytes) -> Embed:
        """A request. Raises `BadRequest`."""

    def write_embed(self, answer: Embedded, embed: Embed) -> bytes:
        """A whole answer; `answer.model` is the name the client asked for."""


class EmbedProviderCodec(Protocol):
    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        """The request in the provider's words. Raises `BadRequest` for what it can't take."""

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        """A whole answer. Raises `msgspec.DecodeError` for what is none."""


class Rerank(msgspec.Struct, kw_only=True):
    """Documents to be put in the order of their relevance to a query."""

    model: str = ""
    query: str
    documents: list[str]
    top_n: int | None = None
    return_documents: bool = False
    max_tokens_per_doc: int | None = None
    hints: tuple[str, ...] = ()
    extra: dict[str, Any] = {}
    """Members that belong to one provider or another."""


class Ranked(msgspec.Struct, kw_only=True):
    """`results` are (index of the document, relevance score), best first."""

    id: str = ""
    model: str = ""
    results: list[tuple[int, float]]
    usage: Usage | None = None


class RerankClientCodec(Protocol):
    def read_rerank(self, body: bytes) -> Rerank:
        """A request. Raises `BadRequest`."""

    def write_rerank(self, answer: Ranked, rerank: Rerank) -> bytes:
        """A whole answer; `answer.model` is the name the client asked for."""


class RerankProviderCodec(Protocol):
    def write_rerank(self, rerank: Rerank, context: Context, fit: Fit) -> Outgoing:
        """The request in the provider's words. Raises `BadRequest` for what it can't take."""

    def read_rerank(self, body: bytes, rerank: Rerank) -> Ranked:
        """A whole answer. Raises `msgspec.DecodeError` for what is none."""


def texts_of(embed: Embed) -> list[str]:
    """The inputs of a provider that takes text only. Raises `BadRequest`."""
    texts = [text for text in embed.inputs if isinstance(text, str)]
    if len(texts) < len(embed.inputs):
        raise BadRequest("This model embeds text, not tokens.", param="input", code="unsupported_value")
    return texts


def bare_texts(embed: Embed, fit: Fit) -> list[str]:
    """The inputs of a provider that takes texts and nothing else. Raises `BadRequest`."""
    texts = texts_of(embed)
    if embed.dimensions is not None and not fit.leaves_out("dimensions"):
        fit.refuse("dimensions")
    ignore_hints(embed, fit)
    return texts


def ignore_hints(embed: Embed, fit: Fit) -> None:
    """Pass over what says more about the inputs than a provider wants to know."""
    for hint in ("task", "title", "user"):
        if getattr(embed, hint):
            fit.ignore(hint)


def estimate(embed: Embed) -> Usage:
    """Tokens by the size of the texts."""
    size = sum(len(text) for text in embed.inputs)
    return Usage(prompt=max(1, size // BYTES_PER_TOKEN), estimated=True)


def estimate_rerank(rerank: Rerank) -> Usage:
    """The same: the query is read with each document."""
    size = len(rerank.query) * len(rerank.documents) + sum(len(text) for text in rerank.documents)
    return Usage(prompt=max(1, size // BYTES_PER_TOKEN), estimated=True, units=1)


def complete(vectors: list[list[float]], embed: Embed) -> list[list[float]]:
    """The vectors, one for each input. Raises `UpstreamError` where some are missing."""
    if len(vectors) != len(embed.inputs):
        raise errors.broken_answer("", f"{len(vectors)} vectors for {len(embed.inputs)} texts")
    return vectors


def ranking(results: list[tuple[int, float]], rerank: Rerank) -> list[tuple[int, float]]:
    """Best first, no more than were asked for. Raises `msgspec.ValidationError` for documents that never were."""
    if any(not 0 <= index < len(rerank.documents) for index, _ in results):
        raise msgspec.ValidationError("it ranks a document that was not sent")
    return sorted(results, key=lambda result: -result[1])[: rerank.top_n]
