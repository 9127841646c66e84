"""Clients' sides of the matrix: the vendors' own SDKs, unchanged, pointed at the gateway."""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar, Protocol

import anthropic
import openai
from google import genai
from google.genai import types
from pydantic import BaseModel, ConfigDict

from matrix.client_cohere import CohereClient
from matrix.scenes import (
    ABOUT,
    MAX_TOKENS,
    PNG,
    RESULTS,
    SCHEMA,
    STOP,
    SYSTEM,
    TEMPERATURE,
    TOOLS,
    Call,
    Got,
)

BUDGET = 2048


class Person(BaseModel):
    """What is asked for as structured output."""

    model_config = ConfigDict(extra="forbid")

    name: str
    age: int


class Client(Protocol):
    """One SDK. Every method is one request, or for `tools` two; all may raise the SDK's own errors."""

    too_fast: type[Exception]
    """What a 429 is raised as."""
    broken: tuple[type[Exception], ...]
    """What a stream that ends with an error is raised as."""
    wrong: type[Exception]
    """What a 400 is raised as."""
    finishes: ClassVar[dict[str, str]]
    """How it calls the ends `stop` and `tools`."""

    stops: ClassVar[list[str]]
    """Sequences it asks to stop at."""

    def text(self, model: str, scene: str, *, stream: bool) -> Got: ...

    def tools(self, model: str, scene: str, *, stream: bool) -> tuple[Got, Got]:
        """The turn with the calls, and the one after their results."""

    def image(self, model: str) -> Got: ...

    def structured(self, model: str, *, stream: bool) -> Got: ...

    def reasoning(self, model: str, *, stream: bool) -> Got: ...


class OpenAIClient:
    """Chat Completions."""

    too_fast = openai.RateLimitError
    wrong = openai.BadRequestError
    broken = (openai.APIError,)
    finishes: ClassVar = {"stop": "stop", "tools": "tool_calls"}
    stops: ClassVar = [STOP]

    def __init__(self, url: str, key: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def text(self, model: str, scene: str, *, stream: bool) -> Got:
        messages = [{"role": "system", "content": SYSTEM}, _user(scene)]
        return self._ask(model, messages, stream, max_tokens=MAX_TOKENS, temperature=TEMPERATURE, stop=STOP)

    def tools(self, model: str, scene: str, *, stream: bool) -> tuple[Got, Got]:
        declared = [
            {"type": "function", "function": {"name": name, "description": ABOUT[name], "parameters": schema}}
            for name, schema in TOOLS.items()
        ]
        messages = [_user(scene)]
        first = self._ask(model, messages, stream, tools=declared)
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in first.calls
        ]
        messages.append({"role": "assistant", "tool_calls": calls})
        messages += [{"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.name]} for call in first.calls]
        return first, self._ask(model, messages, stream, tools=declared)

    def image(self, model: str) -> Got:
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "scene: image"}]
        return self._ask(model, [{"role": "user", "content": content}], False)

    def structured(self, model: str, *, stream: bool) -> Got:
        if stream:
            schema = {"name": "person", "schema": SCHEMA, "strict": True}
            return self._ask(
                model,
                [_user("structured output")],
                True,
                response_format={"type": "json_schema", "json_schema": schema},
            )
        messages: Any = [_user("structured output")]
        answer = self._sdk.chat.completions.parse(model=model, messages=messages, response_format=Person)
        parsed = answer.choices[0].message.parsed
        assert parsed is not None
        return Got(text=answer.choices[0].message.content or "", parsed=parsed.model_dump())

    def reasoning(self, model: str, *, stream: bool) -> Got:
        return self._ask(model, [_user("reasoning")], stream, reasoning_effort="high")

    def _ask(self, model: str, messages: Any, stream: bool, **more: Any) -> Got:
        create: Any = self._sdk.chat.completions.create
        got = Got()
        if not stream:
            answer = create(model=model, messages=messages, **more)
            (choice,) = answer.choices
            got.text = choice.message.content or ""
            got.thought = getattr(choice.message, "reasoning_content", None) or ""
            for call in choice.message.tool_calls or ():
                got.calls.append(Call(call.function.name, json.loads(call.function.arguments), call.id))
            got.finish = choice.finish_reason
            got.usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
            return got
        calls: dict[int, list[str]] = {}
        got.pieces = 0
        for chunk in create(
            model=model, messages=messages, stream=True, stream_options={"include_usage": True}, **more
        ):
            if chunk.usage is not None:
                got.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            for choice in chunk.choices:
                got.pieces += bool(choice.delta.content)
                got.text += choice.delta.content or ""
                got.thought += getattr(choice.delta, "reasoning_content", None) or ""
                got.finish = choice.finish_reason or got.finish
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(part.index, ["", "", ""])
                    call[0] += part.id or ""
                    call[1] += part.function.name or ""
                    call[2] += part.function.arguments or ""
        got.calls = [Call(name, json.loads(arguments), ident) for ident, name, arguments in calls.values()]
        return got


