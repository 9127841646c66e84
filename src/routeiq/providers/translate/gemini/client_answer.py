"""Answers as Gemini's clients read them: whole, and as a stream of server-sent events or of one JSON array.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from typing import Any

import msgspec

from routeiq.core.errors import GatewayError
from routeiq.core.usage import Usage
from routeiq.providers.dialects.gemini import error_body
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Chat,
    Choice,
    Citation,
    CitationDelta,
    Delta,
    Finished,
    Media,
    MediaDelta,
    Native,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolDelta,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.gemini.contents import json_object
from routeiq.providers.translate.gemini.proof import write_proof

_encode = msgspec.json.Encoder().encode
_FINISH = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
}
Part = dict[str, Any]


def write_answer(answer: Answer, chat: Chat) -> bytes:
    """`GenerateContentResponse`; `answer.model` is the name the client asked for."""
    shows = shows_thoughts(chat)
    out: dict[str, Any] = {"candidates": [_candidate(choice, shows) for choice in answer.choices]}
    if answer.usage is not None:
        out["usageMetadata"] = usage_members(answer.usage)
    out["modelVersion"] = answer.model
    if answer.id:
        out["responseId"] = answer.id
    return _encode(out)


def shows_thoughts(chat: Chat) -> bool:
    """Gemini's clients see thoughts only if they ask for them."""
    return chat.reasoning is not None and not chat.reasoning.hidden


def usage_members(usage: Usage) -> dict[str, Any]:
    """`UsageMetadata`."""
    out: dict[str, Any] = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": max(usage.completion - usage.reasoning, 0),
        "totalTokenCount": usage.prompt + usage.completion,
    }
    if usage.cached:
        out["cachedContentTokenCount"] = usage.cached
    if usage.reasoning:
        out["thoughtsTokenCount"] = usage.reasoning
    if usage.audio_in or usage.image_in:
        out["promptTokensDetails"] = _by_modality(usage.prompt, usage.audio_in, usage.image_in)
    if usage.cached_audio or usage.cached_image:
        out["cacheTokensDetails"] = _by_modality(usage.cached, usage.cached_audio, usage.cached_image)
    if usage.audio_out or usage.image_out:
        spoken = usage.completion - usage.reasoning
        out["candidatesTokensDetails"] = _by_modality(spoken, usage.audio_out, usage.image_out)
    return out


def _by_modality(total: int, audio: int, image: int) -> list[dict[str, Any]]:
    counts = {"TEXT": max(total - audio - image, 0), "AUDIO": audio, "IMAGE": image}
    return [{"modality": name, "tokenCount": count} for name, count in counts.items() if count]


def _candidate(choice: Choice, shows: bool) -> dict[str, Any]:
    parts: list[Part] = []
    sources: list[tuple[Citation, int]] = []
    text = ""
    for block in choice.content:
        sources += [(citation, len(parts)) for citation in block.citations] if isinstance(block, Text) else []
        if isinstance(block, (Text, Refusal)):
            text += block.text
        _append(block, parts, shows)
    out: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": _FINISH[choice.finish],
        "index": choice.index,
    }
    if sources:
        out["groundingMetadata"] = grounding([citation for citation, _ in sources], text)
    if choice.logprobs is not None:
        logprobs = _logprobs(choice.logprobs)
        if logprobs is not None:
            out["logprobsResult"] = logprobs
    return out


def _append(block: Block, parts: list[Part], shows: bool) -> None:
    if isinstance(block, (Text, Refusal)):
        if block.text:
            parts.append({"text": block.text})
    elif isinstance(block, Thinking):
        _append_thought(block, parts, shows)
    elif isinstance(block, ToolCall):
        parts.append(call_part(block.id, block.name, block.arguments, block.custom, block.signature))
    elif isinstance(block, Media):
        parts.append(media_part(block))
    elif isinstance(block, Native) and block.dialect == "gemini":
        parts.append(block.value)


