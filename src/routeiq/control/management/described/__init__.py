"""Answers of the management API, as the description shows them: LiteLLM's names."""
