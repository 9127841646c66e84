"""Gemini's answers, read: whole, and as a stream.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from routeiq.core.errors import UpstreamError
from routeiq.core.usage import Usage
from routeiq.providers import errors
from routeiq.providers.dialects import gemini as dialect
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Choice,
    Citation,
    CitationDelta,
    Delta,
    Ended,
    Finished,
    FinishReason,
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
from routeiq.providers.translate.frames import EventFrames
from routeiq.providers.translate.gemini import wire
from routeiq.providers.translate.gemini.proof import read_proof
from routeiq.providers.translate.media import kind_of

_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "CONTINUATION": "pause",
}
"""https://ai.google.dev/api/generate-content#FinishReason; the rest, and what is new, is `stop`."""
_BROKEN = frozenset(
    (
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    )
)
"""The model failed to say what it wanted: there is no answer."""
_NATIVE = ("executable_code", "code_execution_result", "tool_call", "tool_response")


def read_answer(body: bytes) -> Answer:
    """A whole answer. Raises `msgspec.DecodeError` or `UpstreamError` for what is none."""
    answer = wire.decode_answer(body)
    if not answer.candidates:
        if answer.failed:
            raise dialect.from_event(body, provider="")
        if answer.prompt_feedback is None or not answer.prompt_feedback.block_reason:
            raise errors.broken_answer("", "an answer without candidates")
        choices = [Choice(content=[Refusal(text=_blocked(answer.prompt_feedback))], finish="content_filter")]
    else:
        ids = _Ids(answer.response_id)
        choices = [_choice(candidate, ids) for candidate in answer.candidates]
    return Answer(
        id=answer.response_id or "",
        model=answer.model_version or "",
        choices=choices,
        usage=_usage(answer, answer.model_version or ""),
    )


class _Ids:
    """Ids for calls that come without: the same for the same answer, and no two alike."""

    __slots__ = ("_head", "_made")

    def __init__(self, response: str | None) -> None:
        self._head = response[-24:] if response else secrets.token_hex(8)
        self._made = 0

    def next(self) -> str:
        self._made += 1
        return f"call_{self._head}_{self._made}"


def _choice(candidate: wire.Candidate, ids: _Ids) -> Choice:
    blocks: list[Block] = []
    starts: list[int] = []
    """In characters of the text, by part."""
    length = 0
    called = False
    for part in candidate.content.all_parts() if candidate.content is not None else ():
        starts.append(length)
        last = blocks[-1] if blocks else None
        proof = read_proof(part.thought_signature)
        if part.function_call is not None:
            called = True
            blocks.append(_call(part.function_call, proof, ids))
            continue
        if part.thought:
            if part.text and isinstance(last, Thinking) and last.text and not last.signature:
                last.text += part.text
                last.signature = proof.signature
            elif part.text or proof.signature or proof.redacted:
                blocks.append(Thinking(text=part.text or "", signature=proof.signature, redacted=proof.redacted))
            continue
        if part.text:
            length += len(part.text)
            if isinstance(last, Text):
                last.text += part.text
            else:
                blocks.append(Text(text=part.text))
        elif part.text is None:
            block = _other(part)
            if block is not None:
                blocks.append(block)
        if proof.signature or proof.redacted:
            blocks.append(Thinking(signature=proof.signature, redacted=proof.redacted))
    _cite(candidate, blocks, starts)
    return Choice(
        index=candidate.index or 0,
        content=blocks,
        finish=_finish(candidate, called=called),
        logprobs=_logprobs(candidate.logprobs_result),
    )


def _call(call: wire.FunctionCall, proof: Any, ids: _Ids) -> ToolCall:
    return ToolCall(
        id=call.id or ids.next(),
        name=call.name or "",
        arguments=call.arguments,
        signature=proof.signature,
    )


def _other(part: wire.Part) -> Block | None:
    """An image, sound, a file, or what only Gemini has."""
    if part.inline_data is not None:
        media_type = part.inline_data.mime_type or ""
        return Media(kind=kind_of(media_type), media_type=media_type, data=part.inline_data.data or "")
    if part.file_data is not None:
        media_type = part.file_data.mime_type or ""
        return Media(kind=kind_of(media_type), media_type=media_type, url=part.file_data.file_uri or "")
    native = {wire.camel(name): value for name in _NATIVE if (value := getattr(part, name)) is not None}
    return Native(dialect="gemini", value=native) if native else None


