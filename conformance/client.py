"""Drives the gateway as the suite's client scenarios want a client to behave: the outbound leg is what is looked at.

The suite starts this with the address of a server it plays. The gateway stands in front of that server; everything it
offers is used once, and whatever it asks is answered.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

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


def authorize(agents: AgentsProcess, url: str) -> None:
    """What a user's browser does: agree, and go where it is sent."""
    at = McpClient(agents, None, target(url))
    assert at.http("GET").status == 200
    state = parse_qs(urlsplit(url).query)["state"][0]
    at.path = "/v1/mcp/oauth/consent"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    agreed = at.http("POST", urlencode({"state": state}).encode(), form)
    cookie = agreed.headers["set-cookie"].partition(";")[0]
    location = agreed.headers["location"]
    for _ in range(5):
        parts = urlsplit(location)
        if parts.path == "/v1/mcp/oauth/callback":
            at.path = target(location)
            at.http("GET", headers={"Cookie": cookie})
            return
        browser = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=10)
        browser.request("GET", target(location))
        location = urljoin(location, browser.getresponse().getheader("Location") or "/nowhere")


def target(url: str) -> str:
    """Path and query."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def authorized(agents: AgentsProcess, client: McpClient) -> None:
    """Use the server as a user would who is asked to log in when it is needed."""
    place = McpClient(agents, None, "/v1/mcp/server/oauth/server/authorize")
    tools: list[Message] = []
    for _ in range(4):
        tools = client.ask("tools/list").get("result", {}).get("tools", [])
        if tools:
            break
        answer = place.http("GET")
        told = next(answer.messages())
        if answer.status != 200:
            return
        authorize(agents, told["authorization_url"])
    for tool in tools:
        for _ in range(6):
            message = client.ask("tools/call", {"name": tool["name"], "arguments": arguments_of(tool, {})})
            asked = ((message.get("error") or {}).get("data") or {}).get("elicitations")
            if not asked:
                break
            authorize(agents, asked[0]["url"])


def main() -> int:
    """One scenario."""
    url = sys.argv[-1]
    version = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2026-07-28")
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    server: Message = {"url": url, "protocol_version": version if version != "2025-11-25" else "auto", "timeout": 20}
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    own: Message = {"tool_calls": True}
    if scenario.startswith("auth/"):
        server["auth_type"] = "oauth2"
        server |= {name: context[name] for name in ("client_id", "client_secret") if context.get(name)}
        own["client_metadata_url"] = "https://conformance-test.local/client-metadata.json"
    config = {"mcp_servers": {"server": server}, "routeiq": {"mcp": own}}
    with AgentsProcess(config) as agents:
        client = McpClient(agents, None, "/mcp/server")
        if scenario.startswith("auth/"):
            authorized(agents, client)
        elif version == "2026-07-28":
            modern(client, context)
        else:
            legacy(client)
    return 0


if __name__ == "__main__":
    sys.exit(main())
