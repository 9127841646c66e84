"""What every provider dialect says that a request used, on the wire, and what that is in our words."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from matrix.server import Reply
from matrix.vendors import KEY, VERTEX
from routeiq.core.snapshot import CHAT, EMBEDDING, RERANK
from routeiq.core.usage import Usage
from routeiq.transport.eventstream import encode
from support import bedrock, cohere_wire
from support.tokens import Asked

EVENTS, FRAMES = "text/event-stream", "application/vnd.amazon.eventstream"
JSON = "application/json"
AWS = {"aws_region_name": "us-east-1", "aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}


@dataclass
class Bill:
    """A provider's answer and what it is to be billed as. `end` is how many of the last pieces of `stream` tell it."""

    model: str
    params: Callable[[str], dict[str, Any]]
    """`litellm_params` besides the model, given the server's URL."""
    usage: Usage
    whole: bytes
    stream: list[bytes] = field(default_factory=list)
    kind: str = EVENTS
    endpoints: tuple[str, ...] = (CHAT,)
    """What is asked for: the first by a client of the provider's own dialect where there is one."""
    body: dict[str, Any] = field(default_factory=dict)

    def serve(self, asked: Asked) -> Reply:
        """A provider that always says the same."""
        streams = "stream" in asked.path.lower() or json.loads(asked.body).get("stream") is True
        return Reply(self.stream, self.kind) if self.stream and streams else Reply([self.whole])


def _at(path: str = "", **more: Any) -> Callable[[str], dict[str, Any]]:
    return lambda url: {"api_base": url + path, "api_key": KEY, **more}


def _bedrock(url: str) -> dict[str, Any]:
    return {"aws_bedrock_runtime_endpoint": url, **AWS}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _event(value: Any, name: str = "") -> bytes:
    return b"%bdata: %b\n\n" % (f"event: {name}\n".encode() if name else b"", _json(value))


# --- OpenAI's words


def _chat(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "theirs", "choices": [choice],
            "usage": usage, **more}  # fmt: skip


def _chunks(usage: dict[str, Any], **more: Any) -> list[bytes]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "theirs", **more}
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": "Hi"}, None), ({}, "stop")]
    out = [
        _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}) for delta, reason in deltas
    ]
    return [*out, _event({**head, "choices": [], "usage": usage}), b"data: [DONE]\n\n"]


def _spoken(model: str, params: Any, wire: dict[str, Any], usage: Usage, **more: Any) -> Bill:
    return Bill(model, params, usage, _json(_chat(wire, **more)), _chunks(wire, **more))


OPENAI_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 5},
}
XAI_USAGE = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
}
"""https://docs.x.ai/docs/guides/reasoning: the total counts the reasoning, `completion_tokens` does not."""
LITELLM_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_creation_tokens": 40},
    "cache_creation_input_tokens": 40,
    "cache_read_input_tokens": 20,
}
RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 15},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 150,
}


def _response(status: str, usage: dict[str, Any] | None) -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hi", "annotations": []}
    said = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    search = {"type": "web_search_call", "id": "w", "status": "completed"}
    return {"id": "resp_1", "object": "response", "created_at": 1, "model": "theirs", "status": status,
            "output": [search, said] if usage else [], "usage": usage, "service_tier": "priority"}  # fmt: skip


def _responses() -> list[bytes]:
    delta = {"type": "response.output_text.delta", "item_id": "m", "output_index": 1, "content_index": 0, "delta": "Hi"}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response("in_progress", None)},
        delta,
        {"type": "response.completed", "response": _response("completed", RESPONSES_USAGE)},
    ]
    return [_event({"sequence_number": at, **event}, event["type"]) for at, event in enumerate(events)]


# --- Anthropic's

ANTHROPIC_USAGE = {
    "input_tokens": 40,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 18, "ephemeral_1h_input_tokens": 12},
    "output_tokens": 50,
    "server_tool_use": {"web_search_requests": 2},
    "service_tier": "priority",
}
ANTHROPIC = Usage(90, 50, 20, 18, written_1h=12, searches=2, service_tier="priority")


def _message(usage: dict[str, Any], content: list[Any]) -> dict[str, Any]:
    return {"id": "m", "type": "message", "role": "assistant", "model": "theirs", "content": content,
            "stop_reason": "end_turn" if content else None, "stop_sequence": None, "usage": usage}  # fmt: skip


