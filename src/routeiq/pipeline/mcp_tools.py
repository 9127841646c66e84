"""Tools of the gateway's MCP servers as a model is given them, and run for it, by the process with MCP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from routeiq.core.errors import BadRequest, GatewayError, Overloaded
from routeiq.core.exchange import Exchange, Header
from routeiq.core.mcp import INSIDE_CALL, INSIDE_TOOLS, InsideAnswer, InsideQuestion, Mcp, is_destructive
from routeiq.pipeline.mcp_request import Wanted
from routeiq.providers.translate.chat import Media, Text, Tool
from routeiq.providers.translate.toolnames import plain_name
from routeiq.transport.call import Call, UpstreamBroken

if TYPE_CHECKING:
    from routeiq.pipeline.services import Services

_OWN_HEADERS = frozenset(
    b"""accept accept-encoding connection content-encoding content-length content-type expect host keep-alive
    mcp-session-id mcp-protocol-version mcp-method mcp-name te trailer transfer-encoding upgrade x-mcp-access-groups
    x-mcp-servers x-request-id""".split()
)
"""Of the client's, what is not about the call."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(InsideAnswer).decode


class Result(msgspec.Struct, kw_only=True):
    """What came of a call."""

    content: list[Text | Media]
    failed: bool = False
    cost: int = 0
    """Nano-dollars."""

    @property
    def text(self) -> str:
        """For people, and for models that read nothing else."""
        return "\n".join(part.text if isinstance(part, Text) else f"[{part.kind}]" for part in self.content)


class McpTool:
    """One tool, as the model knows it."""

    def __init__(self, wanted: Wanted, listed: dict[str, Any], names: frozenset[str], *, asks: bool) -> None:
        """`names` are all it is known by; `asks`: whether the client has to approve it, whatever it says."""
        self.wanted = wanted
        self.listed = listed
        self.name: str = listed["name"]
        self.function = plain_name(self.name)
        self.label = wanted.label
        self.asks = asks or wanted.needs_approval(names)

    def neutral(self) -> Tool:
        """As the model is given it."""
        schema = self.listed.get("inputSchema")
        return Tool(
            name=self.function,
            description=self.listed.get("description") or self.listed.get("title") or "",
            parameters=schema if isinstance(schema, dict) else {"type": "object", "properties": {}},
        )

    def definition(self) -> dict[str, Any]:
        """The same as a function of Chat Completions."""
        tool = self.neutral()
        function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        return {"type": "function", "function": function}


