"""Responses on the wire, as far as translation reads it.

https://platform.openai.com/docs/api-reference/responses/create and /object, /docs/api-reference/responses-streaming.
Items of server-side tools are kept as they are (`Native`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from routeiq.providers.translate.chat import Effort

DIALECT = "responses"
WEB_SEARCH = ("web_search", "web_search_preview")
"""And dated names that begin so."""


class ContentPart(msgspec.Struct, gc=False):
    """A piece of a message's content, of a tool's output, of a thought."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: str | None = None
    input_audio: Any = None
    annotations: list[dict[str, Any]] | None = None


class Item(msgspec.Struct, gc=False):
    """One item of the input, or of an output that comes back as input."""

    type: str = "message"
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[ContentPart] | None = None
    status: str | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    input: str = ""
    output: str | list[ContentPart] | None = None
    summary: list[ContentPart] | None = None
    encrypted_content: str | None = None


class Kind(msgspec.Struct, gc=False):
    """What an item is, before the rest of it is read."""

    type: str = "message"


READABLE = frozenset(
    ("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning")
)
"""Items that have a meaning at every provider."""


class Tool(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: Any = None
    search_context_size: str | None = None
    user_location: dict[str, Any] | None = None
    filters: dict[str, Any] | None = None


class Named(msgspec.Struct, gc=False):
    type: str = "function"
    name: str = ""


class Choice(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    mode: Literal["auto", "required"] = "auto"
    tools: list[Named] | None = None


class TextFormat(msgspec.Struct, gc=False):
    type: Literal["text", "json_schema", "json_object"]
    name: str = ""
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct, gc=False):
    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct, gc=False):
    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None


class Request(msgspec.Struct, gc=False):
    input: str | list[Raw] = ""
    model: str = ""
    instructions: str | list[Raw] | None = None
    tools: list[Raw] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    stream: bool | None = None
    truncation: str | None = None
    conversation: Any = None
    prompt: Any = None


ELSEWHERE = frozenset(
    ("background", "previous_response_id", "store", "stream_options", "mock_response", "mock_testing_fallbacks")
)
"""Members the gateway serves itself, or that say how and not what to answer."""
HINTS = frozenset(("prompt_cache_retention", "prompt_cache_options", "context_management"))
"""Members that other providers do without, and the answer is the same."""
LOGPROBS = "message.output_text.logprobs"
PROOFS = "reasoning.encrypted_content"
ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Settings of the request that the answer repeats, with what stands for those that were not sent."""

request_decoder = msgspec.json.Decoder(Request)
item_decoder = msgspec.json.Decoder(Item)
kind_decoder = msgspec.json.Decoder(Kind)
tool_decoder = msgspec.json.Decoder(Tool)
decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
KNOWN = frozenset(Request.__struct_fields__) | frozenset(ECHOED) | ELSEWHERE | HINTS


class Origin(msgspec.Struct, gc=False):
    """What an answer repeats of its request."""

    settings: dict[str, Any]
