"""Answers as objects: the decoded JSON, by attribute or by item, and what the gateway knows about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from routeiq.core.exchange import Exchange
from routeiq.core.money import NANO_PER_DOLLAR

_OPTIONAL = frozenset(
    (
        *("annotations", "audio", "content", "error", "finish_reason", "function_call", "incomplete_details"),
        *("instructions", "logprobs", "metadata", "name", "reasoning", "reasoning_content", "refusal", "role"),
        *("service_tier", "system_fingerprint", "tool_calls", "usage"),
        *("completion_tokens_details", "prompt_tokens_details"),
    )
)
"""Members that OpenAI's objects have as `None` where the JSON leaves them out."""
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Details:
    """What the gateway knows about an answer. Of a stream, `cost` and `seconds` are known at its end."""

    call_id: str = ""
    model: str = ""
    """The name it was served under: another than was asked for after a fallback."""
    provider: str = ""
    deployment: str = ""
    upstream_model: str = ""
    cost: float | None = None
    """US dollars; `None` when the model has no price."""
    seconds: float = 0.0
    retries: int = 0
    fallbacks: int = 0
    dropped_params: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    """As a gateway answers: names in lower case, the provider's own as `llm_provider-*`."""

    def learn(self, exchange: Exchange) -> None:
        """Take what an exchange tells by now."""
        self.call_id = exchange.call_id
        self.model = exchange.public_model
        self.upstream_model = exchange.upstream_model
        if exchange.route is not None:
            self.provider = exchange.route.target.spec.provider
            self.deployment = exchange.route.label
        self.retries, self.fallbacks = exchange.retries, exchange.fallbacks
        self.dropped_params = tuple(exchange.dropped or ())
        if exchange.settled:
            self.cost = None if exchange.cost is None else exchange.cost / NANO_PER_DOLLAR
            self.seconds = exchange.settled_at - exchange.started


class Item:
    """A JSON object: `item.name`, `item["name"]`, `item.get("name")`."""

    __slots__ = ("_data",)

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            if name in self._data:
                return _wrapped(self._data[name])
            if name in _OPTIONAL:
                return None
        raise AttributeError(f"the answer has no {name!r}: it has {', '.join(self._data) or 'nothing'}") from None

    def __getitem__(self, name: str) -> Any:
        return _wrapped(self._data[name])

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        return self._data == (other._data if isinstance(other, Item) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._data!r})"

    def __getstate__(self) -> Any:
        return {
            name: getattr(self, name) for name in ("_data", "routeiq") if name != "routeiq" or type(self) is not Item
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def keys(self) -> list[str]:
        """The names of its members."""
        return list(self._data)

    def get(self, name: str, default: Any = None) -> Any:
        """A member, or `default`."""
        return _wrapped(self._data.get(name, default))

    def model_dump(self) -> dict[str, Any]:
        """The object as plain data."""
        return self._data

    def model_dump_json(self) -> str:
        """The object as JSON."""
        return _encode(self._data).decode()

    json = model_dump
    """As LiteLLM has it."""


class Response(Item):
    """A whole answer, or one event of a streamed one."""

    __slots__ = ("routeiq",)

    routeiq: Details

    def __init__(self, data: dict[str, Any], details: Details) -> None:
        super().__init__(data)
        self.routeiq = details

    @property
    def output_text(self) -> str:
        """All text of an answer of the Responses API, as OpenAI's SDK joins it."""
        parts = [part for item in self._data.get("output", ()) for part in item.get("content") or ()]
        return "".join(part.get("text", "") for part in parts if part.get("type") == "output_text")


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return Item(value)
    if isinstance(value, list):
        return [_wrapped(item) for item in value]
    return value
