"""Secrets at rest: AES-256-GCM under a key derived from the installation's own secret.

    riq1:<key id>:<base64url of nonce, ciphertext, tag>

The key and its id are HKDF-SHA256 (RFC 5869) of the secret; the nonce is random (NIST SP 800-38D, 8.2.2). The place of
a value, `table:row`, is authenticated with it: moved to another row it does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = "riq1"
NONCE_BYTES = 12
_SEALED = re.compile(r"riq1:([0-9a-f]{16}):([A-Za-z0-9_-]+={0,2})")
NO_KEY = "LITELLM_SALT_KEY is not set, and neither is a master key: secrets can't be encrypted, so none are stored"


class SecretsError(Exception):
    """A secret can't be stored or read. Says what to do, and holds nothing secret."""


class NoKey(SecretsError):
    """There is nothing to encrypt with."""


class WrongKey(SecretsError):
    """It was stored under another key."""


class Damaged(SecretsError):
    """It is not what was stored, or not where."""


class Vault:
    """Seals and opens values with one secret; without one it does neither."""

    def __init__(self, secret: str) -> None:
        self._cipher: AESGCM | None = None
        self.key_id = ""
        if secret:
            self._cipher, self.key_id = _derive(secret)

    @property
    def ready(self) -> bool:
        """Whether there is a key."""
        return self._cipher is not None

    def seal(self, place: str, value: bytes) -> str:
        """A value as text for the database. Raises `NoKey`."""
        if self._cipher is None:
            raise NoKey(NO_KEY)
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, value, place.encode())
        return f"{VERSION}:{self.key_id}:{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, place: str, text: str) -> bytes:
        """The value. Raises `NoKey`, `WrongKey`, `Damaged`, each naming the place."""
        key_id = key_id_of(text)
        if self._cipher is None:
            raise NoKey(f"{place} is encrypted, and no key is set: set LITELLM_SALT_KEY to the one it was stored with")
        if key_id is None:
            raise Damaged(f"{place} is not a value this version has encrypted")
        if key_id != self.key_id:
            raise WrongKey(
                f"{place} is encrypted under another key ({key_id}; the one set is {self.key_id}): set "
                "LITELLM_SALT_KEY (or the master key, where that is not set) to the one it was stored "
                "with, or run `routeiq secrets rotate`"
            )
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.urlsafe_b64decode(text.rpartition(":")[2])
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError, binascii.Error):
            raise Damaged(f"{place} can't be decrypted: it was changed, or moved from another row") from None


def key_id_of(text: str) -> str | None:
    """Under which key a value is; `None` for what is no sealed value."""
    found = _SEALED.fullmatch(text)
    return found[1] if found else None


def _derive(secret: str) -> tuple[AESGCM, str]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def derived(purpose: bytes, length: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"routeiq " + purpose).derive(secret.encode())

    return AESGCM(derived(b"secrets v1", 32)), derived(b"key id v1", 8).hex()
