"""What a dialect must be able to do to take part in translation: as the client's side, as the provider's, or both.

Every pair of a client codec and a provider codec is a translator, so a dialect is written once and reaches all others.
Codecs hold no state; a stream's state lives in the `DeltaReader` and `DeltaWriter` made for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.providers.dialects.invalid import UNREADABLE, invalid_request
from routeiq.providers.translate.chat import Answer, Block, Chat, Delta, Media, Text, Tool, ToolCall, ToolResult

_OPTIONAL = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "n": "n",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "logit_bias": "logit_bias",
    "parallel_tool_calls": "parallel_tool_calls",
    "format": "response_format",
    "modalities": "modalities",
    "audio": "audio",
    "web_search": "web_search_options",
    "safety": "safety_settings",
}
"""What not every provider has and the answer depends on: fields of `Chat`, and what a client calls them."""
HINTS = {
    "reasoning": "reasoning_effort",
    "verbosity": "verbosity",
    "user": "user",
    "metadata": "metadata",
    "service_tier": "service_tier",
    "prediction": "prediction",
    "prompt_cache_key": "prompt_cache_key",
    "store": "store",
}
"""The same for what a provider may pass over."""
_AS_USUAL: dict[str, object] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "parallel_tool_calls": True,
    "modalities": ["text"],
    "store": False,
}
"""Values that ask for what happens anyway."""
_SAID = ("cache_control", "citations", "detail", "is_error", "strict")
"""What messages and tools may hold that a provider may pass over."""
ROUTING = frozenset(("mock_response", "mock_testing_fallbacks"))
"""The gateway's own members, which are nothing to translate."""
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Fit:
    """How a request is made to fit a provider: what is left out, by the operator's leave, and what was.

    `dropped` is told to the client in a header: nothing is left out silently.
    """

    __slots__ = ("_always", "_provider", "_tolerant", "dropped")

    def __init__(self, provider: str, *, tolerant: bool = False, always: Sequence[str] = ()) -> None:
        """`tolerant` is `drop_params`, `always` is `additional_drop_params`."""
        self._provider = provider
        self._tolerant = tolerant
        self._always = frozenset(always)
        self.dropped: list[str] = []

    def leaves_out(self, param: str) -> bool:
        """Whether the operator wants this parameter left out in any case."""
        if param in self._always:
            self.ignore(param)
            return True
        return False

    def refuse(self, param: str, why: str = "") -> None:
        """The provider can't take a parameter that matters. Raises `BadRequest` unless it may be dropped."""
        if self._tolerant or param in self._always:
            self.ignore(param)
            return
        reason = why or f"{self._provider} does not support it"
        raise BadRequest(
            f"The parameter '{param}' can't be served by this model: {reason}. Leave it out, or set drop_params: true.",
            param=param,
            code="unsupported_parameter",
        )

    def settle_rest(self, chat: Chat, served: frozenset[str]) -> None:
        """Refuse or pass over all that the request has and a codec, which serves the fields `served`, has not."""
        for field, param, usual in _rest(served):
            value = getattr(chat, field)
            if value is not None and value not in ("", [], {}) and value != usual:
                (self.ignore if field in HINTS else self.refuse)(param)
        self._settle_said(chat, served)
        for beta in chat.betas if "betas" not in served else ():
            self.ignore(f"anthropic-beta:{beta}")
        for param in chat.hints:
            self.ignore(param)
        for param in chat.extra:
            if param not in served:
                self.refuse(param)

    def _settle_said(self, chat: Chat, served: frozenset[str]) -> None:
        """Pass over what messages and tools hold besides what is said: `_SAID`, unless it is among `served`."""
        found: set[str] = set()
        for tool in chat.tools:
            if tool.strict:
                found.add("strict")
            if tool.cache is not None:
                found.add("cache_control")
        for message in chat.messages:
            for block in message.content:
                if isinstance(block, Text) and block.cache is None:
                    continue  # nearly all there is
                found |= _said(block)
                if isinstance(block, ToolResult):
                    found.update(*map(_said, block.content))
        for param in _SAID if found else ():
            if param in found and param not in served:
                self.ignore(param)

    def ignore(self, param: str) -> None:
        """The provider has no use for a parameter that does not change the answer: a hint, a label."""
        if param not in self.dropped:
            self.dropped.append(param)


@lru_cache
def _rest(served: frozenset[str]) -> tuple[tuple[str, str, object], ...]:
    """What a codec does not serve: field, parameter, and the value that asks for what happens anyway."""
    names = _OPTIONAL | HINTS
    return tuple((field, param, _AS_USUAL.get(field)) for field, param in names.items() if field not in served)


def _said(block: Block) -> set[str]:
    found = {"cache_control"} if getattr(block, "cache", None) is not None else set()
    if isinstance(block, Media):
        if block.cited:
            found.add("citations")
        if block.detail not in ("", "auto"):
            found.add("detail")
    elif isinstance(block, ToolResult) and block.failed:
        found.add("is_error")
    return found


def reduced(chat: Chat, served: frozenset[str]) -> Chat:
    """The request without what `settle_rest` has seen to: for codecs that hand it on to another dialect's."""
    blank = Chat(messages=[])
    away = {field: getattr(blank, field) for names in (_OPTIONAL, HINTS) for field in names if field not in served}
    return msgspec.structs.replace(chat, extra={}, hints=(), betas=(), **away)


