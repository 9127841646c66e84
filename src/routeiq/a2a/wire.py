"""JSON of A2A as plain dicts: names of operations, codes of errors, and what every request must be.

Nothing is modelled beyond what the gateway needs to know, so that members it does not know survive.
https://a2a-protocol.org/latest/specification/
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]

SEND = "SendMessage"
STREAM = "SendStreamingMessage"
GET = "GetTask"
LIST = "ListTasks"
CANCEL = "CancelTask"
SUBSCRIBE = "SubscribeToTask"
PUSH_CREATE = "CreateTaskPushNotificationConfig"
PUSH_GET = "GetTaskPushNotificationConfig"
PUSH_LIST = "ListTaskPushNotificationConfigs"
PUSH_DELETE = "DeleteTaskPushNotificationConfig"
CARD = "GetExtendedAgentCard"
OPERATIONS = (SEND, STREAM, GET, LIST, CANCEL, SUBSCRIBE, PUSH_CREATE, PUSH_GET, PUSH_LIST, PUSH_DELETE, CARD)
"""Operations, by their JSON-RPC methods in 1.0."""
OLD_METHODS = {
    "message/send": SEND,
    "message/stream": STREAM,
    "tasks/get": GET,
    "tasks/cancel": CANCEL,
    "tasks/resubscribe": SUBSCRIBE,
    "tasks/pushNotificationConfig/set": PUSH_CREATE,
    "tasks/pushNotificationConfig/get": PUSH_GET,
    "tasks/pushNotificationConfig/list": PUSH_LIST,
    "tasks/pushNotificationConfig/delete": PUSH_DELETE,
    "agent/getAuthenticatedExtendedCard": CARD,
}
"""The same by their methods in 0.3: https://a2a-protocol.org/v0.3.0/specification/"""
OLD_NAMES = {operation: method for method, operation in OLD_METHODS.items()}
SENDS = (SEND, STREAM)
STREAMED = (STREAM, SUBSCRIBE)

TASK = "task"
MESSAGE = "message"
STATUS = "statusUpdate"
ARTIFACT = "artifactUpdate"
"""What an agent answers with, and streams: the member it stands in."""

FAILED = "TASK_STATE_FAILED"
TERMINAL = frozenset(("TASK_STATE_COMPLETED", FAILED, "TASK_STATE_CANCELED", "TASK_STATE_REJECTED"))
INTERRUPTED = frozenset(("TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"))
RESTING = TERMINAL | INTERRUPTED
"""States in which a task does not go on by itself; its streams end."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
TASK_NOT_FOUND = -32001
NOT_CANCELABLE = -32002
PUSH_NOT_SUPPORTED = -32003
UNSUPPORTED_OPERATION = -32004
CONTENT_TYPE = -32005
INVALID_AGENT_RESPONSE = -32006
NO_EXTENDED_CARD = -32007
EXTENSION_REQUIRED = -32008
VERSION_NOT_SUPPORTED = -32009
REFUSED = -31000
"""The gateway's own: keys, limits. Outside what JSON-RPC and the specification reserve."""


class Meaning(NamedTuple):
    """An error in the HTTP binding: its status, and the words `google.rpc.Status` and `ErrorInfo` have for it."""

    status: int
    word: str
    reason: str


