"""SageMaker as botocore knows it: signatures, frames and errors are held against the service's model.

What stands in the bodies is the containers': https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/
"""

from __future__ import annotations

import json
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from botocore.parsers import EventStreamJSONParser, create_parser

from routeiq.transport.eventstream import encode
from support import chunks
from support.native import Fake
from support.tokens import Answer, Asked, TokenServer

MODEL = botocore.session.get_session().get_service_model("sagemaker-runtime")
KEYS = Credentials("AKIDEXAMPLE", "aws-secret-0123456789")
REGION = "eu-central-1"
EVENTS = "application/vnd.amazon.eventstream"
GENERATION = {
    *("details", "return_full_text", "temperature", "do_sample", "top_p", "top_k", "frequency_penalty", "seed"),
    *("max_new_tokens", "stop", "repetition_penalty", "typical_p", "truncate", "watermark", "best_of"),
    *("top_n_tokens", "adapter_id", "min_new_tokens", "length_penalty", "early_stopping"),
}


def part(data: bytes) -> bytes:
    """A frame with bytes of the container."""
    headers = {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}
    framed = encode(headers, data)
    assert parsed(framed) == [{"PayloadPart": {"Bytes": data}}]
    return framed


def failure(kind: str, members: dict[str, str]) -> bytes:
    """A frame with an exception of the service's model."""
    shape = MODEL.operation_model("InvokeEndpointWithResponseStream").output_shape.members["Body"].members[kind]
    assert set(members) <= set(shape.members)
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, json.dumps(members).encode())


def parsed(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream as botocore understands them."""
    shape = MODEL.operation_model("InvokeEndpointWithResponseStream").output_shape.members["Body"]
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    parser = EventStreamJSONParser()
    return [parser.parse(message.to_response_dict(), shape) for message in buffer]


def model_error(status: int, message: str) -> bytes:
    """The body of a container's error, wrapped."""
    members = {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
        "LogStreamArn": "arn:aws:logs:eu-central-1:1:log-group:x",
        "Message": f'Received client error ({status}) from primary with message "{message}".',
        "OriginalMessage": json.dumps({"object": "error", "message": message, "type": "BadRequestError"}),
        "OriginalStatusCode": status,
    }
    body = json.dumps(members).encode()
    shape = next(shape for shape in MODEL.operation_model("InvokeEndpoint").error_shapes if shape.name == "ModelError")
    headers = {"x-amzn-errortype": "ModelError", "content-type": "application/json"}
    found = create_parser("rest-json").parse({"status_code": 424, "headers": headers, "body": body}, shape)
    assert found["OriginalStatusCode"] == status
    assert found["Message"] == members["Message"]
    return body


class Sagemaker(Fake):
    """An endpoint whose container speaks Chat Completions; one signed otherwise than by botocore is refused."""

    name = "sagemaker_chat"
    model = "sagemaker_chat/my-endpoint"
    refused = ("web_search_options", {"search_context_size": "low"})

    def params(self, server: TokenServer) -> dict[str, Any]:
        return {
            "model": self.model,
            "api_base": server.url,
            "aws_region_name": REGION,
            "aws_access_key_id": KEYS.access_key,
            "aws_secret_access_key": KEYS.secret_key,
        }

    def serve(self, asked: Asked) -> Answer:
        self._signed(asked)
        path = asked.path.removeprefix("/endpoints/my-endpoint")
        body = json.loads(asked.body)
        if "input" in body or isinstance(body.get("inputs"), list):
            self.bodies.append(body)
            return 200, "application/json", json.dumps(self.vectors(body)).encode()
        self.check(body)
        self.bodies.append(body)
        turn = self.turn
        if turn.error is not None:
            return self.failure(*turn.error)
        if path == "/invocations":
            assert "stream" not in body
            return 200, "application/json", json.dumps(self.whole()).encode()
        assert path == "/invocations-response-stream", asked.path
        assert body["stream"] is True
        data = b"".join(self.events())
        half = len(data) // 2  # frames cut events anywhere
        frames = [part(data[:half]), part(data[half:])]
        if turn.late:
            frames[1] = failure("ModelStreamError", {"Message": turn.late, "ErrorCode": "ModelInvocationTimeExceeded"})
        return 200, EVENTS, self.parts(frames)

    def _signed(self, asked: Asked) -> None:
        request = AWSRequest("POST", f"http://{asked.headers['host']}{asked.path}", data=asked.body)
        request.context["timestamp"] = asked.headers["x-amz-date"]
        request.headers["X-Amz-Date"] = asked.headers["x-amz-date"]
        signer = SigV4Auth(KEYS, "sagemaker", REGION)
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        assert asked.headers["authorization"].endswith(f"Signature={signature}"), "the signature does not match"

    def check(self, body: dict[str, Any]) -> None:
        """Raises `AssertionError` for what a container would not take."""
        assert "model" not in body
        assert body["messages"]

    def whole(self) -> Any:
        """The container's whole answer."""
        return chunks.whole(self.turn)

    def events(self) -> list[bytes]:
        """The container's stream."""
        found = [*chunks.pieces(self.turn), chunks.used()]
        return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in found), b"data: [DONE]\n\n"]

    def vectors(self, body: dict[str, Any]) -> Any:
        """The container's embeddings."""
        assert set(body) == {"input"}
        data = [{"index": at, "embedding": [float(len(text)), 0.5]} for at, text in enumerate(body["input"])]
        return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4}}

    def failure(self, status: int, message: str) -> Answer:
        return 424, "application/json", model_error(status, message)

    def picture(self, body: dict[str, Any]) -> str:
        return chunks.picture(body)

    def schema(self, body: dict[str, Any]) -> Any:
        return body["response_format"]["json_schema"]["schema"]

    def offered(self, body: dict[str, Any]) -> list[str]:
        return chunks.offered(body)

    def results(self, body: dict[str, Any]) -> list[str]:
        return chunks.results(body)


class SagemakerText(Sagemaker):
    """An endpoint whose container takes a prompt: text-generation-inference."""

    name = "sagemaker"
    model = "sagemaker/my-endpoint"
    tools = thinks = structured = sees = counts_embeddings = False
    refused = ("logit_bias", {"5": 1})

    def check(self, body: dict[str, Any]) -> None:
        assert set(body) <= {"inputs", "parameters", "stream"}, body
        assert isinstance(body["inputs"], str)
        assert set(body["parameters"]) <= GENERATION, body
        assert body["parameters"].get("temperature", 1) > 0

    def _details(self) -> dict[str, Any]:
        reason = "length" if self.turn.long else "eos_token"
        return {"finish_reason": reason, "generated_tokens": 5, "input_length": 7, "seed": None}

    def whole(self) -> Any:
        return [{"generated_text": self.turn.text, "details": self._details()}]

    def events(self) -> list[bytes]:
        pieces = self.turn.pieces
        found: list[dict[str, Any]] = [
            {
                "token": {"id": at, "text": text, "logprob": -0.5, "special": False},
                "generated_text": None,
                "details": None,
            }
            for at, text in enumerate(pieces)
        ]
        end = {"id": 2, "text": "</s>", "logprob": -0.5, "special": True}
        found.append({"token": end, "generated_text": self.turn.text, "details": self._details()})
        return [f"data:{json.dumps(event)}\n\n".encode() for event in found]

    def vectors(self, body: dict[str, Any]) -> Any:
        assert set(body) == {"inputs"}
        return [[float(len(text)), 0.5] for text in body["inputs"]]
