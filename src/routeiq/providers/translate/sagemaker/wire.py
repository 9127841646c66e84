"""Text generation on the wire, as Hugging Face's and DJL's containers answer it.

https://huggingface.github.io/text-generation-inference/#/Text%20Generation%20Inference/generate_stream,
https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/lmi_input_output_schema.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers.translate.chat import FinishReason

_BYTES_PER_TOKEN = 4
"""Of the estimate of what is not counted: about English text."""


class Details(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    generated_tokens: int | None = None
    input_length: int | None = None


class Generated(msgspec.Struct, gc=False):
    """A whole answer; JumpStart's Llama says `generation`."""

    generated_text: str | None = None
    generation: str | None = None
    details: Details | None = None


class Token(msgspec.Struct, gc=False):
    text: str = ""
    special: bool = False


class Event(msgspec.Struct, gc=False):
    """One token; the last has the whole text, or details."""

    token: Token | None = None
    generated_text: str | None = None
    details: Details | None = None
    error: Any = None


class Vectors(msgspec.Struct, gc=False):
    embedding: list[list[float] | float] | None = None
    """Of one text, or of all."""
    embeddings: list[list[float]] | None = None


decode_answer = msgspec.json.Decoder(list[Generated] | Generated, strict=False).decode
decode_event = msgspec.json.Decoder(Event, strict=False).decode
decode_vectors = msgspec.json.Decoder(list[list[float]] | Vectors, strict=False).decode


def finish_of(details: Details | None) -> FinishReason:
    """`length`, `eos_token` or `stop_sequence`."""
    if details is not None and details.finish_reason == "length":
        return "length"
    return "stop_sequence" if details is not None and details.finish_reason == "stop_sequence" else "stop"


def usage_of(details: Details | None, prompt: int, answer: int) -> Usage:
    """As counted, else by the sizes of the texts in characters."""
    counted = details.generated_tokens if details is not None else None
    read = details.input_length if details is not None else None
    return Usage(
        _count(read) if read is not None else tokens_of(prompt),
        _count(counted) if counted is not None else tokens_of(answer),
        estimated=counted is None or read is None,
    )


def tokens_of(size: int) -> int:
    """About how many tokens so many characters are."""
    return max(1, size // _BYTES_PER_TOKEN)


def _count(tokens: int) -> int:
    return min(max(tokens, 0), MOST_TOKENS)
