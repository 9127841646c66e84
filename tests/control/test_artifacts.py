"""Trained artifacts in an object store: copied before they are verified, served as they were when it is away."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from routeiq.control.artifacts import _version
from routeiq.control.build import build
from routeiq.core.routing import ArtifactFiles
from routeiq.core.settings import BuildResult, Overrides

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
ENVIRON = {"LITELLM_MASTER_KEY": "sk-a-long-enough-master-key"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 server with the bucket `models`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "AKIAX",
        "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1", "AWS_MAX_RETRIES": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="models")
    yield client
    server.stop()


def put(store: Any, body: bytes) -> None:
    manifest = {
        "version": "1", "created_at": "now", "artifacts": [{"path": "router.json", "sha256": sha256(body).hexdigest()}],
    }  # fmt: skip
    store.put_object(Bucket="models", Key="router/router.json", Body=body)
    store.put_object(Bucket="models", Key="router/manifest.json", Body=json.dumps(manifest).encode())


def built(tmp_path: Path, args: str) -> BuildResult:
    file = tmp_path / "config.yaml"
    file.write_text(
        "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: sk-1}}]\n"
        f"routeiq: {{auto_models: {{auto: {{strategy: routeiq-ridge, args: {args}}}}}}}"
    )
    return build([str(file)], ENVIRON, Overrides(state_dir=str(tmp_path / "state")), now=NOW, cpus=1)


def test_what_is_in_a_store_is_copied_and_verified(store: Any, tmp_path: Path) -> None:
    source = "{model_path: s3://models/router}"
    (error,) = built(tmp_path, source).errors
    assert "holds no files" in error.message
    put(store, b"not a router")
    (error,) = built(tmp_path, "{model_s3_bucket: models, model_s3_key: router}").errors
    assert str(tmp_path / "state" / "artifacts") in error.message
    assert "router.json can't be read" in error.message
    store.put_object(Bucket="models", Key="router/router.json", Body=b"changed without its manifest")
    (error,) = built(tmp_path, source).errors
    assert "it has changed since" in error.message


def test_another_version_is_noticed(store: Any, tmp_path: Path) -> None:
    put(store, b"one")
    built(tmp_path, "{model_path: s3://models/router}")
    (copy,) = (tmp_path / "state" / "artifacts").glob("*/*")
    served = ArtifactFiles(path=str(copy), files={}, source="s3://models/router", interval=1.0)
    assert _version(served) == ""
    put(store, b"two")
    assert _version(served) not in ("", copy.name)


def test_a_store_that_is_away_leaves_the_last_copy(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, b"one")
    built(tmp_path, "{model_path: s3://models/router}")
    for name in ("router.json", "manifest.json"):
        store.delete_object(Bucket="models", Key=f"router/{name}")
    result = built(tmp_path, "{model_path: s3://models/router}")
    assert any("the last copy is served" in warning.message for warning in result.warnings)
    assert "router.json can't be read" in result.errors[0].message


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("{reload_interval: 5}", "needs model_path"),
        ("{model_path: 5}", "must be a directory"),
        ("{model_path: 'ftp://x/y'}", "is in no object store"),
        ("{model_path: /nothing/there}", "can't be read"),
        ("{}", "needs `model_path`"),
    ],
)
def test_mistakes(args: str, message: str, tmp_path: Path) -> None:
    errors = built(tmp_path, args).errors
    assert [message in error.message for error in errors] == [True]
