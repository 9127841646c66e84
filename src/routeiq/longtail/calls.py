"""One call by LiteLLM's SDK: a request in OpenAI's words, and the answer in them.

https://docs.litellm.ai/docs/completion, https://docs.litellm.ai/docs/embedding/supported_embedding
"""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

from routeiq.core.snapshot import EMBEDDING, Deployment
from routeiq.longtail.errors import refusal, secrets_of
from routeiq.longtail.parameters import chat_arguments, embedding_arguments
from routeiq.longtail.sdk import Sdk
from routeiq.providers.translate.codec import Fit

DONE = b"data: [DONE]\n\n"

Header = tuple[bytes, bytes]

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers, and either a whole body or the events of a stream."""

    status: int
    headers: list[Header]
    body: bytes = b""
    events: AsyncIterator[bytes] | None = None


class Caller:
    """Calls one deployment. To be used in one event loop; cancel the task that waits to cancel the call."""

    def __init__(self, sdk: Sdk, deployment: Deployment, total_seconds: float) -> None:
        """`total_seconds` is LiteLLM's time limit: the worker, which has the configured ones, is to be faster."""
        assert deployment.longtail is not None
        self._sdk = sdk
        self._spec = deployment
        self._arguments: dict[str, Any] = {
            **deployment.longtail.arguments,
            "custom_llm_provider": deployment.provider,
            "drop_params": deployment.drop_params,
            # One attempt: who retries, where and when is decided by the worker.
            "num_retries": 0,
            "max_retries": 0,
            # Else LiteLLM looks through a client's tools for MCP servers, and calls those itself.
            "_skip_mcp_handler": True,
            "timeout": total_seconds,
        }
        self._secrets = secrets_of(self._arguments)

    async def answer(self, operation: str, body: bytes) -> Answer:
        """The answer to a request; what goes wrong before it begins is an answer too."""
        try:
            request = _decode(body)
            litellm = await self._sdk.load()
            if operation == EMBEDDING:
                return await self._embed(litellm, request)
            return await self._chat(litellm, request)
        except Exception as error:
            told = refusal(error, self._secrets)
            headers = [(b"content-type", b"application/json")]
            if told.retry_after is not None:
                headers.append((b"retry-after", told.retry_after.encode("ascii")))
            return Answer(told.status, headers, told.body)

    async def _chat(self, litellm: Any, request: dict[str, Any]) -> Answer:
        model = _model(request)
        supported = litellm.get_supported_openai_params(model=model, custom_llm_provider=self._spec.provider)
        given = chat_arguments(request, supported, self._fit())
        if not given.get("stream"):
            whole = await litellm.acompletion(model=model, **{**self._arguments, **given})
            return _whole(_uncosted(whole.model_dump(mode="json", exclude_none=True)))
        given.pop("stream_options", None)
        if supported is not None and "stream_options" in supported:
            given["stream_options"] = {"include_usage": True}
        stream = await litellm.acompletion(model=model, **{**self._arguments, **given})
        if "stream_options" not in given and hasattr(stream, "send_stream_usage"):
            # Some of LiteLLM's providers refuse the option; its wrapper of their streams can tell usage all the same.
            stream.stream_options, stream.send_stream_usage = {"include_usage": True}, True
        chunks = aiter(stream)
        # Until something has come, what goes wrong has a status of its own.
        first = await anext(chunks, None)
        return Answer(200, [(b"content-type", b"text/event-stream; charset=utf-8")], events=self._events(first, chunks))

    async def _events(self, first: Any, chunks: AsyncIterator[Any]) -> AsyncIterator[bytes]:
        if first is not None:
            yield _event(first)
        try:
            async for chunk in chunks:
                yield _event(chunk)
        except Exception as error:
            yield refusal(error, self._secrets).event()
            return
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
        yield DONE

    async def _embed(self, litellm: Any, request: dict[str, Any]) -> Answer:
        given = embedding_arguments(request, self._fit())
        given = {name: value for name, value in {**self._arguments, **given}.items() if name != "_skip_mcp_handler"}
        made = await litellm.aembedding(model=_model(request), **given)
        answer = made.model_dump(mode="json", exclude_none=True)
        if request.get("encoding_format") == "base64":
            for each in answer.get("data", ()):
                each["embedding"] = _packed(each["embedding"])
        usage = answer.get("usage")
        if usage and not usage.get("prompt_tokens"):
            usage["prompt_tokens"] = usage.get("total_tokens", 0)  # all there is to count
        return _whole(answer)

    def _fit(self) -> Fit:
        return Fit(self._spec.provider, tolerant=self._spec.drop_params, always=self._spec.drop)


def _model(request: dict[str, Any]) -> str:
    return str(request.get("model", ""))


def _whole(answer: dict[str, Any]) -> Answer:
    return Answer(200, [(b"content-type", b"application/json")], _encode(answer))


def _event(chunk: Any) -> bytes:
    made = _uncosted(chunk.model_dump(mode="json", exclude_none=True, exclude_unset=True))
    choices = made.get("choices")
    if made.get("usage") and choices and not any(each.get("delta") or each.get("finish_reason") for each in choices):
        made["choices"] = []  # OpenAI's way to tell the usage, which LiteLLM tells beside an empty choice
    return b"data: %b\n\n" % _encode(made)


def _uncosted(answer: dict[str, Any]) -> dict[str, Any]:
    """Without LiteLLM's own estimate of the cost, which a provider that tells its price would put there."""
    usage = answer.get("usage")
    if isinstance(usage, dict):
        usage.pop("cost", None)
    return answer


def _packed(vector: Any) -> Any:
    """OpenAI's base64: 32-bit floats, little endian. What is text already is that."""
    if isinstance(vector, str):
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
