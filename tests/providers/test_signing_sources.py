"""Sources of credentials against endpoints on loopback, through the vendors' own libraries."""

from __future__ import annotations

import base64
import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from routeiq.core.signing import Signing
from routeiq.providers.signing.grant import Bearer, Grant, SourceError, make_signer, renewal, static_grant
from routeiq.providers.signing.sources import fetch, scrub
from support.tokens import Answer, Asked, TokenServer

SECRET = "vErySecretValue123"


def signing(scheme: str, **params: str) -> Signing:
    return Signing(id="x", scheme=scheme, params=params)


def answer(document: Any, status: int = 200) -> Answer:
    return status, "application/json", json.dumps(document).encode()


def failure(what: Signing) -> str:
    with pytest.raises(SourceError) as raised:
        fetch(what)
    error = raised.value
    assert error.__cause__ is None
    assert SECRET not in str(error)
    return str(error)


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but those a test gives; no service outside of loopback."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "GCE_", "CLOUDSDK_", "IDENTITY_", "MSI_")):
            monkeypatch.delenv(name)
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class TestOAuth:
    def test_watsonx(self) -> None:
        def issue(asked: Asked) -> Answer:
            return answer({"access_token": "iam-token", "expires_in": 3600, "expiration": 4_000_000_000})

        with TokenServer(issue) as server:
            grant = fetch(signing("watsonx", api_key=SECRET, iam_url=f"{server.url}/identity/token"))
        assert (grant.kind, grant.token) == ("bearer", "iam-token")
        assert grant.expires == pytest.approx(time.time() + 3600, abs=5)
        (asked,) = server.asked
        assert (asked.method, asked.path) == ("POST", "/identity/token")
        assert asked.form == {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": SECRET}

    def test_databricks(self) -> None:
        with TokenServer(lambda _: answer({"access_token": "db-token", "expires_in": "1800"})) as server:
            grant = fetch(signing("databricks", host=server.url, client_id="c", client_secret=SECRET))
        assert grant.token == "db-token"
        assert grant.expires == pytest.approx(time.time() + 1800, abs=5)
        (asked,) = server.asked
        assert asked.path == "/oidc/v1/token"
        assert asked.form == {"grant_type": "client_credentials", "scope": "all-apis"}
        assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")) == f"c:{SECRET}".encode()

    @pytest.mark.parametrize(
        ("status", "body", "expected"),
        [
            (400, {"errorMessage": f"Provided API key {SECRET} could not be found."}, "400: Provided API key ***"),
            (401, {"error": "invalid_client", "error_description": "no"}, "answered 401: no"),
            (500, "oops", "answered 500"),
            (302, {}, "answered 302"),
            (200, {"token_type": "Bearer"}, "without an access_token"),
            (200, ["x"], "without an access_token"),
        ],
    )
    def test_refusals(self, status: int, body: Any, expected: str) -> None:
        with TokenServer(lambda _: answer(body, status)) as server:
            server.headers["Location"] = f"{server.url}/elsewhere"
            assert expected in failure(signing("watsonx", api_key=SECRET, iam_url=server.url))
            assert len(server.asked) == 1, "credentials followed a redirect"

    def test_nobody_there(self) -> None:
        with TokenServer(lambda _: answer({})) as server:
            url = server.url
        assert "can't be reached" in failure(signing("watsonx", api_key=SECRET, iam_url=url))


def sts(action: str, key: str, expires: datetime.datetime) -> Answer:
    body = f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>
    <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
    <SessionToken>role-token</SessionToken><Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration>
    </Credentials></{action}Result></{action}Response>"""
    return 200, "text/xml", body.encode()


class TestAws:
    SOON = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)

    def role(self, server: TokenServer, **more: str) -> Signing:
        return signing(
            "aws", region="us-east-1", service="bedrock", role="arn:aws:iam::1:role/r", sts_endpoint=server.url, **more
        )

    def test_keys_as_they_are_need_nobody(self) -> None:
        keys = signing("aws", region="r", service="s", access_key="A", secret_key=SECRET, session_token="T")
        grant = static_grant(keys)
        assert grant == Grant(kind="aws", access_key="A", secret_key=SECRET, session_token="T")
        assert fetch(keys) == grant
        assert SECRET not in repr(grant)
        assert static_grant(signing("aws", region="r", service="s", access_key="A", secret_key="S", role="r")) is None

    def test_a_role_by_keys(self) -> None:
        with TokenServer(lambda _: sts("AssumeRole", "ASIAROLE", self.SOON)) as server:
            what = self.role(server, access_key="A", secret_key=SECRET, external_id="ext-1", session_name="me")
            grant = fetch(what)
        assert grant == Grant(
            kind="aws",
            access_key="ASIAROLE",
            secret_key="role-secret",
            session_token="role-token",
            expires=self.SOON.timestamp(),
        )
        (asked,) = server.asked
        assert asked.form["Action"] == "AssumeRole"
        assert (asked.form["RoleSessionName"], asked.form["ExternalId"]) == ("me", "ext-1")
        assert "Credential=A/" in asked.headers["authorization"]
        assert b"X-Amz-Security-Token: role-token\r\n" in make_signer(what, grant).lines(b"POST", b"/", b"h", ())

    def test_a_role_by_web_identity_is_not_signed_and_its_file_read_anew(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        with TokenServer(lambda _: sts("AssumeRoleWithWebIdentity", "ASIAWEB", self.SOON)) as server:
            for token in ("first", "second"):
                file.write_text(token + "\n")
                assert fetch(self.role(server, web_identity_file=str(file))).access_key == "ASIAWEB"
            fetch(self.role(server, web_identity="third"))
        assert [asked.form["WebIdentityToken"] for asked in server.asked] == ["first", "second", "third"]
        assert "authorization" not in server.asked[0].headers
        assert "can't read" in failure(self.role(server, web_identity_file="/no/such"))

    def test_refused(self) -> None:
        denied = (
            b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized, token "
            + SECRET.encode()
            + b"</Message></Error></ErrorResponse>"
        )
        with TokenServer(lambda _: (403, "text/xml", denied)) as server:
            reason = failure(self.role(server, access_key="A", secret_key=SECRET))
        assert "AccessDenied: User is not authorized" in reason

    def test_a_profile_and_none(self, tmp_path: Path) -> None:
        (tmp_path / "aws-credentials").write_text(
            f"[dev]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = {SECRET}\n"
        )
        grant = fetch(signing("aws", region="r", service="s", profile="dev"))
        assert (grant.access_key, grant.expires) == ("AKIAPROFILE", None)
        assert "profile (other) could not be found" in failure(signing("aws", region="r", service="s", profile="other"))
        assert "no AWS credentials were found" in failure(signing("aws", region="r", service="s"))

    def test_container_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = {"AccessKeyId": "ASIAECS", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
        with TokenServer(lambda _: answer(found)) as server:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/creds")
            grant = fetch(signing("aws", region="r", service="s"))
        assert (grant.access_key, grant.expires) == ("ASIAECS", self.SOON.timestamp())

    def test_instance_metadata(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAIMDS",
            "SecretAccessKey": "s",
            "Token": "t",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "Expiration": "2099-01-01T00:00:00Z",
        }

        def imds(asked: Asked) -> Answer:
            if asked.path == "/latest/api/token":
                return 200, "text/plain", b"imds-token"
            assert asked.headers["x-aws-ec2-metadata-token"] == "imds-token"
            if asked.path.rstrip("/").endswith(("security-credentials", "security-credentials-extended")):
                return 200, "text/plain", b"my-role"
            return answer(found)

        with TokenServer(imds) as server:
            monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
            grant = fetch(signing("aws", region="r", service="s"))
        assert (grant.access_key, grant.expires) == ("ASIAIMDS", self.SOON.timestamp())


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class TestGoogle:
    def account(self, url: str, private_key: str) -> dict[str, str]:
        return {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "k",
            "private_key": private_key,
            "client_email": "me@p.iam.gserviceaccount.com",
            "token_uri": f"{url}/token",
        }

    def test_a_service_account(self, private_key: str, tmp_path: Path) -> None:
        with TokenServer(lambda _: answer({"access_token": "ya29.sa", "expires_in": 3600})) as server:
            document = json.dumps(self.account(server.url, private_key))
            (tmp_path / "sa.json").write_text(document)
            grants = [
                fetch(signing("google", credentials=document)),
                fetch(signing("google", file=str(tmp_path / "sa.json"))),
            ]
        for grant in grants:
            assert (grant.kind, grant.token) == ("bearer", "ya29.sa")
            assert grant.expires == pytest.approx(time.time() + 3600, abs=10)
        assertion = server.asked[0].form["assertion"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(assertion + "=" * (-len(assertion) % 4)))
        assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"

    def test_the_metadata_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def metadata(asked: Asked) -> Answer:
            assert asked.headers["metadata-flavor"] == "Google"
            if asked.path.endswith("/token") or "/token?" in asked.path:
                return answer({"access_token": "ya29.gce", "expires_in": 1200, "token_type": "Bearer"})
            if "project-id" in asked.path:
                return 200, "text/plain", b"my-project"
            if "service-accounts" in asked.path:
                return answer({"email": "me@x", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]})
            return 200, "text/plain", b"ok"

        with TokenServer(metadata) as server:
            server.headers["Metadata-Flavor"] = "Google"
            monkeypatch.setenv("GCE_METADATA_HOST", f"localhost:{server.port}")
            monkeypatch.setenv("GCE_METADATA_IP", f"localhost:{server.port}")
            grant = fetch(signing("google"))
        assert grant.token == "ya29.gce"
        assert grant.expires == pytest.approx(time.time() + 1200, abs=10)

    def test_workload_identity(self, tmp_path: Path) -> None:
        (tmp_path / "subject").write_text("subject-token")
        with TokenServer(
            lambda _: answer({"access_token": "fed", "expires_in": 600, "token_type": "Bearer"})
        ) as server:
            document = {
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{server.url}/v1/token",
                "credential_source": {"file": str(tmp_path / "subject")},
            }
            grant = fetch(signing("google", credentials=json.dumps(document)))
        assert grant.token == "fed"
        assert server.asked[0].form["subject_token"] == "subject-token"

    def test_refused(self, private_key: str) -> None:
        denied = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        with TokenServer(lambda _: answer(denied, 400)) as server:
            what = signing("google", credentials=json.dumps(self.account(server.url, private_key)))
            assert "Google gave no token: invalid_grant" in failure(what)

    @pytest.mark.parametrize(
        ("params", "expected"),
        [
            ({"credentials": "[]"}, "not a JSON object"),
            ({"credentials": json.dumps({"type": "service_account", "private_key": SECRET})}, "can't be used"),
            ({"credentials": json.dumps({"type": "nothing"})}, "must be of a type among service_account"),
            ({"file": "/no/such"}, "can't read the credentials file /no/such: No such file"),
        ],
    )
    def test_mistakes(self, params: dict[str, str], expected: str) -> None:
        assert expected in failure(signing("google", **params))


class TestAzure:
    def authority(self, asked: Asked) -> Answer:
        """The parts of Microsoft Entra ID that MSAL asks for."""
        if "openid-configuration" in asked.path:
            base = f"https://localhost:{asked.headers['host'].rpartition(':')[2]}/t"
            endpoints = ("token_endpoint", "authorization_endpoint", "device_authorization_endpoint", "issuer")
            return answer(dict.fromkeys(endpoints, f"{base}/oauth2/v2.0/token"))
        if asked.form.get("client_secret") == "wrong":
            return answer({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret"}, 401)
        return answer({"access_token": f"entra-{asked.form['grant_type']}", "expires_in": 3599, "token_type": "Bearer"})

    @pytest.fixture
    def entra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        with TokenServer(self.authority, tls=tmp_path) as server:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
            yield server

    def test_an_application(self, entra: TokenServer) -> None:
        app = {"tenant_id": "t", "client_id": "c", "authority": entra.url}
        grant = fetch(signing("azure_ad", **app, client_secret=SECRET))
        assert grant.token == "entra-client_credentials"
        assert grant.expires == pytest.approx(time.time() + 3599, abs=5)
        form = entra.asked[-1].form
        assert (form["client_id"], form["client_secret"]) == ("c", SECRET)
        assert form["scope"] == "https://cognitiveservices.azure.com/.default"
        assert "AADSTS7000215" in failure(signing("azure_ad", **app, client_secret="wrong"))

    def test_a_federated_token(self, entra: TokenServer, tmp_path: Path) -> None:
        (tmp_path / "federated").write_text("federated-token")
        params = {"tenant_id": "t", "client_id": "c", "authority": entra.url, "scope": "own/.default"}
        grant = fetch(signing("azure_ad", **params, token_file=str(tmp_path / "federated")))
        assert grant.kind == "bearer"
        form = entra.asked[-1].form
        assert (form["client_assertion"], form["scope"]) == ("federated-token", "own/.default")

    def test_a_managed_identity(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def identity(asked: Asked) -> Answer:
            assert asked.headers["x-identity-header"] == "h"
            return answer({"access_token": "mi", "expires_on": "4000000000", "token_type": "Bearer"})

        with TokenServer(identity) as server:
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
            monkeypatch.setenv("IDENTITY_HEADER", "h")
            grant = fetch(signing("azure_ad"))
        assert (grant.token, grant.expires) == ("mi", 4_000_000_000.0)
        assert "resource=https" in server.asked[0].path


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme, extra in (("aws", "aws"), ("google", "gcp"), ("azure_ad", "azure")):
        module = {"azure_ad": "azure"}.get(scheme, scheme)
        monkeypatch.setitem(sys.modules, f"routeiq.providers.signing.{module}", None)
        assert f"pip install 'routeiq[{extra}]'" in failure(signing(scheme))


def test_a_scheme_nobody_knows() -> None:
    assert "called nothing" in failure(signing("nothing"))


def test_reasons_are_scrubbed() -> None:
    document = json.dumps({"type": "x", "private_key": SECRET, "token_uri": "https://t", "client_email": "me@x"})
    text = f"at https://t {SECRET} for me@x failed"
    assert scrub(text, {"credentials": document}) == "at https://t *** for me@x failed"
    assert scrub("key sk-abcdefghijkl", {}) == "key sk-***"
    assert scrub("abcdef abcdefg", {"api_key": "abcdef", "client_secret": "abcdefg"}) == "*** ***"


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ä"])
def test_tokens_that_would_break_a_header(token: str) -> None:
    with pytest.raises(SourceError, match="can't stand in a header"):
        Bearer(token)


@pytest.mark.parametrize(
    ("life", "before"),
    [(3600, 720), (86_400, 17_280), (1500, 300), (700, 300), (600, 300), (400, 200), (10, 5), (0, 0)],
)
def test_when_to_renew(life: float, before: float) -> None:
    assert renewal(1000.0, 1000.0 + life) == 1000.0 + life - before