def _append_thought(block: Thinking, parts: list[Part], shows: bool) -> None:
    proof = write_proof(block.signature, block.redacted)
    if shows and block.text:
        parts.append({"text": block.text, "thought": True, **({"thoughtSignature": proof} if proof else {})})
    elif proof and block.signature.startswith("gemini#"):
        if parts and "thoughtSignature" not in parts[-1] and "functionCall" not in parts[-1]:
            parts[-1]["thoughtSignature"] = proof
        else:
            parts.append({"text": "", "thoughtSignature": proof})
    elif proof and shows:
        parts.append({"text": "", "thought": True, "thoughtSignature": proof})


def call_part(ident: str, name: str, arguments: str, custom: bool, signature: str) -> Part:
    """A call. What is no JSON object (a custom tool's text, arguments that were cut) stands under `input`."""
    args: Any = None if custom else json_object(arguments or "{}")
    call: Part = {"id": ident, "name": name, "args": {"input": arguments} if args is None else args}
    part: Part = {"functionCall": call}
    proof = write_proof(signature)
    if proof:
        part["thoughtSignature"] = proof
    return part


def media_part(media: Media) -> Part:
    """A generated image or sound; its transcript, where there is one, is the text of an answer without text."""
    if media.data:
        default = "audio/L16;codec=pcm;rate=24000" if media.kind == "audio" else "image/png"
        return {"inlineData": {"mimeType": media.media_type or default, "data": media.data}}
    if media.url or media.file_id:
        file: Part = {"fileUri": media.url or media.file_id}
        if media.media_type:
            file["mimeType"] = media.media_type
        return {"fileData": file}
    return {"text": media.text}


def grounding(citations: list[Citation], text: str) -> dict[str, Any]:
    """`groundingMetadata`: each source once, and which part of the answer (in bytes of UTF-8) it supports."""
    chunks: list[dict[str, Any]] = []
    places: dict[tuple[str, str], int] = {}
    supports: list[dict[str, Any]] = []
    for citation in citations:
        key = (citation.url, citation.title)
        at = places.get(key)
        if at is None:
            at = places[key] = len(chunks)
            if citation.url:
                chunks.append({"web": {"uri": citation.url, "title": citation.title}})
            else:
                chunks.append({"retrievedContext": {"title": citation.title, "text": citation.text}})
        if citation.start is not None and citation.end is not None:
            start = len(text[: citation.start].encode())
            said = text[citation.start : citation.end]
            segment = {"startIndex": start, "endIndex": start + len(said.encode()), "text": said}
            supports.append({"segment": segment, "groundingChunkIndices": [at]})
    out: dict[str, Any] = {"groundingChunks": chunks}
    if supports:
        out["groundingSupports"] = supports
    return out


def _logprobs(shown: Any) -> dict[str, Any] | None:
    """`LogprobsResult` of OpenAI's shape."""
    content = shown.get("content") if isinstance(shown, dict) else None
    if not content:
        return None
    return {
        "chosenCandidates": [_logprob(token) for token in content],
        "topCandidates": [
            {"candidates": [_logprob(top) for top in token.get("top_logprobs", ())]} for token in content
        ],
    }


def _logprob(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token.get("token", ""), "logProbability": token.get("logprob", 0.0)}


class _Call:
    __slots__ = ("custom", "id", "name", "pieces", "signature")

    def __init__(self, started: ToolStarted) -> None:
        self.id = started.id
        self.name = started.name
        self.custom = started.custom
        self.signature = started.signature
        self.pieces: list[str] = []


