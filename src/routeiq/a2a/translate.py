"""Between versions 0.3 and 1.0: https://a2a-protocol.org/latest/specification/#appendix-a-migration-legacy-compatibility

0.3 tells what something is by `kind`, 1.0 by the member it stands in. What has no other name stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from routeiq.a2a import wire
from routeiq.a2a.wire import ARTIFACT, MESSAGE, RESTING, STATUS, TASK, Garbled, Json

KINDS = {"task": TASK, "message": MESSAGE, "status-update": STATUS, "artifact-update": ARTIFACT}
_KIND_OF = {name: kind for kind, name in KINDS.items()}
_STATES = {
    "unknown": "TASK_STATE_UNSPECIFIED",
    "submitted": "TASK_STATE_SUBMITTED",
    "working": "TASK_STATE_WORKING",
    "completed": "TASK_STATE_COMPLETED",
    "failed": "TASK_STATE_FAILED",
    "canceled": "TASK_STATE_CANCELED",
    "input-required": "TASK_STATE_INPUT_REQUIRED",
    "rejected": "TASK_STATE_REJECTED",
    "auth-required": "TASK_STATE_AUTH_REQUIRED",
}
_OLD_STATES = {new: old for old, new in _STATES.items()}
_ROLES = {"user": "ROLE_USER", "agent": "ROLE_AGENT"}
_OLD_ROLES = {new: old for old, new in _ROLES.items()}
_WRAPPED = "data_part_compat"
"""In a part's metadata: its data was no object, which 0.3 has none but. The name is that of the official SDKs."""

Change = Callable[[Json], Json]


def state_of(status: Any) -> str:
    """The state of a `status` of either version, in the words of 1.0; empty where there is none."""
    state = status.get("state") if isinstance(status, dict) else None
    return _STATES.get(state, state) if isinstance(state, str) else ""


def opened(result: Any) -> tuple[str, Json]:
    """What an agent of either version answers or streams: which of the four it is, and the object. Raises `Garbled`."""
    if isinstance(result, dict):
        kind = result.get("kind")
        if isinstance(kind, str) and kind in KINDS:
            return KINDS[kind], result
        for name in (TASK, MESSAGE, STATUS, ARTIFACT):
            body = result.get(name)
            if isinstance(body, dict):
                return name, body
    raise Garbled("The agent's answer is no task, message or update.")


def closed(name: str, body: Json, *, old: bool) -> Json:
    """One of the four as a result: `body` is of the version that is told already."""
    return body if old else {name: body}


def to_new(name: str, body: Json) -> Json:
    """One of the four, of 0.3, for 1.0."""
    return _NEWER[name](body)


def to_old(name: str, body: Json) -> Json:
    """The same back."""
    made = _OLDER[name](body)
    made["kind"] = _KIND_OF[name]
    return made


def is_old(body: Json) -> bool:
    """Whether one of the four is of 0.3."""
    return "kind" in body


# what both have


def _part_new(part: Json) -> Json:
    made = without(part, "kind", "file")
    file = part.get("file")
    if isinstance(file, dict):
        for old, new in (("bytes", "raw"), ("uri", "url"), ("mimeType", "mediaType"), ("name", "filename")):
            if file.get(old) is not None:
                made[new] = file[old]
    metadata = part.get("metadata")
    if isinstance(metadata, dict) and metadata.get(_WRAPPED) and isinstance(part.get("data"), dict):
        made["data"] = part["data"].get("value")
        made["metadata"] = without(metadata, _WRAPPED)
        if not made["metadata"]:
            del made["metadata"]
    return made


def _part_old(part: Json) -> Json:
    if "raw" in part or "url" in part:
        made = without(part, "raw", "url", "mediaType", "filename")
        file: Json = {"bytes": part["raw"]} if "raw" in part else {"uri": part["url"]}
        if part.get("mediaType"):
            file["mimeType"] = part["mediaType"]
        if part.get("filename"):
            file["name"] = part["filename"]
        return {"kind": "file", **made, "file": file}
    if "data" in part:
        if isinstance(part["data"], dict):
            return {"kind": "data", **part}
        metadata = {**(part.get("metadata") or {}), _WRAPPED: True}
        return {"kind": "data", **part, "data": {"value": part["data"]}, "metadata": metadata}
    return {"kind": "text", **part}


