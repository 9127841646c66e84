"""LangGraph's servers: https://docs.langchain.com/langsmith/streaming"""

from __future__ import annotations

from routeiq.a2a.adapters.adapter import Adapter, Asking, Turn, json_of, told
from routeiq.a2a.wire import Unavailable


class LangGraph(Adapter):
    """One assistant."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._said = False

    def request(self, turns: list[Turn], conversation: str) -> Asking:
        """A run without a thread: the conversation is the gateway's."""
        messages = [{"role": role, "content": text} for role, text in turns]
        body = {"assistant_id": self.model, "input": {"messages": messages}, "stream_mode": "messages-tuple"}
        return Asking("/runs/stream", body)

    def read(self, data: bytes) -> str:
        """A message and what is known of it; other events are objects, one that tells a failure has `error`."""
        found = json_of(data)
        if isinstance(found, dict) and "error" in found:
            raise Unavailable(f"The assistant failed: {told(found)}")
        message = found[0] if isinstance(found, list) and found else None
        if not isinstance(message, dict) or message.get("type") not in ("AIMessageChunk", "ai"):
            return ""
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(str(one.get("text", "")) for one in content if isinstance(one, dict))
        self._said = self._said or bool(content)
        return content if isinstance(content, str) else ""

    def ended(self) -> None:
        """A run ends with its stream; one that said nothing has not worked."""
        if not self._said:
            raise Unavailable("The assistant ended without an answer.")