def settle_search(options: dict[str, Any], served: Sequence[str], fit: Fit) -> None:
    """Refuse or pass over the members of OpenAI's `web_search_options` that a provider, which has `served`, has not."""
    for name in ("filters", "user_location", "search_context_size"):
        value = options.get(name)
        if value and name not in served and value != "medium":
            (fit.refuse if name == "filters" else fit.ignore)(f"web_search_options.{name}")


def portable_tools(tools: Sequence[Tool], fit: Fit, dialect: str = "") -> list[Tool]:
    """The tools a provider of `dialect` can be given; server-side tools of others are refused or dropped."""
    out = []
    for tool in tools:
        if tool.dialect and tool.dialect != dialect:
            fit.refuse("tools", f"the tool '{tool.name}' runs only at providers that speak {tool.dialect}")
        else:
            out.append(tool)
    return out


def input_of(call: ToolCall) -> Any:
    """A call's arguments as an object; what is none was not understood by the tool either, and is shown as text."""
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"input": call.arguments}


def short_id(value: str, taken: re.Pattern[str]) -> str:
    """A call's id as a provider takes it: its own, or one made of it that stays the same."""
    return value if taken.fullmatch(value) else f"call_{hashlib.sha256(value.encode()).hexdigest()[:32]}"


class Outgoing(msgspec.Struct):
    """A request for a provider: `operation` is a key of `Deployment.heads`."""

    operation: str
    body: bytes
    headers: bytes = b""
    """More header lines, each ended by CRLF."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's codec is told about the deployment."""

    provider: str
    """Its name in the catalog, for messages."""
    model: str
    """The provider's own name of the model."""
    options: dict[str, str] = {}
    """`Deployment.options`."""


class DeltaReader(Protocol):
    """Reads a provider's stream, whatever the chunking."""

    def feed(self, data: bytes) -> list[Delta]:
        """The pieces completed by `data`. Raises `UpstreamError` for an error the provider sends, or what is no event.

        Exactly one `Started` comes before all others, and `Ended` last, once the answer is known to be complete.
        """

    def finish(self) -> list[Delta]:
        """The provider closed the stream: what is left, for instance the `Ended` of a wire without an end marker."""


class DeltaWriter(Protocol):
    """Writes a client's stream."""

    def write(self, delta: Delta) -> bytes:
        """The events for one piece, framed; empty when it waits for another. `Ended` gives everything up to the end."""

    def fail(self, error: GatewayError) -> bytes:
        """The events that tell an error and end the stream."""


class ClientCodec(Protocol):
    """A dialect clients speak."""

    def read(self, body: bytes) -> Chat:
        """A request. Raises `BadRequest` naming what is wrong."""

    def write(self, answer: Answer, chat: Chat) -> bytes:
        """A whole answer; `answer.model` is the name the client asked for."""

    def writer(self, chat: Chat, model: str) -> DeltaWriter:
        """For a streamed answer shown under the name `model`."""


class ProviderCodec(Protocol):
    """A dialect providers speak."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        """The request in the provider's words. Raises `BadRequest` for what it can't take."""

    def read(self, body: bytes, chat: Chat) -> Answer:
        """A whole answer. Raises `msgspec.DecodeError` or `UpstreamError` for what is none."""

    def reader(self, chat: Chat) -> DeltaReader:
        """For a streamed answer."""


class Decodes(Protocol):
    """A `msgspec.json.Decoder`, or what prepares a body for one."""

    def decode(self, buf: bytes, /) -> Any: ...


def decode_request(decoder: Decodes, body: bytes) -> Any:
    """Decode a client's body. Raises `BadRequest` with the place of what is wrong."""
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise invalid_request(error) from None


def unknown_members(body: bytes, known: frozenset[str]) -> dict[str, Any]:
    """The members of a body that was decoded as an object which are not `known`, nor the gateway's own."""
    return {
        name: msgspec.json.decode(raw)
        for name, raw in _decode_members(body).items()
        if name not in known and name not in ROUTING and bytes(raw) != b"null"
    }


class Pending(Protocol):
    """Knows a provider's answers that are not ready when they come."""

    def __call__(self, target: str, body: bytes) -> str | None:
        """Where to ask again, given the path that was asked; `None` for an answer that is ready."""


class Prefixer(Protocol):
    """A provider that can be given the beginning of its answer (`Chat.prefix`)."""

    def can_prefix(self, context: Context) -> bool:
        """Whether this deployment can."""


class CountClientCodec(Protocol):
    """A dialect in which clients ask for the size of a prompt."""

    def read(self, body: bytes) -> Chat:
        """A request whose tokens shall be counted. Raises `BadRequest`."""

    def write(self, tokens: int) -> bytes:
        """The answer to that."""


class TokenCounter(Protocol):
    """A provider that counts the tokens of a request without answering it."""

    def write_count(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        """The question in the provider's words."""

    def read_count(self, body: bytes) -> int:
        """Tokens of the prompt. Raises `msgspec.DecodeError` for what is no answer."""
