"""The client's own bytes for providers that speak its dialect with differences: the quirks of the catalog.

A deployment without such differences has no `Adaptation`, and its requests are not looked at here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Raw

from routeiq.core.snapshot import CHAT, COMPLETION, COUNT_TOKENS, EMBEDDING, RERANK, Deployment
from routeiq.providers.dialects.anthropic import holds_foreign
from routeiq.providers.dialects.openai import Request
from routeiq.providers.translate.codec import HINTS, Fit
from routeiq.providers.translate.openai.provider import OPENAI_OWN, REASONING_MODELS

_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
_TRUE = Raw(b"true")
_MAX = ("max_tokens", "max_completion_tokens")


class Adaptation(Protocol):
    """Changes bodies for one deployment."""

    def applies(self, request: Request) -> bool:
        """Whether this request has to be looked at."""

    def __call__(self, endpoint: str, body: bytes, stream: bool, model: bytes, fit: Fit) -> bytes | None:
        """The body with `model` (a JSON string) in place; `None` when it has to be translated after all.

        Raises `BadRequest` for what the provider can't take.
        """


def adaptation(spec: Deployment) -> Adaptation | None:
    """What a deployment needs; `None` when the client's bytes will do."""
    options = spec.options
    if spec.kind != "http":
        return None
    if spec.dialect == "anthropic" and "anthropic_version" in options:
        return CloudMessages(options)
    if spec.dialect == "openai":
        quirky = Compatible(spec)
        return quirky if quirky.needed else None
    return Omission(spec.drop) if spec.drop else None


class CloudMessages:
    """Messages for Claude on Vertex AI and Bedrock: the model is in the path, the version in the body.

    https://docs.claude.com/en/api/claude-on-vertex-ai, /claude-on-amazon-bedrock
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._version = Raw(_encode(options["anthropic_version"]))
        self._streams_by_path = options.get("no_stream") == "true"

    def applies(self, request: Request) -> bool:
        return True

    def __call__(self, endpoint: str, body: bytes, stream: bool, model: bytes, fit: Fit) -> bytes | None:
        if holds_foreign(body):
            return None
        members = _decode(body)
        if endpoint == COUNT_TOKENS:
            members["model"] = Raw(model)
        else:
            members.pop("model", None)
            members["anthropic_version"] = self._version
        if self._streams_by_path:
            members.pop("stream", None)
        for name in list(members):
            if fit.leaves_out(name):
                del members[name]
        return _encode(members)


class Compatible:
    """Chat Completions for servers that are nearly OpenAI's."""

    def __init__(self, spec: Deployment) -> None:
        options = spec.options
        self._own = spec.provider in OPENAI_OWN
        reasons = self._own and spec.model.startswith(REASONING_MODELS)
        # OpenAI's own names for the older models too, but not everything that is reached under its name knows it.
        self._field = "max_completion_tokens" if reasons else "" if self._own else options.get("max_tokens_field", "")
        self._refused = tuple(name for name in options.get("drop", "").split(",") if name)
        self._dropped = spec.drop
        self._seed = options.get("random_seed") == "true"
        self._any = options.get("tool_choice_any") == "true"
        self._no_usage = options.get("no_stream_usage") == "true"
        self._no_schema = options.get("no_json_schema") == "true"
        self._dimensions = options.get("dimensions_field", "")
        self._unversioned = options.get("unversioned") == "true"
        self._always = bool(
            self._refused
            or self._dropped
            or self._seed
            or self._any
            or self._no_usage
            or self._dimensions
            or self._unversioned
        )
        self.needed = self._always or self._no_schema or bool(self._field)

    def applies(self, request: Request) -> bool:
        if self._always or self._no_schema:
            return True
        return request.max_tokens is not None or (not self._own and request.max_completion_tokens is not None)

    def __call__(self, endpoint: str, body: bytes, stream: bool, model: bytes, fit: Fit) -> bytes | None:
        if self._no_schema and b'"json_schema"' in body:
            return None
        members = _decode(body)
        if self._unversioned and b"@" in model:
            model = model[: model.index(b"@")] + b'"'
        members["model"] = Raw(model)
        for name in self._dropped:
            if members.pop(name, None) is not None:
                fit.ignore(name)
        for name in self._refused:
            if members.pop(name, None) is not None:
                (fit.ignore if name in HINTS else fit.refuse)(name)
        for name in ("mock_response", "mock_testing_fallbacks"):
            members.pop(name, None)
        if endpoint in (CHAT, COMPLETION):
            self._chat(members, stream)
        elif endpoint == EMBEDDING and self._dimensions and "dimensions" in members:
            members[self._dimensions] = members.pop("dimensions")
        return _encode(members)

    def _chat(self, members: dict[str, Raw], stream: bool) -> None:
        if self._field:
            for name in _MAX:
                if name != self._field and name in members:
                    value = members.pop(name)
                    members.setdefault(self._field, value)
        if self._seed and "seed" in members:
            members["random_seed"] = members.pop("seed")
        if self._any and bytes(members.get("tool_choice", b"")) == b'"required"':
            members["tool_choice"] = Raw(b'"any"')
        if self._no_usage:
            members.pop("stream_options", None)
        elif stream:
            options = _decode(members["stream_options"]) if "stream_options" in members else {}
            members["stream_options"] = Raw(_encode({**options, "include_usage": _TRUE}))


class Omission:
    """`additional_drop_params` for any other dialect."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def applies(self, request: Request) -> bool:
        return True

    def __call__(self, endpoint: str, body: bytes, stream: bool, model: bytes, fit: Fit) -> bytes | None:
        if endpoint == RERANK:
            return None  # not every request is as the provider has it
        members = _decode(body)
        if "model" in members:
            members["model"] = Raw(model)
        for name in self._names:
            if members.pop(name, None) is not None:
                fit.ignore(name)
        return _encode(members)
