"""A small MCP server of revision 2026-07-28, to try the gateway with: `python examples/mcp_server.py [PORT]`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NUMBER = {"type": "number"}
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "inputSchema": {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]},
}
CACHE = {"ttlMs": 0, "cacheScope": "private"}


def answer(method: str, params: dict) -> dict | None:
    """The result of a request, or `None` for one that is not known."""
    if method == "server/discover":
        return {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **CACHE}
    if method == "tools/list":
        return {"tools": [ADD], **CACHE}
    if method == "tools/call" and params.get("name") == "add":
        given = params.get("arguments") or {}
        total = given.get("a", 0) + given.get("b", 0)
        return {"content": [{"type": "text", "text": str(total)}]}
    return None


class Handler(BaseHTTPRequestHandler):
    """One message a POST."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        result = answer(message["method"], message.get("params") or {})
        reply = {"jsonrpc": "2.0", "id": message.get("id")}
        if result is None:
            reply["error"] = {"code": -32601, "message": "Method not found"}
        else:
            reply["result"] = {"resultType": "complete", **result}
        body = json.dumps(reply).encode()
        self.send_response(404 if result is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 3001), Handler).serve_forever()
