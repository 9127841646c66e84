"""BERT's uncased WordPiece tokenizer, as `tokenizers` has it (BertNormalizer, BertPreTokenizer, WordPiece):
https://huggingface.co/docs/tokenizers/api/normalizers and https://arxiv.org/abs/1609.08144, section 4.1.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

UNKNOWN = "[UNK]"
LONGEST_WORD = 100
"""Characters; a longer word is unknown as a whole (`max_input_chars_per_word`)."""
_REMEMBERED = 20_000
"""Words whose pieces are remembered, and characters whose lower-case form is."""

_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ASCII_WORDS = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""What `BertNormalizer` sets apart by spaces; the gap in the fifth range is its own."""


class WordPiece:
    """Text to token ids, without special tokens."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._ids = {token: place for place, token in enumerate(vocabulary)}
        self._unknown = [self._ids[UNKNOWN]]
        # The longest piece that starts with these two characters.
        self._longest: dict[str, int] = {}
        for token in self._ids:
            begin, size = token[: 4 if token.startswith("##") else 2], len(token.removeprefix("##"))
            self._longest[begin] = max(size, self._longest.get(begin, 1))
        self._remembered: dict[str, list[int]] = {}
        self._characters = _Characters()

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """Ids of the tokens, at most `most` of them."""
        ids: list[int] = []
        known, remembered = self._ids, self._remembered
        for word in _words(text, self._characters):
            found = known.get(word)
            if found is not None:
                ids.append(found)
            else:
                pieces = remembered.get(word)
                ids += self._pieces(word) if pieces is None else pieces
            if most is not None and len(ids) >= most:
                return ids[:most]
        return ids

    def _pieces(self, word: str) -> list[int]:
        """The longest pieces from the left; unknown if the word is not made of pieces only."""
        pieces: list[int] = []
        start, size = 0, len(word)
        if size > LONGEST_WORD:
            return self._unknown
        while start < size:
            prefix = "##" if start else ""
            longest = self._longest.get(prefix + word[start : start + 2], 1)
            for end in range(min(size, start + longest), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    pieces.append(piece)
                    start = end
                    break
            else:
                pieces = self._unknown
                break
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[word] = pieces
        return pieces


def _words(text: str, characters: _Characters) -> list[str]:
    """Lower-case words without accents; each punctuation character and ideograph is one of its own."""
    if text.isascii():
        if _ASCII_CONTROL.search(text):
            text = _ASCII_CONTROL.sub("", text)
        return _ASCII_WORDS.findall(text.lower())
    return text.translate(characters).split()


class _Characters(dict[int, str]):
    """What becomes of each character outside ASCII texts, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if code in (0x09, 0x0A, 0x0D):
            made = " "
        elif code == 0xFFFD or unicodedata.category(character)[0] == "C":
            made = ""
        elif character.isspace():
            made = " "
        elif _is_ideograph(code):
            made = f" {unicodedata.normalize('NFD', character)} "
        else:
            # One character at a time: a final sigma is not looked for.
            made = "".join(_part(part) for part in unicodedata.normalize("NFD", character))
        if len(self) >= _REMEMBERED:
            self.clear()
        self[code] = made
        return made


def _part(part: str) -> str:
    category = unicodedata.category(part)
    if category == "Mn":
        return ""
    return f" {part} " if category[0] == "P" or _is_mark(part) else part.lower()


def _is_mark(character: str) -> bool:
    return character.isascii() and not character.isalnum()


def _is_ideograph(code: int) -> bool:
    return code >= 0x3400 and any(first <= code <= last for first, last in _IDEOGRAPHS)
