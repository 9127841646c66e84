"""OpenAI's Chat Completions, legacy Completions and Embeddings.

https://platform.openai.com/docs/api-reference/chat
"""
