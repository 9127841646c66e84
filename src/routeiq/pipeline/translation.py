"""Between two dialects: what an attempt sends to a provider that does not speak the client's, and what comes back.

The neutral request is read once and kept on the exchange; each attempt writes it anew for its own provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import CHAT, COHERE_CHAT, GENERATE, GENERATE_ARRAY, MESSAGES
from routeiq.core.usage import Usage
from routeiq.providers.dialects.splice import Piece
from routeiq.providers.translate.chat import Answer, Chat
from routeiq.providers.translate.codec import (
    ClientCodec,
    Context,
    CountClientCodec,
    DeltaReader,
    DeltaWriter,
    Fit,
    Outgoing,
    ProviderCodec,
    TokenCounter,
)
from routeiq.providers.translate.embed import (
    Embed,
    EmbedClientCodec,
    EmbedProviderCodec,
    Rerank,
    RerankClientCodec,
    RerankProviderCodec,
    estimate,
)
from routeiq.providers.translate.freetext import RestoringReader, as_functions, restored, text_tools
from routeiq.providers.translate.registry import (
    CHAT_CLIENTS,
    CHAT_PROVIDERS,
    COUNT_CLIENTS,
    COUNTERS,
    EMBED_CLIENTS,
    EMBED_PROVIDERS,
    RERANK_CLIENTS,
    RERANKERS,
)
from routeiq.providers.translate.toolnames import NamingReader, names_restored, renamed
from routeiq.providers.translate.whole import WholeReader

if TYPE_CHECKING:
    from routeiq.pipeline.plan import Route

_SHARED = frozenset((CHAT, MESSAGES, GENERATE, GENERATE_ARRAY, COHERE_CHAT))
"""Endpoints whose answers are those that the codec of their providers reads."""
BYTES_PER_TOKEN = 4
"""Of the estimate where a provider can't count: about English text."""


ClientSide = TypeVar("ClientSide")
ProviderSide = TypeVar("ProviderSide")


class Translation(Generic[ClientSide, ProviderSide]):
    """One attempt's translation. Subclasses know the kind of request."""

    __slots__ = ("_client", "_provider", "dropped", "exchange", "outgoing")

    def __init__(
        self,
        exchange: Exchange,
        client: ClientSide,
        provider: ProviderSide,
        outgoing: Outgoing,
        dropped: list[str],
    ) -> None:
        self.exchange = exchange
        self._client = client
        self._provider = provider
        self.outgoing = outgoing
        self.dropped = dropped

    def answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        """The client's answer out of the provider's. Raises `msgspec.DecodeError` or `UpstreamError`."""
        raise NotImplementedError

    def local(self) -> bytes | None:
        """An answer that needs no provider; `None` where one has to be asked."""
        return None


class ChatTranslation(Translation[ClientCodec, ProviderCodec]):
    """A conversation."""

    __slots__ = ("_chat", "_names", "_texts")

    def __init__(
        self,
        exchange: Exchange,
        client: ClientCodec,
        provider: ProviderCodec,
        chat: Chat,
        outgoing: Outgoing,
        dropped: list[str],
        texts: frozenset[str] = frozenset(),
        names: Mapping[str, str] | None = None,
    ) -> None:
        """`chat` is the request as this provider was given it, `texts` the names of tools made functions for it,
        `names` the client's names of tools by those it was told."""
        super().__init__(exchange, client, provider, outgoing, dropped)
        self._chat = chat
        self._texts = texts
        self._names = names or {}

    def answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        exchange = self.exchange
        answer = self._read(body)
        answer.id = answer.id or exchange.call_id
        answer.created = answer.created or exchange.at // 1_000_000
        answer.model = exchange.public_model
        return self._client.write(answer, exchange.asked), answer.usage

    def reader(self) -> DeltaReader:
        """For the provider's stream."""
        reader = self._provider.reader(self._chat)
        if self._names:
            reader = NamingReader(reader, self._names)
        return RestoringReader(reader, self._texts) if self._texts else reader

    def whole_reader(self, most: int) -> DeltaReader:
        """For a provider that answers whole all the same, in at most so many bytes."""
        return WholeReader(self._read, most)

    def writer(self) -> DeltaWriter:
        """For the client's."""
        return self._client.writer(self.exchange.asked, self.exchange.public_model)

    def _read(self, body: bytes) -> Answer:
        answer = names_restored(self._provider.read(body, self._chat), self._names)
        return restored(answer, self._texts) if self._texts else answer


