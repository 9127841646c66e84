"""Amazon Bedrock AgentCore: https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference/API_InvokeAgentRuntime.html

What a runtime answers is its author's choice: JSON, or events of it. Text is looked for where the frameworks of AWS's
own samples put it, Strands' stream events among them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from routeiq.a2a.adapters.adapter import Adapter, Asking, Turn, json_of, told
from routeiq.a2a.wire import Unavailable

SESSION = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
"""33 characters at least."""
_MEMBERS = ("result", "response", "output", "completion", "answer", "text", "message", "content")
"""Where the text of an answer is looked for, in this order."""


class AgentCore(Adapter):
    """One runtime, by its ARN, with a qualifier behind a `?` where it has one."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._said = self._streamed = False

    def request(self, turns: list[Turn], conversation: str) -> Asking:
        """An invocation in the conversation's session, which remembers what was said before."""
        arn, _, qualifier = self.model.partition("?")
        target = f"/runtimes/{quote(arn, safe='')}/invocations"
        if qualifier:
            target += f"?qualifier={quote(qualifier, safe='')}"
        return Asking(target, {"prompt": turns[-1][1]}, {SESSION: conversation})

    def read(self, data: bytes) -> str:
        """A piece of the answer, or the whole of one; the whole that follows its pieces is said already."""
        found = json_of(data)
        if isinstance(found, dict) and found.get("error"):
            raise Unavailable(f"The agent failed: {told(found['error'])}")
        if isinstance(found, dict) and isinstance(found.get("event"), dict):
            text = _piece(found["event"])
            self._streamed = self._streamed or bool(text)
        else:
            text = "" if self._streamed else _whole(found)
        self._said = self._said or bool(text)
        return text

    def ended(self) -> None:
        """A runtime says nothing at its end; one that said nothing at all has not worked."""
        if not self._said:
            raise Unavailable("The agent ended without an answer.")


def _piece(event: dict[str, Any]) -> str:
    """Of https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlockDelta.html"""
    block = event.get("contentBlockDelta")
    delta = block.get("delta") if isinstance(block, dict) else None
    text = delta.get("text") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else ""


def _whole(found: Any) -> str:
    """The text of an answer."""
    if isinstance(found, str):
        return found
    if isinstance(found, list):
        return "".join(map(_whole, found))
    if isinstance(found, dict):
        return next((text for name in _MEMBERS if (text := _whole(found.get(name)))), "")
    return ""
