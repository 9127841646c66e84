"""The HTTP+JSON binding of 0.3, whose JSON is neither that of its JSON-RPC nor that of 1.0.

It is ProtoJSON of `a2a.proto` 0.3: names may be in camel case or as in the file, parts of messages are `content`.
https://github.com/a2aproject/A2A/blob/v0.3.0/specification/grpc/a2a.proto
"""

from __future__ import annotations

import re
from typing import Any

from routeiq.a2a import rest, wire
from routeiq.a2a.translate import each, one, webhook_auth_new, webhook_auth_old, without
from routeiq.a2a.wire import MESSAGE, RESTING, STATUS, TASK, A2aError, Garbled, Json

PREFIX = "/v1"
CARD_PATH = "/card"
_OPAQUE = frozenset(("metadata", "data", "params"))
"""Members whose names are not the protocol's."""
_RENAMED = {"request": "message", "msg": "message", "update": "message"}
_CANCELLED = "TASK_STATE_CANCELLED"
_CANCELED = "TASK_STATE_CANCELED"
_CONFIG = re.compile(r"tasks/([^/]+)/pushNotificationConfigs/([^/]*)")
_WORD = re.compile(r"_([a-z])")


def find(method: str, path: str) -> tuple[str, Json] | None:
    """`rest.find` for paths of 0.3, without their prefix."""
    if path == CARD_PATH:
        return (wire.CARD, {}) if method == "GET" else None
    found = rest.find(method, path)
    return None if found is not None and found[0] == wire.LIST else found


def params_in(operation: str, params: Json) -> Json:
    """Parameters of a request in 1.0."""
    found: Json = _camel(params)
    if operation in wire.SENDS:
        one(found, "message", _message_in)
        one(found, "configuration", _configuration_in)
    elif operation == wire.PUSH_CREATE:
        config = found.get("config")
        config = config.get("pushNotificationConfig") if isinstance(config, dict) else None
        inner = webhook_auth_new(config) if isinstance(config, dict) else {}
        if found.get("configId"):
            inner.setdefault("id", found["configId"])
        return {"taskId": found.get("taskId", ""), **inner}
    elif operation == wire.GET and not found.get("historyLength"):
        found.pop("historyLength", None)
    return found


def params_out(operation: str, params: Json) -> Json:
    """The same back."""
    made = without(params, "tenant")
    if operation in wire.SENDS:
        one(made, "message", _message_out)
        one(made, "configuration", _configuration_out)
    elif operation == wire.PUSH_CREATE:
        task, ident = params.get("taskId", ""), params.get("id", "")
        return {"taskId": task, "parent": f"tasks/{task}", "configId": ident, "config": _config_out(params)}
    return made


def made_of(operation: str, params: Json) -> tuple[str, str, bytes]:
    """`rest.made_of` for an agent of 0.3."""
    method, target, body = rest.made_of(operation, params_out(operation, params))
    return method, PREFIX + (CARD_PATH if operation == wire.CARD else target), body


def result_in(operation: str, result: Any) -> Any:
    """A result in 1.0."""
    if operation in (*wire.STREAMED, wire.SEND):
        return _event(_camel(result), _IN)
    if operation in (wire.GET, wire.CANCEL):
        return _task_in(_object(_camel(result)))
    if operation in (wire.PUSH_CREATE, wire.PUSH_GET):
        return _config_in(_object(_camel(result)))
    if operation == wire.PUSH_LIST:
        found = _object(_camel(result)).get("configs", [])
        return {"configs": [_config_in(config) for config in found if isinstance(config, dict)]}
    return result


def result_out(operation: str, result: Any) -> Any:
    """The same back."""
    if operation in (*wire.STREAMED, wire.SEND):
        return _event(result, _OUT)
    if operation in (wire.GET, wire.CANCEL):
        return _task_out(result)
    if operation in (wire.PUSH_CREATE, wire.PUSH_GET):
        return _config_out(result)
    if operation == wire.PUSH_LIST:
        return {"configs": [_config_out(config) for config in result.get("configs", [])]}
    return result


def error_out(error: A2aError) -> bytes:
    """An error as the official SDKs tell it in 0.3, beside the way of 1.0."""
    found = wire.decode(wire.status_of(error))
    return wire.encode({"type": _name(error.meaning.reason), "message": error.message, **found})


def told(status: int, body: Any) -> A2aError:
    """The error an agent answered."""
    name = body.get("type") if isinstance(body, dict) else None
    for reason, code in wire.CODES.items():
        if _name(reason) == name:
            return A2aError(code, str(body.get("message", ""))[:2000])
    return rest.told(status, body)


def _name(reason: str) -> str:
    """`TASK_NOT_FOUND` is `TaskNotFoundError`."""
    return reason.title().replace("_", "").removesuffix("Error") + "Error"


def _camel(found: Any) -> Any:
    if isinstance(found, list):
        return [_camel(part) for part in found]
    if not isinstance(found, dict):
        return found
    made: Json = {}
    for name, value in found.items():
        told = _WORD.sub(lambda match: match[1].upper(), name)
        made[_RENAMED.get(told, told)] = value if name in _OPAQUE and not _wrapped(name, value) else _camel(value)
    return made


