"""Messages as providers speak it: Anthropic, and Claude on Vertex AI, Bedrock and Azure.

Those on other clouds name the model in the path and have `anthropic_version` in the body:
https://docs.claude.com/en/api/claude-on-vertex-ai and /claude-on-amazon-bedrock
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from routeiq.providers.dialects.anthropic import usage_of
from routeiq.providers.translate.anthropic import wire
from routeiq.providers.translate.anthropic.blocks import conversation
from routeiq.providers.translate.anthropic.citations import read_citation
from routeiq.providers.translate.anthropic.reader import EventReader
from routeiq.providers.translate.anthropic.thinking import decides_itself, plan, without_sampling
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Choice,
    Native,
    Text,
    Thinking,
    Tool,
    ToolCall,
    sealed,
)
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing, portable_tools, settle_search
from routeiq.providers.translate.structured import ANSWER_TOOL, UnwrappingReader, answer_tool, unwrap

_encode = msgspec.json.Encoder().encode
_SERVED = frozenset(
    ("temperature", "top_p", "top_k", "parallel_tool_calls", "format", "reasoning", "user", "service_tier")
) | {"web_search", "betas", "cache_control", "citations", "is_error", "strict"}
NATIVE_FORMAT = re.compile(r"claude-(opus-4-[1-9]|sonnet-4-[5-9]|haiku-4-[5-9]|(opus|sonnet|haiku)-[5-9])")
"""Models with structured output of their own: https://docs.claude.com/en/docs/build-with-claude/structured-outputs"""
_TIERS = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}


class AnthropicProvider:
    """`ProviderCodec` for the operation `messages`, and `TokenCounter` for `count_tokens`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        out = _head(context)
        chat = without_sampling(chat, context.model, fit)
        system, messages = conversation(chat.messages, context, fit)
        if system:
            out["system"] = system
        out["messages"] = messages
        tools = _tools(chat, fit)
        choice = _tool_choice(chat, fit)
        _sampling(chat, out, fit)
        thinks = _think(chat, messages, context.model, out, fit)
        if chat.format is not None and not fit.leaves_out("response_format"):
            if chat.format.schema is not None and NATIVE_FORMAT.search(context.model):
                schema = closed(chat.format.schema)
                out.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
            else:
                tools.append(_tool(answer_tool(chat.format)))
                if not chat.tools and not thinks:
                    choice = {"type": "tool", "name": ANSWER_TOOL}
        if thinks and choice is not None and choice["type"] in ("any", "tool"):
            fit.refuse("tool_choice", "a model that thinks can't be made to call a tool")
            choice = None
        if tools:
            out["tools"] = tools
            if choice is not None:
                out["tool_choice"] = choice
        if chat.user and not fit.leaves_out("user"):
            out["metadata"] = {"user_id": chat.user}
        if chat.service_tier and not fit.leaves_out("service_tier"):
            tier = _TIERS.get(chat.service_tier)
            if tier is None:
                fit.ignore("service_tier")
            else:
                out["service_tier"] = tier
        fit.settle_rest(chat, _SERVED)
        version = context.options.get("anthropic_version")
        if chat.stream and not (version or "").startswith("bedrock"):
            out["stream"] = True
        headers = b""
        if chat.betas and version:
            out["anthropic_beta"] = list(chat.betas)
        elif chat.betas:
            headers = b"anthropic-beta: %b\r\n" % ",".join(chat.betas).encode("latin-1", "ignore")
        return Outgoing("messages", _encode(out), headers)

    def read(self, body: bytes, chat: Chat) -> Answer:
        wire_answer = wire.decode_answer(body)
        answer = Answer(
            id=wire_answer.id,
            model=wire_answer.model,
            choices=[
                Choice(
                    content=[_block(raw) for raw in wire_answer.content],
                    finish=wire.FINISH.get(wire_answer.stop_reason or "end_turn", "stop"),
                    stop_sequence=wire_answer.stop_sequence or "",
                )
            ],
            usage=usage_of(wire_answer.usage) if wire_answer.usage is not None else None,
            service_tier=(wire_answer.usage.service_tier or "") if wire_answer.usage is not None else "",
        )
        return unwrap(answer) if chat.format is not None else answer

    def reader(self, chat: Chat) -> DeltaReader:
        reader = EventReader()
        return UnwrappingReader(reader) if chat.format is not None else reader

    def can_prefix(self, context: Context) -> bool:
        return not decides_itself(context.model)

    def write_count(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        out = _head(context)
        system, messages = conversation(chat.messages, context, fit)
        if system:
            out["system"] = system
        out["messages"] = messages
        tools = _tools(chat, fit)
        if tools:
            out["tools"] = tools
        return Outgoing("count_tokens", _encode(out))

    def read_count(self, body: bytes) -> int:
        return wire.decode_count(body).input_tokens


def _head(context: Context) -> dict[str, Any]:
    version = context.options.get("anthropic_version")
    return {"anthropic_version": version} if version else {"model": context.model}


def _sampling(chat: Chat, out: dict[str, Any], fit: Fit) -> None:
    if chat.temperature is not None and not fit.leaves_out("temperature"):
        if chat.temperature > 1:
            fit.refuse("temperature", "it must be between 0 and 1")
        else:
            out["temperature"] = chat.temperature
    for name in ("top_p", "top_k"):
        value = getattr(chat, name)
        if value is not None and not fit.leaves_out(name):
            out[name] = value
    # It refuses sequences of nothing but white space.
    stop = [text for text in chat.stop if text.strip()]
    if len(stop) < len(chat.stop):
        fit.refuse("stop", "a stop sequence of white space is not possible")
    if stop and not fit.leaves_out("stop"):
        out["stop_sequences"] = stop


def _think(chat: Chat, messages: list[dict[str, Any]], model: str, out: dict[str, Any], fit: Fit) -> bool:
    """Set `thinking`, the effort and `max_tokens`; whether the model will think."""
    turns = [(message["role"], [block["type"] for block in message["content"]]) for message in messages]
    thought = plan(chat, model, turns, fit)
    out["max_tokens"] = thought.max_tokens
    if thought.effort:
        out["output_config"] = {"effort": thought.effort}
    if thought.thinking is not None:
        out["thinking"] = thought.thinking
    if not thought.thinks:
        return False
    if out.get("temperature", 1) != 1:
        fit.refuse("temperature", "a model that thinks takes only 1")
        del out["temperature"]
    if "top_k" in out:
        fit.refuse("top_k", "a model that thinks takes none")
        del out["top_k"]
    return True


def _tools(chat: Chat, fit: Fit) -> list[dict[str, Any]]:
    tools = [_tool(tool) for tool in portable_tools(chat.tools, fit, "anthropic")]
    if chat.web_search is not None and not fit.leaves_out("web_search_options"):
        tools.append(_search(chat.web_search, fit))
    return tools


def _search(options: dict[str, Any], fit: Fit) -> dict[str, Any]:
    """https://docs.claude.com/en/docs/agents-and-tools/tool-use/web-search-tool"""
    settle_search(options, ("filters", "user_location"), fit)
    out: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
    filters, place = options.get("filters"), options.get("user_location")
    if isinstance(filters, dict) and filters.get("allowed_domains"):
        out["allowed_domains"] = filters["allowed_domains"]
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        out["user_location"] = {"type": "approximate", **place["approximate"]}
    return out


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.native is not None:
        native: dict[str, Any] = tool.native
        return native
    parameters = tool.parameters or {}
    out: dict[str, Any] = {
        "name": tool.name,
        "input_schema": parameters if parameters.get("type") == "object" else {"type": "object", **parameters},
    }
    if tool.description:
        out["description"] = tool.description
    if tool.strict is not None:
        out["strict"] = tool.strict
    if tool.cache is not None:
        out["cache_control"] = {"type": "ephemeral", **({"ttl": tool.cache.ttl} if tool.cache.ttl else {})}
    return out


