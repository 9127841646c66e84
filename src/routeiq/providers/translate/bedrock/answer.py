"""Converse's whole answers, read."""

from __future__ import annotations

from routeiq.providers.translate.bedrock import wire
from routeiq.providers.translate.chat import (
    Answer,
    Block,
    Choice,
    Citation,
    Media,
    Text,
    Thinking,
    ToolCall,
    sealed,
)


def read_answer(body: bytes) -> Answer:
    """A whole answer. Raises `msgspec.DecodeError` for what is none."""
    answer = wire.decode_answer(body)
    content = [read for block in answer.output.message.content if (read := _block(block)) is not None]
    called = any(isinstance(block, ToolCall) for block in content)
    return Answer(
        choices=[
            Choice(
                content=content,
                finish=wire.FINISH.get(answer.stop_reason or "", "tool_calls" if called else "stop"),
                stop_sequence=wire.stopped_by(answer.additional_model_response_fields),
            )
        ],
        usage=answer.usage.usage(answer.service_tier, answer.performance_config) if answer.usage is not None else None,
        service_tier=(answer.service_tier.type or "") if answer.service_tier is not None else "",
    )


def cited(citation: wire.Citation) -> Citation:
    """A source of the answer."""
    web = citation.location.web if citation.location is not None else None
    return Citation(
        text="".join(words.text or "" for words in citation.source_content or ()),
        url=(web.url if web is not None else citation.source) or "",
        title=citation.title or "",
    )


def picture(image: wire.Image) -> Media | None:
    """A generated image; `None` where there is no data."""
    data = image.source.bytes if image.source is not None else None
    return Media(kind="image", media_type=f"image/{image.format or 'png'}", data=data) if data else None


def _block(block: wire.Block) -> Block | None:
    if block.text is not None:
        return Text(text=block.text)
    if block.tool_use is not None and block.tool_use.type is None:
        use = block.tool_use
        return ToolCall(id=use.tool_use_id, name=use.name, arguments=bytes(use.input).decode())
    if block.reasoning_content is not None:
        thought = block.reasoning_content
        shown = thought.reasoning_text or wire.ReasoningText()
        return Thinking(
            text=shown.text,
            signature=sealed("bedrock", shown.signature or ""),
            redacted=sealed("bedrock", thought.redacted_content or ""),
        )
    if block.citations_content is not None:
        found = block.citations_content
        text = "".join(words.text or "" for words in found.content or ())
        return Text(text=text, citations=[cited(citation) for citation in found.citations or ()])
    return picture(block.image) if block.image is not None else None
