"""Ollama's chat and embeddings as a provider speaks them.

https://docs.ollama.com/api/chat, https://docs.ollama.com/api/embed; options: https://docs.ollama.com/modelfile#parameter
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.translate.chat import Answer, Block, Chat, Choice, Text, Thinking, Tool, ToolCall
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing, portable_tools
from routeiq.providers.translate.embed import Embed, Embedded, ignore_hints, texts_of
from routeiq.providers.translate.ollama import wire
from routeiq.providers.translate.ollama.messages import Conversation
from routeiq.providers.translate.ollama.reader import LineReader
from routeiq.providers.translate.reasoning import effort_of

_encode = msgspec.json.Encoder().encode
_OPTIONS = ("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty")
"""Parameters that are options of the same name and meaning."""
_MORE_OPTIONS = (
    *("num_ctx", "num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock", "low_vram"),
    *("numa", "num_predict", "tfs_z", "typical_p", "repeat_last_n", "repeat_penalty", "penalize_newline"),
    *("mirostat", "mirostat_tau", "mirostat_eta"),
)
"""Options that clients may send by their names."""
_EXTRA = ("keep_alive", "think", "options")
"""Ollama's own members, which they may send as well."""
_SERVED = frozenset((*_OPTIONS, *_MORE_OPTIONS, *_EXTRA, "logprobs", "top_logprobs", "format", "reasoning"))
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


class OllamaProvider:
    """`ProviderCodec` for the operation `ollama_chat`, `EmbedProviderCodec` for `ollama_embed`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        out: dict[str, Any] = {
            "model": context.model,
            "messages": Conversation(fit).written(chat.messages),
            "stream": chat.stream,  # streams unless told not to
        }
        tools = _tools(chat, fit)
        if tools:
            out["tools"] = tools
        if chat.format is not None and not fit.leaves_out("response_format"):
            out["format"] = "json" if chat.format.schema is None else chat.format.schema
        think = _think(chat, context.model, fit)
        if think is not None:
            out["think"] = think
        for name in ("logprobs", "top_logprobs"):
            value = getattr(chat, name)
            if value and not fit.leaves_out(name):
                out[name] = value
        if "keep_alive" in chat.extra and not fit.leaves_out("keep_alive"):
            out["keep_alive"] = chat.extra["keep_alive"]
        options = _options(chat, fit)
        if options:
            out["options"] = options
        fit.settle_rest(chat, _SERVED)
        return Outgoing("ollama_chat", _encode(out))

    def read(self, body: bytes, chat: Chat) -> Answer:
        line = wire.decode_line(body)
        if line.message is None:
            raise errors.from_event(body, provider="")
        message = line.message
        content: list[Block] = []
        if message.thinking:
            content.append(Thinking(text=message.thinking))
        if message.content:
            content.append(Text(text=message.content))
        calls = message.tool_calls or ()
        content += [
            ToolCall(
                id=wire.call_id(call, line.created_at, index),
                name=call.function.name,
                arguments=bytes(call.function.arguments).decode(),
            )
            for index, call in enumerate(calls)
        ]
        choice = Choice(
            content=content, finish=line.finish(bool(message.tool_calls)), logprobs=wire.logprobs_of(line.logprobs)
        )
        return Answer(model=line.model, choices=[choice], usage=line.usage())

    def reader(self, chat: Chat) -> DeltaReader:
        return LineReader()

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        texts = texts_of(embed)
        out: dict[str, Any] = {"model": context.model, "input": texts}
        if embed.dimensions is not None and not fit.leaves_out("dimensions"):
            out["dimensions"] = embed.dimensions
        ignore_hints(embed, fit)
        return Outgoing("ollama_embed", _encode(out))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        answer = wire.decode_embedded(body)
        tokens = answer.prompt_eval_count
        usage = Usage(prompt=max(tokens, 0)) if tokens is not None else None
        return Embedded(model=answer.model, vectors=answer.embeddings, usage=usage)


def _tools(chat: Chat, fit: Fit) -> list[dict[str, Any]]:
    """The tools the model may choose from: it can't be made to call one."""
    choice = chat.tool_choice
    allowed: tuple[str, ...] = ()
    if choice is not None and not fit.leaves_out("tool_choice"):
        if choice.mode == "none":
            return []
        if choice.mode != "auto":
            fit.refuse("tool_choice", "this provider can't make a model call a tool")
        allowed = choice.names
    tools = portable_tools(chat.tools, fit, "ollama")
    return [_tool(tool) for tool in tools if not allowed or tool.name in allowed]


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = {"type": "object", "properties": {}, **(tool.parameters or {})}
    return {"type": "function", "function": function}


def _think(chat: Chat, model: str, fit: Fit) -> Any:
    """https://docs.ollama.com/capabilities/thinking: on or off; gpt-oss takes a level and always thinks."""
    if "think" in chat.extra:
        return chat.extra["think"] if not fit.leaves_out("think") else None
    reasoning = chat.reasoning
    if reasoning is None or fit.leaves_out("reasoning_effort"):
        return None
    effort = effort_of(reasoning)
    if effort is None:
        return True if reasoning.adaptive else None
    if "gpt-oss" in model:
        return _LEVELS.get(effort, "low")
    return effort != "none"


def _options(chat: Chat, fit: Fit) -> dict[str, Any]:
    given = chat.extra.get("options")
    if given is not None and not isinstance(given, dict):
        raise BadRequest("'options' must be an object.", param="options", code="invalid_type")
    out: dict[str, Any] = dict(given or {}) if not fit.leaves_out("options") else {}
    for name in _OPTIONS:
        value = getattr(chat, name)
        if value is not None and not fit.leaves_out(name):
            out[name] = value
    for name in _MORE_OPTIONS:
        if name in chat.extra and not fit.leaves_out(name):
            out[name] = chat.extra[name]
    if chat.max_tokens is not None and not fit.leaves_out("max_tokens"):
        out["num_predict"] = chat.max_tokens
    if chat.stop and not fit.leaves_out("stop"):
        out["stop"] = chat.stop
    return out
