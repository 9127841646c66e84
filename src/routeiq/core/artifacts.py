"""The manifest of a trained artifact: which files it has, their digests, and who vouches for them."""

from __future__ import annotations

from typing import Any

import msgspec

MANIFEST = "manifest.json"
SIGNATURES = ("ed25519", "hmac-sha256")
"""Types of signature there are; `none` says there is no signature."""
NONE = "none"


class File(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file. `path` is relative to the manifest. Only `path` and `sha256` are signed."""

    path: str
    sha256: str
    """In lower-case hex."""
    description: str = ""
    created_at: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`."""

    version: str
    created_at: str
    artifacts: tuple[File, ...]
    description: str = ""
    signature_type: str | None = None
    """Of `SIGNATURES`, or `none`."""
    signature: str | None = None
    """Base64."""

    def signed_bytes(self) -> bytes:
        """What the signature is of: JSON with sorted keys and no spaces of what a worker depends on."""
        return msgspec.json.encode(
            {
                "version": self.version,
                "created_at": self.created_at,
                "description": self.description,
                "artifacts": [
                    {"path": file.path, "sha256": file.sha256}
                    for file in sorted(self.artifacts, key=lambda file: file.path)
                ],
            },
            order="sorted",
        )


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation accepts."""

    enforced: bool = False
    """Only what is signed by a key that is known: `LLMROUTER_ENFORCE_SIGNED_MODELS`."""
    public_key: bytes | None = None
    """Raw Ed25519 key, 32 bytes."""
    secret: bytes | None = None
    """Of HMAC-SHA256."""
    pickle: bool = False
    """Whether pickles may be loaded at all: `LLMROUTER_ALLOW_PICKLE_MODELS`."""
    pickles: frozenset[str] = frozenset()
    """SHA-256 of the pickles that may be loaded: `LLMROUTER_PICKLE_ALLOWLIST`."""
