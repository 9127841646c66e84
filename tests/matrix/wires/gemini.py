"""Gemini's generateContent, with the types of the `google-genai` SDK: of AI Studio and of Vertex AI."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.genai import types

from matrix.scenes import ANSWER_TOKENS, PROMPT_TOKENS, Call, Say, Seen
from matrix.wires.wire import REFUSED, Wire, data, decoded, dumped
from support.google import check
from support.tokens import Asked

SIGNATURE = b"proof of a thought"


class GeminiWire(Wire):
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        """Of the path, up to the model."""

    def see(self, asked: Asked) -> Seen:
        body = decoded(asked.body)
        check(body)
        path, _, query = asked.path.partition("?")
        model, _, method = path.rpartition(":")
        assert model == self.prefix + "gemini-2.5-flash", asked.path
        streams = {"generateContent": False, "streamGenerateContent": True}[method]
        assert query == ("alt=sse" if streams else "")
        config = _plain(types.GenerationConfig, body.get("generationConfig", {}))
        thinking = config.get("thinkingConfig", {})
        out = Seen(
            stream=streams,
            system=_text(body.get("systemInstruction", {})),
            max_tokens=config.get("maxOutputTokens"),
            temperature=config.get("temperature"),
            stop=config.get("stopSequences", []),
            schema=config.get("responseJsonSchema") or config.get("responseSchema"),
            thinks=bool(thinking.get("thinkingBudget") and thinking.get("includeThoughts")),
        )
        assert out.schema is None or config["responseMimeType"] == "application/json"
        for content in (_plain(types.Content, content) for content in body["contents"]):
            for part in content["parts"]:
                if "text" in part and content["role"] == "user":
                    out.text = part["text"]
                if "inlineData" in part:
                    out.images.append(base64.urlsafe_b64decode(part["inlineData"]["data"]))
                if "functionCall" in part:
                    out.calls.append(Call(part["functionCall"]["name"], part["functionCall"]["args"]))
                if "functionResponse" in part:
                    (told,) = part["functionResponse"]["response"].values()
                    out.results[part["functionResponse"]["name"]] = told
        for tool in body.get("tools", ()):
            for function in _plain(types.Tool, tool)["functionDeclarations"]:
                out.tools[function["name"]] = function.get("parametersJsonSchema") or function["parameters"]
        return out

    def whole(self, say: Say, seen: Seen) -> bytes:
        return _response(_parts(say), last=True)

    def stream(self, say: Say, seen: Seen) -> list[bytes]:
        parts = _parts(say)
        shown = [_response([part], last=False) for part in parts]
        shown.append(_response([types.Part(text="")], last=True))
        return [data(event).replace(b"\n\n", b"\r\n\r\n") for event in shown]

    def refuse(self) -> bytes:
        return json.dumps({"error": {"code": 429, "message": REFUSED, "status": "RESOURCE_EXHAUSTED"}}).encode()


def _plain(kind: Any, value: dict[str, Any]) -> dict[str, Any]:
    """In one spelling: the API takes the names of members in two."""
    found: dict[str, Any] = kind.model_validate(value).model_dump(by_alias=True, exclude_none=True, mode="json")
    return found


def _parts(say: Say) -> list[types.Part]:
    out = [types.Part(text=say.thought, thought=True)] if say.thought else []
    out += [types.Part(text=piece) for piece in say.text]
    for call in say.calls:
        out.append(types.Part(function_call=types.FunctionCall(name=call.name, args=call.arguments)))
    if say.calls:
        out[-len(say.calls)].thought_signature = SIGNATURE
    return out


def _response(parts: list[types.Part], *, last: bool) -> bytes:
    candidate = types.Candidate(
        content=types.Content(role="model", parts=parts),
        index=0,
        finish_reason=types.FinishReason.STOP if last else None,
    )
    usage = types.GenerateContentResponseUsageMetadata(
        prompt_token_count=PROMPT_TOKENS,
        candidates_token_count=ANSWER_TOKENS,
        total_token_count=PROMPT_TOKENS + ANSWER_TOKENS,
    )
    return dumped(
        types.GenerateContentResponse(
            candidates=[candidate], usage_metadata=usage, model_version="theirs", response_id="r1"
        )
    )


def _text(content: Any) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", ()))
