"""A conversation in the gateway's own words: what every dialect is read into and written from.

    client's body ──read──► Chat ──write──► provider's body
    client's answer ◄─write── Answer ◄──read── provider's answer
    client's events ◄─write── Delta … ◄─read── provider's events

Nothing here belongs to one vendor. Counts of tokens follow OpenAI's convention: a prompt includes what was read from
and written to a cache. Data of images, documents and audio is base64 text, as all wires carry it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from routeiq.core.usage import Usage

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "refusal", "pause"]
"""Why an answer ended. `stop_sequence`: one of the request's; `pause`: a server-side tool loop to be continued."""


class CacheMark(msgspec.Struct, frozen=True):
    """The prompt up to and with this block is worth caching."""

    ttl: str = ""
    """`5m` or `1h`; empty for the provider's default."""


class Citation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a part of the answer comes from."""

    text: str = ""
    """The quoted words of the source."""
    url: str = ""
    title: str = ""
    start: int | None = None
    end: int | None = None
    """The part of the answer it supports, in characters."""
    dialect: str = ""
    native: Any = None
    """As `dialect` writes it, for clients of the same one."""


class Text(msgspec.Struct, kw_only=True):
    text: str
    cache: CacheMark | None = None
    citations: list[Citation] = []


class Media(msgspec.Struct, kw_only=True):
    """An image, a document, audio or video: one of `data`, `url`, `file_id` and, for documents, `text` is given."""

    kind: Literal["image", "document", "audio", "video"]
    media_type: str = ""
    """`image/png`; empty when only the URL is known."""
    data: str = ""
    url: str = ""
    file_id: str = ""
    text: str = ""
    name: str = ""
    context: str = ""
    detail: str = ""
    """OpenAI's `low`, `high`, `auto`."""
    cited: bool = False
    """Whether the answer shall cite this document."""
    cache: CacheMark | None = None


class ToolCall(msgspec.Struct, kw_only=True):
    """The model wants a tool run. `arguments` is the text it wrote: JSON, unless the tool is `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    signature: str = ""
    """Proof of the thought that led to it (Gemini), `sealed`."""
    cache: CacheMark | None = None


class ToolResult(msgspec.Struct, kw_only=True):
    id: str
    name: str = ""
    content: list[Text | Media] = []
    failed: bool = False
    custom: bool = False
    cache: CacheMark | None = None


class Thinking(msgspec.Struct, kw_only=True):
    """Reasoning the provider showed. `signature` proves it to the same provider later; `sealed`."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    """Encrypted reasoning instead of text, `sealed`."""
    id: str = ""


class Refusal(msgspec.Struct, kw_only=True):
    text: str


class Native(msgspec.Struct, kw_only=True):
    """A block only one dialect has (results of server tools, containers): kept between equals, refused elsewhere."""

    dialect: str
    value: Any


Block = Text | Media | ToolCall | ToolResult | Thinking | Refusal | Native


class Message(msgspec.Struct, kw_only=True):
    role: Role
    content: list[Block]
    name: str = ""


class Tool(msgspec.Struct, kw_only=True):
    """A tool the model may call. `native` is a server-side tool as `dialect` writes it; it has no `parameters`."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    """JSON Schema; `None` for a tool without parameters."""
    strict: bool | None = None
    custom: bool = False
    """Free text instead of JSON; `native` then holds its `format`."""
    dialect: str = ""
    native: Any = None
    cache: CacheMark | None = None


class ToolChoice(msgspec.Struct, kw_only=True, frozen=True):
    mode: Literal["auto", "none", "required", "tool"]
    names: tuple[str, ...] = ()
    """The one of `tool`; for the others the only ones allowed, where not empty."""


class Format(msgspec.Struct, kw_only=True):
    """Structured output: any JSON object, or one that fits `schema`."""

    schema: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Reasoning(msgspec.Struct, kw_only=True):
    """How much to think: an effort, a budget in tokens, or (`adaptive`) as much as the model likes."""

    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    summary: str = ""
    """`auto`, `concise`, `detailed`; empty: not asked for."""
    hidden: bool = False
    """Whether the client wants no reasoning in the answer."""


class Thread(msgspec.Struct, kw_only=True):
    """What the gateway gives the answer of a conversation that it keeps, or could."""

    id: str
    """Of the answer."""
    previous: str = ""
    """The answer it goes on from."""
    stored: bool = False
    background: bool = False


class Chat(msgspec.Struct, kw_only=True):
    """A request. `None` and empty mean that the client said nothing."""

    model: str = ""
    messages: list[Message]
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: list[str] = []
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    user: str = ""
    metadata: dict[str, Any] | None = None
    service_tier: str = ""
    modalities: list[str] = []
    """What the answer may hold: `text`, `audio`, `image`."""
    audio: dict[str, Any] | None = None
    """OpenAI's `voice` and `format` of a spoken answer."""
    prediction: Any = None
    web_search: dict[str, Any] | None = None
    """OpenAI's `web_search_options`, and the `filters` of its tool in Responses."""
    prompt_cache_key: str = ""
    safety: Any = None
    """Gemini's `safetySettings`."""
    store: bool | None = None
    prefix: bool = False
    """Whether the last message is the beginning of the answer, to be gone on with."""
    stream: bool = False
    include_usage: bool = False
    """Whether the client wants usage in the stream, where its dialect leaves it a choice."""
    betas: tuple[str, ...] = ()
    """Anthropic's beta features."""
    extra: dict[str, Any] = {}
    """What the client's dialect does not know, or no other has, by its name there."""
    hints: tuple[str, ...] = ()
    """Names of what was sent and does not change the answer where it is not understood."""
    thread: Thread | None = None
    origin: Any = None
    """What the client's dialect repeats of the request in its answers."""


