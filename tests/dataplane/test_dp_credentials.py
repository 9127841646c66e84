"""Credentials made while serving, through the whole gateway: supervisor, control plane, worker."""

from __future__ import annotations

import datetime
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support import answers
from support.gateway import Gateway
from support.tokens import Answer, Asked, TokenServer

SECRET = "vErySecretValue123"
MODEL = "databricks-claude"


class Workspace:
    """A Databricks workspace: OAuth and a serving endpoint."""

    def __init__(self) -> None:
        self.tokens = 0
        self.life = 3600
        self.refuse = False
        self.used: list[str] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/oidc/v1/token":
            time.sleep(0.05)
            if self.refuse:
                return self._json({"error": "invalid_client", "error_description": f"{SECRET} is no secret"}, 401)
            self.tokens += 1
            return self._json({"access_token": f"oauth-{self.tokens}", "expires_in": self.life})
        assert asked.path == "/serving-endpoints/chat/completions"
        self.used.append(asked.headers.get("authorization", ""))
        return 200, "application/json", answers.chat(json.loads(asked.body))

    def _json(self, document: Any, status: int = 200) -> Answer:
        return status, "application/json", json.dumps(document).encode()


@pytest.fixture
def workspace() -> Iterator[tuple[Workspace, TokenServer]]:
    made = Workspace()
    with TokenServer(made) as server:
        yield made, server


def config(server: TokenServer) -> dict[str, Any]:
    params = {
        "model": f"databricks/{MODEL}",
        "api_base": f"{server.url}/serving-endpoints",
        "client_id": "me",
        "client_secret": SECRET,
    }
    return {"model_list": [{"model_name": "m", "litellm_params": params}], "router_settings": {"num_retries": 0}}


def say(gateway: Gateway) -> openai.types.chat.ChatCompletion:
    return gateway.client().chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])


def test_many_first_requests_and_a_dead_control_plane(workspace: tuple[Workspace, TokenServer]) -> None:
    made, server = workspace
    with Gateway(config(server)) as gateway:
        with ThreadPoolExecutor(10) as pool:
            done = list(pool.map(lambda _: say(gateway), range(20)))
        assert all(answer.choices[0].message.content for answer in done)
        assert made.tokens == 1
        assert made.used == ["Bearer oauth-1"] * 20
        _, _, body = gateway.get("/api/v1/routeiq/status")
        (shown,) = json.loads(body)["credentials"]
        assert (shown["scheme"], shown["error"]) == ("databricks", None)
        assert shown["expires"] == pytest.approx(time.time() + 3600, abs=60)
        (control,) = (item for item in gateway.processes() if "routeiq.control" in item.cmdline())
        control.send_signal(signal.SIGSTOP)
        try:
            assert say(gateway).choices
        finally:
            control.send_signal(signal.SIGCONT)
        logs = gateway.logs()
        assert SECRET not in logs
        assert "oauth-1" not in logs


def test_refused_credentials(workspace: tuple[Workspace, TokenServer]) -> None:
    made, server = workspace
    made.refuse = True
    with Gateway(config(server)) as gateway:
        with pytest.raises(openai.APIStatusError) as raised:
            say(gateway)
        assert raised.value.status_code == 503
        assert raised.value.code == "credentials_unavailable"
        assert "answered 401" in raised.value.message
        assert SECRET not in raised.value.message
        assert "*** is no secret" in gateway.logs()
        assert SECRET not in gateway.logs()
        made.refuse = False
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                assert say(gateway).choices
                break
            except openai.APIStatusError:
                time.sleep(0.2)
        assert made.used == ["Bearer oauth-1"]


class Bedrock:
    """`InvokeModel` with Claude; a request whose signature is not botocore's is refused."""

    KEYS = Credentials("AKIDEXAMPLE", SECRET, "session-token")

    def __call__(self, asked: Asked) -> Answer:
        moment = datetime.datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        request = AWSRequest("POST", f"http://{asked.headers['host']}{asked.path}", data=asked.body)
        signer = SigV4Auth(self.KEYS, "bedrock", "us-east-1")
        request.context["timestamp"] = asked.headers["x-amz-date"]
        request.headers["X-Amz-Date"] = asked.headers["x-amz-date"]
        request.headers["X-Amz-Security-Token"] = "session-token"
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        if not asked.headers["authorization"].endswith(f"Signature={signature}"):
            return 403, "application/json", b'{"message": "The request signature we calculated does not match"}'
        assert abs(moment.replace(tzinfo=datetime.UTC).timestamp() - time.time()) < 300
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "hello"}],
            "usage": {"input_tokens": 3, "output_tokens": 1},
        }
        return 200, "application/json", json.dumps(message).encode()


@pytest.mark.parametrize("wildcard", [False, True])
def test_signed_requests(wildcard: bool) -> None:
    with TokenServer(Bedrock()) as server:
        params = {
            "model": "bedrock/invoke/anthropic.*" if wildcard else "bedrock/invoke/anthropic.claude-v1:0",
            "aws_bedrock_runtime_endpoint": server.url,
            "aws_region_name": "us-east-1",
            "aws_access_key_id": "AKIDEXAMPLE",
            "aws_secret_access_key": SECRET,
            "aws_session_token": "session-token",
        }
        name = "b/*" if wildcard else "m"
        with Gateway({"model_list": [{"model_name": name, "litellm_params": params}]}) as gateway:
            asked = "b/claude-v1:0" if wildcard else "m"
            messages: Any = [{"role": "user", "content": "hello"}]
            answer = gateway.client().chat.completions.create(model=asked, messages=messages)
            assert answer.choices[0].message.content == "hello"
            assert SECRET not in gateway.logs()
        assert server.asked[0].path == "/model/anthropic.claude-v1%3A0/invoke"