ERRORS = {
    PARSE_ERROR: Meaning(400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    INVALID_REQUEST: Meaning(400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    METHOD_NOT_FOUND: Meaning(404, "NOT_FOUND", "METHOD_NOT_FOUND"),
    INVALID_PARAMS: Meaning(400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
    INTERNAL_ERROR: Meaning(500, "INTERNAL", "INTERNAL_ERROR"),
    TASK_NOT_FOUND: Meaning(404, "NOT_FOUND", "TASK_NOT_FOUND"),
    NOT_CANCELABLE: Meaning(400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
    PUSH_NOT_SUPPORTED: Meaning(400, "FAILED_PRECONDITION", "PUSH_NOTIFICATION_NOT_SUPPORTED"),
    UNSUPPORTED_OPERATION: Meaning(400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    CONTENT_TYPE: Meaning(400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
    INVALID_AGENT_RESPONSE: Meaning(500, "INTERNAL", "INVALID_AGENT_RESPONSE"),
    NO_EXTENDED_CARD: Meaning(400, "FAILED_PRECONDITION", "EXTENDED_AGENT_CARD_NOT_CONFIGURED"),
    EXTENSION_REQUIRED: Meaning(400, "FAILED_PRECONDITION", "EXTENSION_SUPPORT_REQUIRED"),
    VERSION_NOT_SUPPORTED: Meaning(400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
}
"""https://a2a-protocol.org/latest/specification/#54-error-code-mappings"""
CODES = {meaning.reason: code for code, meaning in ERRORS.items() if code != PARSE_ERROR}
"""The way back, of what agents answer."""
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
DOMAIN = "a2a-protocol.org"

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class A2aError(Exception):
    """An error as it is told, or was told by an agent. `status` is the HTTP status where it is not that of the code."""

    def __init__(self, code: int, message: str, data: Any = None, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status

    @property
    def meaning(self) -> Meaning:
        """In the HTTP binding."""
        known = ERRORS.get(self.code)
        if known is not None:
            return known
        return Meaning(self.status or 500, "UNKNOWN", "REFUSED" if self.code == REFUSED else "UNKNOWN")

    def details(self) -> list[Json]:
        """What stands in `data`, or in `details` of the HTTP binding."""
        if isinstance(self.data, list):
            return self.data
        info: Json = {"@type": INFO, "reason": self.meaning.reason, "domain": DOMAIN}
        if isinstance(self.data, dict):
            info["metadata"] = {name: str(value) for name, value in self.data.items()}
        return [info]


class Unavailable(A2aError):
    """An agent can't be reached, or breaks off."""

    def __init__(self, message: str) -> None:
        super().__init__(INTERNAL_ERROR, message, {"code": "agent_unavailable"})


class Garbled(A2aError):
    """An agent does not answer as agents do."""

    def __init__(self, message: str) -> None:
        super().__init__(INVALID_AGENT_RESPONSE, message)


def decode(data: bytes) -> Any:
    """A JSON value. Raises `A2aError`."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise A2aError(PARSE_ERROR, "The body is not JSON.") from None


def task_not_found() -> A2aError:
    """Of a task there is not, and of one that is somebody else's."""
    return A2aError(TASK_NOT_FOUND, "Task not found")


def params_of(message: Any) -> tuple[Any, str, Json]:
    """Id, method and parameters of a JSON-RPC request. Raises `A2aError`."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        raise A2aError(INVALID_REQUEST, 'A request is a JSON object with "jsonrpc": "2.0" and a method.')
    ident = message.get("id")
    if not is_id(ident):
        raise A2aError(INVALID_REQUEST, "id must be a string, a whole number or null.")
    params = message.get("params")
    if not isinstance(params if params is not None else {}, dict):
        raise A2aError(INVALID_PARAMS, "params must be an object.")
    return ident, message["method"], params or {}


def is_id(value: Any) -> bool:
    """Whether a value may be the id of a request."""
    return value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def answer(ident: Any, result: Any) -> bytes:
    """A JSON-RPC response."""
    return encode({"jsonrpc": "2.0", "id": ident, "result": result})


def refusal(ident: Any, error: A2aError) -> bytes:
    """A JSON-RPC response that tells an error."""
    told = {"code": error.code, "message": error.message, "data": error.details()}
    return encode({"jsonrpc": "2.0", "id": ident, "error": told})


def status_of(error: A2aError) -> bytes:
    """The body of an error in the HTTP binding: https://google.aip.dev/193"""
    meaning = error.meaning
    status = error.status or meaning.status
    told = {"code": status, "status": meaning.word, "message": error.message, "details": error.details()}
    return encode({"error": told})


def stamp(when: datetime) -> str:
    """A time as the protocol has it: UTC, milliseconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