def _message_events() -> list[dict[str, Any]]:
    start = {name: value for name, value in ANTHROPIC_USAGE.items() if name != "server_tool_use"}
    return [
        {"type": "message_start", "message": _message({**start, "output_tokens": 1}, [])},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 50, "server_tool_use": {"web_search_requests": 2}},
        },
        {"type": "message_stop"},
    ]


MESSAGE = _json(_message(ANTHROPIC_USAGE, [{"type": "text", "text": "Hi"}]))
MESSAGES = [_event(event, event["type"]) for event in _message_events()]
WRAPPED = [
    encode(
        {":event-type": "chunk", ":content-type": JSON, ":message-type": "event"},
        _json({"bytes": base64.b64encode(_json(event)).decode()}),
    )
    for event in _message_events()
]

# --- Gemini's

GEMINI_USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 20,
    "candidatesTokenCount": 40,
    "thoughtsTokenCount": 10,
    "toolUsePromptTokenCount": 7,
    "totalTokenCount": 157,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 60},
        {"modality": "AUDIO", "tokenCount": 30},
        {"modality": "IMAGE", "tokenCount": 10},
    ],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 8}, {"modality": "AUDIO", "tokenCount": 12}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 35}, {"modality": "AUDIO", "tokenCount": 5}],
}
GEMINI = Usage(107, 50, 20, 0, 10, audio_in=30, image_in=10, cached_audio=12, audio_out=5, searches=1)


def _generated(text: str, last: bool, **usage: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if last:
        candidate |= {"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b"]}}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r"}


def _gemini(model: str, path: str, **usage: Any) -> Bill:
    told = GEMINI_USAGE | usage
    tier = "flex" if usage else ""
    counted = Usage(**{name: getattr(GEMINI, name) for name in GEMINI.__struct_fields__} | {"service_tier": tier})
    first = {"trafficType": "ON_DEMAND"} if usage else {"promptTokenCount": 100}
    stream = [_event(_generated("H", False, **first)), _event(_generated("i", True, **told))]
    return Bill(model, _at(path), counted, _json(_generated("Hi", True, **told)), stream)


# --- the others'

BEDROCK_USAGE = {
    "inputTokens": 40,
    "outputTokens": 50,
    "totalTokens": 140,
    "cacheReadInputTokens": 20,
    "cacheWriteInputTokens": 30,
}
CONVERSE = bedrock.answer(
    "Converse",
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "usage": BEDROCK_USAGE,
        "metrics": {"latencyMs": 5},
        "serviceTier": {"type": "flex"},
    },
)
CONVERSED = [
    bedrock.event("messageStart", {"role": "assistant"}),
    bedrock.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
    bedrock.event("contentBlockStop", {"contentBlockIndex": 0}),
    bedrock.event("messageStop", {"stopReason": "end_turn"}),
    bedrock.event("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 5}, "serviceTier": {"type": "flex"}}),
]
COHERE_USAGE = {
    "billed_units": {"input_tokens": 50.0, "output_tokens": 20.0},
    "tokens": {"input_tokens": 71.0, "output_tokens": 24.0},
    "cached_tokens": 30.0,
}
COHERED = [
    cohere_wire.start(),
    cohere_wire.said("content-start", 0, content={"type": "text", "text": ""}),
    cohere_wire.said("content-delta", 0, content={"text": "Hi"}),
    cohere_wire.event("content-end", index=0),
    cohere_wire.end("COMPLETE", usage=COHERE_USAGE),
]


def _ollama(text: str, **more: Any) -> bytes:
    return _json({"model": "m", "created_at": "2026-11-21T10:00:00Z", "message": {"role": "assistant", "content": text},
                  "done": bool(more), **more}) + b"\n"  # fmt: skip


OLLAMA_END = {"done_reason": "stop", "prompt_eval_count": 100, "eval_count": 50, "eval_duration": 5}
GENERATED = {"finish_reason": "eos_token", "generated_tokens": 50, "input_length": 100}


def _part(payload: bytes) -> bytes:
    return encode({":event-type": "PayloadPart", ":message-type": "event"}, payload)


def _embedded(usage: dict[str, Any]) -> bytes:
    return _json({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}],
                  "model": "theirs", "usage": usage})  # fmt: skip


