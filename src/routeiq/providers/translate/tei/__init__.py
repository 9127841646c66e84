"""Text Embeddings Inference.

https://huggingface.github.io/text-embeddings-inference/
"""
