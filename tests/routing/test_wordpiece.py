"""The tokenizer against Hugging Face's, which has the same vocabulary."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.implementations import BertWordPieceTokenizer

from routeiq.routing.learned.encoder import DATA
from routeiq.routing.learned.wordpiece import WordPiece

VOCABULARY = (DATA / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
OURS = WordPiece(VOCABULARY)
THEIRS = BertWordPieceTokenizer({token: place for place, token in enumerate(VOCABULARY)}, lowercase=True)

# Both know the characters of Unicode 3.2 alike; what came later depends on whose tables are newer.
OLD = st.characters(exclude_categories=["Cs", "Cn"]).filter(
    lambda character: (
        unicodedata.ucd_3_2_0.category(character) == unicodedata.category(character)
        and unicodedata.combining(character) == 0
    )
)
WORDS = st.sampled_from(
    [*VOCABULARY[1000:30000:37], "naïve", "ΣΊΣΥΦΟΣ", "漢字", "don't", "[MASK]", "\x07", "\x85", "x" * 101]
)


def plain(text: str) -> bool:
    """Without the tokens that mean something to a BERT model, which theirs reads in any text."""
    return not any(f"[{name}]" in text for name in ("UNK", "CLS", "SEP", "PAD", "MASK"))


def theirs(text: str) -> list[int]:
    ids: list[int] = THEIRS.encode(text, add_special_tokens=False).ids
    return ids


@given(st.text(OLD, max_size=60).filter(plain))
def test_any_text(text: str) -> None:
    assert OURS.encode(text) == theirs(text)


@given(st.text(max_size=80).filter(str.isascii).filter(plain))
def test_any_ascii(text: str) -> None:
    assert OURS.encode(text) == theirs(text)


@given(
    st.lists(WORDS | st.from_regex(r"[a-z]{1,30}", fullmatch=True), max_size=20), st.sampled_from([" ", "", "\n", ", "])
)
def test_words(words: list[str], between: str) -> None:
    text = between.join(words).replace("[MASK]", "mask")
    assert OURS.encode(text) == theirs(text)


def test_no_more_than_asked_for() -> None:
    text = "tokenization of words " * 50
    assert OURS.encode(text, 7) == theirs(text)[:7]


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "word " * 200_000, "漢字" * 500_000, "zqxj" * 250_000, "\x00" * 10**6, "é" * 10**6]
)
def test_a_megabyte_is_not_read_whole(text: str) -> None:
    from routeiq.routing.learned.encoder import load_encoder

    encoder = load_encoder()
    encoder.encode(text)
    best = min(_timed(encoder.encode, text) for _ in range(5))
    assert best < 0.001


def _timed(call: object, text: str) -> float:
    start = time.perf_counter()
    call(text)  # type: ignore[operator]
    return time.perf_counter() - start
