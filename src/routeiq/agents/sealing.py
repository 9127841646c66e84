"""What the process keeps elsewhere and nobody else may read: AES-256-GCM under a key of LITELLM_SALT_KEY or the master
key.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE = 12


class Cipher:
    """`a2a.relay.Seal`."""

    def __init__(self, secret: str, purpose: bytes) -> None:
        """Keys of different purposes are different keys."""
        self._purpose = purpose
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, purpose).derive(secret.encode()))

    def close(self, data: bytes) -> bytes:
        """Encrypted."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, data, self._purpose)

    def open(self, data: bytes) -> bytes:
        """As it was. Raises `ValueError` for what is under another key."""
        try:
            return self._cipher.decrypt(data[:NONCE], data[NONCE:], self._purpose)
        except InvalidTag:
            raise ValueError("it is under another key, or was changed") from None
