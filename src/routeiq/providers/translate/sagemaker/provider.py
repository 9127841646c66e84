"""SageMaker endpoints whose container speaks Chat Completions at `/invocations`: vLLM, DJL's LMI, Hugging Face's TGI.

https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/chat_input_output_schema.html,
https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
"""

from __future__ import annotations

import msgspec

from routeiq.providers.translate.chat import Answer, Chat
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing, reduced
from routeiq.providers.translate.embed import Embed, Embedded
from routeiq.providers.translate.openai.embeddings import OpenAIEmbedProvider
from routeiq.providers.translate.openai.provider import OpenAIProvider
from routeiq.providers.translate.openai.reader import ChunkReader
from routeiq.providers.translate.sagemaker.reader import PartReader

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SERVED = frozenset(
    (
        *("temperature", "top_p", "top_k", "min_p", "seed", "n", "presence_penalty", "frequency_penalty", "logprobs"),
        *("top_logprobs", "logit_bias", "parallel_tool_calls", "format", "reasoning", "detail", "strict"),
    )
)


class SagemakerProvider:
    """`ProviderCodec` and `EmbedProviderCodec` for the operation `invoke`.

    An endpoint has one model, which is only named where its container asks for it (the option `served_model`). What
    the client sends that Chat Completions does not know is the container's own.
    """

    def __init__(self) -> None:
        self._openai = OpenAIProvider()
        self._embed = OpenAIEmbedProvider()

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        served = _SERVED.union(chat.extra)
        fit.settle_rest(chat, served)
        out = self._openai.members(reduced(chat, served), context, fit)
        del out["model"]
        if "served_model" in context.options:
            out["model"] = context.options["served_model"]
        out |= {name: value for name, value in chat.extra.items() if not fit.leaves_out(name)}
        return Outgoing("invoke", _encode(out))

    def read(self, body: bytes, chat: Chat) -> Answer:
        return self._openai.read(body, chat)

    def reader(self, chat: Chat) -> DeltaReader:
        return PartReader(ChunkReader(marked=False))

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        out = _decode(self._embed.write_embed(embed, context, fit).body)
        del out["model"]
        if "served_model" in context.options:
            out["model"] = msgspec.Raw(_encode(context.options["served_model"]))
        return Outgoing("invoke", _encode(out))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        return self._embed.read_embed(body, embed)
