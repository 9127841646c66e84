"""Chat Completions as providers speak it: OpenAI, Azure, and all that are compatible, each with its quirks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.providers.dialects.openai import used
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Choice,
    Citation,
    Format,
    Media,
    Message,
    Native,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    sealed,
)
from routeiq.providers.translate.codec import (
    Context,
    DeltaReader,
    Fit,
    Outgoing,
    portable_tools,
    settle_search,
    short_id,
)
from routeiq.providers.translate.media import as_text, data_url, extension_of, split_url
from routeiq.providers.translate.openai import wire
from routeiq.providers.translate.openai.parts import image
from routeiq.providers.translate.openai.reader import ChunkReader, made_id
from routeiq.providers.translate.reasoning import effort_of
from routeiq.providers.translate.structured import ANSWER_TOOL, UnwrappingReader, answer_tool, unwrap

_encode = msgspec.json.Encoder().encode
_PLAIN = (
    "temperature",
    "top_p",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "parallel_tool_calls",
    "verbosity",
    "metadata",
    "store",
    "prediction",
    "audio",
)
"""Parameters with one name and meaning in both."""
_SERVED = frozenset(
    (
        *(*_PLAIN, "top_k", "min_p", "format", "reasoning", "user", "prompt_cache_key", "service_tier"),
        *("modalities", "web_search", "detail", "strict"),
    )
)
_MOST_STOPS = 4
"""https://platform.openai.com/docs/api-reference/chat/create#chat-create-stop"""
_IDS = re.compile(r".{1,40}", re.DOTALL)
"""OpenAI's API takes no longer ids of calls."""
_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
_COMPATIBLE_ONLY = ("top_k", "min_p")
"""What OpenAI itself does not take, and open-weight servers do."""
OPENAI_OWN = ("openai", "azure")
REASONING_MODELS = ("o1", "o3", "o4", "gpt-5")
"""They take `max_completion_tokens` only: https://platform.openai.com/docs/guides/reasoning"""


