"""A prompt as numbers: tokens, the mean of their vectors in a static table, and what can be counted in its text.

The table was distilled from all-MiniLM-L6-v2 as Model2Vec does (https://github.com/MinishLab/model2vec): each token's
embedding, the first 256 principal components, weighted by token frequency. It is memory-mapped and shared by workers.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from routeiq.routing.learned.wordpiece import WordPiece

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

DATA = Path(__file__).parent / "data"
DIMENSION = 256
HEAD, TAIL = 2000, 1000
"""Characters read of a prompt: of its beginning, and of its end where it is longer than both."""
HEAD_TOKENS, TAIL_TOKENS = 384, 128

COUNTED = (
    "characters",
    "words",
    "word_length",
    "lines_per_word",
    "digits",
    "questions",
    "code",
    "operators",
    "brackets",
    "options",
    "lines",
    "latex",
    "blanks",
    "ascii",
)
"""Names of what `counts` counts."""


class Encoding(msgspec.Struct, frozen=True):
    """What learned strategies know of a prompt."""

    tokens: Integers
    """Ids, of the parts that are read."""
    embedding: Floats
    """Shape (256,), of length 1; zeros for a prompt without tokens."""
    counts: Floats
    """Shape (14,), see `COUNTED`."""
    size: int
    """Estimated tokens of the whole prompt."""


class Encoder:
    """Prompt to `Encoding`. Takes less than a millisecond for any prompt."""

    def __init__(self, directory: Path = DATA) -> None:
        self._words = WordPiece((directory / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1])
        self._table = np.load(directory / "table.npy", mmap_mode="r")
        self._scales = np.load(directory / "scales.npy")
        # Every page once, now: not at the first prompts.
        self._table[:: 4096 // DIMENSION].max()

    def encode(self, prompt: str) -> Encoding:
        """Read a prompt."""
        if len(prompt) <= HEAD + TAIL:
            read, ids = prompt, self._words.encode(prompt)
            if len(ids) > HEAD_TOKENS + TAIL_TOKENS:
                ids = ids[:HEAD_TOKENS] + ids[-TAIL_TOKENS:]
        else:
            head, tail = prompt[:HEAD], prompt[-TAIL:]
            read = f"{head}\n{tail}"
            ids = self._words.encode(head, HEAD_TOKENS) + self._words.encode(tail)[-TAIL_TOKENS:]
        tokens = np.array(ids, np.int64)
        share = len(read) / len(prompt) if prompt else 1.0
        return Encoding(tokens, self._embed(tokens), counts(read, len(prompt)), round(len(ids) / share))

    def _embed(self, tokens: Integers) -> Floats:
        if not len(tokens):
            return np.zeros(DIMENSION, np.float32)
        total: Floats = self._scales[tokens] @ self._table[tokens].astype(np.float32)
        length = math.sqrt(float(total @ total))
        return total / np.float32(length) if length else total


def counts(text: str, length: int) -> Floats:
    """What `COUNTED` names, of a text that is part of one of `length` characters. Ratios are per character or word.

    White space counts as one character, however wide it is, and case makes no difference.
    """
    parts = text.split()
    words = len(parts) or 1
    size = len(" ".join(parts)) or 1
    lines = text.count("\n")
    low = text.lower()
    share = length / (len(text) or 1)
    return np.array(
        (
            math.log1p(size * share),
            math.log1p(words * share),
            size / words,
            lines / words,
            sum(map(text.count, "0123456789")) / size,
            min(text.count("?"), 5),
            "```" in text or "def " in low,
            sum(map(text.count, "+-*/=^\\")) / size,
            sum(map(text.count, "{}[]();")) / size,
            ("\na." in low and "\nb." in low) or ("\na)" in low and "\nb)" in low),
            min(lines, 100),
            sum(map(text.count, "$\\")) / size,
            math.log1p(text.count("_")),
            text.isascii(),
        ),
        np.float32,
    )


@functools.cache
def load_encoder() -> Encoder:
    """The encoder that comes with the package: read once, whoever asks."""
    return Encoder()
