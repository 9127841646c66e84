"""Usage in OpenAI's words."""

from __future__ import annotations

from routeiq.core.usage import Usage


def usage_members(usage: Usage) -> dict[str, object]:
    """The `usage` object of an answer. The members for caches at its end are LiteLLM's, in Anthropic's words."""
    written = usage.written + usage.written_1h
    of_prompt = {"cached_tokens": usage.cached, "audio_tokens": usage.audio_in}
    if written:
        of_prompt["cache_write_tokens"] = written
    out: dict[str, object] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": of_prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_out},
    }
    if usage.cached or written:
        out["cache_creation_input_tokens"] = written
        out["cache_read_input_tokens"] = usage.cached
    return out
