"""Legacy Completions as clients speak it, for providers that only chat: the prompt is what the user says.

https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import BadRequest, GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Delta,
    Ended,
    Finished,
    Message,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Used,
)
from routeiq.providers.translate.codec import DeltaWriter, decode_request, unknown_members
from routeiq.providers.translate.openai import wire
from routeiq.providers.translate.openai.usage import usage_members
from routeiq.transport.sse import DONE

_encode = msgspec.json.Encoder().encode


class Request(msgspec.Struct, gc=False):
    prompt: str | list[Any]
    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    top_k: int | None = None
    min_p: float | None = None
    logprobs: int | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    user: str | None = None
    stream: bool | None = None
    stream_options: wire.StreamOptions | None = None


_decoder = msgspec.json.Decoder(Request)
_KNOWN = frozenset(Request.__struct_fields__)


class CompletionsClient:
    """`ClientCodec` for `/v1/completions`."""

    def read(self, body: bytes) -> Chat:
        request: Request = decode_request(_decoder, body)
        prompt = request.prompt
        if isinstance(prompt, list):
            if len(prompt) != 1 or not isinstance(prompt[0], str):
                raise BadRequest("This model takes one prompt, as text.", param="prompt", code="unsupported_parameter")
            prompt = prompt[0]
        extra: dict[str, Any] = {"suffix": request.suffix, "echo": request.echo or None}
        if request.best_of not in (None, 1):
            extra["best_of"] = request.best_of
        extra |= unknown_members(body, _KNOWN)
        options = request.stream_options
        return Chat(
            model=request.model,
            messages=[Message(role="user", content=[Text(text=prompt)])],
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            min_p=request.min_p,
            n=request.n,
            stop=[request.stop] if isinstance(request.stop, str) else request.stop or [],
            seed=request.seed,
            presence_penalty=request.presence_penalty,
            frequency_penalty=request.frequency_penalty,
            logit_bias=request.logit_bias,
            logprobs=True if request.logprobs is not None else None,
            top_logprobs=request.logprobs or None,
            metadata=request.metadata,
            service_tier=request.service_tier or "",
            user=request.user or "",
            stream=bool(request.stream),
            include_usage=options is not None and bool(options.include_usage),
            extra={name: value for name, value in extra.items() if value is not None},
        )

    def write(self, answer: Answer, chat: Chat) -> bytes:
        out: dict[str, Any] = {
            "id": answer.id,
            "object": "text_completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [
                {
                    "index": choice.index,
                    "text": "".join(block.text for block in choice.content if isinstance(block, (Text, Refusal))),
                    "logprobs": _logprobs(choice.logprobs, 0),
                    "finish_reason": wire.FINISH_OF[choice.finish],
                }
                for choice in answer.choices
            ],
        }
        if answer.usage is not None:
            out["usage"] = usage_members(answer.usage)
        return _encode(out)

    def writer(self, chat: Chat, model: str) -> DeltaWriter:
        return CompletionWriter(model, include_usage=chat.include_usage)


class CompletionWriter:
    """`DeltaWriter` of one stream: text only, as this endpoint has nothing else."""

    __slots__ = ("_head", "_include_usage", "_model", "_sizes", "_usage")

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._head: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._sizes: dict[int, int] = {}
        """Characters so far, by choice."""

    def write(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            if not delta.text and delta.logprobs is None:
                return b""
            at = self._sizes.get(delta.choice, 0)
            self._sizes[delta.choice] = at + len(delta.text)
            return self._chunk(delta.choice, delta.text, None, _logprobs(delta.logprobs, at))
        if isinstance(delta, RefusalDelta):
            return self._chunk(delta.choice, delta.text, None)
        if isinstance(delta, Finished):
            return self._chunk(delta.choice, "", wire.FINISH_OF[delta.reason])
        if isinstance(delta, Started):
            self._head = {
                "id": delta.id,
                "object": "text_completion",
                "created": delta.created,
                "model": self._model,
            }
        elif isinstance(delta, Used):
            self._usage = delta.usage
        elif isinstance(delta, Ended):
            if not self._include_usage or self._usage is None:
                return DONE
            return b"data: %b\n\n%b" % (
                _encode({**self._head, "choices": [], "usage": usage_members(self._usage)}),
                DONE,
            )
        return b""

    def fail(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % error.body()

    def _chunk(self, index: int, text: str, finish: str | None, logprobs: dict[str, Any] | None = None) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
        return b"data: %b\n\n" % _encode({**self._head, "choices": [choice]})


def _logprobs(shown: Any, at: int) -> dict[str, Any] | None:
    """Chat Completions' log probabilities in this endpoint's shape; `at` is where in the text they begin."""
    content = shown.get("content") if isinstance(shown, dict) else None
    tokens = [token for token in content or () if isinstance(token, dict)]
    if not tokens:
        return None
    words = [str(token.get("token", "")) for token in tokens]
    tops = [{top["token"]: top["logprob"] for top in token.get("top_logprobs") or ()} for token in tokens]
    return {
        "tokens": words,
        "token_logprobs": [token.get("logprob", 0.0) for token in tokens],
        "top_logprobs": tops if any(tops) else None,
        "text_offset": [at + sum(map(len, words[:index])) for index in range(len(words))],
    }
