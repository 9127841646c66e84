"""The provider's side of Gemini: requests held against the SDK's types, answers built from them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.genai import types

from routeiq.core.errors import BadRequest, UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    CacheMark,
    Chat,
    Citation,
    Format,
    Media,
    Message,
    Native,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.embed import Embed
from routeiq.providers.translate.gemini.provider import GeminiProvider
from support.google import check

PNG = base64.b64encode(b"\x89PNG\r\n\xff\xfe\xfd").decode()
CODEC = GeminiProvider()
USER = Message(role="user", content=[Text(text="hi")])
NEW = "gemini-3-pro-preview"


def write(chat: Chat, model: str = "gemini-2.5-flash", provider: str = "gemini", **fit: Any) -> tuple[Any, list[str]]:
    """The request as JSON, valid by the SDK's own types, and what was dropped."""
    how = Fit(provider, **fit)
    body = json.loads(CODEC.write(chat, Context(provider=provider, model=model), how).body)
    check(body)
    return body, how.dropped


def parts(chat: Chat, model: str = "gemini-2.5-flash", provider: str = "gemini") -> list[Any]:
    return [(turn["role"], turn["parts"]) for turn in write(chat, model, provider)[0]["contents"]]


def test_turns_and_instructions() -> None:
    chat = Chat(
        messages=[
            Message(role="system", content=[Text(text="one", cache=CacheMark())]),
            USER,
            Message(role="user", content=[Text(text="there")], name="ann"),
            Message(role="assistant", content=[Text(text="yes"), Text(text=""), Refusal(text="no")]),
            Message(role="developer", content=[Text(text="two")]),
            Message(role="user", content=[Text(text="")]),
        ]
    )
    body, dropped = write(chat)
    assert body == {
        "systemInstruction": {"parts": [{"text": "one"}, {"text": "two"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"text": "there"}]},
            {"role": "model", "parts": [{"text": "yes"}, {"text": "no"}]},
        ],
    }
    assert dropped == ["name", "cache_control"]


def test_instructions_alone_are_said_by_the_user() -> None:
    body, _ = write(Chat(messages=[Message(role="system", content=[Text(text="write a poem")])]))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "write a poem"}]}]}


def test_parameters() -> None:
    chat = Chat(
        messages=[USER],
        max_tokens=9,
        temperature=0.25,
        top_p=0.5,
        top_k=3,
        stop=["a"],
        seed=1,
        n=2,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logprobs=True,
        top_logprobs=4,
        modalities=["text", "image"],
        safety=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        service_tier="flex",
        user="u",
        metadata={"a": "b"},
        extra={"cachedContent": "cachedContents/x", "mediaResolution": "MEDIA_RESOLUTION_LOW"},
    )
    body, dropped = write(chat)
    assert body["generationConfig"] == {
        "maxOutputTokens": 9,
        "temperature": 0.25,
        "topP": 0.5,
        "topK": 3,
        "stopSequences": ["a"],
        "seed": 1,
        "candidateCount": 2,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 4,
        "responseModalities": ["TEXT", "IMAGE"],
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    }
    assert body["safetySettings"] == chat.safety
    assert (body["cachedContent"], body["serviceTier"]) == ("cachedContents/x", "flex")
    assert dropped == ["metadata", "user"]
    body, dropped = write(chat, provider="vertex_ai")
    assert body["labels"] == {"a": "b"}
    assert "serviceTier" not in body
    assert dropped == ["service_tier", "user"]
    always = ["temperature", "max_tokens", "stop", "top_k", "safety_settings", "metadata", "n", "modalities", "seed"]
    body, dropped = write(chat, always=always)
    assert not {"temperature", "maxOutputTokens", "stopSequences", "topK", "seed"} & body["generationConfig"].keys()
    assert set(always) <= set(dropped)


