"""Tokens for one MCP server: whose they are, how they are got, when they are made anew.

refused (401, 403) ──► discover ──► client credentials ──────────────────────► token
                               └──► authorize URL ──► the user ──► callback ──► token ──► refresh …
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from routeiq.core.mcp import McpServer, OAuth
from routeiq.mcp.oauth import metadata
from routeiq.mcp.oauth.fetch import FORM, JSON, Fetcher
from routeiq.mcp.oauth.metadata import Untrusted
from routeiq.mcp.upstream.channel import Answered
from routeiq.mcp.wire import McpError, Message, Unavailable

EARLY_SECONDS = 30.0
"""How long before its end a token is made anew."""
PENDING_SECONDS = 600.0
"""How long a user may take."""
MOST_PENDING = 1000
STEP_UPS = 2
"""Times in a row a server may ask for more scopes."""
URL_NEEDED = -32042
"""The code that asks a client to send its user to a URL: revision 2025-11-25, elicitation in URL mode."""


class Token(msgspec.Struct, kw_only=True):
    """What an authorization server has given. Times are Unix seconds."""

    access: str
    refresh: str = ""
    expires: float | None = None
    scopes: list[str] = []
    issuer: str = ""
    resource: str = ""
    endpoint: str = ""
    client_id: str = ""
    client_secret: str = ""
    method: str = ""


class Pending(msgspec.Struct, kw_only=True):
    """An authorization a user has begun. `url` is the authorization server's."""

    owner: str
    url: str
    verifier: str
    redirect: str
    server: Message
    issuer: str
    client: dict[str, str]
    resource: str
    scopes: list[str]
    until: float
    cookie: str = ""
    """Of the browser that has agreed; nobody else may come back."""


class AuthorizationNeeded(McpError):
    """A user has to say yes before the server can be used."""

    def __init__(self, server: McpServer) -> None:
        super().__init__(URL_NEEDED, f"The MCP server {server.name} needs its user's authorization.")
        self.server = server


