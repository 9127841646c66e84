"""MCP between clients and servers of any revision: https://modelcontextprotocol.io/specification."""
