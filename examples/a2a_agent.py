"""A small A2A 1.0 agent for the walk of docs/a2a.md: it says what it was told, shouting. No dependencies."""

from __future__ import annotations

import json
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 3002
CARD = {
    "name": "Echo",
    "description": "Says what it was told, shouting",
    "version": "1.0.0",
    "supportedInterfaces": [
        {"url": f"http://127.0.0.1:{PORT}/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    ],
    "capabilities": {"streaming": False},
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "skills": [{"id": "shout", "name": "Shout", "description": "Says it louder", "tags": ["echo"]}],
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The JSON-RPC response to a request."""
    if request.get("method") != "SendMessage":
        return {"error": {"code": -32601, "message": "Method not found"}}
    said = request["params"]["message"]
    text = " ".join(part["text"] for part in said["parts"] if "text" in part)
    message = {
        "messageId": str(uuid.uuid4()),
        "contextId": said.get("contextId") or str(uuid.uuid4()),
        "role": "ROLE_AGENT",
        "parts": [{"text": text.upper()}],
    }
    return {"result": {"message": message}}


class Handler(BaseHTTPRequestHandler):
    """The card, and one endpoint."""

    def do_GET(self) -> None:
        """The card."""
        self.reply(CARD if self.path == "/.well-known/agent-card.json" else None)

    def do_POST(self) -> None:
        """One request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply({"jsonrpc": "2.0", "id": request.get("id"), **answer(request)})

    def reply(self, found: dict[str, Any] | None) -> None:
        """JSON, or 404."""
        body = json.dumps(found).encode() if found is not None else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
