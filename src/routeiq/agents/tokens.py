"""MCP clients that come with a token of an authorization server in place of a key: the gateway as resource server.

    JWT ──► signature, issuer, audience, expiry ──► user and team of its claims ──► what these may use

https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization, RFC 9728, RFC 8707, RFC 6750. Claims are
mapped as https://docs.litellm.ai/docs/proxy/token_auth has it.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import msgspec

from routeiq.agents.callers import caller_of
from routeiq.core.errors import Forbidden, GatewayError, Overloaded, Unauthorized
from routeiq.core.mcp import Jwt, Mcp
from routeiq.core.snapshot import Auth, Snapshot
from routeiq.governance.keys import Caller
from routeiq.mcp.oauth.fetch import Fetcher
from routeiq.mcp.wire import Message, Unavailable
from routeiq.pipeline.authenticate import admitted, token_of
from routeiq.pipeline.services import Services
from routeiq.process.heads import Request

WELL_KNOWN = "/.well-known/oauth-protected-resource"
CALL = "tools/call"
KEYS_SECONDS = 600.0
"""How long the authorization server's keys are good."""
AGAIN_SECONDS = 30.0
"""Between two looks for a key that is not among them."""
LEEWAY_SECONDS = 30.0
"""By which clocks may differ."""
MOST = 5_000
"""Tokens that are remembered."""


class _Known(msgspec.Struct, frozen=True):
    """What a token was found to say."""

    claims: dict[str, Any]
    audience: frozenset[str]
    scopes: frozenset[str]
    until: float


