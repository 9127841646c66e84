"""Schemas, requests and answers, whatever they hold, are understood or refused; never a fault of ours."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from routeiq.core.errors import BadRequest, UpstreamError
from routeiq.providers.translate.chat import Chat
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.gemini.client import GeminiClient
from routeiq.providers.translate.gemini.provider import GeminiProvider
from routeiq.providers.translate.gemini.schema import to_gemini, to_json_schema, to_openapi

names = st.sampled_from(["a", "b", "type", "const", "$ref"])
kinds = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
leaves = st.one_of(
    st.builds(lambda kind: {"type": kind}, kinds),
    st.builds(lambda several: {"type": several}, st.lists(kinds, min_size=1, max_size=3, unique=True)),
    st.builds(lambda word: {"const": word}, st.text(max_size=3) | st.integers() | st.booleans() | st.none()),
    st.builds(lambda words: {"enum": words}, st.lists(st.text(max_size=3) | st.none() | st.integers(), max_size=3)),
    st.sampled_from(
        [{"$ref": "#/$defs/A"}, {"$ref": "#/definitions/B"}, {"$ref": "#"}, {"$ref": "#/$defs/none"}, {}, True]
    ),
)


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(names, inner, max_size=3)
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(
            lambda found, required: {"type": "object", "properties": found, "required": required},
            properties,
            st.lists(names, max_size=2),
        ),
        st.builds(lambda item: {"type": "array", "items": item, "minItems": 1}, inner),
        st.builds(
            lambda key, found: {key: found, "description": "d"}, st.sampled_from(["anyOf", "oneOf", "allOf"]), several
        ),
    )


schemas = st.builds(
    lambda schema, one, other: {**schema, "$defs": {"A": one}, "definitions": {"B": other}},
    st.recursive(leaves, larger, max_leaves=8).filter(lambda schema: isinstance(schema, dict)),
    st.recursive(leaves, larger, max_leaves=4),
    st.recursive(leaves, larger, max_leaves=4),
)


@given(schemas)
def test_any_schema_becomes_one_that_google_takes(schema: dict[str, Any]) -> None:
    types.Schema.model_validate(to_openapi(schema))
    shown = to_gemini(schema)
    assert "$schema" not in shown
    assert to_gemini(shown) == shown


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "$ref", "properties", "items", "anyOf", "allOf", "required", "enum", "const", "nullable",
                 "propertyOrdering", "$defs", "definitions", "format", "minItems", "additionalProperties", "example"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["properties", "anyOf", "allOf", "type", "required", "$ref", "enum"]), junk))
def test_junk_is_no_fault_of_ours(schema: dict[str, Any]) -> None:
    assert isinstance(to_openapi(schema), dict)
    assert isinstance(to_gemini(schema), dict)
    assert isinstance(to_json_schema(schema), dict)


def test_what_google_describes_is_json_schema() -> None:
    schema = types.Schema(
        type=types.Type.OBJECT,
        properties={
            "a": types.Schema(type=types.Type.STRING, format="enum", enum=["x"], nullable=True, example="x"),
            "b": types.Schema(any_of=[types.Schema(type=types.Type.INTEGER)], nullable=True),
            "c": types.Schema(type=types.Type.ARRAY, items=types.Schema(type=types.Type.NUMBER), max_items=3),
        },
        property_ordering=["c", "a", "b"],
        required=["a"],
    )
    meant = {
        "type": "object",
        "properties": {
            "c": {"type": "array", "items": {"type": "number"}, "maxItems": 3},
            "a": {"type": ["string", "null"], "enum": ["x", None], "examples": ["x"]},
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["a"],
    }
    camel = to_json_schema(schema.model_dump(mode="json", exclude_none=True, by_alias=True))
    snake = to_json_schema(schema.model_dump(mode="json", exclude_none=True))
    assert camel == snake == meant
    assert list(camel["properties"]) == ["c", "a", "b"]
    assert to_json_schema({"type": "ARRAY", "minItems": "2"}) == {"type": "array", "minItems": 2}


def test_too_deep() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    for change in (to_openapi, to_gemini, to_json_schema):
        with pytest.raises(BadRequest, match="too deeply"):
            change(schema)


def test_references_that_would_grow_without_end() -> None:
    definitions = {
        f"A{n}": {"type": "object", "properties": {x: {"$ref": f"#/$defs/A{n + 1}"} for x in "ab"}} for n in range(40)
    }
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A0"}}, "$defs": definitions}
    with pytest.raises(BadRequest, match="too large"):
        to_openapi(schema)
    assert to_gemini(schema) == schema


members = st.sampled_from(
    ["contents", "parts", "text", "role", "inlineData", "mime_type", "data", "fileData", "functionCall", "name", "args",
     "functionResponse", "response", "tools", "function_declarations", "parameters", "toolConfig", "generationConfig",
     "responseSchema", "responseMimeType", "thinkingConfig", "speechConfig", "thoughtSignature", "thought",
     "candidates",
     "content", "finishReason", "index", "groundingMetadata", "groundingSupports", "groundingChunks", "segment",
     "error",
     "startIndex", "endIndex", "partIndex", "groundingChunkIndices", "usageMetadata", "promptTokenCount", "web", "uri",
     "logprobsResult", "chosenCandidates", "topCandidates", "token", "citationMetadata", "citations", "requests"]
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "STOP", "user", "cm91dGVpc", "SPII"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4),
    max_leaves=20,
)
part = st.dictionaries(members, anything, max_size=2)
content = st.fixed_dictionaries({"parts": st.lists(part, max_size=3)})


@given(
    st.fixed_dictionaries({"contents": st.lists(content, max_size=2)}), st.dictionaries(members, anything, max_size=3)
)
def test_any_request_is_read_or_refused(request: dict[str, Any], more: dict[str, Any]) -> None:
    body = json.dumps({**more, **request}).encode()
    try:
        chat = GeminiClient().read(body)
    except BadRequest:
        return
    with contextlib.suppress(BadRequest):
        GeminiProvider().write(chat, Context(provider="gemini", model="gemini-2.0-flash"), Fit("gemini"))


@given(
    st.lists(st.fixed_dictionaries({"content": content}, optional={"finishReason": st.just("STOP")}), max_size=2),
    st.dictionaries(members, anything, max_size=3),
)
def test_any_answer_is_read_or_refused(candidates: list[Any], more: dict[str, Any]) -> None:
    for found in candidates:
        found.update(more)
    body = json.dumps({"candidates": candidates, **more}).encode()
    chat = Chat(messages=[])
    with contextlib.suppress(UpstreamError, msgspec.DecodeError):
        GeminiProvider().read(body, chat)
    with contextlib.suppress(UpstreamError):
        reader = GeminiProvider().reader(chat)
        reader.feed(b"data: " + body + b"\n\n")
        reader.finish()


def test_nested_too_deeply_for_us() -> None:
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    answered = b'{"functionResponse":{"name":"f","response":' + deep + b"}}"
    for body in (
        b'{"contents":[{"parts":[' + answered + b"]}]}",
        b'{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"googleSearch":' + deep + b"}]}",
        b'{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"google_search":' + deep + b"}]}",
    ):
        with contextlib.suppress(BadRequest):
            chat = GeminiClient().read(body)
            GeminiProvider().write(chat, Context(provider="gemini", model="gemini-2.5-pro"), Fit("gemini"))
