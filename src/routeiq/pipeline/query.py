"""What a request asks, as strategies look at it: its words, its size, what it needs, what is wished of the choice."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from routeiq.core.errors import BadRequest
from routeiq.core.exchange import Exchange
from routeiq.core.routing import PROFILES, Wishes, over
from routeiq.governance.keys import Caller
from routeiq.providers.translate.chat import Chat, Media, Message, Text, ToolResult
from routeiq.providers.translate.registry import CHAT_CLIENTS, COUNT_CLIENTS
from routeiq.routing.strategy import Query

BYTES_PER_TOKEN = 4
ENOUGH = 200
"""Characters of the user's last messages that tell what is asked: shorter ones are read with those before them."""
FIRST = 2_000
"""Characters of the first message that tell one conversation from another."""
LONGEST = 256
"""Characters of a header that are looked at in names."""
MOST = 256
"""Names a request may ask for, or leave out: each is a pattern."""
_NEEDS = {"image": "vision", "audio": "audio", "document": "documents"}
_TARGETS = {"eco": 0.95, "premium": 1.0, "reasoning": 1.0}
"""What profiles mean to strategies that aim at a quality, where no other target is given."""


def query_of(exchange: Exchange, wishes: Wishes) -> Query:
    """The query of a request, made once. `wishes` are the configuration's. Raises `BadRequest` for malformed wishes."""
    if exchange.query is None:
        exchange.query = _query(exchange, wishes)
    query: Query = exchange.query
    return query


def _query(exchange: Exchange, wishes: Wishes) -> Query:
    caller: Caller = exchange.key
    metadata = _metadata(exchange)
    if caller.routing is not None and caller.routing.wishes is not None:
        wishes = over(caller.routing.wishes, wishes)
    wished = _with_target(_wished(exchange.headers, metadata, wishes))
    key = caller.key
    owner = key.team_id or key.organization_id or key.user_id or key.id
    # What the client says means something to the owner of its key alone: two tenants may have a user 1.
    named = exchange.end_user or exchange.peek.user
    query = Query(
        prompt="",
        tokens=len(exchange.body) // BYTES_PER_TOKEN,
        tags=(*caller.key.tags, *exchange.request_tags),
        user_agent=exchange.headers.get(b"user-agent", b"").decode("latin-1")[:LONGEST],
        user=f"{owner}/{named}" if named else key.user_id or key.id,
        tenant=key.team_id or key.organization_id,
        metadata=metadata,
        wishes=wished,
        cache={},
    )
    client = CHAT_CLIENTS.get(exchange.endpoint) or COUNT_CLIENTS.get(exchange.endpoint)
    if client is not None:
        try:
            exchange.asked = exchange.asked or client.read(exchange.body)
        except BadRequest:
            return query  # it holds what only one provider understands: its size is all that can be told
        _read(query, exchange.asked)
    return query


