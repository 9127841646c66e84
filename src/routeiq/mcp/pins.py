"""Remembers how tools were defined when they were first seen, and holds back what is defined otherwise since.

first read of a server ──► pinned      changed or new ──► held ──► an admin approves ──► pinned
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import msgspec

from routeiq.core.mcp import BLOCK, OFF, Mcp, McpServer
from routeiq.mcp.catalog import Catalog
from routeiq.mcp.scan import suspicious
from routeiq.mcp.wire import Message

FIELDS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""Of a tool what a model goes by."""

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, dict[str, dict[str, Any]]]).decode

log = logging.getLogger("routeiq.mcp")


class Pins:
    """By server and tool the definition that counts, kept in a file."""

    def __init__(self, file: Path, mcp: Mcp) -> None:
        self._file = file
        self.mcp = mcp
        self._kept: dict[str, dict[str, Message]] = {}
        self._now: dict[str, dict[str, Message]] = {}
        """As each server defined its tools last."""
        self._told: set[tuple[str, str, str]] = set()
        try:
            self._kept = _decode(file.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            log.error("MCP: %s can't be read, all tools count as new: %s", file, error)

    def review(self, server: McpServer, found: Catalog) -> None:
        """Take out of a catalog what may not be shown."""
        mcp = self.mcp
        now = {tool.name: definition(tool.raw) for tool in found.tools.values()}
        self._now[server.id] = now
        if mcp.scan != OFF:
            for title, tool in list(found.tools.items()):
                wrong = suspicious(now[tool.name])
                if wrong is not None:
                    self._tell(server, tool.name, f"has {wrong}", held=mcp.scan == BLOCK)
                    if mcp.scan == BLOCK:
                        del found.tools[title]
        if mcp.pinning == OFF:
            return
        kept = self._kept.get(server.id)
        if kept is None:
            self._kept[server.id] = now
            self._write()
            return
        for title, tool in list(found.tools.items()):
            pinned = kept.get(tool.name)
            if pinned is not None and digest(pinned) == digest(now[tool.name]):
                continue
            what = "is new" if pinned is None else "is defined otherwise than when it was approved"
            self._tell(server, tool.name, what, held=mcp.pinning == BLOCK)
            if mcp.pinning == BLOCK:
                del found.tools[title]

    def differences(self, server: McpServer) -> list[Message]:
        """What is not as it was approved."""
        kept, now = self._kept.get(server.id, {}), self._now.get(server.id, {})
        out: list[Message] = []
        for name in sorted(kept.keys() | now.keys()):
            before, after = kept.get(name), now.get(name)
            if before is None or after is None or digest(before) != digest(after):
                state = "new" if before is None else "gone" if after is None else "changed"
                out.append({"tool": name, "state": state, "approved": before, "now": after})
        return out

    def approve(self, server: McpServer, tools: list[str] | None) -> None:
        """What is defined now counts from now on: of these tools, or of all."""
        now = self._now.get(server.id, {})
        if tools is None:
            self._kept[server.id] = dict(now)
        else:
            kept = self._kept.setdefault(server.id, {})
            for name in tools:
                if name in now:
                    kept[name] = now[name]
                else:
                    kept.pop(name, None)
        self._write()

    def forget(self, server: McpServer) -> None:
        """The next read of the server counts."""
        self._kept.pop(server.id, None)
        self._write()

    def _tell(self, server: McpServer, tool: str, what: str, *, held: bool) -> None:
        key = (server.id, tool, what)
        if key not in self._told:
            self._told.add(key)
            end = " and is held back" if held else ""
            log.warning("MCP server %s: the tool %s %s%s", server.name, tool[:200], what, end)

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_bytes(_encode(self._kept))
            os.replace(fresh, self._file)
        except OSError as error:
            log.error("MCP: %s can't be written: %s", self._file, error)


def definition(raw: Message) -> Message:
    """What counts of a tool."""
    return {name: raw[name] for name in FIELDS if name in raw}


def digest(found: Message) -> str:
    """SHA-256 of a definition, whatever the order of its members."""
    return hashlib.sha256(_encode(found)).hexdigest()
