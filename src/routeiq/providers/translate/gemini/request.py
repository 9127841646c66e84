"""A request as Gemini and Vertex AI take it.

https://ai.google.dev/api/generate-content#request-body,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

from typing import Any

from routeiq.providers.translate.chat import Chat, Format, Tool
from routeiq.providers.translate.codec import Context, Fit, settle_search
from routeiq.providers.translate.gemini.contents import Contents
from routeiq.providers.translate.gemini.schema import to_gemini, to_openapi
from routeiq.providers.translate.gemini.thinking import thinking_config, version_of

_PLAIN = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "n": "candidateCount",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "max_tokens": "maxOutputTokens",
}
_IN_CONFIG = (
    "speechConfig",
    "mediaResolution",
    "imageConfig",
    "audioTimestamp",
    "routingConfig",
    "modelSelectionConfig",
    "enableEnhancedCivicAnswers",
    "responseMimeType",
    "responseSchema",
)
"""Members of `generationConfig` that only Gemini has."""
_IN_TOOL_CONFIG = ("retrievalConfig", "includeServerSideToolInvocations")
_AT_TOP = ("cachedContent", "modelArmorConfig")
_SERVED = frozenset(_PLAIN) | {
    "format",
    "reasoning",
    "parallel_tool_calls",
    "modalities",
    "audio",
    "web_search",
    "safety",
    "metadata",
    "service_tier",
    "is_error",
    *_IN_CONFIG,
    *_IN_TOOL_CONFIG,
    *_AT_TOP,
}
_TIERS = {"flex": "flex", "priority": "priority", "default": "standard", "standard": "standard"}
"""https://ai.google.dev/gemini-api/docs/flex-inference"""
_OWN_TOOLS = (("web_search", "googleSearch"), ("web_fetch", "urlContext"), ("code_", "codeExecution"))
"""How others' server-side tools begin (https://docs.claude.com/en/docs/agents-and-tools/tool-use), and Google's."""
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}


def write_request(chat: Chat, context: Context, fit: Fit) -> dict[str, Any]:
    """`GenerateContentRequest` without its model, which stands in the path. Raises `BadRequest`."""
    contents = Contents(context, fit)
    contents.write(chat)
    out: dict[str, Any] = {"contents": contents.turns}
    if contents.system:
        out["systemInstruction"] = {"parts": contents.system}
    _tools(chat, context, fit, out)
    config = _config(chat, context, fit)
    if config:
        out["generationConfig"] = config
    if chat.safety is not None and not fit.leaves_out("safety_settings"):
        out["safetySettings"] = chat.safety
    for name in _AT_TOP:
        if name in chat.extra and not fit.leaves_out(name):
            out[name] = chat.extra[name]
    _labels(chat, context, fit, out)
    fit.settle_rest(chat, _SERVED)
    return out


def _config(chat: Chat, context: Context, fit: Fit) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for field, name in _PLAIN.items():
        value = getattr(chat, field)
        if value is not None and not fit.leaves_out(field):
            config[name] = value
    if chat.stop and not fit.leaves_out("stop"):
        config["stopSequences"] = chat.stop
    if chat.format is not None and not fit.leaves_out("response_format"):
        config.update(_format(chat.format, context))
    if chat.reasoning is not None and not fit.leaves_out("reasoning_effort"):
        thinking = thinking_config(chat.reasoning, context.model)
        if thinking:
            config["thinkingConfig"] = thinking
        elif thinking is None:
            # Clients that always ask for thought (coding agents) must reach models that have none.
            fit.ignore("reasoning_effort")
    if chat.modalities and not fit.leaves_out("modalities"):
        # A spoken answer has no text beside it: https://ai.google.dev/gemini-api/docs/speech-generation
        wanted = ["audio"] if "audio" in chat.modalities else chat.modalities
        if wanted != ["text"]:
            config["responseModalities"] = [name.upper() for name in wanted]
    if chat.audio is not None and not fit.leaves_out("audio"):
        _voice(chat.audio, config, fit)
    for name in _IN_CONFIG:
        if name in chat.extra and not fit.leaves_out(name):
            config[name] = chat.extra[name]
    return config