def _read(query: Query, chat: Chat) -> None:
    """Put in what the conversation tells."""
    said: list[str] = []
    system: list[str] = []
    needs: set[str] = set()
    size = 0
    for message in chat.messages:
        text = _text(message, needs)
        size += len(text)
        if message.role in ("system", "developer"):
            system.append(text)
        elif message.role == "user":
            said.append(text)
        query.tool_messages += sum(isinstance(block, ToolResult) for block in message.content)
    if chat.tools:
        needs.add("tools")
        size += sum(len(msgspec.json.encode(tool.parameters)) + len(tool.description) for tool in chat.tools)
    if chat.format is not None:
        needs.add("json" if chat.format.schema is None else "schema")
    if chat.reasoning is not None and chat.reasoning.effort not in (None, "none"):
        needs.add("reasoning")
    query.prompt = _latest(said)
    query.system = "\n".join(system)
    query.tokens = max(1, size // BYTES_PER_TOKEN)
    query.max_output = chat.max_tokens
    query.messages = len(chat.messages)
    query.tools = len(chat.tools)
    query.needs = frozenset(needs)
    first = said[0] if said else ""
    opening = f"{query.user}\0{query.system[:FIRST]}\0{first[:FIRST]}".encode("utf-8", "surrogatepass")
    query.conversation = blake2b(opening, digest_size=16).hexdigest()


def _text(message: Message, needs: set[str]) -> str:
    parts = []
    for block in message.content:
        if isinstance(block, Text):
            parts.append(block.text)
        elif isinstance(block, Media):
            parts.append(block.text)
            need = _NEEDS.get(block.kind)
            if need is not None and not block.text:
                needs.add(need)
        elif isinstance(block, ToolResult):
            parts += [inner.text for inner in block.content]
    return "\n".join(parts)


def _latest(said: list[str]) -> str:
    """The last message, with those before it as long as all are short."""
    taken: list[str] = []
    length = 0
    for text in reversed(said):
        taken.append(text)
        length += len(text)
        if length >= ENOUGH:
            break
    return "\n".join(reversed(taken))


def _metadata(exchange: Exchange) -> Mapping[str, Any]:
    """The body's, LiteLLM's own over OpenAI's."""
    found: dict[str, Any] = {}
    for member in ("metadata", "litellm_metadata"):
        raw = getattr(exchange.peek, member)
        if raw is not UNSET:
            value = decoded(raw, member)
            if isinstance(value, dict):
                found |= value
    return found


def decoded(raw: Raw, member: str) -> Any:
    """A member of the body that was passed over before. Raises `BadRequest` for what can't be read."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(
            f"{member} can't be read: it holds what is not UTF-8, a number out of range, or too many levels.",
            param=member,
            code="invalid_parameter",
        ) from None


def _with_target(wishes: Wishes) -> Wishes:
    target = _TARGETS.get(wishes.profile)
    if target is None or wishes.target_quality is not None or wishes.willingness_to_pay is not None:
        return wishes
    return msgspec.structs.replace(wishes, target_quality=target)


class _Headers:
    """The wishes a request's headers tell; metadata has the same names in `metadata.routeiq`."""

    def __init__(self, headers: Mapping[bytes, bytes], metadata: Mapping[str, Any]) -> None:
        own = metadata.get("routeiq")
        self._headers = headers
        self._own: Mapping[str, Any] = own if isinstance(own, dict) else {}
        self.given: dict[str, Any] = {}

    def _value(self, name: str) -> tuple[Any, str]:
        header = "x-routeiq-" + name.replace("_", "-")
        raw = self._headers.get(header.encode())
        if raw is not None:
            return raw.decode("latin-1").strip(), header
        return self._own.get(name), f"metadata.routeiq.{name}"

    def number(self, name: str, field: str, most: float = float("inf")) -> None:
        value, where = self._value(name)
        if value is None:
            return
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        if isinstance(value, bool) or not 0 <= number <= most or number == float("inf"):
            bound = f"a number from 0 to {most:g}" if most < float("inf") else "a number, 0 or more"
            raise BadRequest(f"{where} must be {bound}.", param=where, code="invalid_parameter")
        self.given[field] = number

    def names(self, name: str, field: str) -> None:
        value, where = self._value(name)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if value is None:
            return
        if not isinstance(value, list) or len(value) > MOST or not all(isinstance(part, str) for part in value):
            raise BadRequest(
                f"{where} must be a list of model names, {MOST} at most.", param=where, code="invalid_parameter"
            )
        self.given[field] = tuple(filter(None, value))

    def word(self, name: str, field: str, words: tuple[str, ...] = ()) -> None:
        value, where = self._value(name)
        if value is None:
            return
        if not isinstance(value, str) or (words and value not in words):
            said = f"one of {', '.join(words)}" if words else "text"
            raise BadRequest(f"{where} must be {said}.", param=where, code="invalid_parameter")
        self.given[field] = value

    def flag(self, name: str, field: str) -> None:
        value, where = self._value(name)
        if value is None:
            return
        known = {"true": True, "1": True, "false": False, "0": False}
        if str(value).lower() not in known:
            raise BadRequest(f"{where} must be true or false.", param=where, code="invalid_parameter")
        self.given[field] = known[str(value).lower()]


def _wished(headers: Mapping[bytes, bytes], metadata: Mapping[str, Any], wishes: Wishes) -> Wishes:
    """The request's wishes over those of its key and the configuration."""
    asked = _Headers(headers, metadata)
    asked.number("target_quality", "target_quality", 1.0)
    asked.number("max_cost", "max_cost")
    asked.number("willingness_to_pay", "willingness_to_pay")
    asked.number("max_latency", "latency")
    asked.names("models", "models")
    asked.names("exclude_models", "excluded")
    asked.word("profile", "profile", PROFILES)
    asked.word("region", "region")
    asked.flag("residency", "residency")
    given = asked.given
    older = metadata.get("routing_profile")
    if "profile" not in given and isinstance(older, str) and older in PROFILES:
        given["profile"] = older
    wished = over(Wishes(**given), wishes) if given else wishes
    if wished.residency and not wished.region:
        raise BadRequest(
            "x-routeiq-residency needs x-routeiq-region: where data has to stay.",
            param="x-routeiq-region",
            code="invalid_parameter",
        )
    return wished
