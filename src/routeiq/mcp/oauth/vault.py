"""Tokens outlive the process in one file: AES-256-GCM, under a key made of LITELLM_SALT_KEY or the master key."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from routeiq.mcp.oauth.client import Token

NONCE = 12
_PURPOSE = b"routeiq mcp tokens 1"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, dict[str, Token]]).decode

log = logging.getLogger("routeiq.mcp")


class Vault:
    """By server and owner. Without a secret nothing is written, and tokens end with the process."""

    def __init__(self, file: Path, secret: str) -> None:
        self._file = file
        self._cipher: AESGCM | None = None
        self._kept: dict[str, dict[str, Token]] = {}
        if secret:
            self._cipher = AESGCM(HKDF(SHA256(), 32, None, _PURPOSE).derive(secret.encode()))
            self._read()

    def tokens(self, server: str) -> dict[str, Token]:
        """Those of one server, to be changed in place and then `save`d."""
        return self._kept.setdefault(server, {})

    def save(self) -> None:
        """Write what there is."""
        if self._cipher is None:
            return
        nonce = os.urandom(NONCE)
        data = nonce + self._cipher.encrypt(nonce, _encode(self._kept), _PURPOSE)
        fresh = self._file.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(data)
            os.replace(fresh, self._file)
        except OSError as error:
            log.error("MCP: %s can't be written: %s", self._file, error)

    def _read(self) -> None:
        assert self._cipher is not None
        try:
            data = self._file.read_bytes()
            self._kept = _decode(self._cipher.decrypt(data[:NONCE], data[NONCE:], _PURPOSE))
        except FileNotFoundError:
            pass
        except (OSError, InvalidTag, ValueError, msgspec.DecodeError):
            log.warning("MCP: %s can't be read, or is under another key: users have to authorize again", self._file)
