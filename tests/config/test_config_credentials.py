"""Credentials: LiteLLM's names and environment variables, and what becomes of them in the Snapshot."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_helpers import Compile

from routeiq.cli import make_app
from routeiq.core import snapshot as snapshots
from routeiq.core.signing import Signing
from routeiq.core.snapshot import MODEL_MARK, Deployment

PARAMS = "model_list[0].litellm_params"
CLAUDE = "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0"
SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "own-project",
    "private_key_id": "kid-1234567",
    "private_key": "-----BEGIN PRIVATE KEY-----\nnot one\n-----END PRIVATE KEY-----\n",
    "client_email": "me@own-project.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def config(more: str = "", **params: Any) -> str:
    return yaml.safe_dump({"model_list": [{"model_name": "m", "litellm_params": params}]}) + more


def signing(deployment: Deployment) -> Signing:
    assert deployment.signing is not None
    for head in deployment.heads.values():
        assert b"authorization" not in head.lower()
    return deployment.signing


def head_lines(deployment: Deployment, operation: str) -> list[str]:
    return deployment.heads[operation].decode().split("\r\n")


AWS_KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "s/cret", "aws_region_name": "eu-west-1"}


class TestAws:
    def test_keys_are_signed_with_and_never_in_a_head(self, compiled: Compile) -> None:
        only = compiled(config(model=CLAUDE, **AWS_KEYS, aws_session_token="tok" * 300)).only
        assert signing(only).scheme == "aws"
        assert signing(only).params == {
            "region": "eu-west-1",
            "service": "bedrock",
            "access_key": "AKIDEXAMPLE",
            "secret_key": "s/cret",
            "session_token": "tok" * 300,
        }
        assert only.host == "bedrock-runtime.eu-west-1.amazonaws.com"
        target = "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse"
        assert head_lines(only, "converse")[0] == f"POST {target} HTTP/1.1"
        assert head_lines(only, "converse_stream")[0] == f"POST {target}-stream HTTP/1.1"
        assert only.dialect == "bedrock"

    def test_variants_have_their_dialect_and_quirks(self, compiled: Compile) -> None:
        only = compiled(config(model="bedrock/invoke/anthropic.claude-v1:0", **AWS_KEYS)).only
        assert only.dialect == "anthropic"
        assert only.model == "anthropic.claude-v1:0"
        assert only.options["anthropic_version"] == "bedrock-2023-05-31"
        assert only.options["no_model"] == "true"

    def test_a_wildcard_leaves_a_mark_in_the_path(self, compiled: Compile) -> None:
        result = compiled(config(model="bedrock/*", **AWS_KEYS).replace("model_name: m", "model_name: b/*"))
        assert not result.errors
        (only,) = result.snapshot.deployments
        assert only.heads["converse"].startswith(b"POST /model/" + MODEL_MARK + b"/converse HTTP/1.1\r\n")

    def test_the_region_of_an_arn(self, compiled: Compile) -> None:
        arn = "arn:aws:bedrock:ap-south-1:123456789012:application-inference-profile/abc"
        only = compiled(config(model=f"bedrock/{arn}", aws_access_key_id="A", aws_secret_access_key="S")).only
        assert only.host == "bedrock-runtime.ap-south-1.amazonaws.com"
        assert (
            "/model/arn%3Aaws%3Abedrock%3Aap-south-1%3A123456789012%3Aapplication-inference-profile%2Fabc/"
            in (head_lines(only, "converse")[0])
        )

    @pytest.mark.parametrize("name", ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"])
    def test_the_region_from_the_environment(self, compiled: Compile, name: str) -> None:
        text = config(model=CLAUDE, aws_access_key_id="A", aws_secret_access_key="S")
        assert compiled(text, **{name: "sa-east-1"}).only.host == "bedrock-runtime.sa-east-1.amazonaws.com"
        bad = compiled(text, **{name: "evil.example/"})
        assert f"{name} is not the name of a region" in bad.error(PARAMS).message

    @pytest.mark.parametrize(
        ("model", "region", "path"),
        [
            ("us-gov-west-1/anthropic.claude-v2:1", "us-gov-west-1", "/model/anthropic.claude-v2%3A1/converse "),
            ("converse/eu-central-1/amazon.nova-pro-v1:0", "eu-central-1", "/model/amazon.nova-pro-v1%3A0/converse "),
            ("invoke/us-east-1/anthropic.claude-v2:1", "us-east-1", "/model/anthropic.claude-v2%3A1/invoke "),
        ],
    )
    def test_the_region_before_the_model(self, compiled: Compile, model: str, region: str, path: str) -> None:
        only = compiled(config(model=f"bedrock/{model}", aws_access_key_id="A", aws_secret_access_key="S")).only
        assert (only.host, signing(only).params["region"]) == (f"bedrock-runtime.{region}.amazonaws.com", region)
        operation = "converse" if "converse" in path else "messages"
        assert path in head_lines(only, operation)[0]
        assert "/" not in only.model

    def test_no_region_is_litellms_with_a_warning(self, compiled: Compile) -> None:
        result = compiled(config(model=CLAUDE, aws_access_key_id="A", aws_secret_access_key="S"))
        assert result.only.host == "bedrock-runtime.us-west-2.amazonaws.com"
        assert "us-west-2" in result.warning(PARAMS).message

    def test_an_endpoint_of_ones_own_and_sagemaker(self, compiled: Compile) -> None:
        own = compiled(config(model=CLAUDE, **AWS_KEYS, aws_bedrock_runtime_endpoint="https://vpce.example.com")).only
        assert (own.host, signing(own).params["region"]) == ("vpce.example.com", "eu-west-1")
        sage = compiled(config(model="sagemaker/my-endpoint", **AWS_KEYS)).only
        assert signing(sage).params["service"] == "sagemaker"
        assert sage.host == "runtime.sagemaker.eu-west-1.amazonaws.com"
        assert sage.options == {}
        named = compiled(config(model="sagemaker_chat/e", hf_model_name="meta/llama", **AWS_KEYS)).only
        assert named.options == {"served_model": "meta/llama"}
        china = compiled(config(model="sagemaker/my-endpoint", **{**AWS_KEYS, "aws_region_name": "cn-north-1"})).only
        assert china.host == "runtime.sagemaker.cn-north-1.amazonaws.com.cn"

    def test_api_keys_are_bearer_tokens(self, compiled: Compile) -> None:
        only = compiled(config(model=CLAUDE, api_key="bedrock-key", aws_region_name="us-east-1")).only
        assert only.signing is None
        assert "Authorization: Bearer bedrock-key" in head_lines(only, "converse")
        text = config(model=CLAUDE, aws_region_name="us-east-1")
        only = compiled(text, AWS_BEARER_TOKEN_BEDROCK="from-env").only
        assert "Authorization: Bearer from-env" in head_lines(only, "converse")
        kept = compiled(config(model=CLAUDE, **AWS_KEYS), AWS_BEARER_TOKEN_BEDROCK="from-env").only
        assert signing(kept).params["access_key"] == "AKIDEXAMPLE"
        elsewhere = config(model=CLAUDE, aws_region_name="us-east-1", api_base="https://x.example.com")
        only = compiled(elsewhere, AWS_BEARER_TOKEN_BEDROCK="from-env").only
        assert b"from-env" not in only.heads["converse"]

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({}, {}),
            (
                {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_SESSION_TOKEN": "T"},
                {"access_key": "A", "secret_key": "S", "session_token": "T"},
            ),
            ({"AWS_PROFILE": "dev"}, {"profile": "dev"}),
            (
                {"AWS_ROLE_ARN": "arn:r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ACCESS_KEY_ID": "A"},
                {"role": "arn:r", "web_identity_file": "/t"},
            ),
        ],
    )
    def test_the_environment(self, compiled: Compile, environ: dict[str, str], expected: dict[str, str]) -> None:
        only = compiled(config(model=CLAUDE, aws_region_name="us-east-1"), **environ).only
        assert signing(only).params == {"region": "us-east-1", "service": "bedrock", **expected}

    def test_roles(self, compiled: Compile) -> None:
        role = {"model": CLAUDE, "aws_region_name": "us-east-1", "aws_role_name": "arn:aws:iam::1:role/r"}
        more = {"aws_session_name": "s", "aws_external_id": "x", "aws_sts_endpoint": "https://sts.example.com"}
        params = signing(compiled(config(**role, **more)).only).params
        assert (params["session_name"], params["external_id"]) == ("s", "x")
        assert params["sts_endpoint"] == "https://sts.example.com"
        based = signing(compiled(config(**role), AWS_ACCESS_KEY_ID="A", AWS_SECRET_ACCESS_KEY="S").only).params
        assert (based["role"], based["access_key"]) == (role["aws_role_name"], "A")

    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            ("eyJ.raw.jwt", {"web_identity": "eyJ.raw.jwt"}),
            ("/var/token", {"web_identity_file": "/var/token"}),
            ("oidc/file//var/token", {"web_identity_file": "/var/token"}),
            ("oidc/env/MY_TOKEN", {"web_identity": "of-the-environment"}),
            ("oidc/env_path/MY_TOKEN", {"web_identity_file": "of-the-environment"}),
        ],
    )
    def test_web_identities(self, compiled: Compile, token: str, expected: dict[str, str]) -> None:
        text = config(model=CLAUDE, aws_region_name="r", aws_role_name="arn:r", aws_web_identity_token=token)
        params = signing(compiled(text, MY_TOKEN="of-the-environment").only).params
        assert params == {"region": "r", "service": "bedrock", "role": "arn:r", **expected}

    @pytest.mark.parametrize(
        ("params", "where", "message"),
        [
            ({"aws_access_key_id": "A"}, "aws_access_key_id", "needs aws_secret_access_key as well"),
            ({"aws_secret_access_key": "S"}, "aws_secret_access_key", "needs aws_access_key_id as well"),
            ({"aws_web_identity_token": "t"}, "aws_web_identity_token", "needs aws_role_name as well"),
            (
                {"aws_web_identity_token": "oidc/google/x", "aws_role_name": "r"},
                "aws_web_identity_token",
                "of google are not served",
            ),
            (
                {"aws_web_identity_token": "oidc/env/NO", "aws_role_name": "r"},
                "aws_web_identity_token",
                "NO is not set",
            ),
            ({**AWS_KEYS, "aws_region_name": "us-east-1.evil.com/"}, "aws_region_name", "is not the name of a region"),
        ],
    )
    def test_mistakes(self, compiled: Compile, params: dict[str, str], where: str, message: str) -> None:
        result = compiled(config(model=CLAUDE, **params))
        assert message in result.error(f"{PARAMS}.{where}").message

    def test_without_the_library(self, compiled: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert signing(compiled(config(model=CLAUDE, **AWS_KEYS)).only)
        result = compiled(config(model=CLAUDE, aws_region_name="r", aws_profile_name="p"))
        assert result.error(PARAMS).hint == "pip install 'routeiq[aws]'"


GEMINI = "vertex_ai/gemini-2.5-flash"


class TestVertex:
    def test_a_file(self, compiled: Compile, tmp_path: Path) -> None:
        file = tmp_path / "sa.json"
        file.write_text(json.dumps(SERVICE_ACCOUNT))
        only = compiled(config(model=GEMINI, vertex_credentials=str(file), vertex_location="europe-west4")).only
        assert signing(only).scheme == "google"
        assert signing(only).params == {"file": str(file)}
        assert only.host == "europe-west4-aiplatform.googleapis.com"
        begin = "POST /v1/projects/own-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash"
        assert head_lines(only, "generate")[0] == f"{begin}:generateContent HTTP/1.1"
        environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "l"}
        only = compiled(config(model=GEMINI), **environ).only
        assert signing(only).params == {"file": str(file)}
        assert only.api_base == "https://l-aiplatform.googleapis.com/v1/projects/p/locations/l"

    @pytest.mark.parametrize("given", [SERVICE_ACCOUNT, json.dumps(SERVICE_ACCOUNT)], ids=["map", "text"])
    def test_json(self, compiled: Compile, given: Any) -> None:
        only = compiled(config(model=GEMINI, vertex_ai_credentials=given)).only
        assert json.loads(signing(only).params["credentials"]) == SERVICE_ACCOUNT
        assert "/projects/own-project/locations/us-central1" in only.api_base

    def test_what_the_machine_has(self, compiled: Compile) -> None:
        text = config(model=GEMINI, vertex_project="p")
        assert signing(compiled(text).only).params == {}
        elsewhere = compiled(config(model=GEMINI, vertex_project="p", api_base="https://x.example.com/v1"))
        assert "only sent to Google" in elsewhere.error(f"{PARAMS}.api_base").message

    @pytest.mark.parametrize(
        ("location", "host"),
        [("global", "aiplatform.googleapis.com"), ("eu", "aiplatform.eu.rep.googleapis.com")],
    )
    def test_places_without_a_region(self, compiled: Compile, location: str, host: str) -> None:
        only = compiled(config(model=GEMINI, vertex_project="p", vertex_location=location)).only
        assert only.api_base == f"https://{host}/v1/projects/p/locations/{location}"

    def test_mistral(self, compiled: Compile) -> None:
        only = compiled(config(model="vertex_ai/mistral-small-2503@001", vertex_project="p")).only
        assert (only.dialect, only.options["unversioned"]) == ("openai", "true")
        start = "POST /v1/projects/p/locations/us-central1/publishers/mistralai/models/mistral-small-2503%40001:"
        assert head_lines(only, "chat")[0] == f"{start}rawPredict HTTP/1.1"
        assert head_lines(only, "chat_stream")[0] == f"{start}streamRawPredict HTTP/1.1"

    def test_claude_and_keys(self, compiled: Compile) -> None:
        only = compiled(config(model="vertex_ai/claude-sonnet-4@20250514", vertex_project="p")).only
        assert only.dialect == "anthropic"
        assert only.options["anthropic_version"] == "vertex-2023-10-16"
        assert "models/claude-sonnet-4%4020250514:rawPredict " in head_lines(only, "messages")[0]
        keyed = compiled(config(model=GEMINI, vertex_project="p", api_key="AIza-k")).only
        assert keyed.signing is None
        assert "x-goog-api-key: AIza-k" in head_lines(keyed, "generate")

    @pytest.mark.parametrize(
        ("params", "where", "message"),
        [
            ({}, "vertex_project", "needs a vertex_project"),
            ({"vertex_credentials": "/no/such.json"}, "vertex_credentials", "No such file"),
            ({"vertex_credentials": "{broken"}, "vertex_credentials", "holds no JSON object"),
            ({"vertex_credentials": {"project_id": "p"}}, "vertex_project", ""),
            ({"vertex_project": "../x"}, "vertex_project", "is not the name of a project"),
            ({"vertex_project": "p", "vertex_location": "a.b"}, "vertex_location", "is not the name of a location"),
        ],
    )
    def test_mistakes(self, compiled: Compile, params: dict[str, Any], where: str, message: str) -> None:
        result = compiled(config(model=GEMINI, **params))
        assert any(f.path == f"{PARAMS}.{where}" and message in f.message for f in result.errors), result.errors


AZURE_BASE = {"model": "azure/gpt-4o", "api_base": "https://r.openai.azure.com"}
AZURE_APP = {"tenant_id": "t", "client_id": "c", "client_secret": "s3cret"}


class TestAzure:
    def test_an_application(self, compiled: Compile) -> None:
        only = compiled(config(**AZURE_BASE, **AZURE_APP), AZURE_API_KEY="not this").only
        assert signing(only).scheme == "azure_ad"
        assert signing(only).params == AZURE_APP
        assert b"api-key" not in only.heads["chat"].replace(b"api-version", b"")
        keyed = compiled(config(**AZURE_BASE, **AZURE_APP, api_key="k")).only
        assert keyed.signing is None
        assert "api-key: k" in head_lines(keyed, "chat")

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            (
                {
                    "AZURE_TENANT_ID": "t",
                    "AZURE_CLIENT_ID": "c",
                    "AZURE_CLIENT_SECRET": "s",
                    "AZURE_SCOPE": "x/.default",
                },
                {"tenant_id": "t", "client_id": "c", "client_secret": "s", "scope": "x/.default"},
            ),
            (
                {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/f"},
                {"tenant_id": "t", "client_id": "c", "token_file": "/f"},
            ),
        ],
    )
    def test_the_environment(self, compiled: Compile, environ: dict[str, str], expected: dict[str, str]) -> None:
        assert signing(compiled(config(**AZURE_BASE), **environ).only).params == expected
        keyed = compiled(config(**AZURE_BASE), **environ, AZURE_API_KEY="k").only
        assert "api-key: k" in head_lines(keyed, "chat")

    def test_tokens_as_they_are(self, compiled: Compile) -> None:
        only = compiled(config(**AZURE_BASE), AZURE_AD_TOKEN="tok").only
        assert "Authorization: Bearer tok" in head_lines(only, "chat")

    def test_what_the_machine_has_where_asked(self, compiled: Compile) -> None:
        more = "litellm_settings: {enable_azure_ad_token_refresh: true}\n"
        assert signing(compiled(config(more, **AZURE_BASE)).only).params == {}
        assert "api_key" in compiled(config(**AZURE_BASE)).error(f"{PARAMS}.api_key").message

    def test_mistakes(self, compiled: Compile) -> None:
        result = compiled(config(**AZURE_BASE, tenant_id="t", client_id="c"))
        assert result.error(f"{PARAMS}.tenant_id").message == "needs client_secret as well"
        result = compiled(config(**AZURE_BASE, azure_ad_token="oidc/x"))
        assert "oidc/" in result.error(f"{PARAMS}.azure_ad_token").message


def test_a_provider_that_is_not_served_says_why(compiled: Compile) -> None:
    message = compiled(config(model="chatgpt/gpt-5")).error(f"{PARAMS}.model").message
    assert message.endswith("not served: its first request starts a device login in a browser")


WATSONX_BASE = {"model": "watsonx/ibm/granite-3-8b-instruct", "api_base": "https://us-south.ml.cloud.ibm.com"}


class TestWatsonx:
    def test_keys_are_exchanged(self, compiled: Compile) -> None:
        only = compiled(config(**WATSONX_BASE, api_key="k", project_id="p")).only
        assert (signing(only).scheme, signing(only).params) == ("watsonx", {"api_key": "k"})
        assert only.options["project_id"] == "p"
        only = compiled(
            config(model=WATSONX_BASE["model"], region_name="eu-de"),
            WATSONX_APIKEY="e",
            WATSONX_DEPLOYMENT_SPACE_ID="s",
            WATSONX_IAM_URL="https://iam.test",
        ).only
        assert signing(only).params == {"api_key": "e", "iam_url": "https://iam.test"}
        assert (only.host, only.options["space_id"]) == ("eu-de.ml.cloud.ibm.com", "s")

    @pytest.mark.parametrize(
        ("params", "environ", "line"),
        [
            ({"token": "t"}, {}, "Authorization: Bearer t"),
            ({"zen_api_key": "z"}, {}, "Authorization: ZenApiKey z"),
            ({}, {"WATSONX_TOKEN": "t"}, "Authorization: Bearer t"),
            ({}, {"WATSONX_ZENAPIKEY": "z"}, "Authorization: ZenApiKey z"),
        ],
    )
    def test_tokens(self, compiled: Compile, params: dict[str, str], environ: dict[str, str], line: str) -> None:
        only = compiled(config(**WATSONX_BASE, **params), **environ).only
        assert only.signing is None
        assert line in head_lines(only, "watsonx_chat")

    def test_nothing(self, compiled: Compile) -> None:
        assert "WATSONX_APIKEY" in compiled(config(**WATSONX_BASE)).error(f"{PARAMS}.api_key").message


DATABRICKS_MODEL = "databricks/databricks-claude-sonnet-4"
DATABRICKS_BASE = {"model": DATABRICKS_MODEL, "api_base": "https://w.cloud.databricks.com/serving-endpoints"}


class TestDatabricks:
    def test_a_token(self, compiled: Compile) -> None:
        assert "Authorization: Bearer k" in head_lines(compiled(config(**DATABRICKS_BASE, api_key="k")).only, "chat")
        environ = {"DATABRICKS_HOST": "https://w.example.com", "DATABRICKS_TOKEN": "e"}
        only = compiled(config(model=DATABRICKS_MODEL), **environ).only
        assert "Authorization: Bearer e" in head_lines(only, "chat")
        assert only.api_base == "https://w.example.com/serving-endpoints"

    def test_a_service_principal(self, compiled: Compile) -> None:
        only = compiled(config(**DATABRICKS_BASE, client_id="c", client_secret="s"), DATABRICKS_TOKEN="no").only
        expected = {"host": "https://w.cloud.databricks.com", "client_id": "c", "client_secret": "s"}
        assert (signing(only).scheme, signing(only).params) == ("databricks", expected)
        environ = {"DATABRICKS_CLIENT_ID": "c", "DATABRICKS_CLIENT_SECRET": "s"}
        host = {"DATABRICKS_HOST": "https://w.cloud.databricks.com"}
        assert signing(compiled(config(model=DATABRICKS_MODEL), **environ, **host).only).params == expected
        stolen = compiled(config(**DATABRICKS_BASE), **environ)
        assert "only sent to DATABRICKS_HOST" in stolen.error(f"{PARAMS}.api_base").message

    def test_mistakes(self, compiled: Compile) -> None:
        assert "client_secret" in compiled(config(**DATABRICKS_BASE)).error(f"{PARAMS}.api_key").message
        result = compiled(config(**DATABRICKS_BASE, client_id="c"))
        assert result.error(f"{PARAMS}.client_id").message == "needs client_secret as well"


def test_key_headers(compiled: Compile) -> None:
    claude = compiled(config(model="anthropic/claude-sonnet-4-5", api_key="k")).only
    assert {"x-api-key: k", "anthropic-version: 2023-06-01"} <= set(head_lines(claude, "messages"))
    own = {"X-Api-Key": "mine", "Anthropic-Version": "2024-01-01"}
    lines = head_lines(
        compiled(config(model="anthropic/claude-sonnet-4-5", api_key="k", extra_headers=own)).only, "messages"
    )
    assert [line for line in lines if line.lower().startswith(("x-api-key", "anthropic-v"))] == [
        "Anthropic-Version: 2024-01-01",
        "X-Api-Key: mine",
    ]
    gemini = compiled(config(model="gemini/gemini-2.5-pro"), GOOGLE_API_KEY="g").only
    assert "x-goog-api-key: g" in head_lines(gemini, "generate_stream")
    assert head_lines(gemini, "generate_stream")[0].startswith("POST /v1beta/models/gemini-2.5-pro:streamGen")


def test_an_authorization_of_ones_own_is_not_signed_over(compiled: Compile) -> None:
    text = config(model=CLAUDE, aws_region_name="r", extra_headers={"Authorization": "Custom x"})
    only = compiled(text, AWS_ACCESS_KEY_ID="A", AWS_SECRET_ACCESS_KEY="S").only
    assert only.signing is None
    assert [line for line in head_lines(only, "converse") if "uthorization" in line] == ["Authorization: Custom x"]


def test_dropped_parameters(compiled: Compile) -> None:
    base = {"model": "openai/gpt-4o", "api_key": "k"}
    assert not compiled(config(**base)).only.drop_params
    everywhere = "litellm_settings: {drop_params: true}\n"
    assert compiled(config(everywhere, **base)).only.drop_params
    assert not compiled(config(everywhere, **base, drop_params=False)).only.drop_params
    assert compiled(config(**base, additional_drop_params=["seed", "user"])).only.drop == ("seed", "user")


SECRET = "vErySecretValue123"
SECRETS: list[dict[str, Any]] = [
    {"model": CLAUDE, "aws_region_name": "r", "aws_access_key_id": SECRET, "aws_secret_access_key": SECRET},
    {
        "model": CLAUDE,
        "aws_region_name": "r",
        "aws_access_key_id": SECRET,
        "aws_secret_access_key": SECRET,
        "aws_session_token": SECRET,
        "aws_role_name": "r",
        "aws_external_id": "x",
    },
    {"model": CLAUDE, "aws_region_name": "r", "aws_role_name": "r", "aws_web_identity_token": SECRET},
    {"model": "vertex_ai/gemini-2.5-pro", "vertex_credentials": {**SERVICE_ACCOUNT, "private_key": SECRET}},
    {"model": "vertex_ai/gemini-2.5-pro", "vertex_credentials": json.dumps({**SERVICE_ACCOUNT, "private_key": SECRET})},
    {**AZURE_BASE, "tenant_id": "t", "client_id": "c", "client_secret": SECRET},
    {**AZURE_BASE, "azure_ad_token": SECRET},
    {**WATSONX_BASE, "api_key": SECRET},
    {**WATSONX_BASE, "token": SECRET},
    {**WATSONX_BASE, "zen_api_key": SECRET},
    {**DATABRICKS_BASE, "client_id": "c", "client_secret": SECRET},
]


@pytest.mark.parametrize("params", SECRETS, ids=lambda params: "-".join([params["model"][:9], *list(params)[1:]]))
def test_secrets_stay_out_of_sight(
    compiled: Compile, params: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = config(**params)
    result = compiled(text)
    only = result.only
    assert SECRET.encode() in snapshots.encode(result.snapshot)
    assert SECRET not in repr(only.signing)
    assert SECRET not in only.id + only.info.decode() + only.api_base + json.dumps(only.options)
    for finding in result.warnings:
        assert SECRET not in str(finding)
    other = compiled(text.replace(SECRET, "AnotherSecretValue"))
    assert other.snapshot.revision != result.snapshot.revision
    assert other.only.id != only.id
    file = tmp_path / "config.yaml"
    file.write_text(text)
    make_app()(["config", "show", str(file)], result_action="return_value")
    shown = capsys.readouterr()
    assert "litellm_params" in shown.out
    assert SECRET not in shown.out + shown.err


def test_deployments_share_credentials_by_id(compiled: Compile) -> None:
    keys = {"aws_access_key_id": "A", "aws_secret_access_key": "S", "aws_region_name": "r"}
    both = [{"model_name": f"m{i}", "litellm_params": {"model": f"bedrock/m{i}", **keys}} for i in range(2)]
    both.append({"model_name": "m2", "litellm_params": {"model": "bedrock/m2", **keys, "aws_region_name": "q"}})
    snapshot = compiled(yaml.safe_dump({"model_list": both})).snapshot
    first, second, third = [signing(deployment).id for deployment in snapshot.deployments]
    assert first == second != third
    assert snapshots.decode(snapshots.encode(snapshot)) == snapshot
