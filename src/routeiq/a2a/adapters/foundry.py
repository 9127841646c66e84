"""Azure AI Foundry Agent Service: https://learn.microsoft.com/en-us/rest/api/aifoundry/aiagents/"""

from __future__ import annotations

from routeiq.a2a.adapters.adapter import Adapter, Asking, Turn, object_of, told
from routeiq.a2a.wire import Json, Unavailable

_BROKEN = ("failed", "cancelled", "expired", "incomplete", "requires_action")
"""How a run ends, or stops, without an answer."""


class Foundry(Adapter):
    """One agent of a project, by its id, with the version of the API behind a `?`."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._whole = False

    def request(self, turns: list[Turn], conversation: str) -> Asking:
        """A run in a thread of its own, with all that was said before."""
        agent, _, version = self.model.partition("?")
        messages = [{"role": role, "content": text} for role, text in turns]
        body = {"assistant_id": agent, "thread": {"messages": messages}, "stream": True}
        return Asking(f"/threads/runs?api-version={version}", body)

    def read(self, data: bytes) -> str:
        """The text of one event: of a message, or of what has become of the run."""
        if data.strip() == b"[DONE]":
            return ""
        event = object_of(data)
        if event.get("error"):
            raise Unavailable(f"The agent failed: {told(event['error'])}")
        if event.get("object") == "thread.run":
            state = event.get("status")
            if state in _BROKEN:
                raise Unavailable(f"The agent failed: {told(event.get('last_error') or state)}")
            self._whole = state == "completed"
        return _text_of(event) if event.get("object") == "thread.message.delta" else ""

    def ended(self) -> None:
        """Whole when the run is said to be completed."""
        if not self._whole:
            raise Unavailable("The agent broke off before its run was complete.")


def _text_of(event: Json) -> str:
    delta = event.get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    texts = (one.get("text") for one in content or () if isinstance(one, dict))
    return "".join(str(text.get("value") or "") for text in texts if isinstance(text, dict))