class ResponsesClient:
    """Responses, without anything kept by the gateway."""

    too_fast = openai.RateLimitError
    wrong = openai.BadRequestError
    broken = (openai.APIError,)
    finishes: ClassVar = {"stop": "completed", "tools": "completed"}
    stops: ClassVar[list[str]] = []  # the API has none

    def __init__(self, url: str, key: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def text(self, model: str, scene: str, *, stream: bool) -> Got:
        return self._ask(
            model,
            [_user(scene)],
            stream,
            instructions=SYSTEM,
            max_output_tokens=MAX_TOKENS,
            temperature=TEMPERATURE,
        )

    def tools(self, model: str, scene: str, *, stream: bool) -> tuple[Got, Got]:
        declared = [
            {"type": "function", "name": name, "description": ABOUT[name], "parameters": schema, "strict": False}
            for name, schema in TOOLS.items()
        ]
        items: list[Any] = [_user(scene)]
        first = self._ask(model, items, stream, tools=declared)
        items += [
            {
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": json.dumps(call.arguments),
            }
            for call in first.calls
        ]
        items += [
            {"type": "function_call_output", "call_id": call.id, "output": RESULTS[call.name]} for call in first.calls
        ]
        return first, self._ask(model, items, stream, tools=declared)

    def image(self, model: str) -> Got:
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        content = [
            {"type": "input_image", "image_url": url, "detail": "auto"},
            {"type": "input_text", "text": "scene: image"},
        ]
        return self._ask(model, [{"role": "user", "content": content}], False)

    def structured(self, model: str, *, stream: bool) -> Got:
        if stream:
            wanted = {"type": "json_schema", "name": "person", "schema": SCHEMA, "strict": True}
            return self._ask(model, [_user("structured output")], True, text={"format": wanted})
        items: Any = [_user("structured output")]
        answer = self._sdk.responses.parse(model=model, input=items, text_format=Person, store=False)
        assert answer.output_parsed is not None
        return Got(text=answer.output_text, parsed=answer.output_parsed.model_dump())

    def reasoning(self, model: str, *, stream: bool) -> Got:
        return self._ask(model, [_user("reasoning")], stream, reasoning={"effort": "high", "summary": "auto"})

    def _ask(self, model: str, items: Any, stream: bool, **more: Any) -> Got:
        create: Any = self._sdk.responses.create
        got = Got()
        if stream:
            got.pieces = 0
            answer = None
            for number, event in enumerate(create(model=model, input=items, stream=True, store=False, **more)):
                assert event.type == "error" or event.sequence_number == number
                got.pieces += event.type == "response.output_text.delta"
                if event.type in ("response.completed", "response.incomplete", "response.failed"):
                    answer = event.response
            assert answer is not None
        else:
            answer = create(model=model, input=items, store=False, **more)
        got.text = answer.output_text
        got.finish = answer.status
        got.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
        for item in answer.output:
            if item.type == "function_call":
                got.calls.append(Call(item.name, json.loads(item.arguments), item.call_id))
            elif item.type == "reasoning":
                got.thought += "".join(part.text for part in item.summary)
        return got


class AnthropicClient:
    """Messages."""

    too_fast = anthropic.RateLimitError
    wrong = anthropic.BadRequestError
    broken = (anthropic.APIError,)
    finishes: ClassVar = {"stop": "end_turn", "tools": "tool_use"}
    stops: ClassVar = [STOP]

    def __init__(self, url: str, key: str) -> None:
        self._sdk = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)

    def text(self, model: str, scene: str, *, stream: bool) -> Got:
        return self._ask(
            model,
            [_user(scene)],
            stream,
            system=SYSTEM,
            stop_sequences=[STOP],
            extra_body={"temperature": TEMPERATURE},  # the API has it, the SDK no longer
        )

    def tools(self, model: str, scene: str, *, stream: bool) -> tuple[Got, Got]:
        declared = [
            {"name": name, "description": ABOUT[name], "input_schema": schema} for name, schema in TOOLS.items()
        ]
        messages = [_user(scene)]
        first = self._ask(model, messages, stream, tools=declared)
        messages.append(
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
                    for call in first.calls
                ],
            }
        )
        messages.append(
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.name]}
                    for call in first.calls
                ],
            }
        )
        return first, self._ask(model, messages, stream, tools=declared)

    def image(self, model: str) -> Got:
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "scene: image"}]
        return self._ask(model, [{"role": "user", "content": content}], False)

    def structured(self, model: str, *, stream: bool) -> Got:
        wanted = {"format": {"type": "json_schema", "schema": SCHEMA}}
        got = self._ask(model, [_user("structured output")], stream, output_config=wanted)
        got.parsed = json.loads(got.text)
        return got

    def reasoning(self, model: str, *, stream: bool) -> Got:
        thinking = {"type": "enabled", "budget_tokens": BUDGET}
        return self._ask(model, [_user("reasoning")], stream, thinking=thinking)

    def _ask(self, model: str, messages: Any, stream: bool, **more: Any) -> Got:
        sdk: Any = self._sdk.messages
        got = Got()
        if stream:
            with sdk.stream(model=model, max_tokens=MAX_TOKENS, messages=messages, **more) as events:
                got.pieces = sum(event.type == "text" for event in events)
                answer = events.get_final_message()
        else:
            answer = sdk.create(model=model, max_tokens=MAX_TOKENS, messages=messages, **more)
        for block in answer.content:
            if block.type == "text":
                got.text += block.text
            elif block.type == "thinking":
                got.thought += block.thinking
            elif block.type == "tool_use":
                got.calls.append(Call(block.name, block.input, block.id))
        got.finish = answer.stop_reason
        got.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
        return got


