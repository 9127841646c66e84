"""What an MCP server must offer for the official conformance suite, whatever carries its messages.

The scenarios of https://github.com/modelcontextprotocol/conformance name the tools, resources and prompts. Nothing here
is the gateway's: it is the server that the gateway is tested in front of.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
META = "io.modelcontextprotocol/"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
NOTHING: Message = {"type": "object", "properties": {}}
SECRET = b"conformance"
INFO = {"name": "everything", "version": "1.0.0"}

SCHEMA_2020_12: Message = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
TEXTS: Message = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


class Failed(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error: Message = {"code": code, "message": message, **({"data": data} if data is not None else {})}


class Context:
    """One request: who asks, and how to reach them."""

    def __init__(
        self,
        params: Message,
        capabilities: Message,
        tell: Callable[[Message], Awaitable[None]],
        ask: Callable[[str, Message], Awaitable[Message]] | None,
        level: str | None,
    ) -> None:
        """`ask` sends a request to the client; `None` in the stateless revision."""
        self.params = params
        self.capabilities = capabilities
        self.tell = tell
        self.ask = ask
        self.level = level
        self.meta: Message = params.get("_meta") or {}
        self.cut: Callable[[], Awaitable[None]] | None = None
        """Ends the stream before the answer, where that can be gone on with."""

    @property
    def modern(self) -> bool:
        return self.ask is None

    async def notify(self, method: str, params: Message) -> None:
        await self.tell({"jsonrpc": "2.0", "method": method, "params": params})

    async def log(self, text: str) -> None:
        if self.level is not None:
            await self.notify("notifications/message", {"level": "info", "logger": "everything", "data": text})


def text(value: str, **more: Any) -> Message:
    return {"content": [{"type": "text", "text": value}], **more}


def elicit(message: str, properties: Message, required: list[str] | None = None) -> Message:
    schema = {"type": "object", "properties": properties, "required": required or list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(prompt: str, tokens: int = 100) -> Message:
    messages = [{"role": "user", "content": {"type": "text", "text": prompt}}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": tokens}}


def wanted(requests: Message, state: str | None = None) -> Message:
    return {"resultType": "input_required", "inputRequests": requests, **({"requestState": state} if state else {})}


def sealed(value: str) -> str:
    return f"{value}.{hmac.new(SECRET, value.encode(), hashlib.sha256).hexdigest()}"


def opened(state: Any) -> str:
    value, _, mac = str(state).rpartition(".")
    if not hmac.compare_digest(hmac.new(SECRET, value.encode(), hashlib.sha256).hexdigest(), mac):
        raise Failed(-32602, "requestState does not verify")
    return value


class Everything:
    """The server. `changed` is called with a kind of list when that has changed, `updated` with a resource's URI."""

    def __init__(self) -> None:
        self.capabilities: Message = {
            "tools": {"listChanged": True},
            "prompts": {"listChanged": True},
            "resources": {"listChanged": True, "subscribe": True},
            "logging": {},
            "completions": {},
        }
        self.calls: list[Message] = []
        """Parameters of every tools/call."""
        self.changed: set[Callable[[str], None]] = set()
        self.updated: set[Callable[[str], None]] = set()
        self._extra: dict[str, list[str]] = {"tools": [], "prompts": []}
        self._names = itertools.count(1)

    def lists(self, kind: str) -> list[Message]:
        """A whole list."""
        if kind == "tools":
            tools = [
                {"name": name, "description": f"Does what {name} says.", "inputSchema": NOTHING}
                for name in (*_PLAIN, *_INPUT, *self._extra["tools"])
            ]
            tools += [
                {"name": "test_sampling", "description": "Asks the client's model.", "inputSchema": _needs("prompt")},
                {"name": "test_elicitation", "description": "Asks the user.", "inputSchema": _needs("message")},
                {"name": "echo", "description": "Says it again.", "inputSchema": TEXTS},
                {"name": "json_schema_2020_12_tool", "description": "All of 2020-12.", "inputSchema": SCHEMA_2020_12},
                {
                    "name": "test_x_mcp_header",
                    "description": "Has its region in a header.",
                    "inputSchema": {
                        "type": "object",
                        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
                    },
                },
            ]
            return tools
        if kind == "prompts":
            prompts = [
                {"name": name, "description": f"The prompt {name}.", "arguments": [
                    {"name": argument, "description": argument, "required": True} for argument in arguments
                ]}
                for name, arguments in _PROMPTS.items()
            ]  # fmt: skip
            return prompts + [{"name": name, "description": "Added."} for name in self._extra["prompts"]]
        if kind == "resources":
            return [
                {"uri": f"test://{name}", "name": name, "description": f"The {name}.", "mimeType": kind_of}
                for name, kind_of in (
                    ("static-text", "text/plain"),
                    ("static-binary", "image/png"),
                    ("watched-resource", "text/plain"),
                )
            ]
        return [
            {"uriTemplate": "test://template/{id}/data", "name": "template", "description": "A template.",
             "mimeType": "application/json"}
        ]  # fmt: skip

    async def request(self, method: str, context: Context) -> Message:
        """The result of a request. Raises `Failed`."""
        params = context.params
        if method == "tools/call":
            self.calls.append(params)
            return await self._call(str(params.get("name")), params.get("arguments") or {}, context)
        if method in _LISTS:
            kind, member = _LISTS[method]
            return {member: self.lists(kind), **({"ttlMs": 0, "cacheScope": "private"} if context.modern else {})}
        if method == "resources/read":
            return self._read(str(params.get("uri")), context)
        if method == "prompts/get":
            name, arguments = str(params.get("name")), params.get("arguments") or {}
            return await _pushed(lambda: self._prompt(name, arguments, context), context)
        if method == "completion/complete":
            start = str((params.get("argument") or {}).get("value", ""))
            values = [word for word in ("paris", "park", "party") if word.startswith(start)]
            return {"completion": {"values": values, "total": len(values), "hasMore": False}}
        raise Failed(-32601, f"Method not found: {method}")

    def change(self, kind: str) -> None:
        """Add to a list, and say so."""
        self._extra[kind].append(f"added_{next(self._names)}")
        for told in list(self.changed):
            told(kind)

    def update(self, uri: str) -> None:
        """Say that a resource has changed."""
        for told in list(self.updated):
            told(uri)

    async def _call(self, name: str, arguments: Message, context: Context) -> Message:
        if name in _INPUT:
            return await _pushed(lambda: _input_tool(name, context), context)
        match name:
            case "echo":
                return text(str(arguments.get("text")))
            case "test_simple_text":
                return text("This is a simple text response for testing.")
            case "test_image_content":
                return {"content": [{"type": "image", "data": PNG, "mimeType": "image/png"}]}
            case "test_audio_content":
                return {"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]}
            case "test_embedded_resource":
                resource = {
                    "uri": "test://embedded-resource",
                    "mimeType": "text/plain",
                    "text": "This is an embedded resource content.",
                }
                return {"content": [{"type": "resource", "resource": resource}]}
            case "test_multiple_content_types":
                resource = {
                    "uri": "test://mixed-content-resource",
                    "mimeType": "application/json",
                    "text": '{"test":"data","value":123}',
                }
                return {
                    "content": [
                        {"type": "text", "text": "Multiple content types test:"},
                        {"type": "image", "data": PNG, "mimeType": "image/png"},
                        {"type": "resource", "resource": resource},
                    ]
                }
            case "test_tool_with_logging":
                await context.log("Tool execution started")
                await asyncio.sleep(0.05)
                await context.log("Tool processing data")
                await asyncio.sleep(0.05)
                await context.log("Tool execution completed")
                return text("Tool with logging executed successfully")
            case "test_logging_tool":
                await context.log("Logged")
                return text("logged")
            case "test_error_handling":
                return text("This tool intentionally returns an error for testing", isError=True)
            case "test_tool_with_progress":
                token = context.meta.get("progressToken")
                for progress in (0, 50, 100):
                    if token is not None:
                        told = {"progressToken": token, "progress": progress, "total": 100}
                        await context.notify("notifications/progress", told)
                    await asyncio.sleep(0.05)
                return text(str(token))
            case "test_reconnection":
                if context.cut is not None:
                    await context.cut()
                    await asyncio.sleep(0.2)
                return text("Reconnection test completed successfully.")
            case "test_slow":
                await asyncio.sleep(30)
                return text("slow")
            case "test_trigger_tool_change" | "test_trigger_prompt_change":
                self.change("tools" if name == "test_trigger_tool_change" else "prompts")
                return text("changed")
            case "test_update_resource":
                self.update("test://watched-resource")
                return text("updated")
            case "test_missing_capability":
                if "sampling" not in context.capabilities:
                    raise Failed(-32021, "sampling is needed", {"requiredCapabilities": {"sampling": {}}})
                return text("sampling is there")
            case "json_schema_2020_12_tool" | "test_x_mcp_header":
                return text(json.dumps(arguments))
            case "test_streaming_elicitation":
                await context.notify("notifications/progress", {"progressToken": "s", "progress": 1})
                return wanted({"name": elicit("Name?", {"name": {"type": "string"}})})
        try:
            return await self._asking(name, arguments, context)
        except Wanted as more:
            return wanted(more.requests)

    async def _asking(self, name: str, arguments: Message, context: Context) -> Message:
        """Tools that ask the client while they work."""
        needed = "sampling" if name == "test_sampling" else "elicitation"
        if needed not in context.capabilities:
            return text(f"The client has no {needed}.", isError=True)
        match name:
            case "test_sampling":
                answer = await self._ask(context, sample(str(arguments.get("prompt"))))
                return text(f"LLM response: {(answer.get('content') or {}).get('text')}")
            case "test_elicitation":
                fields = {
                    "username": {"type": "string", "description": "User's response"},
                    "email": {"type": "string", "description": "User's email address"},
                }
                answer = await self._ask(context, elicit(str(arguments.get("message")), fields))
                return text(
                    f"User response: action={answer.get('action')}, content={json.dumps(answer.get('content'))}"
                )
            case "test_elicitation_sep1034_defaults":
                fields = {
                    "name": {"type": "string", "default": "John Doe"},
                    "age": {"type": "integer", "default": 30},
                    "score": {"type": "number", "default": 95.5},
                    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
                    "verified": {"type": "boolean", "default": True},
                }
            case "test_elicitation_sep1330_enums":
                options = ["option1", "option2", "option3"]
                titled = [{"const": f"value{n}", "title": t} for n, t in ((1, "First"), (2, "Second"), (3, "Third"))]
                legacy = ["opt1", "opt2", "opt3"]
                fields = {
                    "untitledSingle": {"type": "string", "enum": options},
                    "titledSingle": {"type": "string", "oneOf": titled},
                    "legacyEnum": {"type": "string", "enum": legacy,
                                   "enumNames": ["Option One", "Option Two", "Option Three"]},
                    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
                    "titledMulti": {"type": "array", "items": {"anyOf": titled}},
                }  # fmt: skip
            case _:
                raise Failed(-32602, f"Unknown tool: {name}")
        answer = await self._ask(context, elicit("Please choose", fields, []))
        return text(
            f"Elicitation completed: action={answer.get('action')}, content={json.dumps(answer.get('content'))}"
        )

    async def _ask(self, context: Context, request: Message) -> Message:
        if context.ask is not None:
            return await context.ask(request["method"], request["params"])
        given = _given(context, "input")
        if given is None:
            raise Wanted({"input": request})
        return given

    def _read(self, uri: str, context: Context) -> Message:
        hints: Message = {"ttlMs": 1000, "cacheScope": "public"} if context.modern else {}
        if uri == "test://static-binary":
            return {"contents": [{"uri": uri, "mimeType": "image/png", "blob": PNG}], **hints}
        if uri == "test://static-text":
            content = "This is the content of the static text resource."
        elif uri == "test://watched-resource":
            content = "Watched."
        elif uri.startswith("test://template/") and uri.endswith("/data"):
            ident = uri.removeprefix("test://template/").removesuffix("/data")
            content = json.dumps({"id": ident, "templateTest": True, "data": f"Data for ID: {ident}"})
            return {"contents": [{"uri": uri, "mimeType": "application/json", "text": content}], **hints}
        else:
            raise Failed(-32602 if context.modern else -32002, "Resource not found", {"uri": uri})
        return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": content}], **hints}

    def _prompt(self, name: str, arguments: Message, context: Context) -> Message:
        def said(value: str) -> Message:
            return {"role": "user", "content": {"type": "text", "text": value}}

        match name:
            case "test_simple_prompt":
                return {"messages": [said("This is a simple prompt for testing.")]}
            case "test_prompt_with_arguments":
                one, two = arguments.get("arg1"), arguments.get("arg2")
                return {"messages": [said(f"Prompt with arguments: arg1='{one}', arg2='{two}'")]}
            case "test_prompt_with_embedded_resource":
                resource = {
                    "uri": arguments.get("resourceUri"),
                    "mimeType": "text/plain",
                    "text": "Embedded resource content for testing.",
                }
                first = {"role": "user", "content": {"type": "resource", "resource": resource}}
                return {"messages": [first, said("Please process the embedded resource above.")]}
            case "test_prompt_with_image":
                image = {"type": "image", "data": PNG, "mimeType": "image/png"}
                return {"messages": [{"role": "user", "content": image}, said("Please analyze the image above.")]}
            case "test_input_required_result_prompt":
                given = _given(context, "user_context")
                if given is None:
                    return wanted(
                        {"user_context": elicit("What context should the prompt use?", {"context": {"type": "string"}})}
                    )
                return {"messages": [said(f"Context: {(given.get('content') or {}).get('context')}")]}
        raise Failed(-32602, f"Unknown prompt: {name}")


class Wanted(Exception):
    """A tool of the stateless revision needs to know more."""

    def __init__(self, requests: Message) -> None:
        super().__init__()
        self.requests = requests


async def _pushed(work: Callable[[], Message], context: Context) -> Message:
    """What comes of `work`; in a session what it needs to know is asked of the client."""
    result = work()
    while context.ask is not None and result.get("resultType") == "input_required":
        asked = result["inputRequests"]
        given = await asyncio.gather(*(context.ask(one["method"], one["params"]) for one in asked.values()))
        answers = dict(zip(asked, given, strict=True))
        context.params = {**context.params, "inputResponses": answers, "requestState": result.get("requestState")}
        result = work()
    return result


def _needs(name: str) -> Message:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def _given(context: Context, name: str) -> Message | None:
    """A client's answer, where it has the shape of one."""
    responses = context.params.get("inputResponses")
    value = responses.get(name) if isinstance(responses, dict) else None
    return value if isinstance(value, dict) and value else None


def _input_tool(name: str, context: Context) -> Message:
    """Tools of the stateless revision that need to know more."""
    state = context.params.get("requestState")
    match name.removeprefix("test_input_required_result_"):
        case "elicitation":
            given = _given(context, "user_name")
            if given is None or not isinstance(given.get("content"), dict):
                return wanted({"user_name": elicit("What is your name?", {"name": {"type": "string"}})})
            return text(f"Hello, {given['content'].get('name')}!")
        case "sampling":
            given = _given(context, "capital_question")
            if given is None:
                return wanted({"capital_question": sample("What is the capital of France?")})
            return text(str((given.get("content") or {}).get("text")))
        case "list_roots":
            given = _given(context, "client_roots")
            if given is None:
                return wanted({"client_roots": {"method": "roots/list", "params": {}}})
            return text(f"Roots: {', '.join(str(root.get('uri')) for root in given.get('roots') or [])}")
        case "request_state":
            if _given(context, "confirm") is None:
                return wanted({"confirm": elicit("Please confirm", {"ok": {"type": "boolean"}})}, sealed("confirm"))
            opened(state)
            return text("state-ok")
        case "multiple_inputs":
            names = ("user_name", "greeting", "client_roots")
            if any(_given(context, one) is None for one in names):
                requests = (
                    elicit("What is your name?", {"name": {"type": "string"}}),
                    sample("Generate a greeting", 50),
                    {"method": "roots/list", "params": {}},
                )
                return wanted(dict(zip(names, requests, strict=True)), sealed("multiple"))
            opened(state)
            return text("All inputs are there.")
        case "multi_round":
            if state is None:
                fields = {"name": {"type": "string"}}
                return wanted({"step1": elicit("Step 1: What is your name?", fields)}, sealed("one"))
            if opened(state) == "one":
                fields = {"color": {"type": "string"}}
                return wanted({"step2": elicit("Step 2: What is your favorite color?", fields)}, sealed("two"))
            return text("Both steps are done.")
        case "tampered_state":
            if state is None:
                return wanted({"confirm": elicit("Please confirm", {"ok": {"type": "boolean"}})}, sealed("tamper"))
            opened(state)
            return text("state-ok")
        case _:  # capabilities
            requests = {}
            if "elicitation" in context.capabilities:
                requests["user"] = elicit("Name?", {"name": {"type": "string"}})
            if "sampling" in context.capabilities:
                requests["model"] = sample("Say something")
            return wanted(requests) if requests else text("Nothing can be asked.")


_PLAIN = (
    "test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource",
    "test_multiple_content_types", "test_tool_with_logging", "test_logging_tool", "test_error_handling",
    "test_tool_with_progress", "test_elicitation_sep1034_defaults", "test_elicitation_sep1330_enums",
    "test_reconnection", "test_slow", "test_missing_capability", "test_streaming_elicitation",
    "test_trigger_tool_change", "test_trigger_prompt_change", "test_update_resource",
)  # fmt: skip
_INPUT = tuple(
    f"test_input_required_result_{name}"
    for name in (
        "elicitation", "sampling", "list_roots", "request_state", "multiple_inputs", "multi_round", "tampered_state",
        "capabilities",
    )
)  # fmt: skip
_PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
_LISTS = {
    "tools/list": ("tools", "tools"),
    "prompts/list": ("prompts", "prompts"),
    "resources/list": ("resources", "resources"),
    "resources/templates/list": ("templates", "resourceTemplates"),
}
