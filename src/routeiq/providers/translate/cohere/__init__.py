"""Cohere's API, version 2.

https://docs.cohere.com/v2/reference/chat
"""