class OAuthClient:
    """The gateway as one server's OAuth client."""

    def __init__(
        self,
        server: McpServer,
        settings: OAuth,
        fetcher: Fetcher,
        tokens: dict[str, Token],
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when `tokens` are others."""
        self.server = server
        self.settings = settings
        self.tokens = tokens
        """By owner: a key's id, or nobody where the gateway has a token of its own."""
        self.pending: dict[str, Pending] = {}
        """By `state`."""
        self._fetcher = fetcher
        self._changed = changed
        self._locks: dict[str, asyncio.Lock] = {}
        self._challenges: dict[str, dict[str, str]] = {}
        """What a server wanted of an owner last."""
        self._clients: dict[str, dict[str, str]] = {}
        """Registrations by issuer."""
        self._steps: dict[str, tuple[int, float]] = {}
        """How often in a row a server has wanted more, and when it did last."""

    @property
    def for_all(self) -> bool:
        """Whether the gateway has one token, not one for each user."""
        return self.settings.flow == "client_credentials"

    @property
    def url(self) -> str:
        """The server's, which tokens are for."""
        server = self.server
        return f"{server.scheme}://{server.host_header}{server.target.partition('?')[0]}"

    def owner(self, key: str) -> str:
        """Whose token a request of a key takes."""
        return "" if self.for_all else key

    async def headers(self, owner: str) -> dict[str, str]:
        """What to send on somebody's behalf; nothing before there is a token. Raises `McpError`."""
        token = self.tokens.get(owner)
        if token is None:
            return {}
        if token.expires is not None and token.expires - EARLY_SECONDS < time.time():
            async with self._lock(owner):
                token = self.tokens.get(owner)
                if token is not None and token.expires is not None and token.expires - EARLY_SECONDS < time.time():
                    token = await self._refresh(owner, token)
        return {"Authorization": f"Bearer {token.access}"} if token is not None else {}

    async def refused(self, owner: str, error: Answered, sent: dict[str, str], *, renewed: bool) -> None:
        """The server wants another token. Returns when there is one, raises `McpError` when there is not.

        `renewed`: the one it does not want is new.
        """
        told = metadata.challenge(error.challenge)
        async with self._lock(owner):
            token = self.tokens.get(owner)
            if token is not None and sent.get("Authorization") != f"Bearer {token.access}":
                return  # somebody else was faster
            if error.http_status == 403:
                if told.get("error") != "insufficient_scope":
                    raise error
                steps = self._stepped(owner) + 1
                self._steps[owner] = steps, time.time()
                if steps > STEP_UPS:
                    raise error
                before = token.scopes if token is not None else []
                told["scope"] = " ".join(dict.fromkeys([*before, *told.get("scope", "").split()]))
            elif renewed and self.for_all:
                raise error
            elif not renewed and token is not None and token.refresh and await self._refresh(owner, token) is not None:
                return
            self._drop(owner)
            self._challenges[owner] = told
            if not self.for_all:
                raise AuthorizationNeeded(self.server)
            await self._client_credentials(owner, told)

    def succeeded(self, owner: str) -> None:
        """The server took the token."""
        self._steps.pop(owner, None)

    # a token of the gateway's own

    async def _client_credentials(self, owner: str, told: dict[str, str]) -> None:
        resource, server, issuer = await self._discover(told)
        client = await self._client(server, issuer, "")
        scopes = metadata.scopes_for(told, resource, {}, self.settings.scopes)
        form = {"grant_type": "client_credentials", **self._resource(resource)}
        if scopes:
            form["scope"] = " ".join(scopes)
        await self._take(owner, form, str(server.get("token_endpoint") or ""), client, issuer, scopes)

    # a user's

    async def begin(self, owner: str, redirect: str) -> str:
        """Begin an authorization; gives its `state`. `redirect` is the gateway's callback. Raises `McpError`."""
        if self._stepped(owner) > STEP_UPS:
            raise Unavailable("The server wants more scopes again and again.")
        told = self._challenges.get(owner, {})
        resource, server, issuer = await self._discover(told)
        try:
            metadata.check_pkce(server)
        except Untrusted as error:
            raise Unavailable(str(error)) from None
        endpoint = server.get("authorization_endpoint")
        if not isinstance(endpoint, str) or not endpoint.startswith(("https://", "http://")):
            raise Unavailable("The authorization server has no place where users say yes.")
        client = await self._client(server, issuer, redirect)
        scopes = metadata.scopes_for(told, resource, server, self.settings.scopes)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = self._resource(resource)
        query = {
            "response_type": "code",
            "client_id": client["id"],
            "redirect_uri": redirect,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **asked,
        }
        if scopes:
            query["scope"] = " ".join(scopes)
        if "offline_access" in scopes:
            query["prompt"] = "consent"
        while len(self.pending) >= MOST_PENDING:
            del self.pending[next(iter(self.pending))]
        self.pending[state] = Pending(
            owner=owner,
            url=f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}",
            verifier=verifier,
            redirect=redirect,
            server=server,
            issuer=issuer,
            client=client,
            resource=asked.get("resource", ""),
            scopes=scopes,
            until=time.time() + PENDING_SECONDS,
        )
        return state

    async def finish(self, pending: Pending, code: str, iss: str | None) -> None:
        """The user has said yes. Raises `McpError` where that can't be believed, or the server does not."""
        try:
            metadata.check_iss(pending.server, pending.issuer, iss)
        except Untrusted as error:
            raise Unavailable(str(error)) from None
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect,
            "code_verifier": pending.verifier,
        }
        if pending.resource:
            form["resource"] = pending.resource
        endpoint = str(pending.server.get("token_endpoint") or "")
        await self._take(pending.owner, form, endpoint, pending.client, pending.issuer, pending.scopes)

    # parts

    async def _discover(self, told: dict[str, str]) -> tuple[Message, Message, str]:
        """Metadata of the resource and of its authorization server, and the issuer."""
        settings = self.settings
        if settings.token_url:
            server: Message = {
                "authorization_endpoint": settings.authorization_url,
                "token_endpoint": settings.token_url,
                "registration_endpoint": settings.registration_url,
                "code_challenge_methods_supported": ["S256"],
            }
            return {}, server, settings.issuer or settings.token_url
        resource: Message = {}
        for url in metadata.resource_urls(self.url, told.get("resource_metadata", "")):
            status, found = await self._fetcher.get(url)
            if status == 200 and found:
                resource = found
                break
        try:
            if resource:
                metadata.check_resource(self.url, resource)
            issuers = [one for one in resource.get("authorization_servers") or [] if isinstance(one, str)]
            issuer = settings.issuer or (issuers[0] if issuers else f"{self.server.scheme}://{self.server.host_header}")
            for url in metadata.server_urls(issuer):
                status, found = await self._fetcher.get(url)
                if status == 200 and found:
                    metadata.check_server(issuer, found)
                    return resource, found, issuer
        except Untrusted as error:
            raise Unavailable(str(error)) from None
        raise Unavailable("The authorization server's metadata is not where it should be.")

    async def _client(self, server: Message, issuer: str, redirect: str) -> dict[str, str]:
        """Who the gateway is to an issuer: as configured, by its metadata document, else registered now."""
        settings = self.settings
        methods = server.get("token_endpoint_auth_methods_supported")
        supported = [one for one in methods if isinstance(one, str)] if isinstance(methods, list) else []
        if settings.client_id:
            method = settings.auth_method or _method(supported, bool(settings.client_secret))
            return {"id": settings.client_id, "secret": settings.client_secret, "method": method}
        if settings.metadata_url and server.get("client_id_metadata_document_supported") is True:
            return {"id": settings.metadata_url, "secret": "", "method": "none"}
        known = self._clients.get(issuer)
        if known is not None and known["redirect"] == redirect:
            return known
        endpoint = server.get("registration_endpoint")
        if not isinstance(endpoint, str) or not endpoint:
            raise Unavailable("The authorization server takes no registrations: configure a client_id.")
        wanted = {
            "client_name": "RouteIQ",
            "redirect_uris": [redirect],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": _method(supported, True) if supported else "client_secret_basic",
            "application_type": "native" if redirect.startswith("http://") else "web",
        }
        status, found = await self._fetcher.post(endpoint, msgspec.json.encode(wanted), JSON, {})
        ident = found.get("client_id")
        if status not in (200, 201) or not isinstance(ident, str):
            raise Unavailable(f"The authorization server did not register the gateway: {_why(status, found)}")
        secret = str(found.get("client_secret") or "")
        method = str(found.get("token_endpoint_auth_method") or wanted["token_endpoint_auth_method"])
        client = {"id": ident, "secret": secret, "method": method if secret else "none", "redirect": redirect}
        self._clients[issuer] = client
        return client

    async def _refresh(self, owner: str, token: Token) -> Token | None:
        """A token in place of one that ends; `None` when there is none to be had. The lock is held."""
        if not token.refresh:
            self._drop(owner)
            if self.for_all:
                await self._client_credentials(owner, {})
            return self.tokens.get(owner)
        form = {"grant_type": "refresh_token", "refresh_token": token.refresh}
        if token.resource:
            form["resource"] = token.resource
        client = {"id": token.client_id, "secret": token.client_secret, "method": token.method}
        try:
            await self._take(owner, form, token.endpoint, client, token.issuer, token.scopes, token.refresh)
        except Unavailable:
            self._drop(owner)
            return None
        return self.tokens[owner]

    async def _take(
        self,
        owner: str,
        form: dict[str, str],
        endpoint: str,
        client: dict[str, str],
        issuer: str,
        scopes: list[str],
        refresh: str = "",
    ) -> None:
        """Ask the token endpoint."""
        headers = {}
        if client["method"] == "client_secret_basic":
            pair = f"{quote(client['id'], safe='')}:{quote(client['secret'], safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = client["id"]
            if client["method"] == "client_secret_post":
                form["client_secret"] = client["secret"]
        status, found = await self._fetcher.post(endpoint, urlencode(form).encode(), FORM, headers)
        access = found.get("access_token")
        if status != 200 or not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise Unavailable(f"The authorization server gave no token: {_why(status, found)}")
        seconds = found.get("expires_in")
        given = found.get("scope")
        self.tokens[owner] = Token(
            access=access,
            refresh=str(found.get("refresh_token") or refresh),
            expires=time.time() + seconds if isinstance(seconds, int | float) else None,
            scopes=given.split() if isinstance(given, str) else scopes,
            issuer=issuer,
            resource=form.get("resource", ""),
            endpoint=endpoint,
            client_id=client["id"],
            client_secret=client["secret"],
            method=client["method"],
        )
        self._changed()

    def _drop(self, owner: str) -> None:
        if self.tokens.pop(owner, None) is not None:
            self._changed()

    def _resource(self, found: Message) -> dict[str, str]:
        """RFC 8707: what the token is for."""
        if not self.settings.resource:
            return {}
        told = found.get("resource")
        return {
            "resource": self.url
            if self.settings.resource == "auto" and not told
            else str(told or self.settings.resource)
        }

    def _stepped(self, owner: str) -> int:
        count, when = self._steps.get(owner, (0, 0.0))
        return count if time.time() - when < PENDING_SECONDS else 0

    def _lock(self, owner: str) -> asyncio.Lock:
        return self._locks.setdefault(owner, asyncio.Lock())


def _method(supported: list[str], secret: bool) -> str:
    """How to say who one is at a token endpoint, of what it supports (RFC 8414: by default `client_secret_basic`)."""
    if not secret:
        return "none"
    for method in ("client_secret_basic", "client_secret_post", "none"):
        if method in supported:
            return method
    return "client_secret_basic"


def _why(status: int, found: Message) -> str:
    error: Any = found.get("error")
    return f"{error[:100]} ({status})" if isinstance(error, str) else f"HTTP status {status}"
