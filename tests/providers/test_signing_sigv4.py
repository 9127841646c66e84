"""Signature Version 4 against botocore's signer."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import quote

from botocore import auth as botocore_auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from routeiq.providers.signing.sigv4 import SigV4

MODELS = [
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123",
    "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:provisioned-model/x y~z",
    "meta.llama3-70b-instruct-v1%3A0",
]
NOON = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.UTC)


def theirs(
    method: str,
    host: str,
    target: str,
    body: bytes,
    *,
    token: str,
    region: str,
    service: str,
    now: datetime.datetime,
    access_key: str = "AKIDEXAMPLE",
    secret_key: str = "secret/KEY+1",
) -> dict[str, str]:
    """The headers botocore puts on the same request."""
    request = AWSRequest(method=method, url=f"https://{host}{target}", data=body)
    signer: Any = botocore_auth.SigV4Auth(Credentials(access_key, secret_key, token or None), service, region)
    real = botocore_auth.get_current_datetime
    botocore_auth.get_current_datetime = lambda remove_tzinfo=True: now.replace(tzinfo=None)
    try:
        signer.add_auth(request)
    finally:
        botocore_auth.get_current_datetime = real
    return {name.lower(): value for name, value in request.headers.items()}


def ours(lines: bytes) -> dict[str, str]:
    assert lines.endswith(b"\r\n")
    fields = (line.split(": ", 1) for line in lines.decode().removesuffix("\r\n").split("\r\n"))
    return {name.lower(): value for name, value in fields}


def signer(now: datetime.datetime, token: str, region: str, service: str) -> SigV4:
    return SigV4(
        access_key="AKIDEXAMPLE",
        secret_key="secret/KEY+1",
        session_token=token,
        region=region,
        service=service,
        clock=now.timestamp,
    )


model_ids = st.one_of(
    st.sampled_from(MODELS),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=3, max_size=40).filter(
        lambda text: text.strip(".") != ""
    ),
)


@given(
    model=model_ids,
    operation=st.sampled_from(["converse", "converse-stream", "invoke", "invoke-with-response-stream"]),
    query=st.sampled_from(["", "?a=1", "?b=2&a=1&a=0", "?flag&x=%20y"]),
    body=st.lists(st.binary(max_size=50), max_size=4),
    token=st.sampled_from(["", "IQoJb3JpZ2luX2VjEXAMPLE=="]),
    place=st.sampled_from([("us-east-1", "bedrock"), ("eu-central-1", "sagemaker")]),
    host=st.sampled_from(["bedrock-runtime.us-east-1.amazonaws.com", "127.0.0.1:8443", "VPCE.Example.com"]),
    now=st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2090, 1, 1), timezones=st.just(datetime.UTC)),
)
@settings(max_examples=200, deadline=None)
def test_the_same_as_botocore(
    model: str,
    operation: str,
    query: str,
    body: list[bytes],
    token: str,
    place: tuple[str, str],
    host: str,
    now: datetime.datetime,
) -> None:
    target = f"/model/{quote(model, safe='')}/{operation}{query}"
    expected = theirs("POST", host, target, b"".join(body), token=token, region=place[0], service=place[1], now=now)
    made = ours(signer(now, token, *place).lines(b"POST", target.encode(), host.encode(), tuple(body)))
    assert made == {name: expected[name] for name in made}
    assert set(made) == {"x-amz-date", "authorization"} | ({"x-amz-security-token"} if token else set())


def test_the_encoded_colon_counts_as_encoded_twice() -> None:
    """A signature over the path as sent, or over the decoded one, is another one."""
    sign = signer(NOON, "", "us-east-1", "bedrock")
    made = {
        sign.lines(b"POST", f"/model/a{colon}0/converse".encode(), b"h", (b"{}",)) for colon in (":", "%3A", "%253A")
    }
    assert len(made) == 3


def test_time_moves_the_stamp_and_the_key() -> None:
    moments = [NOON.timestamp()]
    sign = SigV4(access_key="A", secret_key="S", region="us-east-1", service="bedrock", clock=lambda: moments[-1])
    for seconds in (0.4, 1.0, 86_400.0, 86_400.0 * 400):
        moments.append(NOON.timestamp() + seconds)
        now = datetime.datetime.fromtimestamp(moments[-1], datetime.UTC)
        expected = theirs(
            "POST",
            "h",
            "/x",
            b"{}",
            token="",
            region="us-east-1",
            service="bedrock",
            now=now,
            access_key="A",
            secret_key="S",
        )
        assert ours(sign.lines(b"POST", b"/x", b"h", (b"{", b"}")))["authorization"] == expected["authorization"]


def test_paths_of_strangers_do_not_pile_up() -> None:
    sign = signer(NOON, "", "us-east-1", "bedrock")
    for number in range(5000):
        sign.lines(b"POST", b"/model/%d/converse" % number, b"h", ())
    assert len(sign._paths) <= 1024


def test_no_secret_in_its_text() -> None:
    assert "secret/KEY" not in repr(signer(NOON, "session-token", "us-east-1", "bedrock"))