def _finish(candidate: wire.Candidate, *, called: bool) -> FinishReason:
    """Raises `UpstreamError` where the model failed."""
    reason = candidate.finish_reason or "STOP"
    if reason in _BROKEN:
        raise _failed(reason, candidate.finish_message)
    found = _FINISH.get(reason, "stop")
    return "tool_calls" if called and found == "stop" else found


def _failed(reason: str, message: str | None) -> UpstreamError:
    error = errors.broken_answer("", f"no answer ({reason}): {(message or 'the model made a mistake')[:500]}")
    error.code = reason.lower()
    return error


def _blocked(feedback: wire.PromptFeedback) -> str:
    return feedback.block_reason_message or f"The prompt was blocked by the provider ({feedback.block_reason})."


def _usage(answer: wire.Answer, model: str) -> Usage | None:
    if answer.usage_metadata is None:
        return None
    queries = 0
    for candidate in answer.candidates or ():
        if candidate.grounding_metadata is not None:
            queries += len(candidate.grounding_metadata.web_search_queries or ())
    return answer.usage_metadata.usage(dialect.searches(model, queries))


def _logprobs(result: wire.LogprobsResult | None) -> Any:
    """In OpenAI's shape: https://platform.openai.com/docs/api-reference/chat/object"""
    if result is None or not result.chosen_candidates:
        return None
    tops = result.top_candidates or []
    content = []
    for at, chosen in enumerate(result.chosen_candidates):
        others = tops[at].candidates or () if at < len(tops) else ()
        content.append({**_logprob(chosen), "top_logprobs": [_logprob(other) for other in others]})
    return {"content": content, "refusal": None}


def _logprob(found: wire.TokenLogprob) -> dict[str, Any]:
    token = found.token or ""
    return {"token": token, "logprob": found.log_probability or 0.0, "bytes": list(token.encode())}


def _cite(candidate: wire.Candidate, blocks: list[Block], starts: list[int]) -> None:
    """Give the sources to the text."""
    if candidate.citation_metadata is None and candidate.grounding_metadata is None:
        return
    texts = [block for block in blocks if isinstance(block, Text)]
    if texts:
        whole = "".join(block.text for block in texts)
        texts[-1].citations = citations(candidate, whole, starts)


def citations(candidate: wire.Candidate, text: str, starts: list[int]) -> list[Citation]:
    """The sources of a candidate whose answer is `text`; `starts` are the places of its parts in it."""
    out: list[Citation] = []
    cited = candidate.citation_metadata
    if cited is not None:
        for source in cited.citations or cited.citation_sources or ():
            start, end = _characters(text, 0, source.start_index or 0, source.end_index)
            out.append(Citation(url=source.uri or "", title=source.title or "", start=start, end=end))
    grounding = candidate.grounding_metadata
    if grounding is None:
        return out
    sources = [chunk.web or chunk.retrieved_context or chunk.maps for chunk in grounding.grounding_chunks or ()]
    used = set()
    for support in grounding.grounding_supports or ():
        segment = support.segment
        if segment is None:
            continue
        at = segment.part_index or 0
        base = starts[at] if at < len(starts) else 0
        start, end = _characters(text, base, segment.start_index or 0, segment.end_index)
        for index in support.grounding_chunk_indices or ():
            source_of = sources[index] if 0 <= index < len(sources) else None
            if source_of is not None:
                used.add(index)
                out.append(_citation(source_of, start, end))
    out += [_citation(source, None, None) for at, source in enumerate(sources) if source is not None and at not in used]
    return out


def _citation(source: wire.Source, start: int | None, end: int | None) -> Citation:
    return Citation(url=source.uri or "", title=source.title or "", text=source.text or "", start=start, end=end)


def _characters(text: str, base: int, start: int, end: int | None) -> tuple[int | None, int | None]:
    """Offsets in bytes of UTF-8 from `base` as offsets in characters from the start."""
    if end is None:
        return None, None
    if text.isascii():
        return base + start, base + end
    raw = text[base:].encode()
    first = len(raw[:start].decode(errors="ignore"))
    return base + first, base + first + len(raw[start:end].decode(errors="ignore"))