def _format(wanted: Format, context: Context) -> dict[str, Any]:
    out: dict[str, Any] = {"responseMimeType": "application/json"}
    if wanted.schema is not None:
        if _takes_json_schema(context):
            out["responseJsonSchema"] = to_gemini(wanted.schema)
        else:
            out["responseSchema"] = to_openapi(wanted.schema)
    return out


def _takes_json_schema(context: Context) -> bool:
    """JSON Schema came with Gemini 2.5: https://ai.google.dev/gemini-api/docs/structured-output#model-support"""
    version = version_of(context.model)
    return version == 0 or version >= 2.5


def _voice(audio: dict[str, Any], config: dict[str, Any], fit: Fit) -> None:
    voice = audio.get("voice")
    if isinstance(voice, str):
        config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    if audio.get("format") not in (None, "pcm16"):
        fit.refuse("audio.format", "Gemini speaks pcm16 only")


def _tools(chat: Chat, context: Context, fit: Fit, out: dict[str, Any]) -> None:
    functions: list[dict[str, Any]] = []
    own: dict[str, Any] = {}
    for tool in chat.tools:
        if tool.native is None:
            functions.append(_function(tool, context))
        elif tool.dialect == "gemini" and isinstance(tool.native, dict):
            own.update(tool.native)
        else:
            _foreign(tool, own, fit)
    if chat.web_search is not None and not fit.leaves_out("web_search_options"):
        settle_search(chat.web_search, (), fit)
        own.setdefault("googleSearch", {})
    tools = [{name: value} for name, value in own.items()]
    if functions:
        tools.append({"functionDeclarations": functions})
    if tools:
        out["tools"] = tools
    config: dict[str, Any] = {
        name: chat.extra[name] for name in _IN_TOOL_CONFIG if name in chat.extra and not fit.leaves_out(name)
    }
    if functions:
        calling = _calling(chat, fit)
        if calling:
            config["functionCallingConfig"] = calling
        if chat.parallel_tool_calls is False and not fit.leaves_out("parallel_tool_calls"):
            fit.refuse("parallel_tool_calls", "Gemini can't be kept from calling several tools at once")
    if config:
        out["toolConfig"] = config


def _function(tool: Tool, context: Context) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tool.name}
    if tool.description:
        shown["description"] = tool.description
    schema = tool.parameters
    # An object without properties is refused; a function without parameters has none at all.
    if schema and not (schema.get("type") == "object" and not schema.get("properties") and "$ref" not in schema):
        if _takes_json_schema(context):
            shown["parametersJsonSchema"] = to_gemini(schema)
        else:
            shown["parameters"] = to_openapi(schema)
    return shown


def _foreign(tool: Tool, own: dict[str, Any], fit: Fit) -> None:
    """Another vendor's server-side tool: searching, reading pages and running code are Google's too."""
    native = tool.native if isinstance(tool.native, dict) else {}
    kind = str(native.get("type", ""))
    name = next((ours for start, ours in _OWN_TOOLS if kind.startswith(start)), None)
    if name is None or native.get("allowed_domains"):
        fit.refuse("tools", f"the tool '{tool.name}' runs only at providers that speak {tool.dialect}")
        return
    own[name] = {"excludeDomains": native["blocked_domains"]} if native.get("blocked_domains") else {}


def _calling(chat: Chat, fit: Fit) -> dict[str, Any] | None:
    choice = chat.tool_choice
    if choice is None or fit.leaves_out("tool_choice"):
        return None
    if choice.names and choice.mode != "none":
        # AUTO takes no names; VALIDATED is the mode that lets the model choose among them, or to speak.
        mode = "VALIDATED" if choice.mode == "auto" else "ANY"
        return {"mode": mode, "allowedFunctionNames": list(choice.names)}
    return {"mode": _MODES[choice.mode]}


def _labels(chat: Chat, context: Context, fit: Fit, out: dict[str, Any]) -> None:
    vertex = context.provider.startswith("vertex_ai")
    if chat.metadata and not fit.leaves_out("metadata"):
        if vertex and all(isinstance(value, str) for value in chat.metadata.values()):
            out["labels"] = chat.metadata
        else:
            fit.ignore("metadata")
    if chat.service_tier and chat.service_tier != "auto" and not fit.leaves_out("service_tier"):
        tier = _TIERS.get(chat.service_tier)
        if tier is None or vertex:
            fit.ignore("service_tier")
        else:
            out["serviceTier"] = tier
