"""What clients may ask for, in each dialect that can ask for it, in words nobody else uses."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from routeiq.core.snapshot import CHAT, COHERE_CHAT, COMPLETION, GENERATE, MESSAGES, RESPONSES

PNG = base64.b64encode(b"a kept picture").decode()
PDF = base64.b64encode(b"%PDF a kept document").decode()
WAV = base64.b64encode(b"a kept sound").decode()
IMAGE_URL = "https://kept.example/picture.png"
SCHEMA = {"type": "object", "properties": {"kept_city": {"type": "string"}}, "required": ["kept_city"]}


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **more}


def messages(*said: Any, **more: Any) -> dict[str, Any]:
    return {"max_tokens": 9000, **chat(*said), **more}


def completion(**more: Any) -> dict[str, Any]:
    return {"model": "m", "prompt": "hi", **more}


def respond(*items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items) or "hi", **more}


def generate(*contents: Any, config: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    body = {"contents": list(contents) or [{"role": "user", "parts": [{"text": "hi"}]}], **more}
    return {**body, "generationConfig": config} if config is not None else body


def shows(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def parts(*given: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(given)}


@dataclass
class Wish:
    """What is asked for: the words to be found again, and the names it may be refused or left out by."""

    words: tuple[str, ...]
    names: tuple[str, ...]
    bodies: dict[str, dict[str, Any]]


def plain(field: str, value: Any, *clients: str, **others: str) -> Wish:
    """A parameter with one value: `others` are its names in dialects where they differ."""
    bodies = {}
    for client in (*clients, *others):
        name = others.get(client, field)
        bodies[client] = {GENERATE: lambda n: generate(config={n: value}), **BARE}[client](name)
        if client != GENERATE:
            bodies[client][name] = value
    words = value if isinstance(value, list) else [value]
    return Wish(tuple(str(word) for word in words), (field, *others.values()), bodies)


BARE: dict[str, Callable[[str], dict[str, Any]]] = {
    CHAT: lambda _: chat(),
    COMPLETION: lambda _: completion(),
    RESPONSES: lambda _: respond(),
    MESSAGES: lambda _: messages(),
    COHERE_CHAT: lambda _: chat(),
}
FUNCTION = {"name": "kept_tool", "description": "kept about", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CLAUDE_TOOL = {"name": "kept_tool", "description": "kept about", "input_schema": SCHEMA}
RESPONSES_TOOL = {"type": "function", **FUNCTION}
GEMINI_TOOLS = [{"functionDeclarations": [FUNCTION]}]
CALL = {"id": "call_kept", "type": "function", "function": {"name": "kept_tool", "arguments": '{"kept_city":"Oslo7"}'}}
MARK = {"type": "ephemeral"}
CHAT_PNG = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
CLAUDE_PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
CLAUDE_PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
CLAUDE_CALL = {"type": "tool_use", "id": "call_kept", "name": "kept_tool", "input": {"kept_city": "Oslo7"}}
GEMINI_CALL = parts({"functionCall": {"name": "kept_tool", "args": {"kept_city": "Oslo7"}}}, role="model")
ASK = {"role": "user", "content": "hi"}
ASKS = parts({"text": "hi"})
RESPONSES_CALL = {
    "type": "function_call", "call_id": "call_kept", "name": "kept_tool", "arguments": '{"kept_city":"Oslo7"}',
}  # fmt: skip


def claude_result(*content: Any, **more: Any) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": "call_kept", "content": list(content), **more}
    said = [ASK, {"role": "assistant", "content": [CLAUDE_CALL]}, shows(result)]
    return messages(*said, tools=[CLAUDE_TOOL])


WISHES = {
    "temperature": plain(
        "temperature", 0.37, CHAT, COMPLETION, RESPONSES, MESSAGES, COHERE_CHAT, **{GENERATE: "temperature"}
    ),
    "top_p": plain("top_p", 0.61, CHAT, COMPLETION, RESPONSES, MESSAGES, **{COHERE_CHAT: "p", GENERATE: "topP"}),
    "top_k": plain("top_k", 41, CHAT, MESSAGES, COMPLETION, **{COHERE_CHAT: "k", GENERATE: "topK"}),
    "min_p": plain("min_p", 0.0713, CHAT, COMPLETION),
    "stop": plain(
        "stop",
        ["KEPT1", "KEPT2"],
        CHAT,
        COMPLETION,
        **{MESSAGES: "stop_sequences", COHERE_CHAT: "stop_sequences", GENERATE: "stopSequences"},
    ),
    "seed": plain("seed", 987123, CHAT, COMPLETION, COHERE_CHAT, **{GENERATE: "seed"}),
    "n": plain("n", 3, CHAT, COMPLETION, **{GENERATE: "candidateCount"}),
    "presence_penalty": plain(
        "presence_penalty", 0.2377, CHAT, COMPLETION, COHERE_CHAT, **{GENERATE: "presencePenalty"}
    ),
    "frequency_penalty": plain(
        "frequency_penalty", 0.2977, CHAT, COMPLETION, COHERE_CHAT, **{GENERATE: "frequencyPenalty"}
    ),
    "logit_bias": Wish(
        ('"50256":-77',),
        ("logit_bias",),
        {CHAT: chat(logit_bias={"50256": -77}), COMPLETION: completion(logit_bias={"50256": -77})},
    ),
    "max_tokens": plain(
        "max_tokens",
        4321,
        CHAT,
        COMPLETION,
        MESSAGES,
        COHERE_CHAT,
        **{RESPONSES: "max_output_tokens", GENERATE: "maxOutputTokens"},
    ),
    "user": plain("user", "user-kept-77", CHAT, COMPLETION, RESPONSES),
    "safety_identifier": plain("user", "user-kept-77", **{CHAT: "safety_identifier", RESPONSES: "safety_identifier"}),
    "user_id": Wish(('"user-kept-77"',), ("user",), {MESSAGES: messages(metadata={"user_id": "user-kept-77"})}),
    "metadata": Wish(
        ('"label-kept"',),
        ("metadata",),
        {
            CHAT: chat(metadata={"team": "label-kept"}),
            COMPLETION: completion(metadata={"team": "label-kept"}),
            RESPONSES: respond(metadata={"team": "label-kept"}),
            GENERATE: generate(labels={"team": "label-kept"}),
        },
    ),
    "service_tier": plain("service_tier", "priority", CHAT, COMPLETION, RESPONSES),
    "serviceTier": Wish(('"priority"',), ("service_tier",), {GENERATE: generate(serviceTier="priority")}),
    "prompt_cache_key": plain("prompt_cache_key", "cache-kept", CHAT, RESPONSES),
    "prompt_cache_retention": plain("prompt_cache_retention", "24h", CHAT, RESPONSES),
    "verbosity": Wish(
        ('"verbosity":"low"',),
        ("verbosity",),
        {CHAT: chat(verbosity="low"), RESPONSES: respond(text={"verbosity": "low"})},
    ),
    "logprobs": Wish(
        ("ogprobs",),
        ("logprobs", "top_logprobs"),
        {
            CHAT: chat(logprobs=True, top_logprobs=3),
            COMPLETION: completion(logprobs=3),
            RESPONSES: respond(top_logprobs=3),
            GENERATE: generate(config={"responseLogprobs": True, "logprobs": 3}),
            COHERE_CHAT: chat(logprobs=True),
        },
    ),
    "unknown": Wish(
        ('"thing-kept"',),
        ("no_such_thing", "noSuchThing"),
        {
            CHAT: chat(no_such_thing="thing-kept"),
            COMPLETION: completion(no_such_thing="thing-kept"),
            RESPONSES: respond(no_such_thing="thing-kept"),
            MESSAGES: messages(no_such_thing="thing-kept"),
            COHERE_CHAT: chat(no_such_thing="thing-kept"),
            GENERATE: generate(noSuchThing="thing-kept"),
        },
    ),
    "unknown in the configuration": Wish(
        ('"thing-kept"',), ("noSuchThing",), {GENERATE: generate(config={"noSuchThing": "thing-kept"})}
    ),
    "prediction": Wish(
        ("guess-kept",), ("prediction",), {CHAT: chat(prediction={"type": "content", "content": "guess-kept"})}
    ),
    "spoken answer": Wish(
        ('"alloy"',),
        ("audio", "modalities"),
        {
            CHAT: chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "pcm16"}),
            GENERATE: generate(
                config={
                    "responseModalities": ["AUDIO"],
                    "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "alloy"}}},
                }
            ),
        },
    ),
    "safety": Wish(
        ("HARM_CATEGORY_KEPT",),
        ("safety_settings",),
        {GENERATE: generate(safetySettings=[{"category": "HARM_CATEGORY_KEPT", "threshold": "BLOCK_NONE"}])},
    ),
    "system": Wish(
        ("system-kept",),
        (),
        {
            CHAT: chat({"role": "system", "content": "system-kept"}, ASK),
            RESPONSES: respond(instructions="system-kept"),
            MESSAGES: messages(system=[{"type": "text", "text": "system-kept"}]),
            COHERE_CHAT: chat({"role": "system", "content": "system-kept"}, ASK),
            GENERATE: generate(systemInstruction={"parts": [{"text": "system-kept"}]}),
        },
    ),
    "developer in the middle": Wish(
        ("developer-kept", "again-kept"),
        (),
        {
            CHAT: chat(
                ASK, {"role": "developer", "content": "developer-kept"}, {"role": "user", "content": "again-kept"}
            ),
            RESPONSES: respond(
                ASK, {"role": "developer", "content": "developer-kept"}, {"role": "user", "content": "again-kept"}
            ),
        },
    ),
    "a picture in the instructions": Wish(
        (PNG,),
        ("messages",),
        {CHAT: chat({"role": "system", "content": [{"type": "text", "text": "see"}, CHAT_PNG]}, ASK)},
    ),
    "assistant first and last": Wish(
        ("first-kept", "asked-kept", "last-kept"),
        (),
        {
            CHAT: chat(
                {"role": "assistant", "content": "first-kept"},
                {"role": "user", "content": "asked-kept"},
                {"role": "assistant", "content": "last-kept"},
            ),
            MESSAGES: messages(
                {"role": "assistant", "content": "first-kept"},
                {"role": "user", "content": "asked-kept"},
                {"role": "assistant", "content": "last-kept"},
            ),
            GENERATE: generate(
                parts({"text": "first-kept"}, role="model"),
                parts({"text": "asked-kept"}),
                parts({"text": "last-kept"}, role="model"),
            ),
        },
    ),
    "many parts": Wish(
        ("one-kept", "two-kept"),
        (),
        {
            CHAT: chat(shows({"type": "text", "text": "one-kept"}, {"type": "text", "text": "two-kept"})),
            RESPONSES: respond(
                shows({"type": "input_text", "text": "one-kept"}, {"type": "input_text", "text": "two-kept"})
            ),
            MESSAGES: messages(shows({"type": "text", "text": "one-kept"}, {"type": "text", "text": "two-kept"})),
            COHERE_CHAT: chat(shows({"type": "text", "text": "one-kept"}, {"type": "text", "text": "two-kept"})),
            GENERATE: generate(parts({"text": "one-kept"}, {"text": "two-kept"})),
        },
    ),
    "name": Wish(('"ada_kept"',), ("name",), {CHAT: chat({"role": "user", "name": "ada_kept", "content": "hi"})}),
    "picture": Wish(
        (PNG,),
        ("messages",),
        {
            CHAT: chat(shows(CHAT_PNG)),
            RESPONSES: respond(shows({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})),
            MESSAGES: messages(shows(CLAUDE_PNG)),
            COHERE_CHAT: chat(shows(CHAT_PNG)),
            GENERATE: generate(parts({"inlineData": {"mimeType": "image/png", "data": PNG}})),
        },
    ),
    "picture by URL": Wish(
        (IMAGE_URL,),
        ("messages",),
        {
            CHAT: chat(shows({"type": "image_url", "image_url": {"url": IMAGE_URL}})),
            RESPONSES: respond(shows({"type": "input_image", "image_url": IMAGE_URL})),
            MESSAGES: messages(shows({"type": "image", "source": {"type": "url", "url": IMAGE_URL}})),
            COHERE_CHAT: chat(shows({"type": "image_url", "image_url": {"url": IMAGE_URL}})),
            GENERATE: generate(parts({"fileData": {"mimeType": "image/png", "fileUri": IMAGE_URL}})),
        },
    ),
    "detail": Wish(
        ('"low"',),
        ("messages", "detail"),
        {
            CHAT: chat(shows({"type": "image_url", "image_url": {**CHAT_PNG["image_url"], "detail": "low"}})),  # type: ignore[dict-item]
            RESPONSES: respond(
                shows({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"})
            ),
        },
    ),
    "document": Wish(
        (PDF,),
        ("messages",),
        {
            CHAT: chat(
                shows(
                    {
                        "type": "file",
                        "file": {"filename": "kept.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                    }
                )
            ),
            RESPONSES: respond(
                shows({"type": "input_file", "filename": "kept.pdf", "file_data": f"data:application/pdf;base64,{PDF}"})
            ),
            MESSAGES: messages(shows(CLAUDE_PDF)),
            GENERATE: generate(parts({"inlineData": {"mimeType": "application/pdf", "data": PDF}})),
        },
    ),
    "document that is cited": Wish(
        ('"citations":{"enabled":true}',),
        ("messages", "citations"),
        {MESSAGES: messages(shows({**CLAUDE_PDF, "citations": {"enabled": True}}, {"type": "text", "text": "hi"}))},
    ),
    "document of text": Wish(
        ("text-kept", "context-kept"),
        ("messages",),
        {
            MESSAGES: messages(
                shows(
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "text-kept"},
                        "context": "context-kept",
                    }
                )
            ),
        },
    ),
    "context of a document": Wish(
        ("context-kept",),
        ("messages", "context"),
        {MESSAGES: messages(shows({**CLAUDE_PDF, "context": "context-kept"}))},
    ),
    "documents": Wish(
        ("text-kept",), ("documents",), {COHERE_CHAT: chat(documents=[{"id": "d", "data": {"text": "text-kept"}}])}
    ),
    "sound": Wish(
        (WAV,),
        ("messages",),
        {
            CHAT: chat(shows({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}})),
            GENERATE: generate(parts({"inlineData": {"mimeType": "audio/wav", "data": WAV}})),
        },
    ),
    "tools": Wish(
        ("kept_tool", "kept about", "kept_city"),
        ("tools",),
        {
            CHAT: chat(tools=[TOOL]),
            RESPONSES: respond(tools=[RESPONSES_TOOL]),
            MESSAGES: messages(tools=[CLAUDE_TOOL]),
            COHERE_CHAT: chat(tools=[TOOL]),
            GENERATE: generate(tools=GEMINI_TOOLS),
        },
    ),
    "tools of free text": Wish(
        ("kept_tool", "kept about"),
        ("tools",),
        {
            CHAT: chat(tools=[{"type": "custom", "custom": {"name": "kept_tool", "description": "kept about"}}]),
            RESPONSES: respond(tools=[{"type": "custom", "name": "kept_tool", "description": "kept about"}]),
        },
    ),
    "strict": Wish(
        ('"strict":true', '"strict_tools":true'),
        ("tools", "strict"),
        {
            CHAT: chat(tools=[{"type": "function", "function": {**FUNCTION, "strict": True}}]),
            RESPONSES: respond(tools=[{**RESPONSES_TOOL, "strict": True}]),
            MESSAGES: messages(tools=[{**CLAUDE_TOOL, "strict": True}]),
            COHERE_CHAT: chat(tools=[TOOL], strict_tools=True),
        },
    ),
    "must call": Wish(
        ('"required"', '"any"', '"ANY"', '"REQUIRED"', '"any":{}'),
        ("tools", "tool_choice"),
        {
            CHAT: chat(tools=[TOOL], tool_choice="required"),
            RESPONSES: respond(tools=[RESPONSES_TOOL], tool_choice="required"),
            MESSAGES: messages(tools=[CLAUDE_TOOL], tool_choice={"type": "any"}),
            COHERE_CHAT: chat(tools=[TOOL], tool_choice="REQUIRED"),
            GENERATE: generate(tools=GEMINI_TOOLS, toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
        },
    ),
    "one at a time": Wish(
        ('"parallel_tool_calls":false', '"disable_parallel_tool_use":true'),
        ("tools", "parallel_tool_calls"),
        {
            CHAT: chat(tools=[TOOL], parallel_tool_calls=False),
            RESPONSES: respond(tools=[RESPONSES_TOOL], parallel_tool_calls=False),
            MESSAGES: messages(tools=[CLAUDE_TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
        },
    ),
    "calls and results": Wish(
        ("kept_tool", "Oslo7", "result-kept"),
        ("messages", "tools"),
        {
            CHAT: chat(
                ASK,
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_kept", "content": "result-kept"},
                tools=[TOOL],
            ),
            RESPONSES: respond(
                ASK,
                RESPONSES_CALL,
                {"type": "function_call_output", "call_id": "call_kept", "output": "result-kept"},
                tools=[RESPONSES_TOOL],
            ),
            MESSAGES: claude_result({"type": "text", "text": "result-kept"}),
            COHERE_CHAT: chat(
                ASK,
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_kept", "content": "result-kept"},
                tools=[TOOL],
            ),
            GENERATE: generate(
                ASKS,
                GEMINI_CALL,
                parts({"functionResponse": {"name": "kept_tool", "response": {"output": "result-kept"}}}),
                tools=GEMINI_TOOLS,
            ),
        },
    ),
    "picture in a result": Wish(
        (PNG,),
        ("messages", "tools"),
        {
            CHAT: chat(
                ASK,
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_kept", "content": [CHAT_PNG]},
                tools=[TOOL],
            ),
            RESPONSES: respond(
                ASK,
                RESPONSES_CALL,
                {
                    "type": "function_call_output",
                    "call_id": "call_kept",
                    "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
                },
                tools=[RESPONSES_TOOL],
            ),
            MESSAGES: claude_result(CLAUDE_PNG),
            GENERATE: generate(
                ASKS,
                GEMINI_CALL,
                parts(
                    {
                        "functionResponse": {
                            "name": "kept_tool",
                            "response": {},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
                        }
                    }
                ),
                tools=GEMINI_TOOLS,
            ),
        },
    ),
    "a failed tool": Wish(
        ('"is_error":true', '"status":"error"', '"error":', "failed"),
        ("messages", "tools", "is_error"),
        {MESSAGES: claude_result({"type": "text", "text": "no such city"}, is_error=True)},
    ),
    "schema": Wish(
        ("kept_city",),
        ("response_format",),
        {
            CHAT: chat(response_format={"type": "json_schema", "json_schema": {"name": "kept", "schema": SCHEMA}}),
            RESPONSES: respond(text={"format": {"type": "json_schema", "name": "kept", "schema": SCHEMA}}),
            MESSAGES: messages(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
            COHERE_CHAT: chat(response_format={"type": "json_object", "json_schema": SCHEMA}),
            GENERATE: generate(config={"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}),
        },
    ),
    "effort": Wish(
        ('"high"', "thinking", "reasoning", '"think":', '"HIGH"'),
        ("reasoning_effort",),
        {
            CHAT: chat(reasoning_effort="high"),
            RESPONSES: respond(reasoning={"effort": "high"}),
            MESSAGES: messages(thinking={"type": "enabled", "budget_tokens": 4096}),
            COHERE_CHAT: chat(thinking={"type": "enabled", "token_budget": 4096}),
            GENERATE: generate(config={"thinkingConfig": {"thinkingBudget": 4096, "includeThoughts": True}}),
        },
    ),
    "thoughts": Wish(
        ("thought-kept",),
        ("thinking",),
        {
            CHAT: chat(ASK, {"role": "assistant", "content": "so", "reasoning_content": "thought-kept"}, ASK),
            "reasoning": chat(ASK, {"role": "assistant", "content": "so", "reasoning": "thought-kept"}, ASK),
            MESSAGES: messages(
                ASK,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "thought-kept", "signature": "s1g"},
                        {"type": "text", "text": "so"},
                    ],
                },
                ASK,
            ),
            COHERE_CHAT: chat(
                ASK,
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "thought-kept"}, {"type": "text", "text": "so"}],
                },
                ASK,
            ),
        },
    ),
    "hidden thoughts": Wish(
        ("hidden-kept",),
        ("thinking",),
        {
            MESSAGES: messages(
                ASK,
                {
                    "role": "assistant",
                    "content": [{"type": "redacted_thinking", "data": "hidden-kept"}, {"type": "text", "text": "so"}],
                },
                ASK,
            ),
        },
    ),
    "cache marks": Wish(
        ('"cache_control"', '"cachePoint"'),
        ("cache_control",),
        {
            CHAT: chat(shows({"type": "text", "text": "hi", "cache_control": MARK})),
            MESSAGES: messages(shows({"type": "text", "text": "hi", "cache_control": MARK})),
        },
    ),
    "cache marks beside a picture": Wish(
        ('"cache_control"', '"cachePoint"'),
        ("cache_control", "messages"),
        {
            CHAT: chat(shows(CHAT_PNG, {"type": "text", "text": "hi", "cache_control": MARK})),
            MESSAGES: messages(shows({**CLAUDE_PNG, "cache_control": MARK}, {"type": "text", "text": "hi"})),
        },
    ),
    "cache marks on tools": Wish(
        ('"cache_control"', '"cachePoint"'),
        ("cache_control", "tools"),
        {
            CHAT: chat(tools=[{**TOOL, "cache_control": MARK}]),
            MESSAGES: messages(tools=[{**CLAUDE_TOOL, "cache_control": MARK}]),
        },
    ),
    "cache marks on calls": Wish(
        ('"cache_control"', '"cachePoint"'),
        ("cache_control", "tools", "messages"),
        {
            MESSAGES: messages(
                ASK,
                {"role": "assistant", "content": [{**CLAUDE_CALL, "cache_control": MARK}]},
                shows({"type": "tool_result", "tool_use_id": "call_kept", "content": "ok"}),
                tools=[CLAUDE_TOOL],
            )
        },
    ),
    "cache marks on results": Wish(
        ('"cache_control"', '"cachePoint"'),
        ("cache_control", "tools", "messages"),
        {MESSAGES: claude_result({"type": "text", "text": "ok"}, cache_control=MARK)},
    ),
    "cache marks in results": Wish(
        ('"cache_control"', '"cachePoint"'),
        ("cache_control", "tools", "messages"),
        {MESSAGES: claude_result({"type": "text", "text": "ok", "cache_control": MARK})},
    ),
    "beta": Wish(("beta-kept",), ("anthropic-beta:beta-kept",), {MESSAGES: messages(betas=["beta-kept"])}),
    "where to search": Wish(
        ('"Oslo7"',),
        ("web_search_options", "web_search_options.user_location"),
        {
            CHAT: chat(web_search_options={"user_location": {"type": "approximate", "approximate": {"city": "Oslo7"}}}),
            RESPONSES: respond(
                tools=[{"type": "web_search", "user_location": {"type": "approximate", "city": "Oslo7"}}]
            ),
        },
    ),
    "how much to search": Wish(
        ('"search_context_size":"high"',),
        ("web_search_options", "web_search_options.search_context_size"),
        {
            CHAT: chat(web_search_options={"search_context_size": "high"}),
            RESPONSES: respond(tools=[{"type": "web_search", "search_context_size": "high"}]),
        },
    ),
    "what to search": Wish(
        ('"kept.example"',),
        ("web_search_options", "tools", "web_search_options.filters"),
        {
            RESPONSES: respond(tools=[{"type": "web_search", "filters": {"allowed_domains": ["kept.example"]}}]),
            MESSAGES: messages(
                tools=[{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["kept.example"]}]
            ),
        },
    ),
}