class McpCallers:
    """Who calls: a key as everywhere, or where that is configured, a token."""

    def __init__(self, services: Services, snapshot: Snapshot) -> None:
        self._services = services
        self._known: dict[bytes, _Known] = {}
        self._keys: Any = None
        self._keys_at = 0.0
        self._auth: Auth
        self._mcp: Mcp
        self.adopt(snapshot)

    def adopt(self, snapshot: Snapshot) -> None:
        """Go by another configuration."""
        self._auth = snapshot.auth
        self._mcp = snapshot.mcp or Mcp()
        self._known.clear()
        self._keys = None

    async def of(self, request: Request) -> Caller:
        """The caller. Raises `GatewayError`, with the challenge clients of OAuth go by."""
        jwt = self._mcp.jwt
        if jwt is None or self._auth.open:
            return await caller_of(self._services, self._auth, request.fields)
        try:
            token = token_of(request.fields, self._auth)
            if not _is_jwt(token):
                return await caller_of(self._services, self._auth, request.fields)
            return await self._caller(jwt, token, request)
        except Unauthorized as error:
            error.headers = self._challenge(jwt, request, "" if error.code == "no_api_key" else "invalid_token")
            raise

    def check_scopes(self, request: Request, message: Message | list[Any]) -> None:
        """Raise `Forbidden` where a token would have to have more scopes for this: step-up."""
        jwt = self._mcp.jwt
        if jwt is None or not jwt.call_scopes or self._auth.open:
            return
        messages = message if isinstance(message, list) else [message]
        if not any(isinstance(one, dict) and one.get("method") == CALL for one in messages):
            return
        known = self._known.get(_digest(token_of(request.fields, self._auth)))
        needed = (*jwt.scopes, *jwt.call_scopes)
        if known is not None and not known.scopes.issuperset(needed):
            raise _insufficient(self._challenge(jwt, request, "insufficient_scope", needed))

    def metadata(self, request: Request) -> Message | None:
        """RFC 9728's document for the place behind the well-known path; `None` without an authorization server."""
        jwt = self._mcp.jwt
        if jwt is None:
            return None
        path = request.path.decode("latin-1").removeprefix(WELL_KNOWN) or "/mcp"
        return {
            "resource": self._base(request) + path,
            "authorization_servers": [jwt.issuer],
            "scopes_supported": list(dict.fromkeys((*jwt.scopes, *jwt.call_scopes))),
            "bearer_methods_supported": ["header"],
            "resource_name": "RouteIQ",
        }

    async def _caller(self, jwt: Jwt, token: bytes, request: Request) -> Caller:
        now = time.time()
        digest = _digest(token)
        known = self._known.get(digest)
        if known is None or known.until <= now:
            known = await self._verified(jwt, token, now)
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[digest] = known
        if known.audience.isdisjoint(self._audience(jwt, request)):
            raise Unauthorized("The token is not for this gateway: its audience is another.")
        if not known.scopes.issuperset(jwt.scopes):
            raise _insufficient(self._challenge(jwt, request, "insufficient_scope", jwt.scopes))
        user, team = (_name(known.claims, claim) for claim in (jwt.user_claim, jwt.team_claim))
        caller = await self._services.keys.principal(user, team, self._services.now())
        if caller is None:
            raise Forbidden("The token's user or team is not known here.", code="unknown_principal")
        return admitted(caller, now)

    async def _verified(self, jwt: Jwt, token: bytes, now: float) -> _Known:
        from joserfc import jws
        from joserfc.errors import JoseError

        try:
            signed = jws.extract_compact(token)
            if signed.headers().get("alg") not in jwt.algorithms:
                raise Unauthorized("The token is signed by an algorithm that is not accepted.")
            keys = await self._key_set(jwt, signed.headers().get("kid"))
            found = jws.deserialize_compact(token, keys, algorithms=list(jwt.algorithms))
            claims = msgspec.json.decode(found.payload, type=dict[str, Any])
        except (JoseError, ValueError, TypeError, msgspec.DecodeError):
            raise Unauthorized("The token is not one of the authorization server's.") from None
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, (int, float)) or expires + LEEWAY_SECONDS <= now:
            raise Unauthorized("The token has expired.", code="expired_key")
        if not isinstance(begins, (int, float)) or begins - LEEWAY_SECONDS > now:
            raise Unauthorized("The token is not valid yet.")
        if claims.get("iss") != jwt.issuer:
            raise Unauthorized("The token is of another issuer.")
        audience = claims.get("aud")
        told = claims.get("scope", claims.get("scp", ""))
        return _Known(
            claims=claims,
            audience=frozenset([audience] if isinstance(audience, str) else _texts(audience)),
            scopes=frozenset(told.split() if isinstance(told, str) else _texts(told)),
            until=expires + LEEWAY_SECONDS,
        )

    async def _key_set(self, jwt: Jwt, kid: Any) -> Any:
        """The authorization server's keys, asked for again when one is missing. Raises `Overloaded`."""
        from joserfc.jwk import KeySet

        now = time.monotonic()
        old = now - self._keys_at
        missing = self._keys is None or (kid is not None and all(key.kid != kid for key in self._keys.keys))
        if self._keys is None or old >= KEYS_SECONDS or (missing and old >= AGAIN_SECONDS):
            fetcher = Fetcher(self._services.pool, frozenset((jwt.jwks_host,)))
            try:
                status, found = await fetcher.get(jwt.jwks_url)
                if status != 200:
                    raise Unavailable(f"It answered {status}.")
                self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
                self._keys_at = now
            except (Unavailable, ValueError, TypeError, KeyError):
                if self._keys is None:
                    raise Overloaded(
                        "Tokens can't be checked right now: the authorization server's keys can't be read.",
                        code="token_keys_unavailable", retry_after=5.0,
                    ) from None  # fmt: skip
        return self._keys

    def _audience(self, jwt: Jwt, request: Request) -> tuple[str, ...]:
        """What a token's audience may be: what is configured, else this place, or the gateway."""
        if jwt.audience:
            return jwt.audience
        base = self._mcp.public_url.rstrip("/")
        return base, f"{base}/mcp", base + request.path.decode("latin-1")

    def _challenge(self, jwt: Jwt, request: Request, error: str, scopes: tuple[str, ...] = ()) -> bytes:
        path = request.path.decode("latin-1")
        place = path if path.startswith("/mcp/") or path.endswith("/mcp") else "/mcp"
        parts = [f'resource_metadata="{self._base(request)}{WELL_KNOWN}{place}"']
        if error:
            parts.insert(0, f'error="{error}"')
        wanted = scopes or jwt.scopes
        if wanted:
            parts.append(f'scope="{" ".join(wanted)}"')
        return f"WWW-Authenticate: Bearer {', '.join(parts)}\r\n".encode("ascii", "replace")

    def _base(self, request: Request) -> str:
        """How clients call the gateway. What comes from the request is shown only: nothing is let in by it."""
        if self._mcp.public_url:
            return self._mcp.public_url.rstrip("/")
        host = request.fields.get(b"host", b"localhost").decode("latin-1")
        plain = all(c.isalnum() or c in ".-:[]" for c in host)
        return f"http://{host if plain else 'localhost'}"


def _insufficient(challenge: bytes) -> GatewayError:
    return Forbidden("The token does not have the scopes this needs.", code="insufficient_scope", headers=challenge)


def _is_jwt(token: bytes) -> bool:
    """Keys of the gateway have no dots."""
    return token.startswith(b"eyJ") and token.count(b".") == 2


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _name(claims: dict[str, Any], claim: str) -> str:
    """A claim that names somebody; members of objects are reached with dots, of a list the first counts."""
    value: Any = claims if claim else ""
    for part in claim.split(".") if claim else ():
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
