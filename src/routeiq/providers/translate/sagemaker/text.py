"""SageMaker endpoints whose container takes a prompt and parameters: Hugging Face's, and DJL's without messages.

https://huggingface.co/docs/text-generation-inference/reference/api_reference,
https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/lmi_input_output_schema.html;
embeddings: https://huggingface.co/docs/sagemaker/inference, https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import Answer, Chat, Choice, Text
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing
from routeiq.providers.translate.embed import Embed, Embedded, bare_texts
from routeiq.providers.translate.prompt import Prompt
from routeiq.providers.translate.sagemaker import wire
from routeiq.providers.translate.sagemaker.reader import GenerationReader, PartReader

_encode = msgspec.json.Encoder().encode
_SAME = ("top_p", "top_k", "frequency_penalty", "seed")
_EXTRA = (
    *("repetition_penalty", "typical_p", "truncate", "watermark", "do_sample", "best_of", "top_n_tokens"),
    *("adapter_id", "min_new_tokens", "length_penalty", "early_stopping"),
)
"""Parameters of text generation, which clients may send by their names."""
_SERVED = frozenset(("temperature", *_SAME, *_EXTRA))


class SagemakerTextProvider:
    """`ProviderCodec` and `EmbedProviderCodec` for the operation `invoke`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        prompt = Prompt(chat.messages, fit)
        if prompt.images:
            raise BadRequest("This model takes no images.", param="messages", code="unsupported_content")
        if chat.tools:
            fit.refuse("tools")
        text = prompt.written()
        out: dict[str, Any] = {"inputs": f"{prompt.system}\n\n{text}" if prompt.system else text}
        out["parameters"] = _parameters(chat, fit)
        if chat.stream:
            out["stream"] = True
        fit.settle_rest(chat, _SERVED)
        return Outgoing("invoke", _encode(out))

    def read(self, body: bytes, chat: Chat) -> Answer:
        found = wire.decode_answer(body)
        if isinstance(found, list):
            if not found:
                raise msgspec.ValidationError("there is no text in it")
            found = found[0]
        text = found.generated_text if found.generated_text is not None else found.generation
        if text is None:
            raise msgspec.ValidationError("there is no text in it")
        choice = Choice(content=[Text(text=text)] if text else [], finish=wire.finish_of(found.details))
        return Answer(choices=[choice], usage=wire.usage_of(found.details, _size(chat), len(text)))

    def reader(self, chat: Chat) -> DeltaReader:
        return PartReader(GenerationReader(_size(chat)))

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        return Outgoing("invoke", _encode({"inputs": bare_texts(embed, fit)}))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        found = wire.decode_vectors(body)
        vectors: list[list[float]] = []
        if isinstance(found, list):
            vectors = found
        elif found.embeddings is not None:
            vectors = found.embeddings
        elif found.embedding:
            numbers = [number for number in found.embedding if not isinstance(number, list)]
            vectors = [numbers] if numbers else [vector for vector in found.embedding if isinstance(vector, list)]
        if not vectors:
            raise msgspec.ValidationError("there is no embedding in it")
        size = sum(len(text) for text in embed.inputs)
        return Embedded(vectors=vectors, usage=Usage(wire.tokens_of(size), estimated=True))


def _parameters(chat: Chat, fit: Fit) -> dict[str, Any]:
    out: dict[str, Any] = {"details": True, "return_full_text": False}
    if chat.temperature is not None and not fit.leaves_out("temperature"):
        if chat.temperature > 0:
            out["temperature"] = chat.temperature
        out["do_sample"] = chat.temperature > 0  # a temperature of 0 is not taken, and is to take the likeliest
    for name in _SAME:
        value = getattr(chat, name)
        if value is not None and not fit.leaves_out(name):
            out[name] = value
    if chat.max_tokens is not None and not fit.leaves_out("max_tokens"):
        out["max_new_tokens"] = chat.max_tokens
    if chat.stop and not fit.leaves_out("stop"):
        out["stop"] = chat.stop
    return out | {name: chat.extra[name] for name in _EXTRA if name in chat.extra and not fit.leaves_out(name)}


def _size(chat: Chat) -> int:
    """Characters of the prompt."""
    return sum(len(block.text) for message in chat.messages for block in message.content if isinstance(block, Text))
