"""Embeddings on both sides.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any, Literal

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers.dialects.openai import WireUsage
from routeiq.providers.translate.codec import Context, Fit, Outgoing, decode_request
from routeiq.providers.translate.embed import Embed, Embedded

_encode = msgspec.json.Encoder().encode


class Request(msgspec.Struct, gc=False):
    input: str | list[str | int | list[int]]
    model: str = ""
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    input_type: str | None = None
    """Cohere's, Voyage's and NVIDIA's, which LiteLLM's clients send in this body."""


class Vector(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: int = 0


class Answer(msgspec.Struct, gc=False):
    data: list[Vector]
    model: str = ""
    usage: WireUsage | None = None


_request_decoder = msgspec.json.Decoder(Request)
_decode_answer = msgspec.json.Decoder(Answer, strict=False).decode
_TASKS = {"search_query": "query", "search_document": "document", "query": "query", "document": "document"}
_TASKS |= {"passage": "document", "classification": "classification", "clustering": "clustering"}


class OpenAIEmbedClient:
    """`EmbedClientCodec` for `/v1/embeddings`."""

    def read_embed(self, body: bytes) -> Embed:
        request: Request = decode_request(_request_decoder, body)
        return Embed(
            model=request.model,
            inputs=_inputs(request.input),
            dimensions=request.dimensions,
            encoding=request.encoding_format or "float",
            task=_TASKS.get(request.input_type or "", ""),
            user=request.user or "",
        )

    def write_embed(self, answer: Embedded, embed: Embed) -> bytes:
        base64_wanted = embed.encoding == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": packed(vector) if base64_wanted else vector}
            for index, vector in enumerate(answer.vectors)
        ]
        used = answer.usage or Usage()
        usage = {"prompt_tokens": used.prompt, "total_tokens": used.prompt}
        return _encode({"object": "list", "data": data, "model": answer.model, "usage": usage})


class OpenAIEmbedProvider:
    """`EmbedProviderCodec` for the operation `embedding`."""

    def write_embed(self, embed: Embed, context: Context, fit: Fit) -> Outgoing:
        out: dict[str, Any] = {"model": context.model, "input": embed.inputs}
        if embed.dimensions is not None and not fit.leaves_out("dimensions"):
            out[context.options.get("dimensions_field", "dimensions")] = embed.dimensions
        if embed.user and not fit.leaves_out("user"):
            out["user"] = embed.user
        for hint in ("task", "title"):
            if getattr(embed, hint):
                fit.ignore(hint)
        return Outgoing("embedding", _encode(out))

    def read_embed(self, body: bytes, embed: Embed) -> Embedded:
        answer = _decode_answer(body)
        vectors = [unpacked(found.embedding) for found in sorted(answer.data, key=lambda found: found.index)]
        return Embedded(
            model=answer.model, vectors=vectors, usage=answer.usage.usage() if answer.usage is not None else None
        )


def packed(vector: list[float]) -> str:
    """Numbers as little-endian float32 in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def unpacked(vector: list[float] | str) -> list[float]:
    """The numbers, however they were sent. Raises `msgspec.DecodeError`."""
    if not isinstance(vector, str):
        return vector
    try:
        data = base64.b64decode(vector, validate=True)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    except (binascii.Error, struct.error) as error:
        raise msgspec.DecodeError(f"a vector that is not base64 of float32: {error}") from None


def _inputs(given: str | list[str | int | list[int]]) -> list[str | list[int]]:
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(item, int) for item in given):
        return [[item for item in given if isinstance(item, int)]]
    out: list[str | list[int]] = []
    for index, item in enumerate(given):
        if isinstance(item, int):
            raise BadRequest(
                "'input' is text, a list of texts, tokens, or lists of tokens.",
                param=f"input[{index}]",
                code="invalid_type",
            )
        out.append(item)
    if not out:
        raise BadRequest("'input' must hold at least one text.", param="input", code="invalid_value")
    return out