def _wrapped(name: str, value: Any) -> bool:
    """A part's `data` is an object with the data in it."""
    return name == "data" and isinstance(value, dict) and value.keys() == {"data"}


def _part_in(part: Json) -> Json:
    made = without(part, "file", "data")
    file, data = part.get("file"), part.get("data")
    if isinstance(file, dict):
        for old, new in (("fileWithBytes", "raw"), ("fileWithUri", "url"), ("mimeType", "mediaType"),
                         ("name", "filename")):  # fmt: skip
            if file.get(old):
                made[new] = file[old]
    if isinstance(data, dict):
        made["data"] = data.get("data", {})
    return made


def _part_out(part: Json) -> Json:
    made = without(part, "raw", "url", "mediaType", "filename", "data")
    if "raw" in part or "url" in part:
        named = (("fileWithBytes", "raw"), ("fileWithUri", "url"), ("mimeType", "mediaType"), ("name", "filename"))
        made["file"] = {old: part[new] for old, new in named if part.get(new)}
    if "data" in part:
        made["data"] = {"data": part["data"] if isinstance(part["data"], dict) else {"value": part["data"]}}
    return made


def _message_in(message: Json) -> Json:
    made = without(message, "content")
    made["parts"] = message.get("content", [])
    each(made, "parts", _part_in)
    return made


def _message_out(message: Json) -> Json:
    made = without(message, "parts", "referenceTaskIds")
    made["content"] = message.get("parts", [])
    each(made, "content", _part_out)
    return made


def _status_in(status: Json) -> Json:
    made = dict(status)
    made["state"] = _CANCELED if status.get("state") == _CANCELLED else status.get("state", "TASK_STATE_UNSPECIFIED")
    one(made, "message", _message_in)
    return made


def _status_out(status: Json) -> Json:
    made = dict(status)
    if status.get("state") == _CANCELED:
        made["state"] = _CANCELLED
    one(made, "message", _message_out)
    return made


def _artifact_in(artifact: Json) -> Json:
    made = dict(artifact)
    each(made, "parts", _part_in)
    return made


def _artifact_out(artifact: Json) -> Json:
    made = dict(artifact)
    each(made, "parts", _part_out)
    return made


def _task_in(task: Json) -> Json:
    made = dict(task)
    one(made, "status", _status_in)
    each(made, "history", _message_in)
    each(made, "artifacts", _artifact_in)
    return made


def _task_out(task: Json) -> Json:
    made = dict(task)
    one(made, "status", _status_out)
    each(made, "history", _message_out)
    each(made, "artifacts", _artifact_out)
    return made


def _update_in(event: Json) -> Json:
    made = without(event, "final")
    one(made, "status", _status_in)
    return made


def _update_out(event: Json) -> Json:
    made = dict(event)
    one(made, "status", _status_out)
    made["final"] = isinstance(event.get("status"), dict) and event["status"].get("state") in RESTING
    return made


def _chunk_in(event: Json) -> Json:
    made = dict(event)
    one(made, "artifact", _artifact_in)
    return made


def _chunk_out(event: Json) -> Json:
    made = dict(event)
    one(made, "artifact", _artifact_out)
    return made


_IN = {TASK: _task_in, MESSAGE: _message_in, STATUS: _update_in, wire.ARTIFACT: _chunk_in}
_OUT = {TASK: _task_out, MESSAGE: _message_out, STATUS: _update_out, wire.ARTIFACT: _chunk_out}


def _event(result: Any, changes: dict[str, Any]) -> Json:
    for name, change in changes.items():
        if isinstance(result, dict) and isinstance(result.get(name), dict):
            return {name: change(result[name])}
    raise Garbled("The agent's answer is no task, message or update.")


def _configuration_in(configuration: Json) -> Json:
    made = without(configuration, "blocking", "pushNotification", "historyLength")
    if configuration.get("historyLength"):
        made["historyLength"] = configuration["historyLength"]
    if not configuration.get("blocking"):  # ProtoJSON leaves out what is false
        made["returnImmediately"] = True
    if isinstance(configuration.get("pushNotification"), dict):
        made["taskPushNotificationConfig"] = webhook_auth_new(configuration["pushNotification"])
    return made


def _configuration_out(configuration: Json) -> Json:
    made = without(configuration, "returnImmediately", "taskPushNotificationConfig")
    made["blocking"] = not configuration.get("returnImmediately")
    webhook = configuration.get("taskPushNotificationConfig")
    if isinstance(webhook, dict):
        made["pushNotification"] = webhook_auth_old(without(webhook, "taskId", "tenant"))
    return made


def _config_in(config: Json) -> Json:
    inner = config.get("pushNotificationConfig")
    named = _CONFIG.fullmatch(str(config.get("name", "")))
    made = webhook_auth_new(inner) if isinstance(inner, dict) else {}
    return {"taskId": named[1] if named else "", **made}


def _config_out(config: Json) -> Json:
    name = f"tasks/{config.get('taskId', '')}/pushNotificationConfigs/{config.get('id', '')}"
    return {"name": name, "pushNotificationConfig": webhook_auth_old(without(config, "taskId", "tenant"))}


def _object(found: Any) -> Json:
    if not isinstance(found, dict):
        raise Garbled("The agent's answer is not an object.")
    return found