@pytest.mark.parametrize(
    ("param", "members"),
    [
        ("min_p", {"min_p": 0.1}),
        ("logit_bias", {"logit_bias": {"5": 1.0}}),
        ("parallel_tool_calls", {"parallel_tool_calls": False, "tools": [Tool(name="f")]}),
        ("tools", {"tools": [Tool(name="f", dialect="anthropic", native={"type": "bash_20250124"})]}),
        ("audio.format", {"audio": {"voice": "Kore", "format": "mp3"}}),
        ("who_knows", {"extra": {"who_knows": 1}}),
        ("messages", {"messages": [Message(role="user", content=[Native(dialect="anthropic", value={})])]}),
    ],
)
def test_refused_by_name_or_dropped(param: str, members: dict[str, Any]) -> None:
    chat = Chat(**{"messages": [USER], **members})
    with pytest.raises(BadRequest) as caught:
        write(chat)
    assert caught.value.param == param
    assert param in write(chat, tolerant=True)[1]
    assert param in write(chat, always=[param])[1]


def test_media() -> None:
    chat = Chat(
        messages=[
            Message(
                role="user",
                content=[
                    Media(kind="image", media_type="image/png", data=PNG, detail="high"),
                    Media(kind="image", url="https://a.example/cat.webp"),
                    Media(kind="image", url="https://a.example/cat"),
                    Media(kind="document", url="gs://b/c.pdf"),
                    Media(kind="document", file_id="files/abc"),
                    Media(kind="document", text="plain words", name="n.txt", context="c"),
                    Media(kind="audio", media_type="audio/mp3", data="AAAA"),
                    Media(kind="video", url="https://youtu.be/x"),
                ],
            )
        ]
    )
    [(_, found)] = parts(chat)
    assert found == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"fileUri": "https://a.example/cat.webp", "mimeType": "image/webp"}},
        {"fileData": {"fileUri": "https://a.example/cat"}},
        {"fileData": {"fileUri": "gs://b/c.pdf", "mimeType": "application/pdf"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        {"text": "n.txt\nc\nplain words"},
        {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://youtu.be/x"}},
    ]
    [(_, found)] = parts(chat, provider="vertex_ai")
    assert found[2]["fileData"]["mimeType"] == "image/jpeg"
    foreign = Chat(messages=[Message(role="user", content=[Media(kind="document", file_id="file-abc")])])
    with pytest.raises(BadRequest):
        write(foreign)


CALLS = Chat(
    messages=[
        USER,
        Message(
            role="assistant",
            content=[
                Thinking(text="let me see", signature="anthropic#abc"),
                ToolCall(id="c1", name="f", arguments='{"n": 1.0}'),
                ToolCall(id="c2", name="g", arguments=""),
                ToolCall(id="c3", name="h", arguments="{broken"),
            ],
        ),
        Message(role="tool", content=[ToolResult(id="c2", content=[Text(text='{"a": 1}')])]),
        Message(role="tool", content=[ToolResult(id="c3", content=[Text(text="x"), Text(text="y")], failed=True)]),
        Message(
            role="tool",
            content=[
                ToolResult(
                    id="c1",
                    content=[
                        Text(text="done"),
                        Media(kind="image", media_type="image/png", data=PNG),
                        Media(kind="audio", media_type="audio/wav", data="AAAA"),
                    ],
                )
            ],
        ),
        USER,
    ]
)


def test_calls_and_results() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    sound = {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    (_, calls), (role, results) = parts(CALLS)[1:]
    assert calls == [
        {"functionCall": {"id": "c1", "name": "f", "args": {"n": 1.0}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
        {"functionCall": {"id": "c3", "name": "h", "args": {"input": "{broken"}}},
    ]
    assert role == "user"
    assert results == [
        {"functionResponse": {"id": "c2", "name": "g", "response": {"a": 1}}},
        {"functionResponse": {"id": "c3", "name": "h", "response": {"error": "x\ny"}}},
        {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "done"}}},
        image,
        sound,
        {"text": "hi"},
    ]
    results = parts(CALLS, NEW)[2][1]
    assert results[2]["functionResponse"]["parts"] == [image]
    assert results[3] == sound


def test_vertex_tells_calls_by_their_order() -> None:
    (_, calls), (_, results) = parts(CALLS, provider="vertex_ai")[1:]
    assert not [call for call in calls if "id" in call["functionCall"]]
    answers = [part["functionResponse"] for part in results if "functionResponse" in part]
    assert [answer["name"] for answer in answers] == ["f", "g", "h"]
    assert not [answer for answer in answers if "id" in answer]


def test_a_result_needs_its_call() -> None:
    with pytest.raises(BadRequest, match="answers no call"):
        write(Chat(messages=[USER, Message(role="tool", content=[ToolResult(id="lost")])]))


def test_proofs() -> None:
    def history(*blocks: Any) -> Chat:
        return Chat(messages=[USER, Message(role="assistant", content=list(blocks)), USER])

    own = history(
        Thinking(text="hm", signature="gemini#AAEC"),
        Text(text="yes"),
        Thinking(signature="gemini#AwQF"),
        ToolCall(id="a", name="f", arguments="{}", signature="gemini#BgcI"),
        ToolCall(id="b", name="f", arguments="{}"),
        Thinking(signature="gemini#CQoL"),
    )
    assert parts(own, NEW)[1][1] == [
        {"text": "hm", "thought": True, "thoughtSignature": "AAEC"},
        {"text": "yes", "thoughtSignature": "AwQF"},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "BgcI"},
        {"functionCall": {"id": "b", "name": "f", "args": {}}},
        {"text": "", "thoughtSignature": "CQoL"},
    ]
    foreign = history(Thinking(text="hm", signature="anthropic#x"), ToolCall(id="a", name="f", arguments="{}"))
    assert parts(foreign, NEW)[1][1] == [
        {
            "functionCall": {"id": "a", "name": "f", "args": {}},
            "thoughtSignature": "skip_thought_signature_validator",
        }
    ]
    assert "thoughtSignature" not in parts(foreign)[1][1][0]
    assert write(foreign)[1] == ["thinking"]


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "kind": {"const": "a"},
        "size": {"type": ["integer", "null"], "exclusiveMinimum": 0},
        "at": {"$ref": "#/definitions/Point", "description": "where"},
        "any": {"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
        "const": {"type": "string", "format": "email", "enum": ["x"]},
        "list": {"type": "array", "items": {"$ref": "#/definitions/Node"}},
    },
    "required": ["kind", "gone"],
    "additionalProperties": False,
    "definitions": {
        "Point": {"type": "object", "properties": {"x": {"type": "number", "format": "double"}}},
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}, "v": {"type": "string"}}},
    },
}


