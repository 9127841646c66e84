"""Converse as a provider speaks it, and the counting of a prompt's tokens.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and /API_runtime_CountTokens.html
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from routeiq.providers.translate.anthropic.provider import NATIVE_FORMAT, closed
from routeiq.providers.translate.anthropic.thinking import plan, without_sampling
from routeiq.providers.translate.bedrock import wire
from routeiq.providers.translate.bedrock.answer import read_answer
from routeiq.providers.translate.bedrock.messages import Conversation, tool_names, uses_tools
from routeiq.providers.translate.bedrock.reader import ConverseReader
from routeiq.providers.translate.chat import Answer, Chat, Format, Reasoning, Tool
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing, portable_tools
from routeiq.providers.translate.reasoning import effort_of
from routeiq.providers.translate.structured import ANSWER_TOOL, UnwrappingReader, answer_tool, unwrap

_encode = msgspec.json.Encoder().encode
_EXTRA = (
    "guardrailConfig",
    "performanceConfig",
    "requestMetadata",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
)
"""Converse's own members, which clients may send by their names."""
_SERVED = frozenset(
    (
        *("temperature", "top_p", "top_k", "format", "reasoning", "metadata", "service_tier", *_EXTRA),
        *("cache_control", "citations", "is_error", "strict"),
    )
)
_REASONING_NOVA = re.compile(r"nova-(2|premier-2)")
"""https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html"""
_FORCED = re.compile(r"claude|nova|^arn:")
"""Models that can be made to call a given tool:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_SpecificToolChoice.html
"""
_TIERS = ("default", "flex", "priority", "reserved")
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_MOST_METADATA = 16


class BedrockProvider:
    """`ProviderCodec` for the operation `converse`, and `TokenCounter` for `converse_count`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        chat = without_sampling(chat, context.model, fit)
        conversation = Conversation(context.model, fit)
        system, messages = conversation.written(chat.messages)
        out: dict[str, Any] = {"messages": messages}
        if system:
            out["system"] = system
        more: dict[str, Any] = {}
        inference = _inference(chat, fit)
        thinks = _think(chat, messages, context.model, inference, more, out, fit)
        _top_k(chat, context.model, thinks, more, fit)
        tools = _tools(chat, conversation, fit)
        choice = _choice(chat, thinks, fit)
        if chat.format is not None and not fit.leaves_out("response_format"):
            if chat.format.schema is not None and NATIVE_FORMAT.search(context.model):
                out.setdefault("outputConfig", {})["textFormat"] = _format(chat.format)
            else:
                tools.append(_tool(answer_tool(chat.format)))
                if not chat.tools and not thinks and _FORCED.search(context.model):
                    choice = {"tool": {"name": ANSWER_TOOL}}
        _configure(out, messages, tools, choice, chat, fit)
        if chat.stop and "claude" in context.model:
            out["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
        if chat.betas and "claude" in context.model:
            more["anthropic_beta"] = list(chat.betas)
        _label(chat, out, fit)
        for name in _EXTRA:
            if name in chat.extra and not fit.leaves_out(name):
                value = chat.extra[name]
                if name == "additionalModelRequestFields" and isinstance(value, dict):
                    more |= value
                else:
                    out[name] = value
        if inference:
            out["inferenceConfig"] = inference
        if more:
            out["additionalModelRequestFields"] = more
        fit.settle_rest(chat, _SERVED | {"betas"} if "claude" in context.model else _SERVED)
        return Outgoing("converse", _encode(out))

    def read(self, body: bytes, chat: Chat) -> Answer:
        answer = read_answer(body)
        return unwrap(answer) if chat.format is not None else answer

    def reader(self, chat: Chat) -> DeltaReader:
        reader = ConverseReader()
        return UnwrappingReader(reader) if chat.format is not None else reader

    def write_count(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        if "claude" not in context.model:
            return Outgoing("", b"")  # no other model counts
        conversation = Conversation(context.model, fit)
        system, messages = conversation.written(chat.messages)
        out: dict[str, Any] = {"messages": messages}
        if system:
            out["system"] = system
        _configure(out, messages, _tools(chat, conversation, fit), None, chat, fit)
        return Outgoing("converse_count", _encode({"input": {"converse": out}}))

    def read_count(self, body: bytes) -> int:
        return wire.decode_count(body).input_tokens


def _inference(chat: Chat, fit: Fit) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if chat.max_tokens is not None and not fit.leaves_out("max_tokens"):
        out["maxTokens"] = chat.max_tokens
    if chat.temperature is not None and not fit.leaves_out("temperature"):
        if chat.temperature > 1:
            fit.refuse("temperature", "it must be between 0 and 1")
        else:
            out["temperature"] = chat.temperature
    if chat.top_p is not None and not fit.leaves_out("top_p"):
        out["topP"] = chat.top_p
    stop = [text for text in chat.stop if text.strip()]
    if len(stop) < len(chat.stop):
        fit.refuse("stop", "a stop sequence of white space is not possible")
    if stop and not fit.leaves_out("stop"):
        out["stopSequences"] = stop
    return out


def _think(
    chat: Chat,
    messages: list[dict[str, Any]],
    model: str,
    inference: dict[str, Any],
    more: dict[str, Any],
    out: dict[str, Any],
    fit: Fit,
) -> bool:
    """Set what makes the model think, each family in its own words; whether it will, with Claude's restrictions."""
    if chat.reasoning is None:
        return False
    if "claude" in model:
        turns = [(message["role"], [next(iter(block)) for block in message["content"]]) for message in messages]
        thought = plan(chat, model, turns, fit)
        if thought.effort:
            out["outputConfig"] = {"effort": thought.effort}
        if thought.thinking is not None:
            more["thinking"] = thought.thinking
        if thought.thinks:
            inference["maxTokens"] = thought.max_tokens
            if inference.get("temperature", 1) != 1:
                fit.refuse("temperature", "a model that thinks takes only 1")
                del inference["temperature"]
        return thought.thinks
    if not fit.leaves_out("reasoning_effort"):
        _other_thinking(chat.reasoning, model, more, fit)
    return False


