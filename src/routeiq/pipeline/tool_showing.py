"""How a client is shown an answer whose model used tools: each dialect has its own way to tell of calls.

Responses has items of its own for them. Chat Completions has LiteLLM's `provider_specific_fields`: `mcp_list_tools`,
`mcp_tool_calls`, `mcp_call_results`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from routeiq.pipeline.mcp_tools import McpTools, Result
from routeiq.providers.translate.chat import Block, Chat, Delta, Native, Text, TextDelta, Thinking, ToolCall
from routeiq.providers.translate.codec import DeltaWriter
from routeiq.providers.translate.openai.parts import tool_call
from routeiq.providers.translate.openai.writer import ChunkWriter
from routeiq.providers.translate.responses import mcp, wire
from routeiq.providers.translate.responses.writer import EventWriter

BETWEEN = "\n\n"
"""Between what a model says before and after its calls, where nothing else stands there."""


class Showing(Protocol):
    """What a client is shown, as a stream (`written`) or whole (`blocks`)."""

    blocks: list[Block]
    folds: bool
    """Whether the client can send back what was called and what came of it."""

    @property
    def writer(self) -> DeltaWriter:
        """Of a stream."""

    def listed(self, tools: McpTools) -> bytes:
        """What the model may use."""

    def delta(self, delta: Delta) -> bytes:
        """A piece of the model's answer."""

    def answered(self, blocks: Sequence[Block]) -> None:
        """All that a model's answer holds for the client, where it is shown whole."""

    def calling(self, calls: Sequence[ToolCall], tools: McpTools, approvals: Sequence[str | None]) -> bytes:
        """Calls that begin; `approvals` are the ids of the client's, where it was asked."""

    def called(self, results: Sequence[Result]) -> bytes:
        """What came of them."""

    def waiting(self, calls: Sequence[ToolCall], tools: McpTools) -> bytes:
        """Calls that the client has to approve."""


class ResponsesShowing:
    """`Showing` of Responses."""

    folds = True

    def __init__(self, chat: Chat, model: str, *, stream: bool) -> None:
        self.blocks: list[Block] = []
        self.writer = EventWriter(chat, model)
        self._stream = stream
        self._items: list[dict[str, Any]] = []

    def listed(self, tools: McpTools) -> bytes:
        out = b""
        for wanted, found in tools.places:
            item = mcp.list_item(wanted.label, [tool.listed for tool in found])
            kinds = ("response.mcp_list_tools.in_progress", "response.mcp_list_tools.completed")
            out += self._add(item) + b"".join(self._tell(kind, item) for kind in kinds) + self._done(item)
        return out

    def delta(self, delta: Delta) -> bytes:
        return self.writer.write(delta)

    def answered(self, blocks: Sequence[Block]) -> None:
        self.blocks += blocks

    def calling(self, calls: Sequence[ToolCall], tools: McpTools, approvals: Sequence[str | None]) -> bytes:
        out = b""
        self._items = []
        for call, approval in zip(calls, approvals, strict=True):
            tool = tools.by_function[call.name]
            item = mcp.call_item(tool.label, tool.name, call.arguments, approval)
            self._items.append(item)
            out += self._add(item) + self._tell("response.mcp_call.in_progress", item)
            out += self._tell("response.mcp_call_arguments.done", item, arguments=call.arguments)
        return out

    def called(self, results: Sequence[Result]) -> bytes:
        out = b""
        for item, result in zip(self._items, results, strict=True):
            mcp.end_call(item, result.text, failed=result.failed)
            out += self._tell(f"response.mcp_call.{item['status']}", item) + self._done(item)
        return out

    def waiting(self, calls: Sequence[ToolCall], tools: McpTools) -> bytes:
        out = b""
        for call in calls:
            tool = tools.by_function[call.name]
            item = mcp.approval_item(tool.label, tool.name, call.arguments)
            out += self._add(item) + self._done(item)
        return out

    def _add(self, item: dict[str, Any]) -> bytes:
        if self._stream:
            return self.writer.add(item)
        self.blocks.append(Native(dialect=wire.DIALECT, value=item))
        return b""

    def _tell(self, kind: str, item: dict[str, Any], **members: Any) -> bytes:
        return self.writer.tell(kind, item, **members) if self._stream else b""

    def _done(self, item: dict[str, Any]) -> bytes:
        return self.writer.done(item) if self._stream else b""


class ChatShowing:
    """`Showing` of Chat Completions. What has to be approved is the client's to run, as its own functions are."""

    folds = False

    def __init__(self, chat: Chat, model: str, *, stream: bool) -> None:
        self.blocks: list[Block] = []
        self.writer = ChunkWriter(model, include_usage=chat.include_usage)
        self._stream = stream
        self._said = False
        self._again = False
        """Whether a text that comes now is one after calls."""
        self._calls: Sequence[ToolCall] = ()

    def listed(self, tools: McpTools) -> bytes:
        return self._fields("mcp_list_tools", [tool.definition() for _, found in tools.places for tool in found])

    def delta(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta) and delta.text:
            if self._again:
                delta.text = BETWEEN + delta.text
            self._said, self._again = True, False
        return self.writer.write(delta)

    def answered(self, blocks: Sequence[Block]) -> None:
        self.blocks = [
            block for block in self.blocks if not isinstance(block, Thinking)
        ]  # proves nothing without calls
        for block in blocks:
            if isinstance(block, Text) and block.text:
                shown = Text(text=BETWEEN + block.text, citations=block.citations) if self._again else block
                self._said, self._again = True, False
                self.blocks.append(shown)
            else:
                self.blocks.append(block)

    def calling(self, calls: Sequence[ToolCall], tools: McpTools, approvals: Sequence[str | None]) -> bytes:
        self._calls = calls
        self._again = self._said
        return self._fields("mcp_tool_calls", [tool_call(call) for call in calls])

    def called(self, results: Sequence[Result]) -> bytes:
        shown = [
            {"tool_call_id": call.id, "name": call.name, "result": result.text}
            for call, result in zip(self._calls, results, strict=True)
        ]
        return self._fields("mcp_call_results", shown)

    def waiting(self, calls: Sequence[ToolCall], tools: McpTools) -> bytes:
        return b""

    def _fields(self, name: str, values: list[dict[str, Any]]) -> bytes:
        if self._stream:
            return self.writer.fields({name: values}) if values else b""
        self.blocks += [Native(dialect=name, value=value) for value in values]
        return b""
