"""The MCP gateway: takes a client's request to the server that answers it.

Turn ──► view of what it may use ──► server's own names ──► link in the server's revision ──► result in the client's
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from routeiq.core.errors import GatewayError, LimitExceeded
from routeiq.core.mcp import Mcp, McpServer, is_destructive
from routeiq.core.snapshot import Snapshot
from routeiq.governance.keys import Caller
from routeiq.mcp import search, wire
from routeiq.mcp.accounting import CANCELLED, ENDPOINT, Refused, refused
from routeiq.mcp.catalog import Tool
from routeiq.mcp.headers import Params, check_params
from routeiq.mcp.leaks import screen
from routeiq.mcp.oauth.client import AuthorizationNeeded, OAuthClient
from routeiq.mcp.oauth.fetch import Fetcher
from routeiq.mcp.oauth.vault import Vault
from routeiq.mcp.pins import Pins
from routeiq.mcp.pool import SessionPool
from routeiq.mcp.registry import Registry
from routeiq.mcp.turn import ModernTurn, SessionTurn, Turn
from routeiq.mcp.upstream.channel import Headers, Unreachable
from routeiq.mcp.upstream.link import Link, answered
from routeiq.mcp.upstream.server import NEW_SECONDS, Open, Upstream
from routeiq.mcp.view import Shown, View
from routeiq.mcp.wire import GATEWAY_ERROR, INVALID_PARAMS, McpError, Message, Unavailable
from routeiq.pipeline.books import Account, Books
from routeiq.pipeline.services import Services

log = logging.getLogger("routeiq.mcp")


class Gateway:
    """State of the gateway, whatever clients speak to it in."""

    def __init__(
        self, services: Services, snapshot: Snapshot, mcp: Mcp, open_channel: Open, pins: Pins, vault: Vault
    ) -> None:
        self.services = services
        self.mcp = mcp
        self.open = snapshot.auth.open
        self.books = Books(services, snapshot, ENDPOINT)
        self.watchers: set[Any] = set()
        """Told with `changed(upstream, kinds)` when a server's lists have changed."""
        self.pins = pins
        self._vault = vault
        self.registry = Registry(mcp, open_channel, self._changed, pins.review, self._oauth)
        self.pool = SessionPool(mcp.session_seconds)

    def adopt(self, snapshot: Snapshot, mcp: Mcp) -> None:
        """Serve by another configuration."""
        self.mcp = mcp
        self.open = snapshot.auth.open
        self.books.snapshot = snapshot
        self.pool.idle_seconds = mcp.session_seconds
        self.pins.mcp = mcp
        self.registry.adopt(mcp)
        for watcher in list(self.watchers):
            watcher.changed(None, set(wire.CHANGED))

    async def close(self) -> None:
        """Let go of all servers."""
        self.pool.close()
        await self.registry.close()

    async def view(self, turn: Turn) -> View:
        """What the turn's caller sees at its place."""
        return await self.view_of(turn.caller, turn)

    async def view_of(self, caller: Caller, turn: Turn) -> View:
        grants = self.registry.grants(caller.key, everything=self.open)
        return await self.registry.view(grants, turn.place, turn.fields, caller.key.id, self.services.now())

    # requests

    async def list(self, turn: Turn, method: str, params: Message) -> Message:
        """One page of a list."""
        return self.page(await self.view(turn), turn, method, params)

    def page(self, view: View, turn: Turn, method: str, params: Message) -> Message:
        """One page of a view; of a large one the tools to search it with."""
        if method == "tools/list" and self._is_large(view, turn):
            return {"tools": search.TOOLS}
        return view.page(method, params.get("cursor"))

    def tools(self, view: View, turn: Turn) -> Iterable[Message]:
        """All tools of a view; of a large one those to search it with."""
        return search.TOOLS if self._is_large(view, turn) else view.entries("tools/list")

    def _is_large(self, view: View, turn: Turn) -> bool:
        most = self.mcp.search_over
        return most is not None and not turn.place.single and len(view.tools) > most

    async def call(self, turn: Turn, params: Message) -> Message:
        """`tools/call`: accounted for, whatever comes of it."""
        asked = params.get("name")
        if not isinstance(asked, str):
            raise McpError(INVALID_PARAMS, "params.name must be a string.")
        if asked in search.NAMES and self.mcp.search_over is not None:
            view = await self.view(turn)
            if self._is_large(view, turn):
                return await self._search(turn, view, asked, params.get("arguments") or {}, params)
        account = self.books.open(turn.caller, asked, turn.fields)
        result = await self._accounted(account, self._call(turn, params, asked, account))
        turn.cost += account.cost
        return result

    async def _search(self, turn: Turn, view: View, asked: str, arguments: Any, params: Message) -> Message:
        """The tools that stand for a large list."""
        if not isinstance(arguments, dict):
            raise McpError(INVALID_PARAMS, "params.arguments must be an object.")
        if asked == search.SEARCH:
            if view.index is None:
                view.index = search.Index(view)
            return search.searched(view.index, arguments)
        if asked == search.DESCRIBE:
            return search.described(view, arguments)
        name = arguments.get("name")
        if not isinstance(name, str) or name in search.NAMES:
            raise McpError(INVALID_PARAMS, "arguments.name must be the name of a tool.")
        turn.checked = False  # headers repeat the arguments of what is called by name
        return await self.call(turn, {**params, "name": name, "arguments": arguments.get("arguments") or {}})

    async def _call(self, turn: Turn, params: Message, asked: str, account: Account) -> Message:
        shown, tool = await self._find_tool(turn, asked)
        upstream = shown.upstream
        account.server, account.name, account.cost = upstream.server.name, tool.name, tool.cost
        if not self.mcp.calls:
            raise Refused(
                GATEWAY_ERROR,
                "Tools can't be called: the gateway's operator has not switched tool calls on.",
                {"code": "tool_invocation_disabled"},
            )
        arguments = params.get("arguments")
        if arguments is not None and not isinstance(arguments, dict):
            raise McpError(INVALID_PARAMS, "params.arguments must be an object.")
        if turn.checked and tool.params:
            check_params(tool.params, arguments, turn.fields)
        if tool.takes is not None and arguments and not tool.takes.issuperset(arguments):
            extra = sorted(set(arguments) - tool.takes)
            raise Refused(
                GATEWAY_ERROR, f"The tool may not be given {', '.join(extra)[:200]}.", {"code": "argument_not_allowed"}
            )
        if self.mcp.ask_destructive and not turn.approved and is_destructive(tool.raw):
            await self._approve(turn, asked)
        if not upstream.take():
            raise refused(
                LimitExceeded(f"The MCP server {upstream.server.name} takes {upstream.server.rpm} calls a minute.")
            )
        await account.reserve()
        if upstream.slots is None:
            return await self._ask(turn, upstream, "tools/call", {**params, "name": tool.name}, tool.params)
        async with upstream.slots:
            return await self._ask(turn, upstream, "tools/call", {**params, "name": tool.name}, tool.params)

    async def _approve(self, turn: Turn, asked: str) -> None:
        """Let the client ask its user. Raises `McpError` where it can't, or the user does not want it."""
        told = {"message": f"The tool {asked} is marked as destructive. Run it?",
                "requestedSchema": {"type": "object", "properties": {}}}  # fmt: skip
        answer = await turn.ask("elicitation/create", told)
        if answer.get("action") != "accept":
            raise Refused(GATEWAY_ERROR, "The user did not approve this call.", {"code": "not_approved"})

    async def _find_tool(self, turn: Turn, name: str) -> tuple[Shown, Tool]:
        view = await self.view(turn)
        tool = view.tools.get(name)
        if tool is None and await self._read_again(view):
            view = await self.view(turn)
            tool = view.tools.get(name)
        if tool is None:
            raise McpError(INVALID_PARAMS, f"Unknown tool: {name[:200]}")
        return view.by_server[tool.server.id], tool

    async def _read_again(self, view: View) -> bool:
        """Read old lists again, because somebody asks for what is not in them; whether there were any."""
        now = self.services.now()
        old = [one.access for one in view.servers if now - one.access.asked > NEW_SECONDS]
        if old:
            await asyncio.wait([asyncio.ensure_future(one.read(wait=True)) for one in old])
        return bool(old)

    async def prompt(self, turn: Turn, params: Message) -> Message:
        """`prompts/get`."""
        name = params.get("name")
        if not isinstance(name, str):
            raise McpError(INVALID_PARAMS, "params.name must be a string.")
        account = self.books.open(turn.caller, name, turn.fields)
        return await self._accounted(account, self._prompt(turn, params, name, account))

    async def _prompt(self, turn: Turn, params: Message, name: str, account: Account) -> Message:
        view = await self.view(turn)
        if name not in view.prompts and await self._read_again(view):
            view = await self.view(turn)
        prompt = view.prompts.get(name)
        if prompt is None:
            raise McpError(INVALID_PARAMS, f"Unknown prompt: {name[:200]}")
        account.server, account.name = prompt.server.name, prompt.name
        await account.reserve()
        upstream = view.by_server[prompt.server.id].upstream
        return await self._ask(turn, upstream, "prompts/get", {**params, "name": prompt.name})

    async def resource(self, turn: Turn, params: Message) -> Message:
        """`resources/read`."""
        uri = params.get("uri")
        if not isinstance(uri, str):
            raise McpError(INVALID_PARAMS, "params.uri must be a string.")
        account = self.books.open(turn.caller, uri, turn.fields)
        return await self._accounted(account, self._resource(turn, params, uri, account))

    async def _resource(self, turn: Turn, params: Message, uri: str, account: Account) -> Message:
        upstream = (await self.of_resource(turn, uri)).upstream
        account.server, account.name = upstream.server.name, uri
        await account.reserve()
        result = await self._ask(turn, upstream, "resources/read", params)
        if turn.modern and result.get("resultType", "complete") == "complete":
            # Who may see it depends on the caller, whatever the server says.
            result = {**result, "ttlMs": result.get("ttlMs", 0), "cacheScope": "private"}
        return result

    async def of_resource(self, turn: Turn, uri: str) -> Shown:
        """The server of a resource. Raises `McpError` where none has it."""
        shown = (await self.view(turn)).resource(uri)
        if shown is None:
            raise McpError(
                INVALID_PARAMS if turn.modern else wire.RESOURCE_NOT_FOUND, "Resource not found", {"uri": uri}
            )
        return shown

    async def complete(self, turn: Turn, params: Message) -> Message:
        """`completion/complete`: of an argument of a prompt, or of a template."""
        ref = params.get("ref")
        ref = ref if isinstance(ref, dict) else {}
        view = await self.view(turn)
        if ref.get("type") == "ref/prompt":
            prompt = view.prompts.get(str(ref.get("name")))
            if prompt is None:
                raise McpError(INVALID_PARAMS, "Unknown prompt.")
            upstream = view.by_server[prompt.server.id].upstream
            return await self._ask(
                turn, upstream, "completion/complete", {**params, "ref": {**ref, "name": prompt.name}}
            )
        uri = str(ref.get("uri"))
        template = next((named for _, named in view.templates if named.name == uri), None)
        shown = view.by_server[template.server.id] if template is not None else view.resource(uri)
        if shown is None:
            raise McpError(INVALID_PARAMS, "Unknown resource.")
        return await self._ask(turn, shown.upstream, "completion/complete", params)

    # servers

    async def link(self, turn: Turn, upstream: Upstream) -> Link:
        """A server for who asks: in the client's revision where it speaks that, else in its own. Raises `McpError`."""
        access = upstream.access(upstream.forwarded(turn.fields), turn.caller.key.id)
        shared = await upstream.shared(access)
        if isinstance(turn, SessionTurn) and (shared is None or upstream.sessions):
            try:
                return await turn.session.link(upstream, turn.headers)
            except Unreachable:
                raise
            except McpError:
                if shared is None:
                    raise
                upstream.sessions = False
        if shared is not None:
            return shared
        assert isinstance(turn, ModernTurn)
        return await self.pool.link(turn, upstream)

    async def _ask(
        self, turn: Turn, upstream: Upstream, method: str, params: Message, repeat: Params | None = None
    ) -> Message:
        turn.aim(upstream)
        leaks, name = self.mcp.leaks, upstream.server.name
        if params.get("arguments"):
            params = {**params, "arguments": screen(leaks.arguments, leaks, "arguments", name, params["arguments"])}

        async def ask(headers: Headers) -> Message:
            turn.headers = headers
            link = await self.link(turn, upstream)
            if link.modern and not turn.modern:
                return await answered(link, method, params, turn, repeat)
            return await link.request(method, params, turn, repeat)

        try:
            owner = upstream.oauth.owner(turn.caller.key.id) if upstream.oauth is not None else ""
            result = await upstream.authorized(owner, turn.headers, ask)
            return screen(leaks.results, leaks, "results", name, result)
        except AuthorizationNeeded as error:
            url = await self.authorize_url(upstream, turn.caller.key.id, turn.fields)
            told = {"mode": "url", "elicitationId": url.rpartition("=")[2], "url": url, "message": error.message}
            raise McpError(error.code, error.message, {"elicitations": [told]}) from None
        except Unavailable as error:
            await self._lost(turn, upstream)
            log.warning("MCP server %s: %s", upstream.server.name, error.message)
            raise
        except McpError as error:
            if error.code == wire.RESOURCE_NOT_FOUND and turn.modern and method == "resources/read":
                raise McpError(INVALID_PARAMS, error.message, error.data or {"uri": params.get("uri")}) from None
            raise

    async def authorize_url(self, upstream: Upstream, caller: str, fields: dict[bytes, bytes]) -> str:
        """Where a user begins to let a server be used in their name. Raises `McpError`."""
        client = upstream.oauth
        if client is None or client.for_all:
            raise McpError(GATEWAY_ERROR, "This MCP server wants no authorization by users.", {"code": "mcp_error"})
        base = self.mcp.public_url.rstrip("/")
        if not base:
            scheme = "https" if fields.get(b"x-forwarded-proto") == b"https" else "http"
            base = f"{scheme}://{fields.get(b'host', b'localhost').decode('latin-1')}"
        state = await client.begin(client.owner(caller), f"{base}/v1/mcp/oauth/callback")
        return f"{base}/v1/mcp/oauth/consent?state={state}"

    async def _lost(self, turn: Turn, upstream: Upstream) -> None:
        """A session with a server that failed is not used again."""
        if isinstance(turn, SessionTurn):
            await turn.session.drop(upstream)
        elif isinstance(turn, ModernTurn):
            self.pool.drop(turn, upstream)

    async def _accounted(self, account: Account, work: Any) -> Message:
        status, error = CANCELLED, ""
        try:
            result: Message = await work
            status = 200
            return result
        except Refused as failure:
            status, error = failure.event_status, failure.kind
            raise
        except Unavailable:
            status, error = 502, "unreachable"
            raise
        except McpError as failure:
            status, error = (404, "bad_request") if failure.code == INVALID_PARAMS else (502, "upstream")
            raise
        except GatewayError as failure:
            status, error = failure.status, failure.kind
            raise refused(failure) from None
        finally:
            account.settle(status, error)

    def _oauth(self, server: McpServer) -> OAuthClient | None:
        if server.oauth is None:
            return None
        settings = server.oauth
        fetcher = Fetcher(self.services.pool, frozenset(settings.trusted_hosts))
        return OAuthClient(server, settings, fetcher, self._vault.tokens(server.id), self._vault.save)

    def _changed(self, upstream: Upstream, kinds: set[str]) -> None:
        for watcher in list(self.watchers):
            watcher.changed(upstream, kinds)
