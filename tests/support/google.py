"""Gemini's requests held against the types of the `google-genai` SDK."""

from __future__ import annotations

from typing import Any

from google.genai import types


def check(body: dict[str, Any]) -> None:
    """Raises for what the SDK's types do not know: they forbid unknown members."""
    known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"}
    assert set(body) - known <= {"cachedContent", "labels", "serviceTier"}
    for content in body["contents"]:
        types.Content.model_validate(content)
    if "systemInstruction" in body:
        types.Content.model_validate(body["systemInstruction"])
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    for setting in body.get("safetySettings", ()):
        types.SafetySetting.model_validate(setting)
