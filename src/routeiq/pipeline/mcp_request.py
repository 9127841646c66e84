"""`mcp` tools of a request whose servers are this gateway's: what they ask for, and the request without them.

    {"type": "mcp", "server_label": "notes", "server_url": "litellm_proxy/mcp/notes",
     "allowed_tools": ["add"], "require_approval": "never"}

https://docs.litellm.ai/docs/mcp_usage, https://platform.openai.com/docs/guides/tools-remote-mcp. Those with other
addresses are the provider's to serve, where it knows such tools.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from routeiq.core.errors import BadRequest
from routeiq.core.exchange import Exchange
from routeiq.core.snapshot import CHAT, RESPONSES

_OWN = ("litellm_proxy", "routeiq")
_MARK = b'"mcp"'
_PLACE = re.compile(r"/mcp/[A-Za-z0-9_.,-]{1,500}|(?:/toolset)?/[A-Za-z0-9_.,-]{1,500}/mcp")
_HEADERS = ("x-mcp-servers", "x-mcp-access-groups")
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Filter(msgspec.Struct):
    tool_names: list[str] | None = None


class _Approval(msgspec.Struct):
    always: _Filter | None = None
    never: _Filter | None = None


class _Tool(msgspec.Struct):
    """As far as it is looked at."""

    type: str = ""
    server_url: str = ""
    server_label: str = ""
    allowed_tools: list[str] | _Filter | None = None
    require_approval: str | _Approval | None = None
    headers: dict[str, str] | None = None


_decode_tool = msgspec.json.Decoder(_Tool).decode


class Wanted:
    """The tools of one place."""

    def __init__(self, tool: _Tool, param: str) -> None:
        self.label = tool.server_label
        self.place = _place(tool.server_url, f"{param}.server_url")
        self.headers = {name: value for name, value in (tool.headers or {}).items() if name.lower() in _HEADERS}
        """Which narrow the place."""
        allowed = tool.allowed_tools
        self.allowed = allowed.tool_names if isinstance(allowed, _Filter) else allowed
        """Names of tools; `None` is all."""
        self._approval = tool.require_approval
        if isinstance(self._approval, str) and self._approval not in ("always", "never"):
            raise BadRequest(
                "'require_approval' must be always, never, or say which tools are which.",
                param=f"{param}.require_approval", code="invalid_value",
            )  # fmt: skip

    def needs_approval(self, names: frozenset[str]) -> bool:
        """Whether the client wants to be asked before a tool, which has these names, is run. It does unless it says
        otherwise: https://platform.openai.com/docs/guides/tools-remote-mcp#approvals
        """
        approval = self._approval
        if isinstance(approval, _Approval):
            never = approval.never.tool_names if approval.never is not None else None
            return never is None or names.isdisjoint(never)
        return approval != "never"


def wanted(exchange: Exchange) -> list[Wanted]:
    """What a request asks of this gateway's servers. Raises `BadRequest`."""
    return _split(exchange.body)[0] if exchange.endpoint in (CHAT, RESPONSES) and _MARK in exchange.body else []


def without(body: bytes, functions: dict[str, str]) -> tuple[bytes, dict[str, Raw]]:
    """The request without such tools, and its members as they were sent.

    `functions` are the names models know them by, by the tools' own; a `tool_choice` of one of them becomes its
    function's.
    """
    members = _decode_members(body)
    kept = _split(body)[1]
    rest = {**members, "tools": Raw(_encode(kept))}
    if not kept:
        del rest["tools"]
    choice = _choice(members)
    if choice is not None:
        name = functions.get(choice.get("name", ""))
        if choice.get("name") and name is None:
            raise BadRequest("'tool_choice' names a tool that is not there.", param="tool_choice", code="invalid_value")
        rest["tool_choice"] = Raw(b'"required"' if name is None else _encode({"type": "function", "name": name}))
    return _encode(rest), members


def _choice(members: dict[str, Raw]) -> dict[str, Any] | None:
    """A `tool_choice` of type `mcp`."""
    found = msgspec.json.decode(members.get("tool_choice", b"null"))
    return found if isinstance(found, dict) and found.get("type") == "mcp" else None


def _split(body: bytes) -> tuple[list[Wanted], list[Raw]]:
    try:
        raws = msgspec.json.decode(_decode_members(body).get("tools", b"[]"), type=list[Raw] | None) or []
    except msgspec.DecodeError:
        return [], []  # whoever reads all of it says what is wrong
    own, rest = [], []
    for index, raw in enumerate(raws):
        param = f"tools[{index}]"
        tool = None
        if _MARK in bytes(raw):
            try:
                tool = _decode_tool(raw)
            except msgspec.ValidationError as error:
                raise BadRequest(f"Invalid tool: {error}", param=param, code="invalid_type") from None
        if tool is not None and tool.type == "mcp" and tool.server_url.startswith(_OWN):
            own.append(Wanted(tool, param))
        else:
            rest.append(raw)
    return own, rest


def _place(url: str, param: str) -> str:
    """A path of the gateway's."""
    path = url[next(len(own) for own in _OWN if url.startswith(own)) :].rstrip("/")
    if path in ("", "/mcp"):
        return "/mcp"
    if _PLACE.fullmatch(path):
        return path
    raise BadRequest(
        "'server_url' must be litellm_proxy, litellm_proxy/mcp/SERVER, or litellm_proxy/toolset/NAME/mcp.",
        param=param, code="invalid_value",
    )  # fmt: skip
