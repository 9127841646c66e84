"""Embeddings and reranking in the gateway's own words, and what a dialect must be able to do for them."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from routeiq.core.usage import Usage
from routeiq.providers.translate.codec import Context, Fit, Outgoing


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


class Embedded(msgspec.Struct, kw_only=True):
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


class Ranked(msgspec.Struct, kw_only=True):
    """`results` are (index of the document, relevance score), best first."""

    id: str = ""
    model: str = ""
    results: list[tuple[int, float]]
    usage: Usage | None = None


class RerankProviderCodec(Protocol):
    def write_rerank(self, rerank: Rerank, context: Context, fit: Fit) -> Outgoing:
        """The request in the provider's words. Raises `BadRequest` for what it can't take."""

    def read_rerank(self, body: bytes, rerank: Rerank) -> Ranked:
        """A whole answer. Raises `msgspec.DecodeError` for what is none."""
