"""Where a user lets the gateway use an MCP server in their name.

    GET  /v1/mcp/server/oauth/{id}/authorize   with a key: begins, and says where the user has to go
    GET  /v1/mcp/oauth/consent?state=…         what is asked for, and a button
    POST /v1/mcp/oauth/consent                 on to the authorization server
    GET  /v1/mcp/oauth/callback?code=…         back from there

https://modelcontextprotocol.io/specification/2026-07-28/basic/security_best_practices#confused-deputy-problem
"""

from __future__ import annotations

import functools
import hmac
import html
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from routeiq.agents.envelope import check_origin
from routeiq.agents.responder import Responder
from routeiq.agents.tokens import McpCallers
from routeiq.core.errors import BadRequest, UnknownPath
from routeiq.mcp.gateway import Gateway
from routeiq.mcp.oauth.client import OAuthClient, Pending
from routeiq.mcp.wire import McpError, encode
from routeiq.process.heads import Request

if TYPE_CHECKING:
    from routeiq.agents.server import Handler

COOKIE = "routeiq-mcp-oauth"
HTML = b"text/html; charset=utf-8"
_HEADERS = (
    b"Cache-Control: no-store\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
    b"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n"
)
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>RouteIQ</title>
<style>body{{font:16px system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}}</style>{body}</html>"""


class OAuthFace:
    """`agents.server.Face` of users' authorizations."""

    def __init__(self, gateway: Gateway, callers: McpCallers) -> None:
        self._callers = callers
        self._gateway = gateway

    def find(self, request: Request) -> Handler | None:
        """Four paths."""
        path = request.path.decode("latin-1")
        if path == "/v1/mcp/oauth/consent":
            return self._consent
        if path == "/v1/mcp/oauth/callback" and request.method == b"GET":
            return self._callback
        start, end = "/v1/mcp/server/oauth/", "/authorize"
        if request.method == b"GET" and path.startswith(start) and path.endswith(end):
            return functools.partial(self._begin, word=path[len(start) : -len(end)])
        return None

    async def _begin(self, request: Request, responder: Responder, word: str) -> None:
        try:
            check_origin(self._gateway.mcp, request.headers, request.fields)
            caller = await self._callers.of(request)
            grants = dict(self._gateway.registry.grants(caller.key, everything=self._gateway.open))
            for upstream in self._gateway.registry.upstreams.values():
                server = upstream.server
                if server.id in grants and word in (server.id, server.name, server.prefix):
                    break
            else:
                raise UnknownPath(f"There is no MCP server {word[:200]!r} here.", code="mcp_server_not_found")
            url = await self._gateway.authorize_url(upstream, caller.key.id, request.fields)
        except McpError as error:
            raise BadRequest(error.message, status=502, code="mcp_error") from None
        responder.respond(200, encode({"authorization_url": url}), headers=b"Cache-Control: no-store\r\n")

    async def _consent(self, request: Request, responder: Responder) -> None:
        text = request.body if request.method == b"POST" else request.query
        state = parse_qs(text.decode("latin-1")).get("state", [""])[0]
        client, pending = self._pending(state)
        if request.method == b"GET":
            host = urlsplit(pending.url).netloc
            asked = ", ".join(pending.scopes) or "what it grants by itself"
            body = (
                f"<h1>Use {html.escape(client.server.name)} in your name?</h1>"
                f"<p>The gateway asks <b>{html.escape(host)}</b> for a token with the scopes "
                f"<b>{html.escape(asked)}</b>. Whoever has the gateway's key that this link was made with will be "
                f"able to use the MCP server <b>{html.escape(client.url)}</b> as you. Go on only if you asked for "
                f"this link yourself.</p>"
                f'<form method="post" action="/v1/mcp/oauth/consent"><input type="hidden" name="state" '
                f'value="{html.escape(state)}"><button>Go on</button></form>'
            )
            responder.respond(200, _PAGE.format(body=body).encode(), HTML, _HEADERS)
        elif request.method == b"POST":
            pending.cookie = secrets.token_urlsafe(24)
            secure = "; Secure" if pending.redirect.startswith("https://") else ""
            cookie = f"Set-Cookie: {COOKIE}={pending.cookie}; Path=/v1/mcp/oauth; HttpOnly; SameSite=Lax{secure}\r\n"
            location = f"Location: {pending.url}\r\n"
            responder.respond(303, b"", headers=_HEADERS + cookie.encode() + location.encode("latin-1", "replace"))
        else:
            responder.respond(405, b"", headers=b"Allow: GET, POST\r\n")

    async def _callback(self, request: Request, responder: Responder) -> None:
        query = parse_qs(request.query.decode("latin-1"))
        state = query.get("state", [""])[0]
        client, pending = self._pending(state)
        given = request.fields.get(b"cookie", b"").decode("latin-1")
        cookies = dict(part.strip().partition("=")[::2] for part in given.split(";"))
        if not pending.cookie or not hmac.compare_digest(cookies.get(COOKIE, ""), pending.cookie):
            raise BadRequest("This browser has not agreed to that.", code="mcp_error")
        del client.pending[state]  # it serves once
        try:
            if "code" not in query:
                raise McpError(0, "The authorization server did not agree.")
            await client.finish(pending, query["code"][0], query["iss"][0] if "iss" in query else None)
        except McpError as error:
            raise BadRequest(error.message, status=502, code="mcp_error") from None
        for upstream in self._gateway.registry.upstreams.values():
            if upstream.oauth is client:
                upstream.renew(pending.owner)
        body = f"<h1>Done</h1><p>{html.escape(client.server.name)} can be used now. You may close this page.</p>"
        responder.respond(200, _PAGE.format(body=body).encode(), HTML, _HEADERS)

    def _pending(self, state: str) -> tuple[OAuthClient, Pending]:
        for upstream in self._gateway.registry.upstreams.values():
            client = upstream.oauth
            pending = client.pending.get(state) if client is not None else None
            if client is not None and pending is not None and pending.until > time.time():
                return client, pending
        raise UnknownPath("There is no such authorization any more: begin again.")

    def adopt(self, snapshot: Any) -> None:
        """The gateway has taken it."""

    def tidy(self, now: float) -> None:
        """What is pending is bounded."""

    async def close(self) -> None:
        """Nothing is open."""
