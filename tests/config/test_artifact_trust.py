"""Artifacts are put to use only as they were made, and signed where that is asked for."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routeiq.config.artifacts import Untrusted, read_manifest, trust_of, verify
from routeiq.core.artifacts import MANIFEST, Manifest, Trust
from routeiq.mlops.signing import Unsignable, describe, new_key, sign

SECRET = b"a secret canary"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "router.json").write_bytes(b'{"a":1}')
    (tmp_path / "router.safetensors").write_bytes(b"\x00" * 40)
    describe(tmp_path, ("router.json", "router.safetensors"), "of a test")
    return tmp_path


@pytest.fixture(scope="module")
def keys() -> tuple[bytes, Trust]:
    pem, public = new_key()
    return pem, trust_of({"LLMROUTER_MODEL_PUBLIC_KEY_B64": public, "LLMROUTER_ENFORCE_SIGNED_MODELS": "true"})


def rewrite(directory: Path, **changes: object) -> None:
    manifest = msgspec.structs.replace(read_manifest(directory), **changes)
    (directory / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def test_unsigned_is_enough_where_nothing_else_is_asked(directory: Path) -> None:
    assert set(verify(directory, Trust())) == {"router.json", "router.safetensors"}
    with pytest.raises(Untrusted, match="not signed"):
        verify(directory, Trust(enforced=True))


@pytest.mark.parametrize("kind", ["none", None])
def test_a_signature_of_no_type_is_refused(directory: Path, kind: str | None) -> None:
    rewrite(directory, signature_type=kind, signature="c2lnbmF0dXJl")
    with pytest.raises(Untrusted, match="which type"):
        verify(directory, Trust())


@pytest.mark.parametrize("kind", ["", "None", "ED25519", "rsa", "sigstore"])
@pytest.mark.parametrize("enforced", [True, False])
def test_unknown_types_are_refused_always(directory: Path, kind: str, enforced: bool) -> None:
    rewrite(directory, signature_type=kind, signature="c2lnbmF0dXJl")
    with pytest.raises(Untrusted, match="type"):
        verify(directory, Trust(enforced=enforced, secret=SECRET))


def test_ed25519(directory: Path, keys: tuple[bytes, Trust]) -> None:
    pem, trust = keys
    sign(directory, "ed25519", pem)
    assert verify(directory, trust)
    with pytest.raises(Untrusted, match="not by the key"):
        verify(directory, trust_of({"LLMROUTER_MODEL_PUBLIC_KEY_B64": new_key()[1]}))
    with pytest.raises(Untrusted, match="set LLMROUTER_MODEL_PUBLIC_KEY_B64"):
        verify(directory, Trust(enforced=True, secret=SECRET))


def test_hmac(directory: Path) -> None:
    sign(directory, "hmac-sha256", SECRET)
    assert verify(directory, Trust(enforced=True, secret=SECRET))
    with pytest.raises(Untrusted, match="not by the secret"):
        verify(directory, Trust(secret=b"another"))
    with pytest.raises(Untrusted, match="set LLMROUTER_MODEL_HMAC_SECRET"):
        verify(directory, Trust(enforced=True))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_any_changed_byte_is_noticed(directory: Path, data: st.DataObject) -> None:
    sign(directory, "hmac-sha256", SECRET)
    trust = Trust(enforced=True, secret=SECRET)
    before = read_manifest(directory)
    path = directory / data.draw(st.sampled_from(["router.json", "router.safetensors", MANIFEST]))
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(bad))
    try:
        verify(directory, trust)
    except Untrusted:
        pass
    else:
        # Nothing that is signed has changed: white space, or the manifest's own spelling.
        assert path.name == MANIFEST
        assert read_manifest(directory).signed_bytes() == before.signed_bytes()
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("path", ["../router.json", "/etc/passwd", "", "a/../../b"])
def test_paths_stay_inside(directory: Path, path: str) -> None:
    file = msgspec.structs.replace(read_manifest(directory).artifacts[0], path=path)
    rewrite(directory, artifacts=(file,))
    with pytest.raises(Untrusted, match=r"no path|no regular file"):
        verify(directory, Trust())


def test_links_and_missing_files_are_refused(directory: Path) -> None:
    (directory / "router.json").unlink()
    with pytest.raises(Untrusted, match="no regular file"):
        verify(directory, Trust())
    (directory / "router.json").symlink_to("/etc/hostname")
    with pytest.raises(Untrusted, match="no regular file"):
        verify(directory, Trust())


def test_pickles(directory: Path) -> None:
    (directory / "model.pkl").write_bytes(b"cos\nsystem\n.")
    describe(directory, ("model.pkl",), "")
    with pytest.raises(Untrusted, match="LLMROUTER_ALLOW_PICKLE_MODELS is off"):
        verify(directory, Trust())
    with pytest.raises(Untrusted, match="LLMROUTER_PICKLE_ALLOWLIST"):
        verify(directory, Trust(pickle=True))
    digest = read_manifest(directory).artifacts[0].sha256
    environ = {
        "LLMROUTER_ALLOW_PICKLE_MODELS": "true",
        "LLMROUTER_PICKLE_ALLOWLIST": f" {digest.upper()} ,",
        "LLMROUTER_ENFORCE_SIGNED_MODELS": "false",
    }
    assert verify(directory, trust_of(environ)) == {"model.pkl": digest}


def test_whoever_allows_pickles_has_signatures_enforced() -> None:
    assert trust_of({"LLMROUTER_ALLOW_PICKLE_MODELS": "true"}).enforced
    assert not trust_of({}).enforced


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"LLMROUTER_ENFORCE_SIGNED_MODELS": "maybe"}, "must be true or false"),
        ({"LLMROUTER_MODEL_PUBLIC_KEY_B64": "%%"}, "not base64"),
        ({"LLMROUTER_MODEL_PUBLIC_KEY_B64": base64.b64encode(b"short").decode()}, "no Ed25519 key"),
        ({"LLMROUTER_MODEL_PUBLIC_KEY_PATH": "/nowhere/key"}, "can't be read"),
    ],
)
def test_settings_that_make_no_sense(environ: dict[str, str], message: str) -> None:
    with pytest.raises(Untrusted, match=message):
        trust_of(environ)


def test_what_has_changed_is_not_signed(directory: Path) -> None:
    (directory / "router.json").write_bytes(b"{}")
    with pytest.raises(Untrusted, match="has changed"):
        sign(directory, "hmac-sha256", SECRET)


@pytest.mark.parametrize(("kind", "key"), [("ed25519", b"no key"), ("hmac-sha256", b"")])
def test_keys_that_can_not_sign(directory: Path, kind: str, key: bytes) -> None:
    with pytest.raises(Unsignable):
        sign(directory, kind, key)  # type: ignore[arg-type]


def test_the_signature_is_of_what_the_documentation_says() -> None:
    manifest = msgspec.json.decode(
        b'{"version":"1","created_at":"c","description":"d","tags":[],'
        b'"artifacts":[{"path":"b","sha256":"2","tags":["x"]},{"path":"a","sha256":"1"}]}',
        type=Manifest,
    )
    assert manifest.signed_bytes() == (
        b'{"artifacts":[{"path":"a","sha256":"1"},{"path":"b","sha256":"2"}],'
        b'"created_at":"c","description":"d","version":"1"}'
    )