def _tool_choice(chat: Chat, fit: Fit) -> dict[str, Any] | None:
    if not chat.tools or fit.leaves_out("tool_choice"):
        return None
    choice = chat.tool_choice
    out: dict[str, Any] | None = None
    if choice is not None:
        if choice.mode == "tool":
            out = {"type": "tool", "name": choice.names[0]}
        elif choice.names:
            fit.refuse("tool_choice", "this provider has no list of allowed tools")
        else:
            out = {"type": "any" if choice.mode == "required" else choice.mode}
    if chat.parallel_tool_calls is False and (out is None or out["type"] != "none"):
        out = {**(out or {"type": "auto"}), "disable_parallel_tool_use": True}
    return out


def closed(schema: Any) -> Any:
    """A schema with every object closed, as structured output asks for."""
    if isinstance(schema, dict):
        out = {name: closed(value) for name, value in schema.items()}
        if out.get("type") == "object" and "properties" in out:
            out["additionalProperties"] = False
        return out
    return [closed(item) for item in schema] if isinstance(schema, list) else schema


def _block(raw: msgspec.Raw) -> Block:
    block = wire.decode_answer_block(raw)
    if block.type == "text":
        cited = block.citations if isinstance(block.citations, list) else []
        return Text(text=block.text, citations=[read_citation(citation) for citation in cited])
    if block.type == "tool_use":
        return ToolCall(id=block.id, name=block.name, arguments=bytes(block.input).decode())
    if block.type == "thinking":
        return Thinking(text=block.thinking, signature=sealed("anthropic", block.signature))
    if block.type == "redacted_thinking":
        return Thinking(redacted=sealed("anthropic", block.data))
    return Native(dialect="anthropic", value=msgspec.json.decode(raw))
