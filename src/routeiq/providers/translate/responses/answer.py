"""Responses' answers, written: the `response` object and the items of its output.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Citation,
    FinishReason,
    Media,
    Native,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from routeiq.providers.translate.responses import wire
from routeiq.providers.translate.responses.proof import write_call_proof, write_proof

_encode = msgspec.json.Encoder().encode
PREFIX = "resp_"
_INCOMPLETE: dict[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_NATIVE_IDS = {"mcp_list_tools": "mcpl", "mcp_call": "mcp", "mcp_approval_request": "mcpr"}
"""What ids of such items begin with at OpenAI."""
_ERROR_CODES = ("rate_limit_exceeded", "invalid_prompt")
"""Of `response.error.code`; what is none of them is a `server_error`."""


def write_answer(answer: Answer, chat: Chat) -> bytes:
    """A `response` object."""
    ident = response_id(chat, answer.id)
    choice = answer.choices[0]
    logprobs = choice.logprobs.get("content") if isinstance(choice.logprobs, dict) else None
    output = output_items(choice.content, ident, logprobs or [])
    refused = any(isinstance(block, Refusal) for block in choice.content)
    status, details = ending(choice.finish, refused=refused)
    if status == "incomplete" and output:
        mark_incomplete(output[-1])
    return _encode(
        response(
            chat,
            ident,
            answer.model,
            answer.created,
            status=status,
            output=output,
            incomplete_details=details,
            usage=usage_members(answer.usage) if answer.usage is not None else None,
            service_tier=answer.service_tier,
        )
    )


def response_id(chat: Chat, given: str) -> str:
    """The id of the answer: the gateway's own, or one made of what the provider gave."""
    if chat.thread is not None:
        return chat.thread.id
    return PREFIX + hashlib.sha256(given.encode()).hexdigest()[:48]


def item_id(prefix: str, response: str, index: int) -> str:
    """The id of an item: it tells the response it belongs to, so that a reference to it can be resolved."""
    return f"{prefix}_{response.removeprefix(PREFIX)}{index:04x}"


def native_id(item: dict[str, Any], response: str, index: int) -> str:
    """The id of an item that only this dialect has."""
    return item_id(_NATIVE_IDS.get(item["type"], "item"), response, index)


def response_of_item(item: str) -> tuple[str, int] | None:
    """(response id, index in its output) of what `item_id` gave; `None` for an id of another's making."""
    _, _, rest = item.partition("_")
    if len(rest) != 52:
        return None
    try:
        int(rest[:48], 16)
        return PREFIX + rest[:48], int(rest[48:], 16)
    except ValueError:
        return None


def ending(finish: FinishReason, *, refused: bool) -> tuple[str, dict[str, str] | None]:
    """Status and `incomplete_details` of an answer that ended so; `refused`: there are words of a refusal in it."""
    reason = _INCOMPLETE.get("content_filter" if finish == "refusal" and not refused else finish)
    return ("incomplete", {"reason": reason}) if reason is not None else ("completed", None)


def mark_incomplete(item: dict[str, Any]) -> None:
    """Of the last item of an answer that was cut off, where it has a status."""
    if "status" in item:
        item["status"] = "incomplete"


def response(
    chat: Chat,
    ident: str,
    model: str,
    created: int,
    *,
    status: str,
    output: list[dict[str, Any]],
    incomplete_details: dict[str, str] | None = None,
    error: dict[str, Any] | None = None,
    usage: dict[str, Any] | None = None,
    service_tier: str = "",
) -> dict[str, Any]:
    """The `response` object, the request's settings in it."""
    thread = chat.thread
    settings = chat.origin.settings if isinstance(chat.origin, wire.Origin) else {}
    out: dict[str, Any] = {
        "id": ident,
        "object": "response",
        "created_at": created,
        "status": status,
        "background": thread is not None and thread.background,
        "error": error,
        "incomplete_details": incomplete_details,
        "model": model,
        "output": output,
        "previous_response_id": (thread.previous or None) if thread is not None else None,
        "service_tier": service_tier or chat.service_tier or "default",
        "store": thread is not None and thread.stored,
        "usage": usage,
    }
    for name, usual in wire.ECHOED.items():
        out[name] = settings.get(name, usual)
    return out


