"""The process with MCP: its server on a Unix socket, and what it serves there."""