class EventReader:
    """`DeltaReader` of one stream. How each choice ended is kept until the provider closes: there is no end marker."""

    __slots__ = ("_calls", "_cited", "_finish", "_frames", "_ids", "_model", "_open", "_started", "_texts", "_usage")

    def __init__(self) -> None:
        self._frames = EventFrames()
        self._started = False
        self._model = ""
        self._ids = _Ids(None)
        self._calls: dict[int, int] = {}
        """Calls so far, by choice."""
        self._texts: dict[int, list[str]] = {}
        """The answer so far, by choice: sources say which part of it they support."""
        self._cited: set[tuple[int, str, int | None, int | None]] = set()
        self._finish: dict[int, FinishReason] = {}
        self._open: set[int] = set()
        """Choices that have begun and not said why they ended."""
        self._usage: Usage | None = None

    def feed(self, data: bytes) -> list[Delta]:
        out: list[Delta] = []
        for payload in self._frames.feed(data):
            self._event(payload, out)
        return out

    def finish(self) -> list[Delta]:
        out: list[Delta] = []
        rest = self._frames.rest()
        if rest:
            # Google ends every event; a server that does not end the last one is understood nevertheless.
            try:
                self._event(rest, out)
            except UpstreamError:
                return out
        if not self._finish or self._open:
            return out
        for choice, reason in sorted(self._finish.items()):
            called = self._calls.get(choice) and reason == "stop"
            out.append(Finished(reason="tool_calls" if called else reason, choice=choice))
        out.append(Ended())
        return out

    def _event(self, payload: bytes, out: list[Delta]) -> None:
        try:
            answer = wire.decode_answer(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise errors.broken_answer("", "an event that is no piece of an answer") from None
        if answer.failed:
            raise dialect.from_event(payload, provider="")
        usage = _usage(answer, answer.model_version or self._model)
        if not self._started:
            self._started = True
            self._model = answer.model_version or ""
            self._ids = _Ids(answer.response_id)
            self._usage = usage
            out.append(Started(id=answer.response_id or "", model=self._model, usage=usage))
        for candidate in answer.candidates or ():
            self._candidate(candidate, out)
        feedback = answer.prompt_feedback
        if feedback is not None and feedback.block_reason and not answer.candidates:
            self._finish[0] = "content_filter"
            out.append(RefusalDelta(text=_blocked(feedback)))
        if usage is not None:
            usage.estimated = not self._finish or bool(self._open)  # until the answer is whole
        if usage is not None and usage != self._usage:
            if self._usage is not None:
                usage.searches = max(usage.searches, self._usage.searches)
            self._usage = usage
            out.append(Used(usage=usage))

    def _candidate(self, candidate: wire.Candidate, out: list[Delta]) -> None:
        at = candidate.index or 0
        logprobs = _logprobs(candidate.logprobs_result) if candidate.logprobs_result is not None else None
        content = candidate.content
        for part in content.all_parts() if content is not None else ():
            text = part.text
            if text and not part.thought:
                self._texts.setdefault(at, []).append(text)
                out.append(TextDelta(text=text, choice=at, logprobs=logprobs))
                logprobs = None
            elif text is None:
                self._data(part, at, out)
                if part.function_call is not None:
                    continue
            if part.thought_signature is not None or (text and part.thought):
                proof = read_proof(part.thought_signature)
                out.append(
                    ThinkingDelta(
                        text=text or "" if part.thought else "",
                        signature=proof.signature,
                        redacted=proof.redacted,
                        choice=at,
                    )
                )
        if logprobs is not None:
            out.append(TextDelta(text="", choice=at, logprobs=logprobs))
        if candidate.grounding_metadata is not None or candidate.citation_metadata is not None:
            for citation in citations(candidate, "".join(self._texts.get(at, ())), []):
                key = (at, citation.url or citation.title, citation.start, citation.end)
                if key not in self._cited:
                    self._cited.add(key)
                    out.append(CitationDelta(citation=citation, choice=at))
        if candidate.finish_reason is not None:
            self._finish[at] = _finish(candidate, called=False)
            self._open.discard(at)
        elif at not in self._finish:
            self._open.add(at)

    def _data(self, part: wire.Part, at: int, out: list[Delta]) -> None:
        call = part.function_call
        if call is not None:
            index = self._calls.get(at, 0)
            self._calls[at] = index + 1
            out.append(
                ToolStarted(
                    index=index,
                    id=call.id or self._ids.next(),
                    name=call.name or "",
                    signature=read_proof(part.thought_signature).signature,
                    choice=at,
                )
            )
            out.append(ToolDelta(index=index, arguments=call.arguments, choice=at))
            return
        block = _other(part)
        if isinstance(block, Media):
            out.append(MediaDelta(media=block, choice=at))