def error_object(error: GatewayError) -> dict[str, str]:
    """The `error` of a response that failed."""
    code = "rate_limit_exceeded" if error.status == 429 else error.code or ""
    return {"code": code if code in _ERROR_CODES else "server_error", "message": error.message}


def usage_members(usage: Usage) -> dict[str, Any]:
    """The `usage` object."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.written + usage.written_1h,
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.completion,
    }


def output_items(blocks: Iterable[Block], ident: str, logprobs: list[Any]) -> list[dict[str, Any]]:
    """The items of an answer. Texts in a row are one part of one message."""
    out: list[dict[str, Any]] = []
    message: dict[str, Any] | None = None
    for block in blocks:
        at = len(out)
        if isinstance(block, Text | Refusal):
            if not block.text and not (isinstance(block, Text) and block.citations):
                continue
            if message is None:
                message = message_item(item_id("msg", ident, at), [])
                out.append(message)
            _add_text(message["content"], block)
            continue
        if isinstance(block, Media) and block.kind != "image":
            if block.text:
                message = message or message_item(item_id("msg", ident, at), [])
                if message not in out:
                    out.append(message)
                _add_text(message["content"], Text(text=block.text))
            continue
        message = None
        if isinstance(block, Thinking):
            out.append(
                reasoning_item(item_id("rs", ident, at), block.text, write_proof(block.signature, block.redacted))
            )
        elif isinstance(block, ToolCall):
            if block.signature and not block.custom:
                out.append(reasoning_item(item_id("rs", ident, at), "", write_call_proof(block.id, block.signature)))
                at += 1
            out.append(call_item(ident, at, block.id, block.name, block.arguments, block.custom))
        elif isinstance(block, Media):
            out.append(image_item(item_id("ig", ident, at), block))
        elif isinstance(block, Native) and block.dialect == wire.DIALECT:
            out.append({"id": native_id(block.value, ident, at), **block.value})
    for item in out:
        if logprobs and item["type"] == "message" and item["content"][0]["type"] == "output_text":
            item["content"][0]["logprobs"] = logprobs
            break
    return out


def _add_text(content: list[dict[str, Any]], block: Text | Refusal) -> None:
    if isinstance(block, Refusal):
        if content and content[-1]["type"] == "refusal":
            content[-1]["refusal"] += block.text
        else:
            content.append({"type": "refusal", "refusal": block.text})
        return
    if not content or content[-1]["type"] != "output_text":
        content.append(text_part(""))
    part = content[-1]
    part["annotations"] += [annotation(citation) for citation in block.citations]
    part["text"] += block.text


def message_item(ident: str, content: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """What the model said."""
    return {"id": ident, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> dict[str, Any]:
    """A piece of it."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_item(ident: str, text: str, proof: str | None) -> dict[str, Any]:
    """What the model thought."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: dict[str, Any] = {"id": ident, "type": "reasoning", "summary": summary}
    if proof is not None:
        item["encrypted_content"] = proof
    return item


def call_item(
    response: str, index: int, call_id: str, name: str, arguments: str, custom: bool, status: str = "completed"
) -> dict[str, Any]:
    """A tool the model wants run."""
    if custom:
        ident = item_id("ctc", response, index)
        return {
            "id": ident, "type": "custom_tool_call", "status": status, "call_id": call_id, "name": name,
            "input": arguments,
        }  # fmt: skip
    ident = item_id("fc", response, index)
    return {
        "id": ident, "type": "function_call", "status": status, "call_id": call_id, "name": name,
        "arguments": arguments,
    }  # fmt: skip


def image_item(ident: str, media: Media) -> dict[str, Any]:
    """A picture the model made."""
    return {"id": ident, "type": "image_generation_call", "status": "completed", "result": media.data or media.url}


def annotation(citation: Citation) -> dict[str, Any]:
    """A source of the answer."""
    if citation.dialect == wire.DIALECT and isinstance(citation.native, dict):
        return citation.native
    return {
        "type": "url_citation",
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
        "url": citation.url,
        "title": citation.title,
    }
