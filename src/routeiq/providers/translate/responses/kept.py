"""Responses that are kept: the items of a request, a request with the items before it, a response that is under way.

https://platform.openai.com/docs/guides/conversation-state, /docs/guides/background
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.providers.dialects.responses import ENDS
from routeiq.providers.translate.chat import Chat
from routeiq.providers.translate.responses.answer import error_object, item_id, response, response_of_item
from routeiq.providers.translate.responses.wire import decode_members
from routeiq.transport.sse import payload, split

INPUT = 0x8000
"""Where the numbers of a request's own items begin; those of its answer begin at 0."""
REFERENCE = b'"item_reference"'
_PREFIXES = {"reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc", "function_call_output": "fco"}
_NEVER = ("background", "stream", "stream_options", "previous_response_id")
"""Members of a background request that are the gateway's business."""


class _Input(msgspec.Struct, gc=False):
    input: str | list[Raw] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    response: Raw | UnsetType = UNSET


class _Reference(msgspec.Struct, gc=False):
    type: str = "message"
    id: str = ""


_decode_input = msgspec.json.Decoder(_Input).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_reference = msgspec.json.Decoder(_Reference).decode
_encode = msgspec.json.Encoder().encode


def own_items(body: bytes, ident: str) -> bytes:
    """The items of a request as an array, each in full and with an id, as `input_items` lists them."""
    try:
        found = _decode_input(body).input or []
    except msgspec.DecodeError:
        return b"[]"  # a provider has understood it, and what is kept is then for the provider to know
    if isinstance(found, str):
        return _encode([_message({"role": "user", "content": found}, ident, 0)])
    items = []
    for index, raw in enumerate(found):
        item = msgspec.json.decode(raw)
        if isinstance(item, dict):
            items.append(_message(item, ident, index))
    return _encode(items)


def _message(item: dict[str, Any], ident: str, index: int) -> dict[str, Any]:
    kind = str(item.get("type") or "message")
    full = {"id": item_id(_PREFIXES.get(kind, "msg"), ident, INPUT + index), "type": kind, **item}
    full["id"] = item.get("id") or full["id"]
    if kind == "message" and isinstance(item.get("content"), str):
        text = item["content"]
        part: dict[str, Any] = {"type": "input_text", "text": text}
        if item.get("role") == "assistant":
            part = {"type": "output_text", "text": text, "annotations": []}
        full["content"] = [part]
    if kind == "message":
        full.setdefault("status", "completed")
    return full


def with_items(body: bytes, items: list[Raw]) -> bytes:
    """The request with the items of a conversation before its own, and no `previous_response_id`."""
    members = decode_members(body)
    members.pop("previous_response_id", None)
    own = bytes(members.get("input", b"null"))
    if own[:1] == b'"':
        items = [*items, Raw(b'{"role":"user","content":%b}' % own)]
    elif own != b"null":
        items = [*items, *_list(own)]
    members["input"] = Raw(b"[%b]" % b",".join(items))
    return _encode(members)


def references(body: bytes) -> dict[str, tuple[str, int]]:
    """The items kept by the gateway that a request refers to: (response, number) by their id."""
    own = bytes(decode_members(body).get("input", b"[]"))
    found = {}
    for raw in _list(own) if own[:1] == b"[" else []:
        named = _reference(raw)
        place = response_of_item(named) if named else None
        if place is not None:
            found[named] = place
    return found


def resolved(body: bytes, known: dict[str, Raw]) -> bytes:
    """The request with those items in the place of what refers to them."""
    members = decode_members(body)
    items = [known.get(_reference(raw), raw) for raw in _list(bytes(members["input"]))]
    members["input"] = Raw(b"[%b]" % b",".join(items))
    return _encode(members)


def _reference(raw: Raw) -> str:
    try:
        item = _decode_reference(raw)
    except msgspec.DecodeError:
        return ""  # whatever it is, it is no reference
    return item.id if item.type == "item_reference" else ""


def _list(own: bytes) -> list[Raw]:
    try:
        return _decode_items(own)
    except msgspec.DecodeError:
        raise BadRequest("'input' must be a text or a list of items.", param="input", code="invalid_type") from None


def detached(body: bytes) -> bytes:
    """A background request as one that is answered at once, and that no provider keeps."""
    members = decode_members(body)
    for name in _NEVER:
        members.pop(name, None)
    members["store"] = Raw(b"false")
    return _encode(members)


def final_response(events: bytes) -> bytes | None:
    """The response that the last events of a stream tell, if they do."""
    return next((response for kind, response in _told(reversed(split(events))) if kind in ENDS), None)


def first_response(events: bytes) -> bytes | None:
    """The response as the first events of a stream tell it."""
    return next((response for _, response in _told(split(events))), None)


def _told(events: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """(type, response) of the events that have one."""
    for raw in events:
        found = payload(raw)
        try:
            event = _decode_event(found) if found else _Event()
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if event.response is not UNSET:
            yield event.type, bytes(event.response)


def under_way(chat: Chat, model: str, created: int, status: str, error: GatewayError | None = None) -> bytes:
    """The response of a background request without its answer. `created` in Unix seconds."""
    assert chat.thread is not None
    told = error_object(error) if error is not None else None
    return _encode(response(chat, chat.thread.id, model, created, status=status, output=[], error=told))


def as_background(body: bytes, chat: Chat, created: int) -> bytes:
    """An answer under the id and time that its client was given."""
    assert chat.thread is not None
    members = decode_members(body)
    members["id"] = Raw(_encode(chat.thread.id))
    members["created_at"] = Raw(b"%d" % created)
    members["background"] = members["store"] = Raw(b"true")
    members["previous_response_id"] = Raw(_encode(chat.thread.previous or None))
    return _encode(members)
