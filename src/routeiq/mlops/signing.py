"""Writes manifests, and signs them."""

from __future__ import annotations

import base64
import datetime
import hmac
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from routeiq.config.artifacts import Untrusted, digest_of, read_manifest
from routeiq.core.artifacts import MANIFEST, NONE, File, Manifest

VERSION = "1"


class Unsignable(ValueError):
    """There is no key to sign with. Its text says why."""


def describe(directory: Path, names: tuple[str, ...], description: str) -> Manifest:
    """Write an unsigned manifest of these files of the directory. Raises `Untrusted` for a file that is not there."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    manifest = Manifest(
        version=VERSION,
        created_at=now,
        description=description,
        signature_type=NONE,
        artifacts=tuple(File(path=name, sha256=digest_of(directory / name)) for name in sorted(names)),
    )
    _write(directory, manifest)
    return manifest


def sign(directory: Path, kind: Literal["ed25519", "hmac-sha256"], key: bytes) -> Manifest:
    """Sign the directory's manifest: with an Ed25519 private key in PEM, or a secret. Digests are checked before.

    Raises `Untrusted` where a file is not what the manifest says, `Unsignable` for a key that can't be used.
    """
    manifest = read_manifest(directory)
    for file in manifest.artifacts:
        if digest_of(directory / file.path) != file.sha256:
            raise Untrusted(f"{directory / file.path} has changed since the manifest was made; train again")
    manifest = msgspec.structs.replace(manifest, signature_type=kind, signature=None)
    content = manifest.signed_bytes()
    if kind == "ed25519":
        try:
            private = load_pem_private_key(key, None)
        except (ValueError, TypeError):
            raise Unsignable("the key is no private key in PEM without a password") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise Unsignable("the key is no Ed25519 key")
        signature = private.sign(content)
    else:
        if not key:
            raise Unsignable("the secret is empty")
        signature = hmac.digest(key, content, "sha256")
    manifest = msgspec.structs.replace(manifest, signature=base64.b64encode(signature).decode())
    _write(directory, manifest)
    return manifest


def new_key() -> tuple[bytes, str]:
    """A private key in PEM, and the public one as `LLMROUTER_MODEL_PUBLIC_KEY_B64` takes it."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, base64.b64encode(private.public_key().public_bytes_raw()).decode()


def _write(directory: Path, manifest: Manifest) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    (directory / MANIFEST).write_bytes(text)
