"""Vertex AI Agent Engine, agents made with ADK: https://cloud.google.com/agent-builder/agent-engine/use/adk"""

from __future__ import annotations

from routeiq.a2a.adapters.adapter import Adapter, Asking, Turn, object_of, told
from routeiq.a2a.wire import Garbled, Json, Unavailable

USER = "routeiq"
"""Whose sessions they are: what keeps conversations apart is their sessions."""


class AgentEngine(Adapter):
    """One reasoning engine, by the name of its resource."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._said = self._partial = False

    def opening(self, conversation: str) -> Asking | None:
        """A session, which its provider names."""
        body = {"class_method": "async_create_session", "input": {"user_id": USER}}
        return Asking(f"/v1/{self.model}:query", body)

    def opened(self, answer: Json) -> str:
        """Its id."""
        output = answer.get("output")
        session = output.get("id") if isinstance(output, dict) else None
        if not isinstance(session, str) or not session:
            raise Garbled("The agent's session has no id.")
        return session

    def request(self, turns: list[Turn], conversation: str) -> Asking:
        """A query in the session, which remembers what was said before."""
        given = {"user_id": USER, "session_id": conversation, "message": turns[-1][1]}
        body = {"class_method": "async_stream_query", "input": given}
        return Asking(f"/v1/{self.model}:streamQuery?alt=sse", body)

    def read(self, data: bytes) -> str:
        """The text of one event of ADK; pieces are followed by the whole of what they were pieces of."""
        event = object_of(data)
        why = event.get("error_message") or event.get("error") or event.get("error_code")
        if why:
            raise Unavailable(f"The agent failed: {told(why)}")
        text, partial = _text_of(event), bool(event.get("partial"))
        again, self._partial = self._partial and not partial, partial
        self._said = self._said or bool(text)
        return "" if again else text

    def ended(self) -> None:
        """A query ends with its stream; one that said nothing has not worked."""
        if not self._said:
            raise Unavailable("The agent ended without an answer.")
        if self._partial:
            raise Unavailable("The agent broke off before its answer was complete.")


def _text_of(event: Json) -> str:
    content = event.get("content")
    if not isinstance(content, dict) or content.get("role") == "user":
        return ""
    parts = (one for one in content.get("parts") or () if isinstance(one, dict) and not one.get("thought"))
    return "".join(str(one.get("text") or "") for one in parts)