class EventWriter:
    """`DeltaWriter` of one stream. Calls are told whole, sources and the end with the last event."""

    __slots__ = ("_array", "_begun", "_calls", "_cited", "_finished", "_shows", "_tail", "_texts", "_usage")

    def __init__(self, model: str, *, shows_thoughts: bool, array: bool) -> None:
        self._array = array
        self._begun = False
        self._shows = shows_thoughts
        self._tail = b',"modelVersion":%b}' % _encode(model)
        self._calls: dict[tuple[int, int], _Call] = {}
        """Open calls, by choice and index."""
        self._texts: dict[int, list[str]] = {}
        self._cited: dict[int, list[Citation]] = {}
        self._finished: dict[int, str] = {}
        self._usage: Usage | None = None

    def write(self, delta: Delta) -> bytes:
        if isinstance(delta, TextDelta):
            self._texts.setdefault(delta.choice, []).append(delta.text)
            if delta.logprobs is not None:
                return self._part({"text": delta.text}, delta.choice, _logprobs(delta.logprobs))
            return self._framed(
                b'{"candidates":[{"content":{"parts":[{"text":%b}],"role":"model"},"index":%d}]%b'
                % (_encode(delta.text), delta.choice, self._tail)
            )
        if isinstance(delta, ToolDelta):
            call = self._calls.get((delta.choice, delta.index))
            if call is not None:
                call.pieces.append(delta.arguments)
            return b""
        if isinstance(delta, Started):
            self._usage = delta.usage
            if delta.id:
                self._tail = b',"responseId":%b%b' % (_encode(delta.id), self._tail)
            return b""
        if isinstance(delta, ThinkingDelta):
            parts: list[Part] = []
            _append_thought(
                Thinking(text=delta.text, signature=delta.signature, redacted=delta.redacted), parts, self._shows
            )
            return self._part(parts[0], delta.choice) if parts else b""
        if isinstance(delta, ToolStarted):
            self._calls[delta.choice, delta.index] = _Call(delta)
            return b""
        if isinstance(delta, RefusalDelta):
            return self._part({"text": delta.text}, delta.choice)
        if isinstance(delta, MediaDelta):
            return self._part(media_part(delta.media), delta.choice)
        if isinstance(delta, CitationDelta):
            self._cited.setdefault(delta.choice, []).append(delta.citation)
            return b""
        if isinstance(delta, Finished):
            self._finished[delta.choice] = _FINISH[delta.reason]
            return self._flush(delta.choice)
        if isinstance(delta, Used):
            self._usage = delta.usage
            return b""
        return self._end()

    def fail(self, error: GatewayError) -> bytes:
        body = error_body(error)
        if not self._array:
            return b"data: %b\n\n" % body
        return self._framed(body) + b"]"

    def _part(self, part: Part, choice: int, logprobs: dict[str, Any] | None = None) -> bytes:
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": choice}
        if logprobs is not None:
            candidate["logprobsResult"] = logprobs
        return self._framed(b'{"candidates":[%b]%b' % (_encode(candidate), self._tail))

    def _flush(self, choice: int) -> bytes:
        """The calls of a choice, which are complete now."""
        keys = [key for key in self._calls if key[0] == choice]
        calls = [self._calls.pop(key) for key in keys]
        if not calls:
            return b""
        parts = [call_part(call.id, call.name, "".join(call.pieces), call.custom, call.signature) for call in calls]
        candidate = {"content": {"parts": parts, "role": "model"}, "index": choice}
        return self._framed(b'{"candidates":[%b]%b' % (_encode(candidate), self._tail))

    def _end(self) -> bytes:
        before = b"".join(self._flush(choice) for choice in {choice for choice, _ in self._calls})
        candidates = []
        for choice in sorted(self._finished.keys() | self._cited.keys()):
            candidate: dict[str, Any] = {
                "content": {"parts": [{"text": ""}], "role": "model"},
                "finishReason": self._finished.get(choice, "STOP"),
                "index": choice,
            }
            if choice in self._cited:
                candidate["groundingMetadata"] = grounding(self._cited[choice], "".join(self._texts.get(choice, ())))
            candidates.append(candidate)
        usage = b"" if self._usage is None else b',"usageMetadata":%b' % _encode(usage_members(self._usage))
        last = self._framed(b'{"candidates":%b%b%b' % (_encode(candidates), usage, self._tail))
        return before + last + (b"]" if self._array else b"")

    def _framed(self, event: bytes) -> bytes:
        if not self._array:
            return b"data: %b\r\n\r\n" % event
        head = b",\r\n" if self._begun else b"["
        self._begun = True
        return head + event
