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
    Started,
    Text,
    TextDelta,
    Used,
)
from routeiq.providers.translate.codec import DeltaWriter, decode_request
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
    logprobs: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    user: str | None = None
    stream: bool | None = None
    stream_options: wire.StreamOptions | None = None


_decoder = msgspec.json.Decoder(Request)


class CompletionsClient:
    """`ClientCodec` for `/v1/completions`."""

    def read(self, body: bytes) -> Chat:
        request: Request = decode_request(_decoder, body)
        prompt = request.prompt
        if isinstance(prompt, list):
            if len(prompt) != 1 or not isinstance(prompt[0], str):
                raise BadRequest("This model takes one prompt, as text.", param="prompt", code="unsupported_parameter")
            prompt = prompt[0]
        extra: dict[str, Any] = {"suffix": request.suffix, "echo": request.echo or None, "logprobs": request.logprobs}
        if request.best_of not in (None, 1):
            extra["best_of"] = request.best_of
        options = request.stream_options
        return Chat(
            model=request.model,
            messages=[Message(role="user", content=[Text(text=prompt)])],
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            n=request.n,
            stop=[request.stop] if isinstance(request.stop, str) else request.stop or [],
            seed=request.seed,
            presence_penalty=request.presence_penalty,
            frequency_penalty=request.frequency_penalty,
            logit_bias=request.logit_bias,
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
                    "text": "".join(block.text for block in choice.content if isinstance(block, Text)),
                    "logprobs": None,
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

    __slots__ = ("_head", "_include_usage", "_model", "_usage")

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._model = model
        self._include_usage = include_usage
        self._head: dict[str, Any] = {}
        self._usage: Usage | None = None

    def write(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            return self._chunk(delta.choice, delta.text, None) if delta.text else b""
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

    def _chunk(self, index: int, text: str, finish: str | None) -> bytes:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
        return b"data: %b\n\n" % _encode({**self._head, "choices": [choice]})
