"""The parts of the process, without LiteLLM: a stand-in for its module says what it was called with."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
import types
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
import pytest

from routeiq.core.snapshot import Deployment, Longtail
from routeiq.longtail.calls import Answer, Caller
from routeiq.longtail.errors import refusal, secrets_of
from routeiq.longtail.face import Face
from routeiq.longtail.sdk import Sdk, SdkMissing

CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


class Chunk:
    def __init__(self, **members: Any) -> None:
        self.members = members

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return self.members


class FakeSdk(Sdk):
    """`loaded` instead of the module."""

    def __init__(self, loaded: Any) -> None:
        super().__init__()
        self.loaded = loaded

    async def load(self) -> Any:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def module(answer: Any, supported: list[str] | None = None) -> Any:
    """Something like `litellm`; what it was given is in `called`."""
    made = types.SimpleNamespace(called=[])

    async def act(**arguments: Any) -> Any:
        made.called.append(arguments)
        if isinstance(answer, Exception):
            raise answer
        return answer

    made.acompletion = made.aembedding = act
    made.get_supported_openai_params = lambda **_: supported
    return made


def caller(loaded: Any, *, drop: bool = False, **arguments: Any) -> Caller:
    longtail = Longtail(arguments={"api_key": "key-0123456789", **arguments})
    spec = Deployment(
        id="a b", group="g", provider="sap", model="m", litellm_model="sap/m", longtail=longtail, drop_params=drop
    )
    return Caller(FakeSdk(loaded), spec, 77.0)


def ask(loaded: Any, body: bytes = CHAT, operation: str = "chat", **options: Any) -> tuple[Answer, list[bytes]]:
    async def both() -> tuple[Answer, list[bytes]]:
        answer = await caller(loaded, **options).answer(operation, body)
        return answer, [event async for event in answer.events] if answer.events is not None else []

    return asyncio.run(both())


def told(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)["error"]
    return found


def body(**members: Any) -> bytes:
    return json.dumps({**json.loads(CHAT), **members}).encode()


class TestACall:
    def test_is_made_once_with_the_deployments_arguments(self) -> None:
        litellm = module(Chunk(id="x"))
        ask(litellm, body(temperature=1), temperature=0.5, sap_group="g")
        assert litellm.called == [
            {
                "model": "m",
                "custom_llm_provider": "sap",
                "api_key": "key-0123456789",
                "sap_group": "g",
                "temperature": 1,
                "messages": [{"role": "user", "content": "hi"}],
                "drop_params": False,
                "num_retries": 0,
                "max_retries": 0,
                "timeout": 77.0,
                "_skip_mcp_handler": True,
            }
        ]

    def test_leaves_out_what_asks_for_what_happens_anyway(self) -> None:
        litellm = module(Chunk(), ["max_tokens", "temperature"])
        ask(litellm, body(n=1, logprobs=False, user="me", store=True, max_completion_tokens=5, seed=3, stop=None))
        given = litellm.called[0]
        assert given["max_tokens"] == 5
        assert given["seed"] == 3  # LiteLLM refuses it, or drops it
        assert not {"n", "logprobs", "user", "store", "max_completion_tokens", "stop", "metadata"} & set(given)

    @pytest.mark.parametrize("name", ["api_base", "fallbacks", "mock_response", "input_cost_per_token", "client"])
    def test_takes_no_argument_of_litellms_from_a_client(self, name: str) -> None:
        litellm = module(Chunk())
        answer, _ = ask(litellm, body(**{name: "x"}))
        assert (answer.status, told(answer)["code"], told(answer)["param"]) == (400, "unsupported_parameter", name)
        ask(litellm, body(**{name: "x"}), drop=True)
        assert name not in litellm.called[0]

    @pytest.mark.parametrize("broken", [b"{", b"[]", b'{"model": "m"}', b'{"messages": []}', b"\xff"])
    def test_of_nonsense_is_the_clients_fault(self, broken: bytes) -> None:
        for operation in ("chat", "embedding"):
            answer, _ = ask(module(Chunk()), broken, operation)
            assert answer.status == 400
            assert told(answer)["type"] == "invalid_request_error"

    def test_without_the_sdk_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = importlib.import_module

        def without(name: str, package: str | None = None) -> Any:
            if name == "litellm":
                raise ModuleNotFoundError("No module named 'litellm'", name="litellm")
            return real(name, package)

        monkeypatch.setattr(importlib, "import_module", without)
        with pytest.raises(SdkMissing) as caught:
            asyncio.run(Sdk(own_process=False).load())
        answer, _ = ask(caught.value)
        assert (answer.status, told(answer)["code"]) == (503, "sdk_missing")
        assert "pip install 'routeiq[litellm]'" in told(answer)["message"]


class TestAStream:
    @staticmethod
    async def chunks(*found: Chunk | Exception) -> AsyncIterator[Chunk]:
        for each in found:
            if isinstance(each, Exception):
                raise each
            yield each

    def test_that_fails_before_it_begins_has_a_status(self) -> None:
        error = type("RateLimitError", (Exception,), {"status_code": 429, "headers": {"retry-after": "3"}})("slow")
        answer, events = ask(module(self.chunks(error)), body(stream=True))
        assert (answer.status, events) == (429, [])
        assert (b"retry-after", b"3") in answer.headers

    def test_that_breaks_tells_it_and_is_not_done(self) -> None:
        error = type("MidStreamFallbackError", (Exception,), {"status_code": 500})("gone: key-0123456789")
        piece = Chunk(choices=[{"delta": {"content": "a"}}])
        answer, events = ask(module(self.chunks(piece, error)), body(stream=True))
        assert answer.status == 200
        last = json.loads(events[-1].removeprefix(b"data: "))
        assert last["error"]["message"] == "gone: ***"
        assert last["status_code"] == 500

    def test_tells_usage_in_openais_way(self) -> None:
        usage = Chunk(choices=[{"index": 0, "delta": {}}], usage={"total_tokens": 3, "cost": 0.1})
        _, events = ask(module(self.chunks(usage)), body(stream=True))
        assert json.loads(events[0].removeprefix(b"data: ")) == {"choices": [], "usage": {"total_tokens": 3}}
        assert events[1] == b"data: [DONE]\n\n"


class TestAnError:
    @pytest.mark.parametrize(
        ("name", "status", "kind", "code"),
        [
            ("AuthenticationError", 401, "authentication_error", None),
            ("Timeout", 408, "timeout_error", None),
            ("ContextWindowExceededError", 400, "invalid_request_error", "context_length_exceeded"),
            ("ContentPolicyViolationError", 400, "invalid_request_error", "content_policy_violation"),
            ("ServiceUnavailableError", 503, "internal_server_error", None),
        ],
    )
    def test_keeps_its_class(self, name: str, status: int, kind: str, code: str | None) -> None:
        error = type(name, (Exception,), {"status_code": status})(f"litellm.{name}: no")
        found = refusal(error, ())
        assert found.status == status
        assert json.loads(found.body)["error"] == {"message": "no", "type": kind, "code": code, "param": None}

    @pytest.mark.parametrize("status", [None, "429", 200, 999])
    def test_without_a_status_is_a_fault(self, status: Any) -> None:
        assert refusal(type("E", (Exception,), {"status_code": status})("x"), ()).status == 500

    def test_shows_neither_secrets_nor_litellms_inside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VENDOR_API_KEY", "from-the-environment")
        secrets = secrets_of(
            {
                "api_key": "pat/abcdefgh",
                "extra_headers": {"X-A": "Bearer ijklmnop"},
                "oci_key": "ab",
                "region": "mars-west",
            }
        )
        message = "abcdefgh ijklmnop from-the-environment mars-west ab\n\nTraceback (most recent call last):\n secret"
        found = json.loads(refusal(Exception(message), secrets).body)["error"]["message"]
        assert found == "*** *** *** mars-west ab"

    @pytest.mark.parametrize("where", ["litellm_response_headers", "headers", "response"])
    def test_keeps_retry_after_wherever_it_stands(self, where: str) -> None:
        headers = httpx.Headers({"Retry-After": "12"})
        held = types.SimpleNamespace(headers=headers) if where == "response" else headers
        error = type("E", (Exception,), {"status_code": 429, where: held})("x")
        assert refusal(error, ()).retry_after == "12"
        bad = httpx.Headers([(b"retry-after", b"1\xff2")])
        assert refusal(type("E", (Exception,), {"status_code": 429, "headers": bad})("x"), ()).retry_after is None


class TestTheFace:
    @staticmethod
    async def post(face: Face, ident: str, path: str = "/chat") -> tuple[int, bytes]:
        """One request as the server would hand it over."""
        pieces = [
            {"type": "http.request", "body": CHAT[:9], "more_body": True},
            {"type": "http.request", "body": CHAT[9:]},
        ]
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if not pieces:
                await asyncio.Event().wait()
            return pieces.pop(0)

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "path": path, "headers": [(b"x-routeiq-deployment", ident.encode())]}
        await face(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def test_finds_the_deployment_also_of_the_snapshot_before(self) -> None:
        async def run() -> None:
            face = Face()
            face.adopt({"a b": caller(module(Chunk(id="old")))})
            assert await self.post(face, "a%20b") == (200, b'{"id":"old"}')
            face.adopt({"c": caller(module(Chunk(id="new")))})
            assert await self.post(face, "a%20b") == (200, b'{"id":"old"}')
            assert (await self.post(face, "c", "/elsewhere"))[0] == 404

        asyncio.run(run())

    def test_waits_for_the_snapshot_a_worker_has_already(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def run() -> None:
            face = Face()
            asked = asyncio.create_task(self.post(face, "c"))
            await asyncio.sleep(0.01)
            face.adopt({"c": caller(module(Chunk(id="new")))})
            assert await asked == (200, b'{"id":"new"}')
            monkeypatch.setattr("routeiq.longtail.face.ADOPT_SECONDS", 0.01)
            status, answer = await self.post(face, "unknown")
            assert (status, json.loads(answer)["error"]["code"]) == (503, "longtail_unavailable")

        asyncio.run(run())


def test_nothing_of_it_imports_litellm_by_itself() -> None:
    code = "import sys, routeiq.longtail.main, routeiq.sdk.longtail, routeiq.config.longtail"
    code += "\nassert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