class Choice(msgspec.Struct, kw_only=True):
    index: int = 0
    content: list[Block]
    finish: FinishReason = "stop"
    stop_sequence: str = ""
    logprobs: Any = None
    """In OpenAI's shape."""


class Answer(msgspec.Struct, kw_only=True):
    id: str = ""
    model: str = ""
    created: int = 0
    """Unix seconds; 0 when the provider does not say."""
    choices: list[Choice]
    usage: Usage | None = None
    service_tier: str = ""
    fingerprint: str = ""


# The pieces of a streamed answer. `choice` is the index of the candidate they belong to.


class Started(msgspec.Struct, kw_only=True, gc=False):
    """First of a stream, exactly once. Usage may hold what the prompt took, when that is known already."""

    id: str = ""
    model: str = ""
    created: int = 0
    usage: Usage | None = None
    service_tier: str = ""
    fingerprint: str = ""


class TextDelta(msgspec.Struct, kw_only=True, gc=False):
    text: str
    choice: int = 0
    logprobs: Any = None


class ThinkingDelta(msgspec.Struct, kw_only=True, gc=False):
    """More of a thought; its `signature` or `redacted` form, `sealed`, come whole."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    choice: int = 0


class RefusalDelta(msgspec.Struct, kw_only=True, gc=False):
    text: str
    choice: int = 0


class CitationDelta(msgspec.Struct, kw_only=True, gc=False):
    """A source of the text that came last."""

    citation: Citation
    choice: int = 0


class ToolStarted(msgspec.Struct, kw_only=True, gc=False):
    """Call number `index` of this choice begins; several may be open at once."""

    index: int
    id: str
    name: str
    custom: bool = False
    signature: str = ""
    choice: int = 0


class ToolDelta(msgspec.Struct, kw_only=True, gc=False):
    """More of the text of that call's arguments."""

    index: int
    arguments: str
    choice: int = 0


class MediaDelta(msgspec.Struct, kw_only=True, gc=False):
    """Audio as it is spoken, or a whole image. `text` is the transcript that goes with it."""

    media: Media
    choice: int = 0
    expires: int | None = None


class Finished(msgspec.Struct, kw_only=True, gc=False):
    """The choice is complete."""

    reason: FinishReason = "stop"
    stop_sequence: str = ""
    choice: int = 0


class Used(msgspec.Struct, kw_only=True, gc=False):
    """All that has been used so far: the last one counts."""

    usage: Usage
    service_tier: str = ""


class Ended(msgspec.Struct, kw_only=True, gc=False):
    """Last of a stream that is complete. A stream that ends without it was cut."""


Delta = (
    Started
    | TextDelta
    | ThinkingDelta
    | RefusalDelta
    | CitationDelta
    | ToolStarted
    | ToolDelta
    | MediaDelta
    | Finished
    | Used
    | Ended
)


def sealed(dialect: str, proof: str) -> str:
    """A signature with the name of the dialect it means something to: `gemini#CiQB…`; empty stays empty."""
    return f"{dialect}#{proof}" if proof else ""


def unsealed(dialect: str, proof: str) -> str:
    """The signature for a provider of `dialect`; empty when it was made by another."""
    owner, mark, rest = proof.partition("#")
    return rest if mark and owner == dialect else ""
