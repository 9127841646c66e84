"""Bedrock as botocore knows it: requests are held against the service's model, fakes are made to fit it."""

from __future__ import annotations

import json
import re
from typing import Any

import botocore.session
from botocore.eventstream import EventStreamBuffer
from botocore.model import Shape
from botocore.parsers import EventStreamJSONParser
from botocore.validate import ParamValidator

from routeiq.transport.eventstream import encode

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")


def check(operation: str, body: bytes) -> dict[str, Any]:
    """The request as JSON. Raises `AssertionError` for one that AWS would refuse."""
    found: dict[str, Any] = json.loads(body)
    _fits(MODEL.operation_model(operation).input_shape, {"modelId": "m", **found})
    return found


def answer(operation: str, members: dict[str, Any]) -> bytes:
    """A whole answer, fitting the service's model."""
    _fits(MODEL.operation_model(operation).output_shape, members)
    return json.dumps(members).encode()


def event(kind: str, members: dict[str, Any]) -> bytes:
    """One message of ConverseStream, as AWS frames it."""
    stream = MODEL.operation_model("ConverseStream").output_shape.members["stream"]
    _fits(stream.members[kind], members)
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, json.dumps(members).encode())


def loose_event(kind: str, members: Any) -> bytes:
    """The same, whether it fits or not."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, json.dumps(members).encode())


def failure(kind: str, message: str) -> bytes:
    """An exception in the midst of a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, json.dumps({"message": message}).encode())


def parsed(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream as botocore understands them."""
    shape = MODEL.operation_model("ConverseStream").output_shape.members["stream"]
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    parser = EventStreamJSONParser()
    return [parser.parse(message.to_response_dict(), shape) for message in buffer]


def _fits(shape: Shape, value: Any) -> None:
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
    _walk(shape, value, shape.name)


def _walk(shape: Shape, value: Any, at: str) -> None:
    """What botocore leaves to the service: patterns, enumerations and greatest lengths."""
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        for name, member in value.items():
            _walk(shape.members[name], member, f"{at}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            _walk(shape.member, item, f"{at}[{index}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            _walk(shape.key, key, at)
            _walk(shape.value, item, f"{at}.{key}")
    elif shape.type_name == "string":
        rules = shape.metadata
        assert "enum" not in rules or value in rules["enum"], (at, value)
        assert "max" not in rules or len(value) <= rules["max"], (at, value)
        assert "pattern" not in rules or re.fullmatch(rules["pattern"], value), (at, value)
