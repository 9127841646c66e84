"""The pieces of a stream put together again: the first choice as one that came whole."""

from __future__ import annotations

from typing import Any

from routeiq.providers.translate.chat import (
    Block,
    Choice,
    CitationDelta,
    Delta,
    Finished,
    MediaDelta,
    Refusal,
    RefusalDelta,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolDelta,
    ToolStarted,
)


class Collector:
    """Takes deltas, gives their choice."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._pieces: dict[int, list[str]] = {}
        """Of the text of blocks, by position."""
        self._calls: dict[int, int] = {}
        """Positions of calls, by their index in the stream."""
        self._logprobs: list[Any] = []
        self._finish = Finished()

    def add(self, delta: Delta) -> None:
        """One more piece."""
        if isinstance(delta, TextDelta):
            if delta.choice == 0:
                self._more(Text, delta.text)
                if isinstance(delta.logprobs, dict):
                    self._logprobs += delta.logprobs.get("content") or []
        elif isinstance(delta, ToolDelta):
            if delta.choice == 0 and delta.index in self._calls:
                self._pieces[self._calls[delta.index]].append(delta.arguments)
        elif isinstance(delta, ThinkingDelta):
            if delta.choice == 0:
                self._think(delta)
        elif isinstance(delta, ToolStarted):
            if delta.choice == 0:
                self._calls[delta.index] = len(self._blocks)
                self._open(
                    ToolCall(id=delta.id, name=delta.name, arguments="", custom=delta.custom, signature=delta.signature)
                )
        elif isinstance(delta, RefusalDelta):
            if delta.choice == 0:
                self._more(Refusal, delta.text)
        elif isinstance(delta, CitationDelta):
            texts = [block for block in self._blocks if isinstance(block, Text)]
            if delta.choice == 0 and texts:
                texts[-1].citations = [*texts[-1].citations, delta.citation]
        elif isinstance(delta, MediaDelta):
            if delta.choice == 0:
                self._blocks.append(delta.media)
        elif isinstance(delta, Finished) and delta.choice == 0:
            self._finish = delta

    def choice(self) -> Choice:
        """What it comes to; no pieces may be added afterwards."""
        for place, pieces in self._pieces.items():
            block, text = self._blocks[place], "".join(pieces)
            if isinstance(block, ToolCall):
                block.arguments = text
            elif isinstance(block, (Text, Thinking, Refusal)):
                block.text = text
        return Choice(
            content=self._blocks,
            finish=self._finish.reason,
            stop_sequence=self._finish.stop_sequence,
            logprobs={"content": self._logprobs} if self._logprobs else None,
        )

    def _open(self, block: Block) -> None:
        self._pieces[len(self._blocks)] = []
        self._blocks.append(block)

    def _more(self, kind: type[Text] | type[Thinking] | type[Refusal], text: str) -> None:
        """More of the last block, where it is of this kind and not over, else of a new one."""
        last = self._blocks[-1] if self._blocks else None
        if not isinstance(last, kind) or (isinstance(last, Thinking) and (last.signature or last.redacted)):
            if not text:
                return
            self._open(kind(text=""))
        self._pieces[len(self._blocks) - 1].append(text)

    def _think(self, delta: ThinkingDelta) -> None:
        self._more(Thinking, delta.text)
        if delta.signature or delta.redacted:
            last = self._blocks[-1] if self._blocks else None
            if not isinstance(last, Thinking) or last.signature or last.redacted:
                self._open(Thinking())
                last = self._blocks[-1]
            assert isinstance(last, Thinking)
            last.signature, last.redacted = delta.signature, delta.redacted