def message_new(message: Json) -> Json:
    """A message."""
    made = without(message, "kind")
    role = made.get("role")
    made["role"] = _ROLES.get(role, role) if isinstance(role, str) else "ROLE_UNSPECIFIED"
    each(made, "parts", _part_new)
    return made


def message_old(message: Json) -> Json:
    """A message."""
    made = {"kind": "message", **message}
    role = made.get("role")
    made["role"] = _OLD_ROLES.get(role, "agent") if isinstance(role, str) else "agent"
    each(made, "parts", _part_old)
    return made


def _status_new(status: Json) -> Json:
    made = dict(status)
    made["state"] = state_of(status) or "TASK_STATE_UNSPECIFIED"
    one(made, "message", message_new)
    stamp = made.get("timestamp")
    if isinstance(stamp, str) and not stamp.endswith("Z"):
        made["timestamp"] = _utc(stamp)
    return made


def _utc(stamp: str) -> str:
    """ISO 8601 as 1.0 has it; 0.3 leaves the zone to whoever writes it."""
    if stamp.endswith(("+00:00", "+0000")):
        return stamp.removesuffix("+00:00").removesuffix("+0000") + "Z"
    return stamp if "+" in stamp or stamp.count("-") > 2 else stamp + "Z"


def _status_old(status: Json) -> Json:
    made = dict(status)
    made["state"] = _OLD_STATES.get(made.get("state", ""), "unknown")
    one(made, "message", message_old)
    return made


def _artifact_new(artifact: Json) -> Json:
    made = dict(artifact)
    each(made, "parts", _part_new)
    return made


def _artifact_old(artifact: Json) -> Json:
    made = dict(artifact)
    each(made, "parts", _part_old)
    return made


def task_new(task: Json) -> Json:
    """A task."""
    made = without(task, "kind")
    one(made, "status", _status_new)
    each(made, "history", message_new)
    each(made, "artifacts", _artifact_new)
    return made


def task_old(task: Json) -> Json:
    """A task."""
    made = {"kind": "task", **task}
    made["status"] = _status_old(task["status"]) if isinstance(task.get("status"), dict) else {"state": "unknown"}
    each(made, "history", message_old)
    each(made, "artifacts", _artifact_old)
    return made


def _update_new(event: Json) -> Json:
    made = without(event, "kind", "final")
    one(made, "status", _status_new)
    return made


def _update_old(event: Json) -> Json:
    made = dict(event)
    one(made, "status", _status_old)
    made["final"] = state_of(event.get("status")) in RESTING
    return made


def _chunk_new(event: Json) -> Json:
    made = without(event, "kind")
    one(made, "artifact", _artifact_new)
    return made


def _chunk_old(event: Json) -> Json:
    made = dict(event)
    one(made, "artifact", _artifact_old)
    return made


_NEWER: dict[str, Change] = {TASK: task_new, MESSAGE: message_new, STATUS: _update_new, ARTIFACT: _chunk_new}
_OLDER: dict[str, Change] = {TASK: task_old, MESSAGE: message_old, STATUS: _update_old, ARTIFACT: _chunk_old}


# where agents tell of tasks


def webhook_auth_new(config: Json) -> Json:
    """A webhook, with one scheme to authenticate by."""
    made = dict(config)
    found = made.get("authentication")
    if isinstance(found, dict) and "schemes" in found:
        schemes = found["schemes"]
        made["authentication"] = without(found, "schemes")
        if isinstance(schemes, list) and schemes:
            made["authentication"]["scheme"] = schemes[0]
    return made


def webhook_auth_old(config: Json) -> Json:
    """The same back, with a list of them."""
    made = dict(config)
    found = made.get("authentication")
    if isinstance(found, dict):
        scheme = found.get("scheme")
        made["authentication"] = {**without(found, "scheme"), "schemes": [scheme] if scheme else []}
    return made


def webhook_new(config: Json) -> Json:
    """A task's webhook: `TaskPushNotificationConfig`."""
    inner = config.get("pushNotificationConfig")
    made = webhook_auth_new(inner) if isinstance(inner, dict) else {}
    return {**without(config, "pushNotificationConfig"), **made}


def webhook_old(config: Json) -> Json:
    """The same back."""
    inner = webhook_auth_old(without(config, "taskId", "tenant"))
    return {"taskId": config.get("taskId", ""), "pushNotificationConfig": inner}


