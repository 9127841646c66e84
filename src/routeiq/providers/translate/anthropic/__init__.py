"""Anthropic's Messages.

https://docs.claude.com/en/api/messages
"""
