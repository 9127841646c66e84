"""Replicate's predictions as a provider of chat: asked to wait, and answered whole.

https://replicate.com/docs/reference/http#predictions.create: `version` is a model, a version of one, or both;
https://replicate.com/docs/topics/predictions/create-a-prediction#sync-mode. Every model has an input of its own; what
families share stands on their pages: https://replicate.com/meta/meta-llama-3-70b-instruct/api/schema,
/openai/gpt-4.1/api/schema, /anthropic/claude-4-sonnet/api/schema, /google/gemini-2.5-flash/api/schema
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from routeiq.core.errors import UpstreamError
from routeiq.core.usage import MOST_TOKENS, Usage
from routeiq.providers import errors
from routeiq.providers.translate.chat import Answer, Chat, Choice, Text
from routeiq.providers.translate.codec import Context, DeltaReader, Fit, Outgoing
from routeiq.providers.translate.prompt import Prompt
from routeiq.providers.translate.reasoning import budget_of, effort_of
from routeiq.providers.translate.whole import WholeReader

_encode = msgspec.json.Encoder().encode
WAIT = 60
"""Seconds the answer is held back until the prediction is finished, the most there is; later it has to be asked for."""
_RUNNING = ("starting", "processing")
"""https://replicate.com/docs/topics/predictions/lifecycle"""
_ID = re.compile(r"[a-z0-9]{1,64}")
_BYTES_PER_TOKEN = 4
"""Of the estimate where a model does not count: about English text."""
_MOST = 64 * 1024 * 1024
"""Bytes of an answer."""
_SAME = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
_SERVED = frozenset((*_SAME, "top_k", "min_p", "reasoning", "verbosity"))
_LIMITS = {"openai": "max_completion_tokens", "google": "max_output_tokens"}
"""What a family calls `max_tokens`."""
_SYSTEMS = {"google": "system_instruction"}
"""What it calls the system prompt."""
_IMAGES = {"openai": "image_input", "google": "images"}
"""Where it takes several images; others take one, as `image`."""


class Metrics(msgspec.Struct, gc=False):
    """https://replicate.com/docs/topics/predictions/lifecycle: counted by models that are billed by token."""

    input_token_count: float | None = None
    output_token_count: float | None = None


class Prediction(msgspec.Struct, gc=False):
    status: str
    id: str = ""
    model: str = ""
    output: Any = None
    error: Any = None
    metrics: Metrics | None = None


_decode = msgspec.json.Decoder(Prediction, strict=False).decode


class ReplicateProvider:
    """`ProviderCodec` for the operation `predictions`."""

    def write(self, chat: Chat, context: Context, fit: Fit) -> Outgoing:
        owner, slash, _ = context.model.partition("/")
        family = owner if slash else ""
        prompt = Prompt(chat.messages, fit)
        given: dict[str, Any] = {}
        if family == "openai":
            given["messages"] = prompt.messages()
        else:
            given["prompt"] = prompt.written()
            if prompt.system:
                given[_SYSTEMS.get(family, "system_prompt")] = prompt.system
        _show(prompt.images, family, given, fit)
        if chat.tools:
            fit.refuse("tools")
        _tune(chat, family, given, fit)
        _think(chat, family, given, fit)
        given |= {name: value for name, value in chat.extra.items() if not fit.leaves_out(name)}
        fit.settle_rest(chat, _SERVED.union(chat.extra))
        # A deployment, named in the path, runs what it was made for.
        out = (
            {"input": given}
            if context.options.get("no_model") == "true"
            else {"version": context.model, "input": given}
        )
        return Outgoing("predictions", _encode(out), b"Prefer: wait=%d\r\n" % WAIT)

    def read(self, body: bytes, chat: Chat) -> Answer:
        found = _decode(body)
        if found.status != "succeeded":
            raise _unfinished(found)
        text = _text(found.output)
        choice = Choice(content=[Text(text=text)] if text else [])
        return Answer(id=found.id, model=found.model, choices=[choice], usage=_usage(found.metrics, chat, text))

    def reader(self, chat: Chat) -> DeltaReader:
        return WholeReader(lambda body: self.read(body, chat), _MOST)