TEXT = "four letters a word!"  # 20 characters, an estimate of 5 tokens
TOKENS = Usage(100, 50)
RANKS = {"model": "m", "query": "abcd", "documents": ["one of eight", "another"]}
EMBED: dict[str, Any] = {"endpoints": (EMBEDDING,), "body": {"input": TEXT}}
RANK: dict[str, Any] = {"endpoints": (RERANK,), "body": RANKS}
RANKED = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]

BILLS: dict[str, Bill] = {
    "openai": _spoken(
        "openai/gpt-5.1",
        _at("/v1"),
        OPENAI_USAGE,
        Usage(100, 50, 20, 0, 10, audio_in=30, audio_out=5, service_tier="flex"),
        service_tier="flex",
    ),
    "openai responses": Bill(
        "openai/gpt-5.1",
        _at("/v1"),
        Usage(100, 50, 20, 15, 10, searches=1, service_tier="priority"),
        _json(_response("completed", RESPONSES_USAGE)),
        _responses(),
        endpoints=("responses",),
    ),
    "openai completions": Bill(
        "text-completion-openai/gpt-3.5-turbo-instruct",
        _at("/v1"),
        Usage(7, 3),
        _json(
            {
                "id": "c",
                "object": "text_completion",
                "created": 1,
                "model": "theirs",
                "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop", "logprobs": None}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
            }
        ),
        [
            _event(
                {
                    "id": "c",
                    "object": "text_completion",
                    "created": 1,
                    "model": "theirs",
                    "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop", "logprobs": None}],
                }
            ),
            _event(
                {
                    "id": "c",
                    "object": "text_completion",
                    "created": 1,
                    "model": "theirs",
                    "choices": [],
                    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
                }
            ),
            b"data: [DONE]\n\n",
        ],
        endpoints=("completion",),
    ),
    "deepseek": _spoken(
        "deepseek/deepseek-chat",
        _at(),
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        Usage(100, 50, 64),
    ),
    "xai": _spoken("xai/grok-4", _at("/v1"), XAI_USAGE, Usage(32, 103, 6, 0, 94)),
    "litellm": _spoken("litellm_proxy/claude", _at("/v1"), LITELLM_USAGE, Usage(100, 50, 20, 40)),
    "openrouter": _spoken(
        "openrouter/anthropic/claude-sonnet-4.5",
        _at("/v1"),
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 40, "audio_tokens": 0},
        },
        Usage(100, 50, 20, 40),
    ),
    "moonshot": _spoken(
        "moonshot/kimi-k2",
        _at("/v1"),
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "cached_tokens": 64},
        Usage(100, 50, 64),
    ),
    "anthropic": Bill("anthropic/claude-sonnet-4-5", _at(), ANTHROPIC, MESSAGE, MESSAGES),
    "vertex_ai claude": Bill("vertex_ai/claude-sonnet-4-5", _at(VERTEX), ANTHROPIC, MESSAGE, MESSAGES),
    "bedrock claude": Bill(
        "bedrock/invoke/anthropic.claude-sonnet-4-5-20250929-v1:0", _bedrock, ANTHROPIC, MESSAGE, WRAPPED, FRAMES
    ),
    "gemini": _gemini("gemini/gemini-2.5-flash", "/v1beta"),
    "vertex_ai": _gemini("vertex_ai/gemini-2.5-flash", VERTEX, trafficType="ON_DEMAND_FLEX"),
    "bedrock": Bill(
        "bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0",
        _bedrock,
        Usage(90, 50, 20, 30, service_tier="flex"),
        CONVERSE,
        CONVERSED,
        FRAMES,
    ),
    "cohere": Bill(
        "cohere/command-a-03-2025",
        _at(),
        Usage(50, 20, 30),
        _json(
            cohere_wire.answer(
                message={"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}, usage=COHERE_USAGE
            )
        ),
        COHERED,
    ),
    "ollama": Bill(
        "ollama_chat/llama3",
        _at(),
        TOKENS,
        _ollama("Hi", **OLLAMA_END),
        [_ollama("Hi"), _ollama("", **OLLAMA_END)],
        "application/x-ndjson",
    ),
    "watsonx": Bill(
        "watsonx/ibm/granite",
        lambda url: {"api_base": url, "token": "t0ken", "project_id": "p"},
        TOKENS,
        _json(_chat({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150})),
        _chunks({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150})[:-1],
    ),
    "sagemaker_chat": Bill(
        "sagemaker_chat/endpoint",
        lambda url: {"api_base": url, **AWS},
        TOKENS,
        _json(_chat({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150})),
        [_part(c) for c in _chunks({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150})],
        FRAMES,
    ),
    "sagemaker": Bill(
        "sagemaker/endpoint",
        lambda url: {"api_base": url, **AWS},
        TOKENS,
        _json([{"generated_text": "Hi", "details": GENERATED}]),
        [
            _part(b"data:%b\n\n" % _json({"token": {"id": 1, "text": "Hi", "special": False}})),
            _part(
                b"data:%b\n\n"
                % _json({"token": {"id": 2, "text": "", "special": True}, "generated_text": "Hi", "details": GENERATED})
            ),
        ],
        FRAMES,
    ),
    "replicate": Bill(
        "replicate/meta/meta-llama-3-70b-instruct",
        _at("/v1"),
        TOKENS,
        _json(
            {
                "id": "gm3qorzdhgbfurvjtvhg6dckhu",
                "model": "meta/meta-llama-3-70b-instruct",
                "status": "succeeded",
                "output": ["Hi"],
                "error": None,
                "metrics": {"input_token_count": 100, "output_token_count": 50, "predict_time": 0.5},
            }
        ),
    ),
    "openai embeddings": Bill(
        "openai/text-embedding-3-small",
        _at("/v1"),
        Usage(9),
        _embedded({"prompt_tokens": 9, "total_tokens": 9}),
        **EMBED,
    ),
    "gemini embeddings": Bill(
        "gemini/gemini-embedding-001",
        _at("/v1beta"),
        Usage(5, estimated=True),
        _json({"embedding": {"values": [1.0, 2.0]}}),
        **EMBED,
    ),
    "vertex_ai embeddings": Bill(
        "vertex_ai/text-embedding-005",
        _at(VERTEX),
        Usage(9),
        _json(
            {"predictions": [{"embeddings": {"values": [1.0], "statistics": {"token_count": 9, "truncated": False}}}]}
        ),
        **EMBED,
    ),
    "bedrock embeddings": Bill(
        "bedrock/amazon.titan-embed-text-v2:0",
        _bedrock,
        Usage(9),
        _json({"embedding": [1.0, 2.0], "inputTextTokenCount": 9}),
        **EMBED,
    ),
    "cohere embeddings": Bill(
        "cohere/embed-v4.0",
        _at(),
        Usage(9),
        _json(
            {
                "id": "e",
                "embeddings": {"float": [[1.0, 2.0]]},
                "texts": [TEXT],
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 9.0}},
            }
        ),
        **EMBED,
    ),
    "ollama embeddings": Bill(
        "ollama/nomic-embed-text",
        _at(),
        Usage(9),
        _json({"model": "m", "embeddings": [[1.0, 2.0]], "prompt_eval_count": 9}),
        **EMBED,
    ),
    "watsonx embeddings": Bill(
        "watsonx/ibm/slate",
        lambda url: {"api_base": url, "token": "t0ken", "project_id": "p"},
        Usage(9),
        _json({"results": [{"embedding": [1.0]}], "model_id": "ibm/slate", "input_token_count": 9}),
        **EMBED,
    ),
    "sagemaker embeddings": Bill(
        "sagemaker/endpoint",
        lambda url: {"api_base": url, **AWS},
        Usage(5, estimated=True),
        _json({"embedding": [[1.0]]}),
        **EMBED,
    ),
    "tei embeddings": Bill("tei/bge", _at(), Usage(5, estimated=True), _json([[1.0, 2.0]]), **EMBED),
    "cohere rerank": Bill(
        "cohere/rerank-v3.5",
        _at(),
        Usage(units=2),
        _json({"id": "r", "results": RANKED, "meta": {"billed_units": {"search_units": 2}}}),
        **RANK,
    ),
    "jina rerank": Bill(
        "jina_ai/jina-reranker-v2",
        _at("/v1"),
        Usage(33, units=1),
        _json({"model": "m", "usage": {"total_tokens": 33, "prompt_tokens": 33}, "results": RANKED}),
        **RANK,
    ),
    "tei rerank": Bill(
        "tei/bge",
        _at(),
        Usage(6, units=1, estimated=True),
        _json([{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1}]),
        **RANK,
    ),
}