class McpTools:
    """All that one request may use."""

    def __init__(self, exchange: Exchange, mcp: Mcp) -> None:
        self._exchange = exchange
        self._mcp = mcp
        self.by_function: dict[str, McpTool] = {}
        self.places: list[tuple[Wanted, list[McpTool]]] = []

    async def list(self, wanted: list[Wanted]) -> None:
        """Find out what there is. Raises `GatewayError`."""
        for one in wanted:
            answer = await self._ask(INSIDE_TOOLS, InsideQuestion(place=one.place), one)
            tools = []
            for listed in answer.tools:
                names = self._names(listed["name"])
                if one.allowed is None or not names.isdisjoint(one.allowed):
                    tool = McpTool(one, listed, names, asks=self._mcp.ask_destructive and is_destructive(listed))
                    tools.append(tool)
                    self.by_function.setdefault(tool.function, tool)
            self.places.append((one, tools))

    def function_of(self, label: str, name: str) -> str:
        """What the model knows a tool by that a client names so."""
        for tool in self.by_function.values():
            if tool.label == label and name in (tool.name, tool.function):
                return tool.function
        return plain_name(name)

    async def call(self, tool: McpTool, arguments: str) -> Result:
        """Run one; what goes wrong is for the model to read."""
        try:
            given = msgspec.json.decode(arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            given = None
        if not isinstance(given, dict):
            return failure("The arguments are not a JSON object.")
        question = InsideQuestion(place=tool.wanted.place, name=tool.name, arguments=given)
        try:
            answer = await self._ask(INSIDE_CALL, question, tool.wanted)
        except GatewayError as error:
            return failure(error.message)
        content = [part for block in _content(answer.result) if (part := _part(block)) is not None]
        return Result(content=content, failed=answer.result.get("isError") is True, cost=answer.cost)

    def _names(self, shown: str) -> frozenset[str]:
        """A tool's names: as it is shown, and as its server calls it."""
        names = {shown}
        for server in self._mcp.servers:
            prefix = server.prefix + self._mcp.separator
            if shown.startswith(prefix):
                names.add(shown[len(prefix) :])
        return frozenset(names)

    async def _ask(self, path: str, question: InsideQuestion, wanted: Wanted) -> InsideAnswer:
        services: Services = self._exchange.plan.services
        if services.agents is None:
            raise Overloaded("MCP is not available right now.", code="agents_unavailable", retry_after=1.0)
        body = _encode(question)
        future: asyncio.Future[bytes] = services.loop.create_future()
        call = _Asked(self._head(path, wanted, len(body)), body, future)
        services.agents.send(call)
        try:
            return _decode(await future)
        finally:
            if not call.ended:
                call.cancel()

    def _head(self, path: str, wanted: Wanted, length: int) -> bytes:
        exchange = self._exchange
        lines = [b"POST %b HTTP/1.1\r\nHost: routeiq\r\n" % path.encode()]
        lines += [b"%b: %b\r\n" % item for item in exchange.headers.items() if item[0] not in _OWN_HEADERS]
        for name, value in wanted.headers.items():
            if not value.isascii() or not value.isprintable():
                raise BadRequest(f"The header {name} holds what can't be in one.", param="tools", code="invalid_value")
            lines.append(f"{name}: {value}\r\n".encode())
        lines.append(b"x-request-id: %b\r\nContent-Length: %d\r\n\r\n" % (exchange.call_id.encode(), length))
        return b"".join(lines)


class _Asked(Call):
    """One question to the process with MCP."""

    __slots__ = ("_answer", "_chunks", "_status", "ended")

    def __init__(self, head: bytes, body: bytes, answer: asyncio.Future[bytes]) -> None:
        super().__init__((head, body))
        self.size = len(body)
        self._answer = answer
        self._status = 0
        self._chunks: list[bytes] = []
        self.ended = False

    def on_head(self, status: int, headers: list[Header]) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        self._chunks.append(data)

    def on_done(self) -> None:
        self.ended = True
        body = b"".join(self._chunks)
        if self._answer.done():
            return
        if self._status == 200:
            self._answer.set_result(body)
        else:
            self._answer.set_exception(_error(self._status, body))

    def on_failure(self, failure: UpstreamBroken) -> None:
        self.ended = True
        if not self._answer.done():
            down = Overloaded("MCP is not available right now.", code="agents_unavailable", retry_after=1.0)
            self._answer.set_exception(down)


class _Told(msgspec.Struct):
    message: str = "The process with MCP failed."
    type: str = "internal_server_error"
    code: str | None = None


class _Refusal(msgspec.Struct):
    error: _Told


def _error(status: int, body: bytes) -> GatewayError:
    """What the other process refused, in the same words."""
    try:
        told = msgspec.json.decode(body, type=_Refusal).error
    except msgspec.DecodeError:
        told = _Told()
    return GatewayError(told.message, status=status, type=told.type, code=told.code)


def failure(message: str) -> Result:
    """A call that came to nothing."""
    return Result(content=[Text(text=message)], failed=True)


def _content(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of a result; what is only structured is shown as text."""
    content = result.get("content")
    if isinstance(content, list) and content:
        return [block for block in content if isinstance(block, dict)]
    return [{"type": "text", "text": _encode(result.get("structuredContent")).decode()}]


def _part(block: dict[str, Any]) -> Text | Media | None:
    """https://modelcontextprotocol.io/specification/2026-07-28/server/tools#tool-result"""
    kind = block.get("type")
    if kind in ("image", "audio") and isinstance(block.get("data"), str):
        return Media(kind=kind, media_type=str(block.get("mimeType", "")), data=block["data"])
    resource = block.get("resource")
    if kind == "resource" and isinstance(resource, dict):
        return Text(text=str(resource.get("text") or resource.get("uri") or ""))
    text = block.get("text") if kind == "text" else block.get("uri")
    return Text(text=text) if isinstance(text, str) else None