# requests


def params_new(operation: str, params: Json) -> Json:
    """Parameters of 0.3 for 1.0."""
    if operation in wire.SENDS:
        made = dict(params)
        one(made, "message", message_new)
        one(made, "configuration", _configuration_new)
        return made
    if operation == wire.GET:
        # In 0.3 a length of 0 is any.
        return params if params.get("historyLength") else without(params, "historyLength")
    if operation == wire.PUSH_CREATE:
        return webhook_new(params)
    if operation in (wire.PUSH_GET, wire.PUSH_DELETE):
        made = {**without(params, "id", "pushNotificationConfigId"), "taskId": params.get("id", "")}
        if params.get("pushNotificationConfigId"):
            made["id"] = params["pushNotificationConfigId"]
        return made
    if operation == wire.PUSH_LIST:
        return {**without(params, "id"), "taskId": params.get("id", "")}
    return params


def params_old(operation: str, params: Json) -> Json:
    """Parameters of 1.0 for 0.3."""
    params = without(params, "tenant")
    if operation in wire.SENDS:
        one(params, "message", message_old)
        one(params, "configuration", _configuration_old)
    elif operation == wire.PUSH_CREATE:
        return webhook_old(params)
    elif operation in (wire.PUSH_GET, wire.PUSH_DELETE):
        made = {**without(params, "id", "taskId"), "id": params.get("taskId", "")}
        if params.get("id"):
            made["pushNotificationConfigId"] = params["id"]
        return made
    elif operation == wire.PUSH_LIST:
        return {"id": params.get("taskId", "")}
    return params


def _configuration_new(configuration: Json) -> Json:
    made = without(configuration, "blocking", "pushNotificationConfig")
    if not made.get("historyLength"):
        made.pop("historyLength", None)
    if isinstance(configuration.get("blocking"), bool):
        made["returnImmediately"] = not configuration["blocking"]
    webhook = configuration.get("pushNotificationConfig")
    if isinstance(webhook, dict):
        made["taskPushNotificationConfig"] = webhook_auth_new(webhook)
    return made


def _configuration_old(configuration: Json) -> Json:
    made = without(configuration, "returnImmediately", "taskPushNotificationConfig")
    made["blocking"] = not configuration.get("returnImmediately")
    webhook = configuration.get("taskPushNotificationConfig")
    if isinstance(webhook, dict):
        made["pushNotificationConfig"] = webhook_auth_old(without(webhook, "taskId", "tenant"))
    return made


# results of operations that answer none of the four


def result_new(operation: str, result: Any) -> Any:
    """A result of 0.3 for 1.0."""
    if operation in (wire.GET, wire.CANCEL):
        return task_new(_object(result))
    if operation in (wire.PUSH_CREATE, wire.PUSH_GET):
        return webhook_new(_object(result))
    if operation == wire.PUSH_LIST:
        return {"configs": [webhook_new(found) for found in _objects(result)]}
    return {} if operation == wire.PUSH_DELETE else result


def result_old(operation: str, result: Any) -> Any:
    """A result of 1.0 for 0.3."""
    if operation in (wire.GET, wire.CANCEL):
        return task_old(_object(result))
    if operation in (wire.PUSH_CREATE, wire.PUSH_GET):
        return webhook_old(_object(result))
    if operation == wire.PUSH_LIST:
        return [webhook_old(found) for found in _objects(_object(result).get("configs", []))]
    return None if operation == wire.PUSH_DELETE else result


def _object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise Garbled("The agent's answer is not an object.")
    return value


def _objects(value: Any) -> Iterable[Json]:
    if not isinstance(value, list):
        raise Garbled("The agent's answer is not a list.")
    return (found for found in value if isinstance(found, dict))


def without(found: Json, *names: str) -> Json:
    """All members but these."""
    return {name: value for name, value in found.items() if name not in names}


def one(made: Json, name: str, change: Change) -> None:
    """Change a member that is an object."""
    if isinstance(made.get(name), dict):
        made[name] = change(made[name])


def each(made: Json, name: str, change: Change) -> None:
    """Change each of a member that is a list of objects."""
    if isinstance(made.get(name), list):
        made[name] = [change(found) if isinstance(found, dict) else found for found in made[name]]
