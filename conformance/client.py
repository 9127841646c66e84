"""Drives the gateway as the suite's client scenarios want a client to behave: the outbound leg is what is looked at.

The suite starts this with the address of a server it plays. The gateway stands in front of that server; everything it
offers is used once, and whatever it asks is answered.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from support.mcp_agents import AgentsProcess
from support.mcp_client import McpClient, Message

CAPABILITIES: Message = {"elicitation": {"form": {"applyDefaults": True}}, "sampling": {}, "roots": {}}


def value_of(schema: Any) -> Any:
    """Something a schema allows."""
    schema = schema if isinstance(schema, dict) else {}
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return 5
    return {"boolean": True, "array": [], "object": {}}.get(str(kind), "value")


def answer_to(request: Message) -> Message:
    """What a client says to a question."""
    params = request.get("params") or {}
    if request["method"] == "elicitation/create":
        properties = (params.get("requestedSchema") or {}).get("properties") or {}
        return {"action": "accept", "content": {name: value_of(schema) for name, schema in properties.items()}}
    if request["method"] == "sampling/createMessage":
        content = {"type": "text", "text": "Paris"}
        return {"role": "assistant", "content": content, "model": "test", "stopReason": "endTurn"}
    return {"roots": [{"uri": "file:///workspace", "name": "workspace"}]}


def arguments_of(tool: Message, context: Message) -> Message:
    """Arguments for a tool: those the scenario wants, else what its schema allows."""
    for wanted in context.get("toolCalls") or []:
        if wanted.get("name") == tool["name"]:
            return dict(wanted.get("arguments") or {})
    properties = (tool.get("inputSchema") or {}).get("properties") or {}
    return {name: value_of(schema) for name, schema in properties.items()}


def modern(client: McpClient, context: Message) -> None:
    """Use everything, in the stateless revision."""
    client.capabilities = CAPABILITIES
    client.ask("server/discover")
    tools = client.ask("tools/list").get("result", {}).get("tools", [])
    for tool in tools:
        wanted = [one for one in context.get("toolCalls") or [] if one.get("name") == tool["name"]]
        for arguments in [one.get("arguments") or {} for one in wanted] or [arguments_of(tool, context)]:
            rounds(client, "tools/call", {"name": tool["name"], "arguments": arguments}, tool)
    for resource in client.ask("resources/list").get("result", {}).get("resources", []):
        rounds(client, "resources/read", {"uri": resource["uri"]})
    for prompt in client.ask("prompts/list").get("result", {}).get("prompts", []):
        rounds(client, "prompts/get", {"name": prompt["name"]})


def rounds(client: McpClient, method: str, params: Message, tool: Message | None = None) -> None:
    """One request, with what it asks on the way."""
    headers = {}
    for name, schema in ((tool or {}).get("inputSchema", {}).get("properties") or {}).items():
        value = (params.get("arguments") or {}).get(name)
        if isinstance(schema, dict) and "x-mcp-header" in schema and value is not None:
            headers[f"Mcp-Param-{schema['x-mcp-header']}"] = wrapped(value)
    more = params
    for _ in range(8):
        message = client.ask(method, more, headers)
        result = message.get("result") or {}
        if result.get("resultType") != "input_required":
            return
        asked = result.get("inputRequests") or {}
        more = {**params, "inputResponses": {name: answer_to(one) for name, one in asked.items()}}
        if "requestState" in result:
            more["requestState"] = result["requestState"]


def wrapped(value: Any) -> str:
    """A value as a header has it."""
    import base64

    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    plain = text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?base64?")
    return text if plain else f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def legacy(client: McpClient) -> None:
    """Use everything, in a session."""
    client.initialize(**CAPABILITIES)
    for tool in client.result("tools/list").get("result", {}).get("tools", []):
        params = {"name": tool["name"], "arguments": arguments_of(tool, {})}
        answer = client.request("tools/call", params)
        for message in answer.messages():
            if "method" in message and "id" in message:
                client.send({"jsonrpc": "2.0", "id": message["id"], "result": answer_to(message)})
        answer.close()
    client.http("DELETE", headers=client.fields)


def main() -> int:
    """One scenario."""
    url = sys.argv[-1]
    version = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2026-07-28")
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    server: Message = {"url": url, "protocol_version": version if version != "2025-11-25" else "auto", "timeout": 20}
    config = {"mcp_servers": {"server": server}, "routeiq": {"mcp": {"tool_calls": True}}}
    with AgentsProcess(config) as agents:
        client = McpClient(agents, None, "/mcp/server")
        if version == "2026-07-28":
            modern(client, context)
        else:
            legacy(client)
    return 0


if __name__ == "__main__":
    sys.exit(main())
