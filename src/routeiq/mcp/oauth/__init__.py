"""The gateway as a client of servers that ask for OAuth 2.1 tokens."""
