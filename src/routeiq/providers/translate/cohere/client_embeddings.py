"""Embeddings as Cohere's clients ask for them: https://docs.cohere.com/v2/reference/embed"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.usage import Usage
from routeiq.providers.translate.codec import decode_request, unknown_members
from routeiq.providers.translate.cohere.embeddings import TASKS
from routeiq.providers.translate.embed import Embed, Embedded
from routeiq.providers.translate.openai.embeddings import packed

_encode = msgspec.json.Encoder().encode
_TASK_OF = {theirs: ours for ours, theirs in TASKS.items()}


class Content(msgspec.Struct, gc=False):
    type: str
    text: str = ""


class Input(msgspec.Struct, gc=False):
    content: list[Content]


class Request(msgspec.Struct, gc=False):
    model: str = ""
    input_type: str = ""
    texts: list[str] | None = None
    inputs: list[Input] | None = None
    images: list[str] | None = None
    output_dimension: int | None = None
    embedding_types: list[str] | None = None
    truncate: str | None = None
    priority: int | None = None


_decoder = msgspec.json.Decoder(Request)
_KNOWN = frozenset(Request.__struct_fields__)
_HINTS = ("truncate", "priority")


class CohereEmbedClient:
    """`EmbedClientCodec` for `/v2/embed`: texts, as floats or base64."""

    def read_embed(self, body: bytes) -> Embed:
        request: Request = decode_request(_decoder, body)
        if request.images:
            raise _unsupported("images", "This model embeds text, not images.")
        texts: list[str | list[int]] = [*(request.texts or ()), *map(_text, request.inputs or ())]
        if not texts:
            raise BadRequest("'texts' must hold at least one text.", param="texts", code="invalid_value")
        return Embed(
            model=request.model,
            inputs=texts,
            dimensions=request.output_dimension,
            encoding=_encoding(request.embedding_types or ()),
            task=_TASK_OF.get(request.input_type, ""),
            hints=tuple(name for name in _HINTS if getattr(request, name) is not None),
            extra=unknown_members(body, _KNOWN),
        )

    def write_embed(self, answer: Embedded, embed: Embed) -> bytes:
        tokens = (answer.usage or Usage()).prompt
        vectors: dict[str, Any] = {"float": answer.vectors}
        if embed.encoding == "base64":
            vectors = {"base64": [packed(vector) for vector in answer.vectors]}
        return _encode(
            {
                "id": answer.id,
                "embeddings": vectors,
                "texts": embed.inputs,
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
                "response_type": "embeddings_by_type",
            }
        )


def _encoding(kinds: list[str] | tuple[str, ...]) -> Literal["float", "base64"]:
    for kind in kinds:
        if kind not in ("float", "base64"):
            raise _unsupported("embedding_types", f"This model gives no embeddings of type '{kind}', but 'float'.")
    if len(set(kinds)) > 1:
        raise _unsupported("embedding_types", "This model gives embeddings of one type at a time.")
    return "base64" if "base64" in kinds else "float"


def _text(given: Input) -> str:
    for part in given.content:
        if part.type != "text":
            raise _unsupported("inputs", f"This model embeds text, not '{part.type}'.")
    return "\n".join(part.text for part in given.content)


def _unsupported(param: str, message: str) -> BadRequest:
    return BadRequest(message, param=param, code="unsupported_value")
