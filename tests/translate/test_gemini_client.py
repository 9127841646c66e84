"""The client's side of Gemini, driven by Google's own SDK."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gemini_loopback import Loopback, loopback
from google.genai import errors as genai_errors
from google.genai import types
from pydantic import BaseModel

from routeiq.core.errors import BadRequest, LimitExceeded, UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Choice,
    Citation,
    CitationDelta,
    Ended,
    Finished,
    Format,
    Media,
    MediaDelta,
    Message,
    Native,
    Reasoning,
    Refusal,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolDelta,
    ToolResult,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.embed import Embedded
from routeiq.providers.translate.gemini.client import GeminiClient, GeminiCountClient, GeminiEmbedClient

PNG = b"\x89PNG\r\n\xff\xfe\xfd"
MODEL = "gemini-2.5-flash"


@pytest.fixture(scope="module")
def api() -> Iterator[Loopback]:
    with loopback() as state:
        yield state


@pytest.fixture(autouse=True)
def _fresh(api: Loopback) -> None:
    url = api.url
    api.__init__()  # type: ignore[misc]
    api.url = url
    api.answer = Answer(id="r1", model=MODEL, choices=[Choice(content=[Text(text="hello")])], usage=Usage(7, 3))


def ask(api: Loopback, contents: Any, **config: Any) -> tuple[Chat, types.GenerateContentResponse]:
    """What the codec reads of what the SDK sends, and what the SDK reads of what the codec writes."""
    with api.client() as client:
        answer = client.models.generate_content(
            model=MODEL, contents=contents, config=types.GenerateContentConfig(**config)
        )
    return api.chats[-1], answer


def read(value: Any) -> Chat:
    return GeminiClient().read(json.dumps(value).encode())


def test_text_and_parameters(api: Loopback) -> None:
    chat, answer = ask(
        api,
        "hi",
        system_instruction="be brief",
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        candidate_count=2,
        max_output_tokens=100,
        stop_sequences=["END"],
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        response_logprobs=True,
        logprobs=3,
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.BLOCK_NONE
            )
        ],
        cached_content="cachedContents/abc",
        response_modalities=["TEXT", "IMAGE"],
        media_resolution=types.MediaResolution.MEDIA_RESOLUTION_LOW,
        labels={"team": "a"},
        service_tier=types.ServiceTier.FLEX,
    )
    assert chat.messages == [
        Message(role="system", content=[Text(text="be brief")]),
        Message(role="user", content=[Text(text="hi")]),
    ]
    assert (chat.temperature, chat.top_p, chat.top_k, chat.n, chat.max_tokens) == (0.5, 0.9, 40, 2, 100)
    assert (chat.stop, chat.seed, chat.presence_penalty, chat.frequency_penalty) == (["END"], 7, 0.1, 0.2)
    assert (chat.logprobs, chat.top_logprobs) == (True, 3)
    assert chat.safety == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    assert chat.modalities == ["text", "image"]
    assert chat.extra == {"cachedContent": "cachedContents/abc", "mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert chat.metadata == {"team": "a"}
    assert chat.service_tier == "flex"
    assert answer.text == "hello"
    assert answer.response_id == "r1"
    assert answer.model_version == MODEL
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (7, 3, 10)
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP


def test_media(api: Loopback) -> None:
    chat, _ = ask(
        api,
        [
            types.Part.from_bytes(data=PNG, mime_type="image/png"),
            types.Part.from_bytes(data=b"%PDF", mime_type="application/pdf"),
            types.Part.from_bytes(data=b"RIFF", mime_type="audio/wav"),
            types.Part.from_uri(file_uri="https://example.com/a.mp4", mime_type="video/mp4"),
            types.Part(
                file_data=types.FileData(file_uri="https://youtu.be/x", mime_type="video/mp4"),
                video_metadata=types.VideoMetadata(fps=2, start_offset="3s"),
            ),
        ],
    )
    image, document, sound, video, cut = chat.messages[0].content
    assert image == Media(kind="image", media_type="image/png", data=base64.b64encode(PNG).decode())
    assert isinstance(document, Media)
    assert document.kind == "document"
    assert isinstance(sound, Media)
    assert sound.kind == "audio"
    assert video == Media(kind="video", media_type="video/mp4", url="https://example.com/a.mp4")
    assert isinstance(cut, Native)
    assert types.Part.model_validate(cut.value).video_metadata == types.VideoMetadata(fps=2, start_offset="3s")


def test_tools_calls_and_results(api: Loopback) -> None:
    schema = {"type": "object", "properties": {"file_path": {"type": "string"}}, "required": ["file_path"]}
    chat, _ = ask(
        api,
        [
            types.Content(role="user", parts=[types.Part(text="read both")]),
            types.Content(
                role="model",
                parts=[
                    types.Part(
                        function_call=types.FunctionCall(name="cat", args={"file_path": "a"}), thought_signature=b"sig!"
                    ),
                    types.Part(function_call=types.FunctionCall(name="cat", args={"file_path": "b"})),
                    types.Part(function_call=types.FunctionCall(id="own", name="ls", args={})),
                ],
            ),
            types.Content(
                role="user",
                parts=[
                    types.Part(
                        function_response=types.FunctionResponse(
                            id="own",
                            name="ls",
                            response={"error": "no such place"},
                            parts=[types.FunctionResponsePart.from_bytes(data=PNG, mime_type="image/png")],
                        )
                    ),
                    types.Part.from_function_response(name="cat", response={"output": "A"}),
                    types.Part.from_function_response(name="cat", response={"lines": ["B"]}),
                ],
            ),
        ],
        tools=[
            types.Tool(
                function_declarations=[
                    types.FunctionDeclaration(name="cat", description="reads", parameters_json_schema=schema),
                    types.FunctionDeclaration(
                        name="ls",
                        parameters=types.Schema(
                            type=types.Type.OBJECT,
                            properties={
                                "depth": types.Schema(type=types.Type.INTEGER, nullable=True, minimum=1),
                                "names": types.Schema(
                                    type=types.Type.ARRAY, min_items=2, items=types.Schema(type=types.Type.STRING)
                                ),
                            },
                            property_ordering=["names", "depth"],
                        ),
                    ),
                ]
            ),
            types.Tool(google_search=types.GoogleSearch()),
            types.Tool(url_context=types.UrlContext()),
            types.Tool(code_execution=types.ToolCodeExecution()),
        ],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(
                mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["cat", "ls"]
            )
        ),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    first, second, third = chat.messages[1].content
    assert isinstance(first, ToolCall)
    assert json.loads(first.arguments) == {"file_path": "a"}
    assert first.signature == f"gemini#{base64.b64encode(b'sig!').decode()}"
    assert isinstance(second, ToolCall)
    assert isinstance(third, ToolCall)
    assert (first.id, second.id, third.id) == ("call_1", "call_2", "own")
    assert chat.messages[2].role == "tool"
    listed, one, other = chat.messages[2].content
    assert isinstance(listed, ToolResult)
    assert (listed.id, listed.failed, listed.content[0]) == ("own", True, Text(text="no such place"))
    assert isinstance(listed.content[1], Media)
    assert one == ToolResult(id="call_1", name="cat", content=[Text(text="A")])
    assert other == ToolResult(id="call_2", name="cat", content=[Text(text='{"lines":["B"]}')])
    read_urls, run, cat, ls = chat.tools  # the SDK puts functions last
    assert cat == Tool(name="cat", description="reads", parameters=schema)
    assert ls.parameters is not None
    assert list(ls.parameters["properties"]) == ["names", "depth"]
    assert ls.parameters["properties"]["names"]["minItems"] == 2
    assert ls.parameters["properties"]["depth"] == {"type": ["integer", "null"], "minimum": 1}
    assert read_urls == Tool(name="urlContext", dialect="gemini", native={"urlContext": {}})
    assert run == Tool(name="codeExecution", dialect="gemini", native={"codeExecution": {}})
    assert chat.web_search is not None
    assert chat.tool_choice == ToolChoice(mode="required", names=("cat", "ls"))


@pytest.mark.parametrize(
    ("config", "meant"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "NONE"}, ToolChoice(mode="none")),
        ({"mode": "ANY"}, ToolChoice(mode="required")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode="tool", names=("f",))),
        ({"mode": "VALIDATED", "allowed_function_names": ["f"]}, ToolChoice(mode="auto", names=("f",))),
        ({"mode": "MODE_UNSPECIFIED"}, None),
    ],
)
def test_tool_choice(config: dict[str, Any], meant: ToolChoice | None) -> None:
    chat = read({"contents": [{"parts": [{"text": "x"}]}], "toolConfig": {"functionCallingConfig": config}})
    assert chat.tool_choice == meant


@pytest.mark.parametrize(
    ("config", "meant"),
    [
        (types.ThinkingConfig(thinking_budget=100, include_thoughts=True), Reasoning(budget=100)),
        (types.ThinkingConfig(thinking_budget=-1), Reasoning(adaptive=True, hidden=True)),
        (types.ThinkingConfig(thinking_budget=0), Reasoning(budget=0, hidden=True)),
        (types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW), Reasoning(effort="low", hidden=True)),
    ],
)
def test_thinking(api: Loopback, config: types.ThinkingConfig, meant: Reasoning) -> None:
    assert ask(api, "x", thinking_config=config)[0].reasoning == meant


def test_structured_output(api: Loopback) -> None:
    class Recipe(BaseModel):
        name: str
        steps: list[str]

    api.answer = Answer(model=MODEL, choices=[Choice(content=[Text(text='{"name":"a","steps":["b"]}')])])
    chat, answer = ask(api, "x", response_mime_type="application/json", response_schema=Recipe)
    assert chat.format is not None
    assert chat.format.schema is not None
    assert chat.format.schema["properties"]["steps"] == {
        "type": "array",
        "items": {"type": "string"},
        "title": "Steps",
    }
    assert answer.parsed == Recipe(name="a", steps=["b"])
    chat, _ = ask(api, "x", response_mime_type="application/json", response_json_schema=Recipe.model_json_schema())
    assert chat.format == Format(schema=Recipe.model_json_schema(), name="answer")
    chat, _ = ask(api, "x", response_mime_type="application/json")
    assert chat.format == Format()
    schema = types.Schema(type=types.Type.STRING, enum=["a", "b"])
    chat, _ = ask(api, "x", response_mime_type="text/x.enum", response_schema=schema)
    assert chat.format is None
    assert chat.extra["responseSchema"] == {"type": "STRING", "enum": ["a", "b"]}


def test_voice(api: Loopback) -> None:
    chat, _ = ask(
        api,
        "x",
        response_modalities=["AUDIO"],
        speech_config=types.SpeechConfig(
            voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
        ),
    )
    assert (chat.audio, chat.modalities) == ({"voice": "Kore", "format": "pcm16"}, ["audio"])
    chat, _ = ask(api, "x", speech_config=types.SpeechConfig(language_code="de-DE"))
    assert chat.extra["speechConfig"] == {"languageCode": "de-DE"}


def test_whole_answer(api: Loopback) -> None:
    logprobs = {
        "content": [
            {"token": "hé", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "x", "logprob": -2.0}]},
        ]
    }
    cited = Citation(url="https://a.example", title="A", start=3, end=6)
    api.answer = Answer(
        id="r",
        model=MODEL,
        choices=[
            Choice(
                content=[
                    Thinking(text="hm", signature="gemini#AAEC"),
                    Text(text="höh ist", citations=[cited]),
                    Thinking(signature="gemini#AwQF"),
                    ToolCall(id="c1", name="f", arguments='{"a":1}', signature="gemini#BgcI"),
                    ToolCall(id="c2", name="g", arguments="free text", custom=True),
                    Media(kind="image", media_type="image/png", data=base64.b64encode(PNG).decode()),
                ],
                finish="tool_calls",
                logprobs=logprobs,
            ),
            Choice(index=1, content=[Refusal(text="no")], finish="refusal"),
            Choice(index=2, content=[Text(text="cut")], finish="length"),
        ],
        usage=Usage(10, 8, cached=4, reasoning=5, audio_in=3),
    )
    _, answer = ask(api, "x", thinking_config=types.ThinkingConfig(include_thoughts=True))
    assert answer.candidates is not None
    first, second, third = answer.candidates
    assert first.content is not None
    assert first.content.parts is not None
    thought, text, call, custom, image = first.content.parts
    assert (thought.text, thought.thought, thought.thought_signature) == ("hm", True, b"\x00\x01\x02")
    assert (text.text, text.thought_signature) == ("höh ist", b"\x03\x04\x05")
    assert call.function_call == types.FunctionCall(id="c1", name="f", args={"a": 1})
    assert call.thought_signature == b"\x06\x07\x08"
    assert custom.function_call == types.FunctionCall(id="c2", name="g", args={"input": "free text"})
    assert image.inline_data == types.Blob(mime_type="image/png", data=PNG)
    assert first.finish_reason is types.FinishReason.STOP
    metadata = first.grounding_metadata
    assert metadata is not None
    assert metadata.grounding_chunks is not None
    assert metadata.grounding_chunks[0].web == types.GroundingChunkWeb(uri="https://a.example", title="A")
    assert metadata.grounding_supports is not None
    segment = metadata.grounding_supports[0].segment
    assert segment is not None
    assert (segment.start_index, segment.end_index, segment.text) == (4, 7, " is")
    assert first.logprobs_result is not None
    assert first.logprobs_result.chosen_candidates == [types.LogprobsResultCandidate(token="hé", log_probability=-0.5)]
    assert (second.finish_reason, second.index) == (types.FinishReason.SAFETY, 1)
    assert third.finish_reason is types.FinishReason.MAX_TOKENS
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.cached_content_token_count) == (3, 5, 4)
    assert usage.prompt_tokens_details == [
        types.ModalityTokenCount(modality=types.MediaModality.TEXT, token_count=7),
        types.ModalityTokenCount(modality=types.MediaModality.AUDIO, token_count=3),
    ]


def test_thoughts_are_shown_only_to_who_asks_and_proofs_always(api: Loopback) -> None:
    api.answer = Answer(
        model=MODEL,
        choices=[Choice(content=[Thinking(text="hm", signature="gemini#AAEC"), Text(text="yes")])],
    )
    _, answer = ask(api, "x")
    assert answer.candidates is not None
    assert answer.candidates[0].content is not None
    assert answer.candidates[0].content.parts == [
        types.Part(text="", thought_signature=b"\x00\x01\x02"),
        types.Part(text="yes"),
    ]


def test_proofs_of_another_provider_come_back_as_they_left(api: Loopback) -> None:
    thoughts = [
        Thinking(text="hm", signature="anthropic#EqQB/+=="),
        Thinking(redacted="anthropic#abc="),
        Thinking(text="well", signature="gemini#cm91dGVpc2g="),
    ]
    api.answer = Answer(model=MODEL, choices=[Choice(content=[*thoughts, Text(text="yes")])])
    config = types.ThinkingConfig(include_thoughts=True)
    _, answer = ask(api, "x", thinking_config=config)
    assert answer.candidates is not None
    chat, _ = ask(api, [types.Content(role="user", parts=[types.Part(text="x")]), answer.candidates[0].content])
    assert chat.messages[1].content == [*thoughts, Text(text="yes")]


DELTAS = [
    Started(id="r9", model="up", usage=Usage(5, 0)),
    ThinkingDelta(text="hm "),
    ThinkingDelta(text="so", signature="gemini#AAEC"),
    TextDelta(text="hö"),
    TextDelta(text="h"),
    CitationDelta(citation=Citation(url="https://a.example", title="A", start=0, end=2)),
    TextDelta(text="other", choice=1),
    ToolStarted(index=0, id="c1", name="f", signature="gemini#AwQF"),
    ToolStarted(index=1, id="c2", name="g"),
    ToolDelta(index=0, arguments='{"a":'),
    ToolDelta(index=1, arguments='{"b":2'),
    ToolDelta(index=0, arguments="1}"),
    ToolDelta(index=1, arguments="}"),
    MediaDelta(media=Media(kind="image", media_type="image/png", data=base64.b64encode(PNG).decode())),
    Finished(reason="tool_calls"),
    Finished(reason="length", choice=1),
    Used(usage=Usage(5, 9, reasoning=2)),
    Ended(),
]


def test_stream(api: Loopback) -> None:
    api.deltas = list(DELTAS)
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    with api.client() as client:
        chunks = list(client.models.generate_content_stream(model="shown", contents="x", config=config))
    assert all(chunk.model_version == "shown" and chunk.response_id == "r9" for chunk in chunks)
    parts = [
        (candidate.index, part)
        for chunk in chunks
        for candidate in chunk.candidates or ()
        for part in (candidate.content.parts if candidate.content is not None else None) or ()
    ]
    thoughts = [part for _, part in parts if part.thought]
    assert [(part.text, part.thought_signature) for part in thoughts] == [("hm ", None), ("so", b"\x00\x01\x02")]
    said = {at: "".join(p.text or "" for n, p in parts if n == at and not p.thought) for at in (0, 1)}
    assert said == {0: "höh", 1: "other"}
    calls = [part for _, part in parts if part.function_call is not None]
    assert [part.function_call for part in calls] == [
        types.FunctionCall(id="c1", name="f", args={"a": 1}),
        types.FunctionCall(id="c2", name="g", args={"b": 2}),
    ]
    assert [part.thought_signature for part in calls] == [b"\x03\x04\x05", None]
    assert [part.inline_data for _, part in parts if part.inline_data] == [types.Blob(mime_type="image/png", data=PNG)]
    last = chunks[-1]
    assert last.candidates is not None
    assert [(found.index, found.finish_reason) for found in last.candidates] == [
        (0, types.FinishReason.STOP),
        (1, types.FinishReason.MAX_TOKENS),
    ]
    grounding = last.candidates[0].grounding_metadata
    assert grounding is not None
    assert grounding.grounding_supports is not None
    assert grounding.grounding_supports[0].segment == types.Segment(start_index=0, end_index=3, text="hö")
    assert last.usage_metadata is not None
    assert (last.usage_metadata.candidates_token_count, last.usage_metadata.thoughts_token_count) == (7, 2)


def test_stream_as_one_array_is_the_same_as_events() -> None:
    body = b'{"contents":[{"parts":[{"text":"x"}]}]}'
    written = []
    for array in (False, True):
        codec = GeminiClient(array=array)
        writer = codec.writer(codec.read(body), "m")
        written.append(b"".join(writer.write(delta) for delta in DELTAS))
    events = [json.loads(event[6:]) for event in written[0].split(b"\r\n\r\n") if event]
    assert json.loads(written[1]) == events
    assert len(events) > 4
    assert types.GenerateContentResponse.model_validate(events[0])


def test_errors(api: Loopback) -> None:
    api.error = LimitExceeded("Too many requests.", retry_after=3)
    with pytest.raises(genai_errors.ClientError) as caught:
        ask(api, "x")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.message == "Too many requests."
    assert caught.value.details["error"]["details"][-1]["retryDelay"] == "3s"


def test_an_error_ends_a_stream(api: Loopback) -> None:
    api.deltas = [Started(id="r", model="m"), TextDelta(text="half")]
    api.failure = UpstreamError("It broke.", status=503)
    said = []
    with api.client() as client, pytest.raises(genai_errors.APIError) as caught:
        said.extend(chunk.text for chunk in client.models.generate_content_stream(model=MODEL, contents="x"))
    assert said == ["half"]
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")
    writer = GeminiClient(array=True).writer(Chat(messages=[]), "m")
    broken = writer.write(TextDelta(text="half")) + writer.fail(api.failure)
    assert [list(event) for event in json.loads(broken)] == [["candidates", "modelVersion"], ["error"]]


def test_count(api: Loopback) -> None:
    api.tokens = 42
    with api.client() as client:
        assert client.models.count_tokens(model=MODEL, contents="hello you").total_tokens == 42
    assert api.chats[-1].messages == [Message(role="user", content=[Text(text="hello you")])]
    nested = {
        "generateContentRequest": {
            "model": "models/gemini-2.5-flash",
            "contents": [{"parts": [{"text": "x"}]}],
            "systemInstruction": {"parts": [{"text": "y"}]},
        }
    }
    chat = GeminiCountClient().read(json.dumps(nested).encode())
    assert (chat.model, [message.role for message in chat.messages]) == ("gemini-2.5-flash", ["system", "user"])


def test_embeddings(api: Loopback) -> None:
    api.vectors = Embedded(vectors=[[0.25, -1.0], [0.5, 2.0]], usage=Usage(prompt=9))
    config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=2)
    with api.client() as client:
        answer = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
    assert answer.embeddings is not None
    assert [found.values for found in answer.embeddings] == [[0.25, -1.0], [0.5, 2.0]]
    embed = api.embeds[-1]
    assert (embed.inputs, embed.dimensions, embed.task, embed.single) == (["a", "b"], 2, "query", False)
    assert embed.model == "gemini-embedding-001"


def test_one_embedding() -> None:
    codec = GeminiEmbedClient()
    body = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "task_type": "CLUSTERING", "outputDimensionality": 3}
    embed = codec.read_embed(json.dumps(body).encode())
    assert (embed.inputs, embed.dimensions, embed.task, embed.single) == (["ab"], 3, "clustering", True)
    written = json.loads(codec.write_embed(Embedded(vectors=[[1.0, 2.0, 3.0]]), embed))
    assert written == {"embedding": {"values": [1.0, 2.0, 3.0]}}


def test_both_spellings_are_read() -> None:
    camel = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"inline_data": {"mime_type": 1}}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"mime_type": "x"}}}]},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "parametersJsonSchema": {"type": "object", "properties": {"mime_type": {}}}}
                ]
            }
        ],
        "generationConfig": {"maxOutputTokens": 5, "thinkingConfig": {"thinkingBudget": 1}},
        "safetySettings": [],
    }

    def snake(value: Any) -> Any:
        names = {
            "systemInstruction": "system_instruction",
            "inlineData": "inline_data",
            "mimeType": "mime_type",
            "functionCall": "function_call",
            "functionResponse": "function_response",
            "functionDeclarations": "function_declarations",
            "parametersJsonSchema": "parameters_json_schema",
            "generationConfig": "generation_config",
            "maxOutputTokens": "max_output_tokens",
            "thinkingConfig": "thinking_config",
            "thinkingBudget": "thinking_budget",
            "safetySettings": "safety_settings",
        }
        if isinstance(value, dict):
            return {names.get(name, name): snake(inner) for name, inner in value.items()}
        return [snake(item) for item in value] if isinstance(value, list) else value

    assert read(snake(camel)) == read(camel)
    call = read(snake(camel)).messages[2].content[0]
    assert isinstance(call, ToolCall)
    assert json.loads(call.arguments) == {"inline_data": {"mime_type": 1}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": 3}, "contents"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inline_data": {"mime_type": []}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": [1]}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": [{"parts": [{"inlineData": {"data": "AA"}}]}]}, "contents[0].parts[0].inlineData"),
        ({"contents": [{"parts": [{"fileData": {}}]}]}, "contents[0].parts[0].fileData"),
        ({"contents": [{"parts": [{"text": "x"}]}], "tools": [{"teleport": {}}]}, "tools[0]"),
        (
            {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"temperature": "warm"}},
            "generationConfig.temperature",
        ),
        (
            {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"thinkingConfig": {"thinkingLevel": "?"}}},
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
    ],
)
def test_wrong_requests_say_where(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(body)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'"x"'])
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        GeminiClient().read(body)
    with pytest.raises(BadRequest):
        GeminiCountClient().read(body)
    with pytest.raises(BadRequest):
        GeminiEmbedClient().read_embed(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"requests": []},
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}},
        {"requests": [{"content": {"parts": []}}, {"content": {"parts": []}, "taskType": "CLUSTERING"}]},
    ],
)
def test_embeddings_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        GeminiEmbedClient().read_embed(json.dumps(body).encode())