class OpenAIProvider:
    """`ProviderCodec` for the operation `chat`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        return Outgoing("chat", _encode(self.members(chat, context, fit)))

    def members(self, chat: Chat, context: Context, fit: Fit) -> dict[str, Any]:
        """The request as an object, for dialects that are nearly this one. Raises `BadRequest`."""
        out: dict[str, Any] = {"model": context.model, "messages": _messages(chat.messages, context, fit)}
        own = context.provider in OPENAI_OWN
        for name in _PLAIN:
            value = getattr(chat, name)
            if value is not None and not fit.leaves_out(name):
                out[name] = value
        for name in _COMPATIBLE_ONLY:
            value = getattr(chat, name)
            if value is not None and not fit.leaves_out(name):
                if own:
                    fit.refuse(name)
                else:
                    out[name] = value
        if chat.max_tokens is not None and not fit.leaves_out("max_tokens"):
            reasons = own and context.model.startswith(REASONING_MODELS)
            out["max_completion_tokens" if reasons else "max_tokens"] = chat.max_tokens
        if chat.stop and not fit.leaves_out("stop"):
            out["stop"] = chat.stop
            if own and len(chat.stop) > _MOST_STOPS:
                fit.refuse("stop", f"it takes {_MOST_STOPS} sequences")
                out["stop"] = chat.stop[:_MOST_STOPS]
        if chat.tools:
            tools = [_tool(tool) for tool in portable_tools(chat.tools, fit)]
            if tools:
                out["tools"] = tools
            if tools and chat.tool_choice is not None and not fit.leaves_out("tool_choice"):
                out["tool_choice"] = _tool_choice(chat)
        if chat.format is not None and not fit.leaves_out("response_format"):
            if chat.format.schema is not None and context.options.get("no_json_schema") == "true":
                out["tools"] = [*out.get("tools", ()), _tool(answer_tool(chat.format))]
                if not chat.tools:
                    out["tool_choice"] = {"type": "function", "function": {"name": ANSWER_TOOL}}
            else:
                out["response_format"] = _format(chat.format)
        _reasoning(chat, own, out, fit)
        if chat.user and not fit.leaves_out("user"):
            out["user"] = chat.user
        if chat.prompt_cache_key and not fit.leaves_out("prompt_cache_key"):
            if own:
                out["prompt_cache_key"] = chat.prompt_cache_key
            else:
                fit.ignore("prompt_cache_key")
        if chat.service_tier and not fit.leaves_out("service_tier"):
            tier = {"standard_only": "default", "standard": "default"}.get(chat.service_tier, chat.service_tier)
            if own and tier not in _TIERS:
                fit.ignore("service_tier")
            else:
                out["service_tier"] = tier
        if chat.modalities and not fit.leaves_out("modalities"):
            out["modalities"] = chat.modalities
        if chat.web_search is not None and not fit.leaves_out("web_search_options"):
            settle_search(chat.web_search, ("user_location", "search_context_size"), fit)
            out["web_search_options"] = {name: value for name, value in chat.web_search.items() if name != "filters"}
        fit.settle_rest(chat, _SERVED)
        if chat.prefix:
            _go_on(out, context)
        if chat.stream:
            out["stream"] = True
            out["stream_options"] = {"include_usage": True}
        return out

    def read(self, body: bytes, chat: Chat) -> Answer:
        answer = wire.decode_answer(body)
        if not answer.choices:
            raise msgspec.ValidationError("there are no choices in it")
        read = Answer(
            id=answer.id,
            model=answer.model,
            created=int(answer.created),
            choices=[_choice(choice, answer.id) for choice in answer.choices],
            usage=used(answer.usage, answer.service_tier),
            service_tier=answer.service_tier or "",
            fingerprint=answer.system_fingerprint or "",
        )
        return unwrap(read) if chat.format is not None else read

    def can_prefix(self, context: Context) -> bool:
        return "prefix" in context.options

    def reader(self, chat: Chat) -> DeltaReader:
        return UnwrappingReader(ChunkReader()) if chat.format is not None else ChunkReader()


def _go_on(out: dict[str, Any], context: Context) -> None:
    """Have the last message gone on with; how that is asked for is the quirk `prefix`."""
    how = context.options.get("prefix")
    if how == "flag":
        # https://docs.mistral.ai/guides/prefix/, https://api-docs.deepseek.com/guides/chat_prefix_completion
        out["messages"][-1]["prefix"] = True
    elif how == "template":
        # https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html
        out["continue_final_message"] = True
        out["add_generation_prompt"] = False


def _messages(messages: list[Message], context: Context, fit: Fit) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    shown: list[Block] = []
    """What tool messages can't hold: images and documents follow as the user's, after the last result."""
    for message in messages:
        results = [block for block in message.content if isinstance(block, ToolResult)]
        if shown and not results:
            out.append({"role": "user", "content": _content(shown, fit)})
            shown = []
        if message.role == "assistant":
            out.append(_assistant(message, context, fit))
            continue
        for result in results:
            out.append(_result(result, fit))
            shown += [block for block in result.content if isinstance(block, Media)]
        rest = [block for block in message.content if not isinstance(block, ToolResult)]
        if rest or not results:
            role = "user" if message.role == "tool" else message.role
            plain: dict[str, Any] = {"role": role, "content": _content(rest, fit)}
            if message.name and not fit.leaves_out("name"):
                plain["name"] = message.name
            if shown:
                out.append({"role": "user", "content": _content(shown, fit)})
                shown = []
            out.append(plain)
    if shown:
        out.append({"role": "user", "content": _content(shown, fit)})
    return out


def _content(blocks: Sequence[Block], fit: Fit) -> str | list[dict[str, Any]]:
    """Plain text where that is all there is: not every compatible server reads parts."""
    if all(isinstance(block, Text) for block in blocks):
        texts = [block.text for block in blocks if isinstance(block, Text)]
        return texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts] if texts else ""
    return [part for block in blocks for part in _part(block, fit)]


def _part(block: Block, fit: Fit) -> list[dict[str, Any]]:
    if isinstance(block, Text):
        return [{"type": "text", "text": block.text}]
    if isinstance(block, Media):
        about: list[dict[str, Any]] = (
            [{"type": "text", "text": block.context}] if block.context and not block.text else []
        )
        return [*about, _media(block)]
    if isinstance(block, Refusal):
        return [{"type": "refusal", "refusal": block.text}]
    what = block.dialect + " block" if isinstance(block, Native) else type(block).__name__
    fit.refuse("messages", f"a message holds a {what}, which Chat Completions does not have")
    return []


def _media(media: Media) -> dict[str, Any]:
    if media.kind == "image":
        if media.file_id:
            raise BadRequest(
                "An image in an upload of another provider can't be sent to this model.",
                param="messages",
                code="unsupported_content",
            )
        shown = image(media)
        if media.detail:
            shown["image_url"]["detail"] = media.detail
        return shown
    if media.kind == "audio" and media.data:
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": extension_of(media.media_type)}}
    if media.kind == "video":
        return {"type": "video_url", "video_url": {"url": media.url or data_url(media.media_type, media.data)}}
    if media.text:
        return {"type": "text", "text": as_text(media)}
    if media.data:
        name = media.name or f"document.{extension_of(media.media_type) or 'pdf'}"
        return {"type": "file", "file": {"filename": name, "file_data": data_url(media.media_type, media.data)}}
    if media.file_id:
        return {"type": "file", "file": {"file_id": media.file_id}}
    raise BadRequest(
        f"This model takes no {media.kind} by URL: send it as base64 data.",
        param="messages",
        code="unsupported_content",
    )


def _result(result: ToolResult, fit: Fit) -> dict[str, Any]:
    """A tool message, less its images and documents."""
    texts: list[Block] = [block for block in result.content if isinstance(block, Text)]
    content = _content(texts, fit)
    if not texts and any(isinstance(block, Media) for block in result.content):
        content = "The result follows in the next message."
    elif not texts and result.failed:
        content = "The tool failed."
    return {"role": "tool", "tool_call_id": short_id(result.id, _IDS), "content": content}


def _assistant(message: Message, context: Context, fit: Fit) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant"}
    if message.name and not fit.leaves_out("name"):
        out["name"] = message.name
    content: list[Block] = []
    calls = []
    thought = []
    for block in message.content:
        if isinstance(block, ToolCall):
            calls.append(_call(block))
        elif isinstance(block, Thinking):
            thought.append(block.text)
            if not block.text:
                fit.ignore("thinking")
        elif isinstance(block, Media) and block.kind == "audio" and block.file_id:
            out["audio"] = {"id": block.file_id}
        else:
            content.append(block)
    field = context.options.get("reasoning_field")
    if any(thought):
        if field:
            out[field] = "".join(thought)
        else:
            fit.ignore("thinking")
    out["content"] = _content(content, fit) if content else None
    if calls:
        out["tool_calls"] = calls
    elif not content and "audio" not in out:
        out["content"] = ""
    return out


def _call(call: ToolCall) -> dict[str, Any]:
    if call.custom:
        return {"id": short_id(call.id, _IDS), "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": short_id(call.id, _IDS), "type": "function", "function": function}


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.custom:
        custom: dict[str, Any] = {"name": tool.name, "description": tool.description}
        if tool.native is not None:
            custom["format"] = tool.native
        return {"type": "custom", "custom": custom}
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(chat: Chat) -> Any:
    choice = chat.tool_choice
    assert choice is not None
    custom = {tool.name for tool in chat.tools if tool.custom}

    def named(name: str) -> dict[str, Any]:
        kind = "custom" if name in custom else "function"
        return {"type": kind, kind: {"name": name}}

    if choice.mode == "tool":
        return named(choice.names[0])
    if choice.names and choice.mode != "none":
        tools = [named(name) for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return choice.mode


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": wanted.schema}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _reasoning(chat: Chat, own: bool, out: dict[str, Any], fit: Fit) -> None:
    if chat.reasoning is None or fit.leaves_out("reasoning_effort"):
        return
    effort = effort_of(chat.reasoning)
    if effort is None:
        return
    model = out["model"]
    if own and not model.startswith(REASONING_MODELS):
        # Clients that always ask for thought (coding agents) must reach models that have none.
        if effort != "none":
            fit.ignore("reasoning_effort")
        return
    if effort == "none" and not model.startswith("gpt-5.") and own:
        effort = "minimal" if model.startswith("gpt-5") else "low"
    out["reasoning_effort"] = "xhigh" if effort == "max" else effort


def _choice(choice: wire.AnswerChoice, answer: str) -> Choice:
    message = choice.message
    blocks: list[Block] = []
    thought = message.reasoning_content or message.reasoning or ""
    if message.thinking_blocks:
        blocks += [
            Thinking(
                text=block.thinking,
                signature=sealed("anthropic", block.signature or ""),
                redacted=sealed("anthropic", block.data),
            )
            for block in message.thinking_blocks
        ]
    elif thought:
        blocks.append(Thinking(text=thought))
    text = message.content
    if isinstance(text, list):
        text = "".join(part.text or "" for part in text)
    if text:
        blocks.append(Text(text=text, citations=citations(message.annotations)))
    if message.refusal:
        blocks.append(Refusal(text=message.refusal))
    if message.audio is not None:
        spoken = message.audio
        blocks.append(Media(kind="audio", data=spoken.data, text=spoken.transcript, file_id=spoken.id))
    for picture in message.images or ():
        if picture.image_url is not None:
            media_type, data = split_url(picture.image_url.url, "images")
            url = "" if data else picture.image_url.url
            blocks.append(Media(kind="image", media_type=media_type, data=data, url=url))
    for at, call in enumerate(message.tool_calls or ()):
        blocks.append(_read_call(call, call.id or made_id(answer, choice.index, at)))
    if message.function_call is not None:
        function = message.function_call
        ident = made_id(answer, choice.index, 0)
        blocks.append(ToolCall(id=ident, name=function.name, arguments=function.arguments))
    return Choice(
        index=choice.index,
        content=blocks,
        finish=wire.finish_of(
            choice.finish_reason, bool(message.refusal), bool(message.tool_calls or message.function_call)
        ),
        logprobs=choice.logprobs,
    )


def _read_call(call: wire.ToolCall, ident: str) -> ToolCall:
    if call.custom is not None:
        return ToolCall(id=ident, name=call.custom.name, arguments=call.custom.input, custom=True)
    function = call.function or wire.Function("")
    signature = ""
    if call.extra_content is not None and call.extra_content.google is not None:
        signature = sealed("gemini", call.extra_content.google.thought_signature)
    return ToolCall(id=ident, name=function.name, arguments=function.arguments or "{}", signature=signature)


def citations(annotations: list[wire.Annotation] | None) -> list[Citation]:
    """The sources of a message."""
    found = [annotation.url_citation for annotation in annotations or () if annotation.url_citation is not None]
    return [Citation(url=cited.url, title=cited.title, start=cited.start_index, end=cited.end_index) for cited in found]