class GeminiClient:
    """generateContent."""

    too_fast = genai.errors.ClientError
    wrong = genai.errors.ClientError
    broken = (genai.errors.APIError,)
    finishes: ClassVar = {"stop": "STOP", "tools": "STOP"}
    stops: ClassVar = [STOP]

    def __init__(self, url: str, key: str) -> None:
        self._sdk = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))

    def text(self, model: str, scene: str, *, stream: bool) -> Got:
        return self._ask(
            model,
            [_says(types.Part(text=f"scene: {scene}"))],
            stream,
            system_instruction=SYSTEM,
            max_output_tokens=MAX_TOKENS,
            temperature=TEMPERATURE,
            stop_sequences=[STOP],
        )

    def tools(self, model: str, scene: str, *, stream: bool) -> tuple[Got, Got]:
        declared = [
            types.FunctionDeclaration(name=name, description=ABOUT[name], parameters_json_schema=schema)
            for name, schema in TOOLS.items()
        ]
        tools = [types.Tool(function_declarations=declared)]
        contents = [_says(types.Part(text=f"scene: {scene}"))]
        first = self._ask(model, contents, stream, tools=tools)
        asked = [
            types.Part(function_call=types.FunctionCall(id=call.id or None, name=call.name, args=call.arguments))
            for call in first.calls
        ]
        told = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id or None, name=call.name, response={"output": RESULTS[call.name]}
                )
            )
            for call in first.calls
        ]
        contents += [types.Content(role="model", parts=asked), types.Content(role="user", parts=told)]
        return first, self._ask(model, contents, stream, tools=tools)

    def image(self, model: str) -> Got:
        image = types.Part(inline_data=types.Blob(mime_type="image/png", data=PNG))
        return self._ask(model, [_says(image, types.Part(text="scene: image"))], False)

    def structured(self, model: str, *, stream: bool) -> Got:
        contents = [_says(types.Part(text="scene: structured output"))]
        got = self._ask(model, contents, stream, response_mime_type="application/json", response_json_schema=SCHEMA)
        got.parsed = json.loads(got.text)
        return got

    def reasoning(self, model: str, *, stream: bool) -> Got:
        thinking = types.ThinkingConfig(thinking_budget=BUDGET, include_thoughts=True)
        return self._ask(
            model,
            [_says(types.Part(text="scene: reasoning"))],
            stream,
            thinking_config=thinking,
            max_output_tokens=MAX_TOKENS,
        )

    def _ask(self, model: str, contents: Any, stream: bool, **config: Any) -> Got:
        how = types.GenerateContentConfig(
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config
        )
        if stream:
            answers = self._sdk.models.generate_content_stream(model=model, contents=contents, config=how)
        else:
            answers = iter((self._sdk.models.generate_content(model=model, contents=contents, config=how),))
        got = Got(pieces=0)
        for answer in answers:
            for candidate in answer.candidates or ():
                got.finish = candidate.finish_reason.name if candidate.finish_reason else got.finish
                for part in (candidate.content.parts if candidate.content else None) or ():
                    if part.text and part.thought:
                        got.thought += part.text
                    elif part.text:
                        got.text += part.text
                        got.pieces += 1
                    if part.function_call is not None:
                        call = part.function_call
                        got.calls.append(Call(call.name or "", call.args or {}, call.id or ""))
            if answer.usage_metadata is not None:
                usage = answer.usage_metadata
                got.usage = (usage.prompt_token_count or 0, usage.candidates_token_count or 0)
        return got


def _user(scene: str) -> dict[str, Any]:
    return {"role": "user", "content": f"scene: {scene}"}


def _says(*parts: types.Part) -> types.Content:
    return types.Content(role="user", parts=list(parts))


CLIENTS: dict[str, type[Any]] = {
    "openai": OpenAIClient,
    "responses": ResponsesClient,
    "anthropic": AnthropicClient,
    "gemini": GeminiClient,
    "cohere": CohereClient,
}