def _show(images: list[str], family: str, given: dict[str, Any], fit: Fit) -> None:
    if not images:
        return
    if family in _IMAGES:
        given[_IMAGES[family]] = images
        return
    given["image"] = images[-1]
    if len(images) > 1:
        fit.refuse("messages", "this model takes one image")


def _tune(chat: Chat, family: str, given: dict[str, Any], fit: Fit) -> None:
    for name in _SAME:
        value = getattr(chat, name)
        if value is not None and not fit.leaves_out(name):
            given[name] = value
    for name in ("top_k", "min_p"):
        value = getattr(chat, name)
        if value is not None and not fit.leaves_out(name):
            if family in _LIMITS:
                fit.refuse(name)
            else:
                given[name] = value
    if chat.max_tokens is not None and not fit.leaves_out("max_tokens"):
        given[_LIMITS.get(family, "max_tokens")] = chat.max_tokens
    if chat.stop and not fit.leaves_out("stop"):
        if family in ("openai", "google", "anthropic"):
            fit.refuse("stop")
        elif any("," in text for text in chat.stop):
            fit.refuse("stop", "stop sequences are separated by commas here, and one holds a comma")
        else:
            given["stop_sequences"] = ",".join(chat.stop)


def _think(chat: Chat, family: str, given: dict[str, Any], fit: Fit) -> None:
    """Efforts of OpenAI's models, budgets of Google's; others think as they were made to."""
    if chat.verbosity is not None and not fit.leaves_out("verbosity"):
        if family == "openai":
            given["verbosity"] = chat.verbosity
        else:
            fit.ignore("verbosity")
    reasoning = chat.reasoning
    if reasoning is None or fit.leaves_out("reasoning_effort"):
        return
    effort, budget = effort_of(reasoning), budget_of(reasoning)
    if family == "openai" and effort not in (None, "none"):
        given["reasoning_effort"] = "high" if effort in ("xhigh", "max") else effort
    elif family == "google" and budget is not None:
        given["thinking_budget"] = budget
    elif effort not in (None, "none"):
        fit.ignore("reasoning_effort")


def _text(output: Any) -> str:
    """Language models give pieces of text, or all of it. Raises `msgspec.ValidationError` for pictures and the like."""
    if output is None:
        return ""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
        return "".join(output)
    raise msgspec.ValidationError("its output is not text")


def pending(target: str, body: bytes) -> str | None:
    """Where to ask for a prediction that is not finished: https://replicate.com/docs/reference/http#predictions.get"""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if found.status not in _RUNNING or not _ID.fullmatch(found.id):
        return None
    base = target.removesuffix("/predictions").partition("/deployments/")[0]
    return f"{base}/predictions/{found.id}"


def _unfinished(found: Prediction) -> UpstreamError:
    said = found.error if isinstance(found.error, str) else ""
    body = _encode({"message": said or f"Replicate's prediction {found.id} is {found.status}"})
    error = errors.from_answer(502, body, provider="", retry_after=None)
    error.code = f"prediction_{found.status}"
    return error


def _usage(metrics: Metrics | None, chat: Chat, text: str) -> Usage:
    """As counted, else by the size of the texts."""
    if metrics is not None and metrics.output_token_count is not None:
        return Usage(_count(metrics.input_token_count), _count(metrics.output_token_count))
    asked = sum(len(block.text) for message in chat.messages for block in message.content if isinstance(block, Text))
    return Usage(max(1, asked // _BYTES_PER_TOKEN), max(1, len(text) // _BYTES_PER_TOKEN), estimated=True)


def _count(tokens: float | None) -> int:
    return int(min(max(tokens, 0), MOST_TOKENS)) if tokens else 0
