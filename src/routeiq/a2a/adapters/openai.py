"""Any model behind Chat Completions: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from routeiq.a2a.adapters.adapter import Adapter, Asking, Turn, object_of, told
from routeiq.a2a.wire import Unavailable


class OpenAi(Adapter):
    """One model."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._finished = ""

    def request(self, turns: list[Turn], conversation: str) -> Asking:
        """https://platform.openai.com/docs/api-reference/chat/create"""
        messages = [{"role": role, "content": text} for role, text in turns]
        return Asking("/chat/completions", {"model": self.model, "messages": messages, "stream": True})

    def read(self, data: bytes) -> str:
        """https://platform.openai.com/docs/api-reference/chat-streaming"""
        if data.strip() == b"[DONE]":
            return ""
        chunk = object_of(data)
        if "error" in chunk:
            raise Unavailable(f"The model failed: {told(chunk['error'])}")
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        self._finished = choice.get("finish_reason") or self._finished
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        return text if isinstance(text, str) else ""

    def ended(self) -> None:
        """Whole with a reason to finish, that is not one to hold the answer back."""
        if not self._finished:
            raise Unavailable("The model broke off before its answer was complete.")
        if self._finished == "content_filter":
            raise Unavailable("The model's provider held its answer back.")