def test_json_schema_for_models_that_read_it() -> None:
    chat = Chat(
        messages=[USER], tools=[Tool(name="f", description="d", parameters=SCHEMA)], format=Format(schema=SCHEMA)
    )
    body, _ = write(chat)
    [declared] = body["tools"][0]["functionDeclarations"]
    shown = declared["parametersJsonSchema"]
    assert body["generationConfig"]["responseJsonSchema"] == shown
    assert body["generationConfig"]["responseMimeType"] == "application/json"
    assert "$schema" not in shown
    assert shown["properties"]["kind"] == {"enum": ["a"]}
    assert shown["properties"]["at"] == {"$ref": "#/$defs/Point"}
    assert shown["properties"]["const"] == SCHEMA["properties"]["const"]  # type: ignore[index]
    assert shown["$defs"]["Node"]["properties"]["next"] == {"$ref": "#/$defs/Node"}
    assert shown["additionalProperties"] is False


def test_openapi_for_models_that_do_not() -> None:
    chat = Chat(messages=[USER], tools=[Tool(name="f", parameters=SCHEMA)], format=Format(schema=SCHEMA))
    body, _ = write(chat, "gemini-2.0-flash")
    [declared] = body["tools"][0]["functionDeclarations"]
    assert body["generationConfig"]["responseSchema"] == declared["parameters"]
    types.Schema.model_validate(declared["parameters"])
    assert declared["parameters"] == {
        "type": "OBJECT",
        "properties": {
            "kind": {"type": "STRING", "enum": ["a"]},
            "size": {"type": "INTEGER", "nullable": True},
            "at": {
                "type": "OBJECT",
                "description": "where",
                "properties": {"x": {"type": "NUMBER", "format": "double"}},
            },
            "any": {"nullable": True, "anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
            "const": {"type": "STRING", "enum": ["x"]},
            "list": {
                "type": "ARRAY",
                "items": {"type": "OBJECT", "properties": {"next": {"type": "OBJECT"}, "v": {"type": "STRING"}}},
            },
        },
        "required": ["kind"],
    }


def test_a_function_without_parameters() -> None:
    for schema in (None, {}, {"type": "object", "properties": {}}):
        body, _ = write(Chat(messages=[USER], tools=[Tool(name="f", parameters=schema)]))
        assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="tool", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="auto", names=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="required", names=("f", "g")), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
    ],
)
def test_tool_choice(choice: ToolChoice, written: dict[str, Any]) -> None:
    tools = [Tool(name="f"), Tool(name="g")]
    body, _ = write(Chat(messages=[USER], tools=tools, tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": written}


def test_googles_own_tools() -> None:
    tools = [
        Tool(name="codeExecution", dialect="gemini", native={"codeExecution": {}}),
        Tool(name="web_fetch", dialect="anthropic", native={"type": "web_fetch_20250910", "name": "web_fetch"}),
        Tool(
            name="web_search", dialect="anthropic", native={"type": "web_search_20250305", "blocked_domains": ["x.y"]}
        ),
    ]
    body, _ = write(Chat(messages=[USER], tools=tools))
    assert body["tools"] == [{"codeExecution": {}}, {"urlContext": {}}, {"googleSearch": {"excludeDomains": ["x.y"]}}]
    body, _ = write(Chat(messages=[USER], web_search={"search_context_size": "low"}))
    assert body["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-2.5-pro", Reasoning(effort="none"), {"thinkingBudget": 128}),
        ("gemini-2.5-pro", Reasoning(budget=100_000), {"thinkingBudget": 32_768, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Reasoning(effort="high", hidden=True), {"thinkingBudget": 4096}),
        ("gemini-2.5-flash-lite", Reasoning(budget=5), {"thinkingBudget": 512, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(adaptive=True), {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(summary="auto"), {"includeThoughts": True}),
        ("gemini-3-pro-preview", Reasoning(effort="none"), {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", Reasoning(effort="medium"), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.1-pro-preview", Reasoning(effort="medium"), {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3-flash-preview", Reasoning(effort="minimal"), {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3-flash-preview", Reasoning(budget=1500), {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-flash-latest", Reasoning(effort="max"), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-pro-image-preview", Reasoning(effort="low"), {"includeThoughts": True}),
        ("gemini-2.0-flash", Reasoning(effort="low"), None),
        ("gemini-2.5-flash-preview-tts", Reasoning(effort="low"), None),
        ("gemma-3-27b-it", Reasoning(effort="low"), None),
    ],
)
def test_thinking(model: str, reasoning: Reasoning, config: dict[str, Any] | None) -> None:
    body, dropped = write(Chat(messages=[USER], reasoning=reasoning), model)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config
    assert dropped == ([] if config is not None else ["reasoning_effort"])


def test_a_spoken_answer() -> None:
    chat = Chat(messages=[USER], modalities=["text", "audio"], audio={"voice": "Kore", "format": "pcm16"})
    body, _ = write(chat)
    config = types.GenerationConfig.model_validate(body["generationConfig"])
    assert config.response_modalities == [types.Modality.AUDIO]
    assert config.speech_config is not None
    assert config.speech_config.voice_config == types.VoiceConfig(
        prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore")
    )


def test_operations_and_counting() -> None:
    chat = Chat(messages=[Message(role="system", content=[Text(text="s")]), USER], stream=True, max_tokens=3)
    gemini = Context(provider="gemini", model="gemini-2.5-pro")
    vertex = Context(provider="vertex_ai", model="gemini-2.5-pro")
    assert CODEC.write(chat, gemini, Fit("gemini")).operation == "generate_stream"
    counted = CODEC.write_count(chat, gemini, Fit("gemini"))
    assert counted.operation == "count"
    nested = json.loads(counted.body)["generateContentRequest"]
    assert nested.pop("model") == "models/gemini-2.5-pro"
    check(nested)
    flat = json.loads(CODEC.write_count(chat, vertex, Fit("vertex_ai")).body)
    assert set(flat) == {"contents", "systemInstruction", "generationConfig"}
    chat.stream = False
    assert CODEC.write(chat, gemini, Fit("gemini")).operation == "generate"
    assert CODEC.read_count(b'{"totalTokens":"31"}') == 31
    assert CODEC.read_count(b"{}") == 0


def dump(answer: types.GenerateContentResponse) -> bytes:
    return json.dumps(answer.model_dump(mode="json", exclude_none=True, by_alias=True)).encode()


def content(*found: types.Part) -> types.Content:
    return types.Content(role="model", parts=list(found))


def test_whole_answer() -> None:
    answer = types.GenerateContentResponse(
        response_id="resp",
        model_version="gemini-2.5-pro-001",
        candidates=[
            types.Candidate(
                index=0,
                finish_reason=types.FinishReason.STOP,
                content=content(
                    types.Part(text="I th", thought=True),
                    types.Part(text="ink", thought=True),
                    types.Part(text="hö", thought_signature=b"\x00\x01\x02"),
                    types.Part(text="h"),
                    types.Part(function_call=types.FunctionCall(name="f", args={"a": 1}), thought_signature=b"\x03"),
                    types.Part(function_call=types.FunctionCall(id="own", name="g")),
                    types.Part(inline_data=types.Blob(data=b"abc", mime_type="image/png")),
                    types.Part(executable_code=types.ExecutableCode(code="1", language=types.Language.PYTHON)),
                ),
                grounding_metadata=types.GroundingMetadata(
                    web_search_queries=["q", "r"],
                    grounding_chunks=[
                        types.GroundingChunk(web=types.GroundingChunkWeb(uri="https://a.example", title="A")),
                        types.GroundingChunk(web=types.GroundingChunkWeb(uri="https://b.example", title="B")),
                    ],
                    grounding_supports=[
                        types.GroundingSupport(
                            segment=types.Segment(start_index=0, end_index=3, text="hö"), grounding_chunk_indices=[0]
                        )
                    ],
                ),
                logprobs_result=types.LogprobsResult(
                    chosen_candidates=[types.LogprobsResultCandidate(token="hö", log_probability=-0.5)],
                    top_candidates=[
                        types.LogprobsResultTopCandidates(
                            candidates=[types.LogprobsResultCandidate(token="x", log_probability=-1.5)]
                        )
                    ],
                ),
            ),
            types.Candidate(
                index=1, finish_reason=types.FinishReason.MAX_TOKENS, content=content(types.Part(text="b"))
            ),
            types.Candidate(index=2, finish_reason=types.FinishReason.SAFETY),
        ],
        usage_metadata=types.GenerateContentResponseUsageMetadata(
            prompt_token_count=10,
            tool_use_prompt_token_count=5,
            candidates_token_count=20,
            thoughts_token_count=7,
            cached_content_token_count=4,
            total_token_count=42,
            prompt_tokens_details=[types.ModalityTokenCount(modality=types.MediaModality.AUDIO, token_count=3)],
            candidates_tokens_details=[types.ModalityTokenCount(modality=types.MediaModality.IMAGE, token_count=9)],
            traffic_type=types.TrafficType.ON_DEMAND_PRIORITY,
        ),
    )
    found = CODEC.read(dump(answer), Chat(messages=[]))
    assert (found.id, found.model) == ("resp", "gemini-2.5-pro-001")
    assert found.usage == Usage(
        15, 27, cached=4, reasoning=7, audio_in=3, image_out=9, searches=1, service_tier="priority"
    )
    first, second, third = found.choices
    sources = [
        Citation(url="https://a.example", title="A", start=0, end=2),
        Citation(url="https://b.example", title="B"),
    ]
    assert first.content[0] == Thinking(text="I think")
    assert first.content[1] == Text(text="hö")
    assert first.content[2] == Thinking(signature="gemini#AAEC")
    assert first.content[3] == Text(text="h", citations=sources)
    call, other = first.content[4:6]
    assert isinstance(call, ToolCall)
    assert (call.id, call.name, json.loads(call.arguments)) == ("call_resp_1", "f", {"a": 1})
    assert call.signature == "gemini#Aw=="
    assert other == ToolCall(id="own", name="g", arguments="{}")
    assert first.content[6] == Media(kind="image", media_type="image/png", data="YWJj")
    assert isinstance(first.content[7], Native)
    assert first.finish == "tool_calls"
    assert first.logprobs["content"] == [
        {
            "token": "hö",
            "logprob": -0.5,
            "bytes": list("hö".encode()),
            "top_logprobs": [{"token": "x", "logprob": -1.5, "bytes": [120]}],
        }
    ]
    assert (second.index, second.finish, third.finish) == (1, "length", "content_filter")


def test_every_finish_reason_is_known() -> None:
    broken = set()
    for reason in types.FinishReason:
        answer = types.GenerateContentResponse(candidates=[types.Candidate(finish_reason=reason)])
        try:
            [choice] = CODEC.read(dump(answer), Chat(messages=[])).choices
        except UpstreamError:
            broken.add(reason.value)
        else:
            assert choice.finish in ("stop", "length", "content_filter", "pause")
    assert broken == {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }


def test_a_blocked_prompt() -> None:
    answer = types.GenerateContentResponse(
        prompt_feedback=types.GenerateContentResponsePromptFeedback(block_reason=types.BlockedReason.SAFETY)
    )
    [choice] = CODEC.read(dump(answer), Chat(messages=[])).choices
    assert choice.finish == "content_filter"
    assert choice.content == [Refusal(text="The prompt was blocked by the provider (SAFETY).")]


@pytest.mark.parametrize("body", [b"{}", b'{"candidates":[]}', b'{"error":{"code":503,"message":"m","status":"U"}}'])
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        CODEC.read(body, Chat(messages=[]))


def test_embeddings() -> None:
    context = Context(provider="gemini", model="gemini-embedding-001")
    embed = Embed(inputs=["a"], dimensions=3, task="document", title="t", user="u")
    fit = Fit("gemini")
    one = CODEC.write_embed(embed, context, fit)
    assert (one.operation, fit.dropped) == ("embed", ["user"])
    assert json.loads(one.body) == {
        "content": {"parts": [{"text": "a"}]},
        "taskType": "RETRIEVAL_DOCUMENT",
        "title": "t",
        "outputDimensionality": 3,
    }
    found = CODEC.read_embed(b'{"embedding":{"values":[1,2.5,3]}}', embed)
    assert (found.vectors, found.usage) == ([[1.0, 2.5, 3.0]], None)
    two = Embed(inputs=["a", "b"])
    many = CODEC.write_embed(two, context, Fit("gemini"))
    assert many.operation == "embed_batch"
    assert json.loads(many.body)["requests"][1] == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "b"}]},
    }
    answer = b'{"embeddings":[{"values":[1]},{"values":[2]}],"usageMetadata":{"promptTokenCount":6}}'
    found = CODEC.read_embed(answer, two)
    assert (found.vectors, found.usage) == ([[1.0], [2.0]], Usage(prompt=6))
    with pytest.raises(UpstreamError):
        CODEC.read_embed(b'{"embeddings":[]}', two)
    with pytest.raises(BadRequest):
        CODEC.write_embed(Embed(inputs=[[1, 2]]), context, Fit("gemini", tolerant=True))


def test_embeddings_on_vertex() -> None:
    context = Context(provider="vertex_ai", model="text-embedding-005")
    embed = Embed(inputs=["a", "b"], dimensions=3, task="query")
    sent = CODEC.write_embed(embed, context, Fit("vertex_ai"))
    assert sent.operation == "predict"
    assert json.loads(sent.body) == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_QUERY"},
            {"content": "b", "task_type": "RETRIEVAL_QUERY"},
        ],
        "parameters": {"outputDimensionality": 3},
    }
    vector = {"embeddings": {"values": [0.5], "statistics": {"token_count": 4, "truncated": False}}}
    found = CODEC.read_embed(json.dumps({"predictions": [vector, vector]}).encode(), embed)
    assert (found.vectors, found.usage) == ([[0.5], [0.5]], Usage(prompt=8))
