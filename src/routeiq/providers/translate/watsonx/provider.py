"""watsonx.ai's chat and embeddings: Chat Completions with other names, and the streamed form under a path of its own.

https://cloud.ibm.com/apidocs/watsonx-ai#text-chat, #text-chat-stream, #text-embeddings;
https://ibm.github.io/watsonx-ai-node-sdk/interfaces/1_7_x.WatsonXAI.TextChatParams.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import Answer, Chat
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing, reduced
from routeiq.providers.translate.embed import Embed, Embedded, bare_texts
from routeiq.providers.translate.openai.provider import OpenAIProvider
from routeiq.providers.translate.openai.reader import ChunkReader

_encode = msgspec.json.Encoder().encode
_EXTRA = (
    *("time_limit", "guided_choice", "guided_grammar", "guided_json", "guided_regex", "include_reasoning"),
    *("length_penalty", "repetition_penalty", "chat_template_kwargs", "context"),
)
"""watsonx's own members, which clients may send by their names."""
_SERVED = frozenset(
    (
        *("temperature", "top_p", "seed", "n", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
        *("logit_bias", "format", "reasoning", "detail", "strict", *_EXTRA),
    )
)
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
_PARTS = ("text", "image_url", "input_audio", "video_url")


class Vector(msgspec.Struct, gc=False):
    embedding: list[float]


class Vectors(msgspec.Struct, gc=False):
    results: list[Vector]
    model_id: str = ""
    input_token_count: int | None = None


_decode_vectors = msgspec.json.Decoder(Vectors, strict=False).decode


class WatsonxProvider:
    """`ProviderCodec` for `watsonx_chat`, `EmbedProviderCodec` for `watsonx_embed`."""

    def __init__(self) -> None:
        self._openai = OpenAIProvider()

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        fit.settle_rest(chat, _SERVED)
        out = self._openai.members(reduced(chat, _SERVED), context, fit)
        for name in ("model", "stream", "stream_options"):
            out.pop(name, None)
        out["messages"] = [_message(message, fit) for message in out["messages"]]
        if "max_tokens" in out:
            out["max_completion_tokens"] = out.pop("max_tokens")
        for tool in out.get("tools", ()):
            if tool["function"].pop("strict", None):
                fit.ignore("strict")
        if "tool_choice" in out:
            _choose(out)
        if "reasoning_effort" in out:
            effort = _EFFORTS.get(out.pop("reasoning_effort"))
            if effort is None:
                fit.ignore("reasoning_effort")
            else:
                out["reasoning_effort"] = effort
        for name in _EXTRA:
            if name in chat.extra and not fit.leaves_out(name):
                out[name] = chat.extra[name]
        return Outgoing("watsonx_chat", _encode(_placed(context) | out))

    def read(self, body: bytes, chat: Chat) -> Answer:
        return self._openai.read(body, chat)

    def reader(self, chat: Chat) -> DeltaReader:
        return ChunkReader(marked=False)

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        return Outgoing("watsonx_embed", _encode(_placed(context) | {"inputs": bare_texts(embed, fit)}))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        answer = _decode_vectors(body)
        tokens = answer.input_token_count
        usage = Usage(prompt=max(tokens, 0)) if tokens is not None else None
        return Embedded(model=answer.model_id, vectors=[found.embedding for found in answer.results], usage=usage)


def _placed(context: Context) -> dict[str, Any]:
    """The model and where it is billed; a deployment, named in the path, has both."""
    options = context.options
    if options.get("no_model") == "true":
        return {}
    out = {"model_id": context.model}
    for name in ("project_id", "space_id"):
        if name in options:
            return out | {name: options[name]}
    return out


def _message(message: dict[str, Any], fit: Fit) -> dict[str, Any]:
    """Only users may send parts, and of them no files."""
    if message["role"] == "developer":
        message["role"] = "system"
    parts = message.get("content")
    if isinstance(parts, list):
        if message["role"] != "user":
            if any(part["type"] not in ("text", "refusal") for part in parts):
                fit.refuse("messages", f"a message of the {message['role']}'s is text here")
            message["content"] = "\n".join(part.get("text") or part.get("refusal") or "" for part in parts)
        elif any(part["type"] not in _PARTS for part in parts):
            raise BadRequest("This model takes no documents.", param="messages", code="unsupported_content")
    return message


def _choose(out: dict[str, Any]) -> None:
    """A mode is an option of its own; a list of allowed tools is all the model is shown."""
    choice = out.pop("tool_choice")
    if isinstance(choice, str):
        out["tool_choice_option"] = choice
    elif choice["type"] == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = {tool["function"]["name"] for tool in allowed["tools"]}
        out["tools"] = [tool for tool in out["tools"] if tool["function"]["name"] in names]
        out["tool_choice_option"] = allowed["mode"]
    else:
        out["tool_choice"] = choice
