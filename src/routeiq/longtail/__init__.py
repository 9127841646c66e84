"""Providers that only LiteLLM's SDK speaks to: a process of its own, so that its weight is nobody else's.

worker ──OpenAI's language on a Unix socket──► face ──► calls ──► litellm ──► provider
"""
