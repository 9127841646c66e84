"""A provider needs its model and its key's variable to be configured, and an address if it has none."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml

from routeiq.control.build import build
from routeiq.core.settings import Overrides
from routeiq.core.snapshot import decode
from routeiq.providers.catalog import load_catalog

SERVED = [spec for spec in load_catalog().values() if spec.served]
PLACES = {
    "HOME": "/home/someone",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION_NAME": "us-east-1",
    "CLOUDFLARE_ACCOUNT_ID": "account",
    "DATABRICKS_HOST": "https://workspace.example.com",
    "VERTEXAI_PROJECT": "project",
    "VERTEXAI_LOCATION": "us-central1",
}
KEY = "key-of-the-provider-0123456789"


@pytest.mark.parametrize("place", range(max(len(spec.key_env) for spec in SERVED)))
def test_a_model_and_a_key_are_enough(tmp_path: Path, place: int) -> None:
    """`place`: which of the variables of its key is set."""
    environ = {**PLACES, "LITELLM_MASTER_KEY": "sk-a-long-enough-master-key"}
    models = []
    for spec in SERVED:
        if place and len(spec.key_env) <= place:
            continue
        params = {"model": f"{spec.name}/some-model"}
        if spec.key_env:
            environ[spec.key_env[place]] = KEY
        if not spec.base_url:
            params["api_base"] = "https://example.com"
        if spec.auth == "watsonx":
            params["project_id"] = "p"
        models.append({"model_name": spec.name, "litellm_params": params})
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"model_list": models, "general_settings": {"master_key": "sk-0123456789abcdef"}}))
    now = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    result = build([str(path)], environ, Overrides(), now=now, cpus=2)
    assert [str(finding) for finding in result.errors] == []
    assert not [finding for finding in map(str, result.warnings) if "price" not in finding]
    assert result.snapshot is not None
    built = {deployment.provider: deployment for deployment in decode(result.snapshot).deployments}
    assert len(built) == len(models)
    for spec in SERVED:
        if spec.name in built and spec.auth == "bearer" and spec.key_env and spec.dialect != "litellm":
            heads = [head for head in built[spec.name].heads.values() if KEY.encode() in head]
            assert len(heads) == len(built[spec.name].heads), spec.name
