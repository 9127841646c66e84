"""The way to MCP servers: channels that carry messages, links that speak a revision over them."""
