"""Between 0.3 and 1.0: there and back is where it began, the official SDK reads what is made, nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from a2a.compat.v0_3 import a2a_v0_3_pb2 as old_pb
from a2a.compat.v0_3 import conversions
from a2a.compat.v0_3 import types as old
from a2a.types import a2a_pb2 as new
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st

from routeiq.a2a import old_http, wire
from routeiq.a2a.translate import (
    message_new,
    message_old,
    opened,
    params_new,
    params_old,
    result_new,
    result_old,
    task_new,
    task_old,
    to_new,
    to_old,
)

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
OBJECTS = st.dictionaries(WORDS, WORDS | st.booleans(), min_size=1, max_size=3)
METADATA = st.fixed_dictionaries({}, optional={"metadata": OBJECTS})


def joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {name: value for part in found for name, value in part.items()})


FILES = st.fixed_dictionaries({}, optional={"mediaType": st.just("text/plain"), "filename": WORDS})
PARTS = st.one_of(
    joined(st.fixed_dictionaries({"text": WORDS}), METADATA),
    joined(st.fixed_dictionaries({"data": OBJECTS | st.lists(WORDS) | WORDS}), METADATA),
    joined(st.fixed_dictionaries({"raw": st.just("aGk=")}), FILES, METADATA),
    joined(st.fixed_dictionaries({"url": st.just("https://files.example/1")}), FILES, METADATA),
)
MESSAGES = st.fixed_dictionaries(
    {"messageId": WORDS, "role": st.sampled_from(["ROLE_USER", "ROLE_AGENT"]), "parts": st.lists(PARTS, max_size=3)},
    optional={
        "contextId": WORDS, "taskId": WORDS, "metadata": OBJECTS, "extensions": st.lists(WORDS, min_size=1),
        "referenceTaskIds": st.lists(WORDS, min_size=1), "somethingNew": OBJECTS,
    },
)  # fmt: skip
STATES = st.sampled_from(sorted(wire.RESTING | {"TASK_STATE_WORKING", "TASK_STATE_SUBMITTED"}))
STATUSES = st.fixed_dictionaries(
    {"state": STATES}, optional={"message": MESSAGES, "timestamp": st.just("2026-11-22T10:00:00.123Z")}
)
ARTIFACTS = st.fixed_dictionaries(
    {"artifactId": WORDS, "parts": st.lists(PARTS, min_size=1, max_size=2)}, optional={"name": WORDS}
)
TASKS = st.fixed_dictionaries(
    {"id": WORDS, "contextId": WORDS, "status": STATUSES},
    optional={
        "history": st.lists(MESSAGES, max_size=2), "artifacts": st.lists(ARTIFACTS, max_size=2), "metadata": OBJECTS,
        "somethingNew": OBJECTS,
    },
)  # fmt: skip


@given(MESSAGES)
def test_messages_survive(message: dict[str, Any]) -> None:
    told = message_old(message)
    assert message_new(told) == message
    old.Message.model_validate(told)
    if "somethingNew" not in message:
        theirs = conversions.to_compat_message(ParseDict(message, new.Message()))
        assert json.loads(theirs.model_dump_json(exclude_none=True, by_alias=True)) == told


@given(TASKS)
def test_tasks_survive(task: dict[str, Any]) -> None:
    told = task_old(task)
    assert task_new(told) == task
    core = conversions.to_core_task(old.Task.model_validate(told))
    known = {name: value for name, value in task.items() if name != "somethingNew"}
    assert MessageToDict(core)["status"]["state"] == task["status"]["state"]
    assert set(MessageToDict(core)) <= set(known)


@given(
    st.one_of(
        st.tuples(st.just("task"), TASKS),
        st.tuples(st.just("message"), MESSAGES),
        st.tuples(
            st.just("statusUpdate"),
            st.fixed_dictionaries({"taskId": WORDS, "contextId": WORDS, "status": STATUSES}),
        ),
        st.tuples(
            st.just("artifactUpdate"),
            st.fixed_dictionaries(
                {"taskId": WORDS, "contextId": WORDS, "artifact": ARTIFACTS},
                optional={"append": st.booleans(), "lastChunk": st.booleans()},
            ),
        ),
    )
)
def test_events_survive(event: tuple[str, dict[str, Any]]) -> None:
    name, body = event
    told = to_old(name, body)
    assert opened(told) == (name, told)
    assert opened({name: body}) == (name, body)
    assert to_new(name, told) == body
    if name == "statusUpdate":
        assert told["final"] == (body["status"]["state"] in wire.RESTING)


HOOK = {"id": "h", "url": "https://hook.example", "token": "t"}


@pytest.mark.parametrize(
    ("operation", "newer", "older"),
    [
        (wire.GET, {"id": "t", "historyLength": 2}, {"id": "t", "historyLength": 2}),
        (wire.CANCEL, {"id": "t", "metadata": {"a": 1}}, {"id": "t", "metadata": {"a": 1}}),
        (wire.SUBSCRIBE, {"id": "t"}, {"id": "t"}),
        (
            wire.PUSH_CREATE,
            {"taskId": "t", **HOOK, "authentication": {"scheme": "Bearer", "credentials": "c"}},
            {
                "taskId": "t",
                "pushNotificationConfig": {**HOOK, "authentication": {"schemes": ["Bearer"], "credentials": "c"}},
            },
        ),
        (wire.PUSH_GET, {"taskId": "t", "id": "h"}, {"id": "t", "pushNotificationConfigId": "h"}),
        (wire.PUSH_DELETE, {"taskId": "t", "id": "h"}, {"id": "t", "pushNotificationConfigId": "h"}),
        (wire.PUSH_LIST, {"taskId": "t"}, {"id": "t"}),
        (
            wire.SEND,
            {
                "message": {"messageId": "m", "role": "ROLE_USER", "parts": []},
                "configuration": {"returnImmediately": True, "historyLength": 1, "taskPushNotificationConfig": HOOK},
            },
            {
                "message": {"kind": "message", "messageId": "m", "role": "user", "parts": []},
                "configuration": {"blocking": False, "historyLength": 1, "pushNotificationConfig": HOOK},
            },
        ),
    ],
)
def test_requests_have_both_shapes(operation: str, newer: dict[str, Any], older: dict[str, Any]) -> None:
    assert params_old(operation, newer) == older
    assert params_new(operation, older) == newer


def test_a_length_of_nothing_is_any_in_the_old_version() -> None:
    assert params_new(wire.GET, {"id": "t", "historyLength": 0}) == {"id": "t"}
    assert params_old(wire.GET, {"id": "t", "tenant": "x"}) == {"id": "t"}


def test_results_have_both_shapes() -> None:
    newer = {"configs": [{"taskId": "t", **HOOK}]}
    older = [{"taskId": "t", "pushNotificationConfig": HOOK}]
    assert result_old(wire.PUSH_LIST, newer) == older
    assert result_new(wire.PUSH_LIST, older) == newer
    assert (result_old(wire.PUSH_DELETE, {}), result_new(wire.PUSH_DELETE, None)) == (None, {})
    for operation in (wire.GET, wire.PUSH_LIST, wire.PUSH_GET):
        with pytest.raises(wire.A2aError):
            result_new(operation, "no such thing")


@given(st.recursive(st.none() | st.booleans() | st.integers() | WORDS, lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["kind", "task", "message", "status", "parts", "file", "role", "state", "history"]) | WORDS, inner
)))  # fmt: skip
def test_whatever_an_agent_says_is_read_or_refused(found: Any) -> None:
    try:
        name, body = opened(found)
    except wire.A2aError:
        return
    to_new(name, body)
    to_old(name, body)


def plain(found: Any) -> Any:
    """Without what the HTTP+JSON binding of 0.3 has no member for, and without what is empty."""
    if isinstance(found, list):
        return [plain(one) for one in found]
    if not isinstance(found, dict):
        return found
    made = {}
    for name, value in found.items():
        if name == "data":
            made[name] = value if isinstance(value, dict) else {"value": value}
        elif name == "metadata":
            made[name] = value
        elif name not in ("referenceTaskIds", "somethingNew") and plain(value) not in ([], {}):
            made[name] = plain(value)
    return made


@pytest.mark.parametrize("snake", [True, False])
@given(task=TASKS)
def test_tasks_survive_the_http_binding_of_the_old_version(task: dict[str, Any], snake: bool) -> None:
    told = old_http.result_out(wire.GET, task)
    parsed = ParseDict(told, old_pb.Task(), ignore_unknown_fields=True)
    written = MessageToDict(parsed, preserving_proto_field_name=snake)
    found = old_http.result_in(wire.GET, written)
    assert plain(found) == plain(task)
    assert old_http.result_in(wire.SEND, {"task": written}) == {"task": found}


def test_requests_of_the_old_http_binding() -> None:
    hook = {"id": "h", "url": "https://hook.example", "authentication": {"scheme": "Bearer", "credentials": "c"}}
    newer = {"taskId": "t", **hook}
    older = old_http.params_out(wire.PUSH_CREATE, newer)
    ParseDict(older, old_pb.CreateTaskPushNotificationConfigRequest(), ignore_unknown_fields=True)
    assert old_http.params_in(wire.PUSH_CREATE, older) == newer
    assert old_http.result_in(wire.PUSH_GET, old_http.result_out(wire.PUSH_GET, newer)) == newer
    listed = {"configs": [newer]}
    assert old_http.result_in(wire.PUSH_LIST, old_http.result_out(wire.PUSH_LIST, listed)) == listed
    sent = {
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]},
        "configuration": {"returnImmediately": True, "historyLength": 1, "taskPushNotificationConfig": hook},
    }
    message = ParseDict(old_http.params_out(wire.SEND, sent), old_pb.SendMessageRequest())
    for snake in (True, False):
        assert old_http.params_in(wire.SEND, MessageToDict(message, preserving_proto_field_name=snake)) == sent
    error = old_http.told(404, json.loads(old_http.error_out(wire.task_not_found())))
    assert (error.code, error.message) == (wire.TASK_NOT_FOUND, "Task not found")
