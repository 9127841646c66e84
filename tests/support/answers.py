"""What an OpenAI-compatible provider answers, built with the `openai` SDK's own types.

Every function takes the decoded request body and gives bytes. Token counts are words, so tests can count them.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from openai.types import Completion, CompletionChoice, CompletionUsage, CreateEmbeddingResponse, Embedding, Model
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
)
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall, ChoiceDeltaToolCallFunction
from openai.types.chat.chat_completion_message_function_tool_call import Function
from openai.types.create_embedding_response import Usage as EmbeddingUsage

CREATED = 1_700_000_000
TOKENS = 8
DONE = b"data: [DONE]\n\n"


def words(value: Any) -> int:
    """Words in every string of a JSON value."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, list):
        return sum(words(item) for item in value)
    if isinstance(value, dict):
        return sum(words(item) for key, item in value.items() if key not in ("role", "type"))
    return 0


def pieces(body: dict[str, Any], tokens: int | None) -> list[str]:
    """The answer, a token a piece; no more than `max_tokens`."""
    count = TOKENS if tokens is None else tokens
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(limit, int):
        count = min(count, limit)
    return [f"tok{n} " for n in range(count)]


def _usage(body: dict[str, Any], completion: int) -> CompletionUsage:
    prompt = words(body.get("messages", body.get("prompt", "")))
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def _forced_tool(body: dict[str, Any]) -> str | None:
    """The function the caller insists on, if any."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        return str(choice["function"]["name"])
    if choice == "required" and body.get("tools"):
        return str(body["tools"][0]["function"]["name"])
    return None


def _dump(model: Any, *, usage_null: bool = False) -> bytes:
    data = model.model_dump(mode="json", exclude_unset=True, warnings=False)
    if usage_null:
        data["usage"] = None
    return json.dumps(data, separators=(",", ":")).encode()


def event(payload: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + payload + b"\n\n"


def chat(body: dict[str, Any], tokens: int | None = None, answer_id: str = "chatcmpl-up") -> bytes:
    """`ChatCompletion`."""
    parts = pieces(body, tokens)
    tool = _forced_tool(body)
    if tool is None:
        finish = "stop" if len(parts) >= (TOKENS if tokens is None else tokens) else "length"
        message = ChatCompletionMessage(role="assistant", content="".join(parts))
    else:
        finish = "tool_calls"
        call = ChatCompletionMessageFunctionToolCall(
            id="call_up", type="function", function=Function(name=tool, arguments="{}")
        )
        message = ChatCompletionMessage(role="assistant", content=None, tool_calls=[call])
    return _dump(
        ChatCompletion(
            id=answer_id,
            object="chat.completion",
            created=CREATED,
            model=str(body.get("model")),
            choices=[
                Choice(index=n, finish_reason=finish, logprobs=None, message=message)  # type: ignore[arg-type]
                for n in range(body.get("n") or 1)
            ],
            usage=_usage(body, len(parts) * (body.get("n") or 1)),
        )
    )


def chat_events(body: dict[str, Any], tokens: int | None = None, answer_id: str = "chatcmpl-up") -> list[bytes]:
    """`ChatCompletionChunk`s as events, without `[DONE]`.

    As OpenAI does: with `include_usage` every chunk has `"usage": null` and a last one has no choices and the counts;
    without it no chunk mentions usage.
    """
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    parts = pieces(body, tokens)
    tool = _forced_tool(body)
    base = {"id": answer_id, "object": "chat.completion.chunk", "created": CREATED, "model": str(body.get("model"))}

    def chunk(delta: ChoiceDelta, finish: str | None = None) -> bytes:
        choice = ChunkChoice(index=0, delta=delta, finish_reason=finish, logprobs=None)  # type: ignore[arg-type]
        return event(_dump(ChatCompletionChunk(**base, choices=[choice]), usage_null=asked))  # type: ignore[arg-type]

    if tool is None:
        out = [chunk(ChoiceDelta(role="assistant", content=""))]
        out += [chunk(ChoiceDelta(content=part)) for part in parts]
        out.append(chunk(ChoiceDelta(), "stop"))
    else:
        call = ChoiceDeltaToolCall(
            index=0, id="call_up", type="function", function=ChoiceDeltaToolCallFunction(name=tool, arguments="{}")
        )
        out = [chunk(ChoiceDelta(role="assistant", tool_calls=[call])), chunk(ChoiceDelta(), "tool_calls")]
    if asked:
        usage = _usage(body, len(parts))
        out.append(event(_dump(ChatCompletionChunk(**base, choices=[], usage=usage))))  # type: ignore[arg-type]
    return out


def completion(body: dict[str, Any], tokens: int | None = None, answer_id: str = "cmpl-up") -> bytes:
    """`Completion`."""
    parts = pieces(body, tokens)
    return _dump(
        Completion(
            id=answer_id,
            object="text_completion",
            created=CREATED,
            model=str(body.get("model")),
            choices=[CompletionChoice(index=0, finish_reason="stop", logprobs=None, text="".join(parts))],
            usage=_usage(body, len(parts)),
        )
    )


def completion_events(body: dict[str, Any], tokens: int | None = None, answer_id: str = "cmpl-up") -> list[bytes]:
    """`Completion`s as events, without `[DONE]`; usage as in `chat_events`."""
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    parts = pieces(body, tokens)
    base = {"id": answer_id, "object": "text_completion", "created": CREATED, "model": str(body.get("model"))}

    def chunk(text: str, finish: str | None = None) -> bytes:
        # The SDK's type has no null finish_reason, the wire does.
        choice = CompletionChoice.model_construct(index=0, finish_reason=finish, logprobs=None, text=text)
        return event(_dump(Completion.model_construct(None, **base, choices=[choice]), usage_null=asked))

    out = [chunk(part) for part in parts]
    out.append(chunk("", "stop"))
    if asked:
        out.append(event(_dump(Completion(**base, choices=[], usage=_usage(body, len(parts))))))  # type: ignore[arg-type]
    return out


def embeddings(body: dict[str, Any], dimensions: int = 8) -> bytes:
    """`CreateEmbeddingResponse`; base64 when the caller asks for it, as the SDK does by default."""
    asked = body.get("input", "")
    single = isinstance(asked, str) or (bool(asked) and isinstance(asked[0], int))
    inputs = [asked] if single else asked
    width = body.get("dimensions") or dimensions
    vector = [(n + 1) / 16 for n in range(width)]
    data = []
    for index in range(len(inputs)):
        value: Any = vector
        if body.get("encoding_format") == "base64":
            value = base64.b64encode(struct.pack(f"<{width}f", *vector)).decode()
        data.append(Embedding.model_construct(object="embedding", index=index, embedding=value))
    prompt = sum(len(item) if isinstance(item, list) else words(item) for item in inputs)
    return _dump(
        CreateEmbeddingResponse.model_construct(
            object="list",
            data=data,
            model=str(body.get("model")),
            usage=EmbeddingUsage(prompt_tokens=prompt, total_tokens=prompt),
        )
    )


def models(names: list[str]) -> bytes:
    """The list of `Model`s."""
    data = [Model(id=name, object="model", created=CREATED, owned_by="tests") for name in names]
    return json.dumps({"object": "list", "data": [item.model_dump(mode="json") for item in data]}).encode()


def error(
    message: str, type: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> bytes:
    """OpenAI's error object."""
    return json.dumps({"error": {"message": message, "type": type, "param": param, "code": code}}).encode()
