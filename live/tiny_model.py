"""Makes a llama of random weights that writes printable letters, and calls tools where there are some: a real model
file, of half a megabyte.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH, HEADS, LAYERS, INNER, CONTEXT = 64, 4, 2, 128, 8192
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tools|>", "<tool_call>\n", "</tool_call>"]
END, TURN_END, TOOLS, CALL = 0, 2, 3, 4
TEMPLATE = """{%- if tools %}<|im_start|>system
Functions:{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
Call one with <tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == "assistant" and message.tool_calls %}<|im_start|>assistant
{{ message.content or "" }}
{%- for tool_call in message.tool_calls %}
{%- set call = tool_call.function or tool_call %}
<tool_call>
{"name": "{{ call.name }}", "arguments": {{ call.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% elif message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if tools %}<|tools|>{% endif %}{% endif %}"""
"""Qwen's form of conversations, but for a mark at the end when there are tools: the model calls one then."""


def byte_letters() -> list[str]:
    """The letter GPT-2's vocabulary has for each byte: https://github.com/openai/gpt-2/blob/master/src/encoder.py"""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def make(path: Path) -> None:
    """Write the model to `path`."""
    random = np.random.default_rng(7)
    letters = byte_letters()
    merged = letters[ord("t")] + letters[ord("h")]
    tokens = [*letters, merged, *SPECIAL]
    size = len(tokens)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    first = size - len(SPECIAL)
    kinds = [TokenType.CONTROL] * CALL + [TokenType.USER_DEFINED] * (len(SPECIAL) - CALL)
    writer.add_token_types([TokenType.NORMAL] * first + kinds)
    writer.add_token_merges([f"{merged[0]} {merged[1]}"])
    writer.add_bos_token_id(first + END)
    writer.add_eos_token_id(first + TURN_END)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    # The first dimension is written by the mark alone, and read by the call alone.
    embedding = weights(size, WIDTH)
    embedding[:, 0] = 0
    embedding[first + TOOLS, 0] = 100
    writer.add_tensor("token_embd.weight", embedding)
    head = np.zeros((size, WIDTH), np.float32)
    head[32:127] = 8 * weights(95, WIDTH)  # only what can be printed is ever likely
    head[:, 0] = 0
    head[first + CALL, 0] = 100
    writer.add_tensor("output.weight", head)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", weights(WIDTH, WIDTH))
        for name, width in (("attn_output", WIDTH), ("ffn_down", INNER)):
            written = weights(WIDTH, width)
            written[0] = 0
            writer.add_tensor(f"blk.{layer}.{name}.weight", written)
        writer.add_tensor(f"blk.{layer}.ffn_gate.weight", weights(INNER, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", weights(INNER, WIDTH))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
