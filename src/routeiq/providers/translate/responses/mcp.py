"""Items of MCP tools: shown in an answer, and read when they come back as input.

https://platform.openai.com/docs/api-reference/responses/object, mcp_list_tools, mcp_call, mcp_approval_request
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from routeiq.providers.translate.chat import Block, Message, Native, Text, ToolCall, ToolResult
from routeiq.providers.translate.responses import wire

REFUSED = "The user did not approve this call."


class Request(msgspec.Struct, kw_only=True):
    """A call that waits, or waited, for approval."""

    id: str
    label: str
    name: str
    arguments: str


def list_item(label: str, tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the model was given, as MCP lists it."""
    shown = [
        {
            "name": tool["name"], "description": tool.get("description"), "input_schema": tool.get("inputSchema"),
            "annotations": tool.get("annotations"),
        }
        for tool in tools
    ]  # fmt: skip
    return {"type": "mcp_list_tools", "server_label": label, "tools": shown, "error": None}


def call_item(label: str, name: str, arguments: str, approval: str | None) -> dict[str, Any]:
    """A call that runs; `approval` is the id of the request for it."""
    return {
        "type": "mcp_call", "server_label": label, "name": name, "arguments": arguments, "status": "in_progress",
        "approval_request_id": approval, "output": None, "error": None,
    }  # fmt: skip


def end_call(item: dict[str, Any], text: str, *, failed: bool) -> None:
    """Note in a call's item what came of it."""
    item["status"] = "failed" if failed else "completed"
    item["error" if failed else "output"] = text


def approval_item(label: str, name: str, arguments: str) -> dict[str, Any]:
    """A call that waits for the client."""
    return {"type": "mcp_approval_request", "server_label": label, "name": name, "arguments": arguments}


def approved(messages: Sequence[Message]) -> list[Request]:
    """Calls the client has approved in these messages, and that were not run since."""
    items = [
        block.value
        for message in messages
        for block in message.content
        if isinstance(block, Native) and block.dialect == wire.DIALECT
    ]
    run = {item.get("approval_request_id") for item in items if item.get("type") == "mcp_call"}
    said = {
        item.get("approval_request_id")
        for item in items
        if item.get("type") == "mcp_approval_response" and item.get("approve") is True
    }
    return [
        Request(id=item["id"], label=_text(item, "server_label"), name=_text(item, "name"),
                arguments=_text(item, "arguments"))
        for item in items
        if item.get("type") == "mcp_approval_request" and item.get("id") in said - run
    ]  # fmt: skip


def unfolded(
    messages: Sequence[Message],
    function_of: Callable[[str, str], str],
    results: dict[str, list[Any]],
    failed: frozenset[str],
) -> list[Message]:
    """The messages with calls and results, as every provider knows them, for items of MCP.

    `results` are those of calls that were approved just now, by their requests' ids; `failed` some of them.
    """
    ran = {
        block.value.get("approval_request_id")
        for message in messages
        for block in message.content
        if isinstance(block, Native) and block.value.get("type") == "mcp_call"
    }
    out: list[Message] = []
    for message in messages:
        if not any(isinstance(block, Native) and block.dialect == wire.DIALECT for block in message.content):
            out.append(message)
            continue
        unfolding = _Unfolding(message, out)
        for block in message.content:
            if not isinstance(block, Native) or not str(block.value.get("type", "")).startswith("mcp_"):
                unfolding.add(block)
                continue
            item = block.value
            kind, ident = item["type"], _text(item, "id")
            call = ToolCall(
                id=ident, name=function_of(_text(item, "server_label"), _text(item, "name")),
                arguments=_text(item, "arguments"),
            )  # fmt: skip
            if kind == "mcp_call":
                error = item.get("error")
                told = error if isinstance(error, str) else msgspec.json.encode(error).decode() if error else ""
                unfolding.call(call, [Text(text=_text(item, "output") or told)], failed=bool(error))
            elif kind == "mcp_approval_request" and ident not in ran:
                content = results.get(ident, [Text(text=REFUSED)])
                unfolding.call(call, content, failed=ident in failed or ident not in results)
        unfolding.flush()
    return out


class _Unfolding:
    """One message on its way to several: calls in a row are one message's, their results follow."""

    def __init__(self, message: Message, out: list[Message]) -> None:
        self._message = message
        self._out = out
        self._blocks: list[Block] = []
        self._results: list[Block] = []

    def add(self, block: Block) -> None:
        """What is said, thought, or called by others."""
        if self._results:
            self.flush()
        self._blocks.append(block)

    def call(self, call: ToolCall, content: list[Any], *, failed: bool) -> None:
        """A call that has its result."""
        self._blocks.append(call)
        self._results.append(ToolResult(id=call.id, name=call.name, content=content, failed=failed))

    def flush(self) -> None:
        """Write what there is."""
        if self._blocks:
            self._out.append(msgspec.structs.replace(self._message, content=self._blocks))
        if self._results:
            self._out.append(Message(role="tool", content=self._results))
        self._blocks, self._results = [], []


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
