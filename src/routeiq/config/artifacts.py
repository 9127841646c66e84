"""Whether a trained artifact may be put to use: digests of its files, the signature of its manifest, no pickles.

Variables: `LLMROUTER_ENFORCE_SIGNED_MODELS`, `LLMROUTER_MODEL_PUBLIC_KEY_B64` or `LLMROUTER_MODEL_PUBLIC_KEY_PATH`
(Ed25519), `LLMROUTER_MODEL_HMAC_SECRET`, `LLMROUTER_ALLOW_PICKLE_MODELS` and `LLMROUTER_PICKLE_ALLOWLIST` (SHA-256
digests with commas between them).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from routeiq.core.artifacts import MANIFEST, NONE, SIGNATURES, Manifest, Trust

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth")
LARGEST = 512 * 1024 * 1024
"""Bytes of one file."""


class Untrusted(ValueError):
    """The artifact must not be used. Its text says why and what to do."""


def trust_of(environ: Mapping[str, str]) -> Trust:
    """What the environment says is accepted. Raises `Untrusted` for a key that can't be read."""
    encoded, path = environ.get("LLMROUTER_MODEL_PUBLIC_KEY_B64"), environ.get("LLMROUTER_MODEL_PUBLIC_KEY_PATH")
    public: bytes | None = None
    if encoded:
        public = _raw_key(_base64(encoded, "LLMROUTER_MODEL_PUBLIC_KEY_B64"), "LLMROUTER_MODEL_PUBLIC_KEY_B64")
    elif path:
        try:
            public = _raw_key(Path(path).read_bytes(), "LLMROUTER_MODEL_PUBLIC_KEY_PATH")
        except OSError as error:
            raise Untrusted(f"LLMROUTER_MODEL_PUBLIC_KEY_PATH: {path} can't be read: {error.strerror}") from None
    secret = environ.get("LLMROUTER_MODEL_HMAC_SECRET")
    pickle = _flag(environ, "LLMROUTER_ALLOW_PICKLE_MODELS")
    return Trust(
        # Whoever allows pickles must say so to do without signatures.
        enforced=_flag(environ, "LLMROUTER_ENFORCE_SIGNED_MODELS", default=pickle),
        public_key=public,
        secret=secret.encode() if secret else None,
        pickle=pickle,
        pickles=frozenset(
            digest.strip().lower()
            for digest in environ.get("LLMROUTER_PICKLE_ALLOWLIST", "").split(",")
            if digest.strip()
        ),
    )


def verify(directory: Path, trust: Trust) -> dict[str, str]:
    """SHA-256 of each file of the artifact in that directory, by path. Raises `Untrusted`.

    A manifest whose signature is of an unknown type, or doesn't fit, is refused always; one without a signature, where
    signatures are enforced.
    """
    manifest = read_manifest(directory)
    check_signature(manifest, trust)
    digests: dict[str, str] = {}
    for file in manifest.artifacts:
        pure = PurePosixPath(file.path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or file.path in digests:
            raise Untrusted(
                f"{directory / MANIFEST} names {file.path!r}, which is no path of its own inside the artifact"
            )
        actual = digest_of(directory / pure)
        if not hmac.compare_digest(actual, file.sha256.lower()):
            raise Untrusted(f"{directory / pure} is not the file its manifest describes: it has changed since")
        if pure.suffix.lower() in PICKLES:
            _check_pickle(directory / pure, actual, trust)
        digests[file.path] = actual
    return digests


def read_manifest(directory: Path) -> Manifest:
    """The artifact's manifest. Raises `Untrusted`."""
    path = directory / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise Untrusted(f"{path} can't be read: {error.strerror}; is {directory} an artifact?") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Untrusted(f"{path} is no manifest: {error}") from None


def check_signature(manifest: Manifest, trust: Trust) -> None:
    """Raises `Untrusted` unless the manifest's signature is right, or there is none and none is asked for."""
    kind = manifest.signature_type
    if kind is None or kind == NONE:
        if manifest.signature:
            raise Untrusted("the manifest has a signature but doesn't say of which type")
        if trust.enforced:
            raise Untrusted(
                "the manifest is not signed, and LLMROUTER_ENFORCE_SIGNED_MODELS is on: `routeiq mlops sign`"
            )
        return
    if kind not in SIGNATURES:
        raise Untrusted(f"the manifest's signature is of type {kind!r}; these are known: {', '.join(SIGNATURES)}")
    signature = _base64(manifest.signature or "", "the manifest's signature")
    if kind == "ed25519":
        if trust.public_key is None:
            _keyless("LLMROUTER_MODEL_PUBLIC_KEY_B64 or LLMROUTER_MODEL_PUBLIC_KEY_PATH", trust)
            return
        try:
            Ed25519PublicKey.from_public_bytes(trust.public_key).verify(signature, manifest.signed_bytes())
        except InvalidSignature:
            raise Untrusted(
                "the manifest's signature is not by the key that is trusted, or it has been changed"
            ) from None
        return
    if trust.secret is None:
        _keyless("LLMROUTER_MODEL_HMAC_SECRET", trust)
        return
    if not hmac.compare_digest(hmac.digest(trust.secret, manifest.signed_bytes(), "sha256"), signature):
        raise Untrusted("the manifest's signature is not by the secret that is trusted, or it has been changed")


def _keyless(variable: str, trust: Trust) -> None:
    """There is a signature and nothing to check it with: no better than none."""
    if trust.enforced:
        raise Untrusted(f"the manifest's signature can't be checked: set {variable}")


def _check_pickle(path: Path, digest: str, trust: Trust) -> None:
    if not trust.pickle:
        raise Untrusted(f"{path} is a pickle, which may run any code: LLMROUTER_ALLOW_PICKLE_MODELS is off")
    if digest not in trust.pickles:
        raise Untrusted(f"{path} is a pickle that LLMROUTER_PICKLE_ALLOWLIST doesn't name (SHA-256 {digest})")


def digest_of(path: Path) -> str:
    """SHA-256 in hex. Raises `Untrusted` for a file that is missing, no regular file, or too large."""
    try:
        if not path.is_file() or path.is_symlink():
            raise Untrusted(f"{path} is no regular file")
        if path.stat().st_size > LARGEST:
            raise Untrusted(f"{path} is larger than {LARGEST} bytes")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Untrusted(f"{path} can't be read: {error.strerror}") from None


def _flag(environ: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    value = environ.get(name, "").strip().lower()
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("false", "0", "no", "off"):
        return False
    if value:
        raise Untrusted(f"{name} must be true or false, not {value!r}")
    return default


def _base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Untrusted(f"{what} is not base64") from None


def _raw_key(data: bytes, what: str) -> bytes:
    """An Ed25519 key, raw or in PEM."""
    if data.startswith(b"-----BEGIN"):
        try:
            key = load_pem_public_key(data)
        except ValueError:
            raise Untrusted(f"{what} is no public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise Untrusted(f"{what} is no Ed25519 key")
        return key.public_bytes_raw()
    if len(data) != 32:
        raise Untrusted(f"{what} is no Ed25519 key: neither 32 bytes nor PEM")
    return data
