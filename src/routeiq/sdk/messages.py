"""Messages of a conversation, as the dicts OpenAI's API takes.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def user_message(content: str, *, images: Sequence[str] = ()) -> dict[str, Any]:
    """What the user says; `images` are URLs, of `https:` or `data:`."""
    if not images:
        return {"role": "user", "content": content}
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in images]
    return {"role": "user", "content": [{"type": "text", "text": content}, *pictures]}


def system_message(content: str) -> dict[str, Any]:
    """What the model is told about its task."""
    return {"role": "system", "content": content}


def assistant_message(content: str) -> dict[str, Any]:
    """What the model said before."""
    return {"role": "assistant", "content": content}