class CountTranslation(Translation[CountClientCodec, TokenCounter | None]):
    """A question for the size of a prompt."""

    __slots__ = ()

    def answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        if self._provider is None:
            return body, None
        return self._client.write(self._provider.read_count(body)), None

    def local(self) -> bytes | None:
        if self._provider is not None:
            return None
        return self._client.write(max(1, len(self.exchange.body) // BYTES_PER_TOKEN))


class EmbedTranslation(Translation[EmbedClientCodec, EmbedProviderCodec]):
    """Texts to be embedded."""

    __slots__ = ()

    def answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        exchange = self.exchange
        answer = self._provider.read_embed(body, exchange.asked)
        answer.usage = answer.usage or estimate(exchange.asked)
        answer.id = answer.id or exchange.call_id
        answer.model = exchange.public_model
        return self._client.write_embed(answer, exchange.asked), answer.usage


class RerankTranslation(Translation[RerankClientCodec, RerankProviderCodec]):
    """Documents to be put in order."""

    __slots__ = ()

    def answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        exchange = self.exchange
        answer = self._provider.read_rerank(body, exchange.asked)
        answer.id = answer.id or exchange.call_id
        answer.model = exchange.public_model
        return self._client.write_rerank(answer, exchange.asked), answer.usage


def between_equals(exchange: Exchange, route: Route) -> ChatTranslation | None:
    """For a provider of the client's own dialect that answers whole where a stream was asked for.

    `None` where the answer has to be passed on as it is.
    """
    provider = CHAT_PROVIDERS.get(route.dialect)
    if provider is None or exchange.endpoint not in _SHARED:
        return None
    client = CHAT_CLIENTS[exchange.endpoint]
    try:
        chat: Chat = _asked(exchange, client.read)
    except BadRequest:
        return None  # it holds what only this provider understands
    return ChatTranslation(exchange, client, provider, chat, Outgoing("", b""), exchange.dropped or [])


def adapted(exchange: Exchange, route: Route, model: bytes) -> tuple[Piece, ...] | None:
    """The client's body for a route that speaks its dialect with differences; `None`: it has to be translated."""
    assert route.adapt is not None
    fit = _fit(route)
    body = route.adapt(exchange.endpoint, exchange.body, exchange.stream, model, fit)
    exchange.dropped = fit.dropped
    return (body,) if body is not None else None


def _fit(route: Route) -> Fit:
    spec = route.target.spec
    return Fit(spec.provider, tolerant=spec.drop_params, always=spec.drop)


def translate(exchange: Exchange, route: Route) -> Translation[Any, Any]:
    """The request for a route that does not serve it natively. Raises `BadRequest` when it can't be."""
    endpoint, spec = exchange.endpoint, route.target.spec
    context = Context(provider=spec.provider, model=exchange.upstream_model, options=spec.options)
    fit = _fit(route)
    if endpoint in CHAT_CLIENTS:
        return _chat(exchange, route, context, fit)
    if endpoint in COUNT_CLIENTS:
        return _count(exchange, route, context, fit)
    if endpoint in EMBED_CLIENTS:
        return _embed(exchange, route, context, fit)
    if endpoint in RERANK_CLIENTS:
        return _rerank(exchange, route, context, fit)
    raise _unserved(exchange)


def _chat(exchange: Exchange, route: Route, context: Context, fit: Fit) -> ChatTranslation:
    client, provider = CHAT_CLIENTS[exchange.endpoint], CHAT_PROVIDERS.get(route.dialect)
    if provider is None:
        raise _unserved(exchange)
    chat: Chat = _asked(exchange, client.read)
    chat.stream = exchange.stream  # not every dialect says it in the body
    chat.thread = exchange.thread
    texts = text_tools(chat) if "text_tools" not in context.options else frozenset()
    if texts:
        chat = as_functions(chat)
    chat, names = renamed(chat, route.dialect)
    outgoing = provider.write(chat, context, fit)
    _finish(outgoing, route, exchange, fit)
    return ChatTranslation(exchange, client, provider, chat, outgoing, fit.dropped, texts, names)


def _count(exchange: Exchange, route: Route, context: Context, fit: Fit) -> CountTranslation:
    client, counter = COUNT_CLIENTS[exchange.endpoint], COUNTERS.get(route.dialect)
    chat: Chat = _asked(exchange, client.read)
    outgoing = Outgoing("", b"")
    if counter is not None:
        outgoing = counter.write_count(renamed(chat, route.dialect)[0], context, fit)
        if outgoing.operation not in route.operations:
            counter = None
    return CountTranslation(exchange, client, counter, outgoing, fit.dropped)


def _embed(exchange: Exchange, route: Route, context: Context, fit: Fit) -> EmbedTranslation:
    client, provider = EMBED_CLIENTS[exchange.endpoint], EMBED_PROVIDERS.get(route.dialect)
    if provider is None:
        raise _unserved(exchange)
    embed: Embed = _asked(exchange, client.read_embed)
    outgoing = provider.write_embed(embed, context, fit)
    _pass_over(embed.hints, embed.extra, fit)
    _finish(outgoing, route, exchange, fit)
    return EmbedTranslation(exchange, client, provider, outgoing, fit.dropped)


def _rerank(exchange: Exchange, route: Route, context: Context, fit: Fit) -> RerankTranslation:
    client, provider = RERANK_CLIENTS[exchange.endpoint], RERANKERS.get(route.dialect)
    if provider is None or route.local:
        raise _unserved(exchange)
    rerank: Rerank = _asked(exchange, client.read_rerank)
    outgoing = provider.write_rerank(rerank, context, fit)
    _pass_over(rerank.hints, {}, fit)
    _finish(outgoing, route, exchange, fit)
    return RerankTranslation(exchange, client, provider, outgoing, fit.dropped)


def _pass_over(hints: tuple[str, ...], extra: dict[str, Any], fit: Fit) -> None:
    for param in hints:
        fit.ignore(param)
    for param in extra:
        fit.refuse(param)


def _finish(outgoing: Outgoing, route: Route, exchange: Exchange, fit: Fit) -> None:
    """What is written in OpenAI's words gets the same changes as a client's own."""
    if route.adapt is not None and route.dialect == "openai":
        model = msgspec.json.encode(exchange.upstream_model)
        outgoing.body = route.adapt(outgoing.operation, outgoing.body, exchange.stream, model, fit) or outgoing.body


def _asked(exchange: Exchange, read: Any) -> Any:
    """The neutral request, read on the first attempt that needs it."""
    if exchange.asked is None:
        exchange.asked = read(exchange.body)
    return exchange.asked


def _unserved(exchange: Exchange) -> BadRequest:
    return BadRequest(
        f"The model '{exchange.public_model}' does not serve {exchange.endpoint} requests.",
        param="model",
        code="unsupported_endpoint",
    )