def _other_thinking(reasoning: Reasoning, model: str, more: dict[str, Any], fit: Fit) -> None:
    effort = effort_of(reasoning)
    if effort is None:
        return
    level = {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    if _REASONING_NOVA.search(model):
        if effort == "none":
            more["reasoningConfig"] = {"type": "disabled"}
        else:
            more["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
    elif "gpt-oss" in model:
        more["reasoning_effort"] = "low" if effort == "none" else level
    elif effort != "none":
        fit.ignore("reasoning_effort")


def _top_k(chat: Chat, model: str, thinks: bool, more: dict[str, Any], fit: Fit) -> None:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html: each family's own field."""
    if chat.top_k is None or fit.leaves_out("top_k"):
        return
    if "claude" in model and thinks:
        fit.refuse("top_k", "a model that thinks takes none")
    elif "claude" in model or "mistral" in model:
        more["top_k"] = chat.top_k
    elif "nova" in model:
        more["inferenceConfig"] = {"topK": chat.top_k}
    elif "cohere" in model:
        more["k"] = chat.top_k
    else:
        fit.refuse("top_k")


def _tools(chat: Chat, conversation: Conversation, fit: Fit) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for tool in portable_tools(chat.tools, fit, "bedrock"):
        out.append(_tool(tool))
        out += conversation.mark(tool.cache)
    return out


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.native is not None:
        return {"systemTool": tool.native}
    parameters = tool.parameters or {}
    spec: dict[str, Any] = {
        "name": tool.name,
        "inputSchema": {"json": parameters if parameters.get("type") == "object" else {"type": "object", **parameters}},
    }
    if tool.description:
        spec["description"] = tool.description
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return {"toolSpec": spec}


def _choice(chat: Chat, thinks: bool, fit: Fit) -> dict[str, Any] | None:
    choice = chat.tool_choice
    if choice is None or choice.mode in ("auto", "none") or not chat.tools or fit.leaves_out("tool_choice"):
        if choice is not None and choice.mode == "auto" and choice.names:
            fit.refuse("tool_choice", "this provider has no list of allowed tools")
        return None
    if thinks:
        fit.refuse("tool_choice", "a model that thinks can't be made to call a tool")
        return None
    if choice.mode == "tool":
        return {"tool": {"name": choice.names[0]}}
    if choice.names:
        fit.refuse("tool_choice", "this provider has no list of allowed tools")
    return {"any": {}}


def _configure(
    out: dict[str, Any],
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    choice: dict[str, Any] | None,
    chat: Chat,
    fit: Fit,
) -> None:
    """Set `toolConfig`, which a conversation with calls in it can't be without."""
    forbidden = chat.tool_choice is not None and chat.tool_choice.mode == "none" and bool(chat.tools)
    if forbidden and not uses_tools(messages):
        tools = [tool for tool in tools if tool.get("toolSpec", {}).get("name") == ANSWER_TOOL]
    elif forbidden:
        fit.refuse("tool_choice", "this provider can't forbid the use of tools once one was called")
    if not any("cachePoint" not in tool for tool in tools) and uses_tools(messages):
        tools = [_tool(Tool(name=name)) for name in tool_names(messages)]
    if tools:
        out["toolConfig"] = {"tools": tools}
        if choice is not None:
            out["toolConfig"]["toolChoice"] = choice


def _format(wanted: Format) -> dict[str, Any]:
    schema: dict[str, Any] = {"schema": _encode(closed(wanted.schema)).decode(), "name": wanted.name or "answer"}
    if wanted.description:
        schema["description"] = wanted.description
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}


def _label(chat: Chat, out: dict[str, Any], fit: Fit) -> None:
    """Where and under what labels it is served."""
    tier = chat.service_tier
    if tier and not fit.leaves_out("service_tier"):
        if tier in _TIERS:
            out["serviceTier"] = {"type": tier}
        elif tier in ("fast", "optimized"):
            out["performanceConfig"] = {"latency": "optimized"}
        elif tier != "auto":
            fit.ignore("service_tier")
    if chat.metadata and not fit.leaves_out("metadata"):
        labels = chat.metadata
        fits = len(labels) <= _MOST_METADATA and all(
            name and _METADATA.fullmatch(name) and isinstance(value, str) and _METADATA.fullmatch(value)
            for name, value in labels.items()
        )
        if fits:
            out["requestMetadata"] = labels
        else:
            fit.ignore("metadata")
