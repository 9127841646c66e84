"""Items and what they mean: messages, calls, results, thoughts; read from a request, written into an answer."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from routeiq.core.errors import BadRequest
from routeiq.providers.translate.chat import (
    Block,
    Citation,
    Media,
    Message,
    Native,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from routeiq.providers.translate.codec import decode_request
from routeiq.providers.translate.media import kind_of, split_url, type_of
from routeiq.providers.translate.responses import wire
from routeiq.providers.translate.responses.proof import read_proof


def read_items(raws: list[Raw], param: str) -> list[Message]:
    """The items as messages: what the model said, thought and called in a row is one. Raises `BadRequest`."""
    messages: list[Message] = []
    proofs: dict[str, str] = {}
    """Signatures of calls that are still to come, by call id."""
    for index, raw in enumerate(raws):
        role, block = _item(bytes(raw), f"{param}[{index}]", proofs)
        if role == "assistant" and messages and messages[-1].role == "assistant":
            messages[-1].content += block
        elif block or role != "assistant":
            messages.append(Message(role=role, content=block))
    return messages


def _item(data: bytes, param: str, proofs: dict[str, str]) -> tuple[Role, list[Block]]:
    kind = decode_part(wire.kind_decoder, data, param).type
    if kind == "item_reference":
        raise BadRequest(
            "The item this refers to is not kept here: it belongs to another key, was deleted, or never was.",
            param=param,
            code="item_not_found",
        )
    if kind not in wire.READABLE:
        return "assistant", [Native(dialect=wire.DIALECT, value=msgspec.json.decode(data))]
    item: wire.Item = decode_part(wire.item_decoder, data, param)
    if kind == "message":
        if item.role is None:
            raise BadRequest("A message needs a role.", param=f"{param}.role", code="missing_required_parameter")
        return item.role, _content(item.content, f"{param}.content")
    if kind == "reasoning":
        return "assistant", _thought(item, proofs)
    if not item.call_id:
        raise BadRequest(f"A {kind} needs a call_id.", param=f"{param}.call_id", code="missing_required_parameter")
    if kind == "function_call":
        signature = proofs.pop(item.call_id, "")
        return "assistant", [ToolCall(id=item.call_id, name=item.name, arguments=item.arguments, signature=signature)]
    if kind == "custom_tool_call":
        return "assistant", [ToolCall(id=item.call_id, name=item.name, arguments=item.input, custom=True)]
    content = [part for part in _content(item.output, f"{param}.output") if isinstance(part, (Text, Media))]
    failed = item.status == "incomplete"
    custom = kind == "custom_tool_call_output"
    return "tool", [ToolResult(id=item.call_id, content=content, failed=failed, custom=custom)]


def _thought(item: wire.Item, proofs: dict[str, str]) -> list[Block]:
    parts = item.summary or (item.content if isinstance(item.content, list) else None) or []
    text = "\n\n".join(part.text for part in parts if part.text)
    thought = read_proof(item.encrypted_content, text, item.id or "")
    if isinstance(thought, Thinking):
        # One without anything in it means something only to the provider that keeps it.
        return [thought] if thought.text or thought.signature or thought.redacted else []
    proofs[thought[0]] = thought[1]
    return []


def _content(content: str | list[wire.ContentPart] | None, param: str) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    return [_part(part, f"{param}[{index}]") for index, part in enumerate(content)]


def _part(part: wire.ContentPart, param: str) -> Block:
    kind = part.type
    if kind in ("input_text", "output_text", "text", "summary_text") and part.text is not None:
        return Text(text=part.text, citations=[_citation(found) for found in part.annotations or ()])
    if kind == "input_image":
        return _image(part, param)
    if kind == "input_file":
        return _file(part, param)
    if kind == "refusal" and part.refusal is not None:
        return Refusal(text=part.refusal)
    if kind == "input_audio" and isinstance(part.input_audio, dict):
        sound = part.input_audio
        return Media(kind="audio", media_type=f"audio/{sound.get('format', 'wav')}", data=str(sound.get("data", "")))
    raise BadRequest(
        f"'{kind[:50]}' is no content part with what it needs: input_text, input_image, input_file, input_audio, "
        "output_text, refusal.",
        param=param,
        code="invalid_value",
    )


def _image(part: wire.ContentPart, param: str) -> Media:
    detail = part.detail or ""
    if part.image_url:
        media_type, data = split_url(part.image_url, f"{param}.image_url")
        url = "" if data else part.image_url
        return Media(kind="image", media_type=media_type or type_of(url), data=data, url=url, detail=detail)
    if part.file_id:
        return Media(kind="image", file_id=part.file_id, detail=detail)
    raise BadRequest("An input_image needs an image_url or a file_id.", param=param, code="invalid_value")


def _file(part: wire.ContentPart, param: str) -> Media:
    name = part.filename or ""
    if part.file_data:
        media_type, data = split_url(part.file_data, f"{param}.file_data")
        media_type = media_type or type_of(name) or "application/pdf"
        return Media(kind=kind_of(media_type), media_type=media_type, data=data or part.file_data, name=name)
    if part.file_url:
        media_type, data = split_url(part.file_url, f"{param}.file_url")
        media_type = media_type or type_of(part.file_url)
        url = "" if data else part.file_url
        return Media(kind=kind_of(media_type), media_type=media_type, data=data, url=url, name=name)
    if part.file_id:
        return Media(kind="document", file_id=part.file_id, name=name)
    raise BadRequest("An input_file needs file_data, a file_url or a file_id.", param=param, code="invalid_value")


def _citation(found: dict[str, Any]) -> Citation:
    def text(name: str) -> str:
        value = found.get(name)
        return value if isinstance(value, str) else ""

    def place(name: str) -> int | None:
        value = found.get(name)
        return value if isinstance(value, int) else None

    return Citation(
        url=text("url"),
        title=text("title"),
        start=place("start_index"),
        end=place("end_index"),
        dialect=wire.DIALECT,
        native=found,
    )


def decode_part(decoder: Any, data: bytes, param: str) -> Any:
    """Decode a part of a body that stands at `param`. Raises `BadRequest`."""
    try:
        return decode_request(decoder, data)
    except BadRequest as error:
        error.param = f"{param}.{error.param}" if error.param else param
        raise
