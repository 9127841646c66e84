"""Models that use the gateway's MCP tools: with OpenAI's SDK, in Chat Completions and Responses, whole and streamed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from support.answers import DONE, chat, event
from support.gateway import Gateway, deployment
from support.mcp_client import ADMIN, AGENT, OTHER
from support.mcp_config import config_of
from support.mcp_server import McpServer
from support.upstream import Script, Upstream

MESSAGES: Any = [{"role": "user", "content": "Say it."}]
ECHO = "all-echo"


@pytest.fixture(scope="module")
def models(everything: McpServer, provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """MCP servers and a model with a price."""
    entry = deployment(provider, "m")
    entry["model_info"] = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
    config = config_of(everything, tool_loop={"max_rounds": 3, "max_cost": 0.8}, ask_destructive=True)
    file = tmp_path_factory.mktemp("api") / "api.json"
    file.write_text(json.dumps({"openapi": "3.1.0", "paths": {"/all": {"delete": {"operationId": "wipe"}}}}))
    config["mcp_servers"]["api"] = {"spec_path": str(file), "url": "http://127.0.0.1:9"}
    few = {"name": "few", "key": "sk-few", "rpm": 2, "object_permission": {"mcp_servers": ["everything"]}}
    config["routeiq"]["keys"].append(few)
    auto = {"strategy": "llmrouter-smallest"}
    config["routeiq"]["auto_models"] = {"auto": auto}
    with Gateway({**config, "model_list": [entry]}, key=ADMIN) as running:
        while b'"db":"connected"' not in running.get("/health/readiness")[2]:
            time.sleep(0.05)
        yield running


def tool(where: str = "litellm_proxy/mcp/everything,second", **more: Any) -> Any:
    return {"type": "mcp", "server_label": "ours", "server_url": where, "require_approval": "never", **more}


def function(call: str, text: str, name: str = ECHO) -> dict[str, Any]:
    return {"id": call, "type": "function", "function": {"name": name, "arguments": json.dumps({"text": text})}}


def wants(*calls: dict[str, Any], text: str | None = None) -> Script:
    """A model that calls."""
    body = json.loads(chat({"model": "m", "messages": []}))
    body["choices"][0] |= {
        "message": {"role": "assistant", "content": text, "tool_calls": list(calls)},
        "finish_reason": "tool_calls",
    }
    return Script(body=body)


def says(text: str) -> Script:
    body = json.loads(chat({"model": "m", "messages": []}))
    body["choices"][0]["message"]["content"] = text
    return Script(body=body)


def streams(*calls: dict[str, Any], text: str = "") -> Script:
    """The same as a stream, each call in two pieces."""
    chunks: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    chunks += [({"content": word + " "}, None) for word in text.split()]
    for index, call in enumerate(calls):
        half = len(call["function"]["arguments"]) // 2
        first, rest = call["function"]["arguments"][:half], call["function"]["arguments"][half:]
        begin = {**call, "index": index, "function": {**call["function"], "arguments": first}}
        chunks += [({"tool_calls": [begin]}, None)]
        chunks += [({"tool_calls": [{"index": index, "function": {"arguments": rest}}]}, None)]
    chunks.append(({}, "tool_calls" if calls else "stop"))
    base = {"id": "up", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} for delta, finish in chunks]
    events.append({**base, "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}})
    return Script(events=[*(event(json.dumps(one).encode()) for one in events), DONE])


def sdk(gateway: Gateway, key: str = AGENT) -> openai.OpenAI:
    return gateway.client(key)


def test_a_chat_model_calls_tools_until_it_answers(models: Gateway, upstream: Upstream) -> None:
    before = len(models.events())
    upstream.script(wants(function("c1", "one"), function("c2", "two"), text="Let me see."))
    upstream.script(wants(function("c3", "three")), says("All said."))
    raw = sdk(models).chat.completions.with_raw_response.create(model="m", messages=MESSAGES, tools=[tool()])
    answer = raw.parse()
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Let me see.\n\nAll said.", "stop")
    assert choice.message.tool_calls is None
    told = choice.message.model_dump()["provider_specific_fields"]
    assert ECHO in [one["function"]["name"] for one in told["mcp_list_tools"]]
    assert [one["id"] for one in told["mcp_tool_calls"]] == ["c1", "c2", "c3"]
    assert [one["result"] for one in told["mcp_call_results"]] == ["one", "two", "three"]
    first, second, third = (request.json for request in upstream.requests)
    assert ECHO in [one["function"]["name"] for one in first["tools"]]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [message["content"] for message in second["messages"][2:]] == ["one", "two"]
    assert third["messages"][-1]["content"] == "three"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3 * 8
    events = models.wait_events(before + 7)[before:]
    outer = next(one for one in events if not one["request_id"])
    assert (outer["cost"], outer["endpoint"]) == (0, "chat")
    assert {one["request_id"] for one in events if one is not outer} == {outer["id"]}
    assert {one["key_name"] for one in events} == {"agent"}
    assert sorted(one["endpoint"] for one in events) == ["chat"] * 4 + ["mcp"] * 3
    cost = sum(one["cost"] for one in events)
    assert cost >= 3 * 250_000_000
    assert float(raw.headers["x-litellm-response-cost"]) == pytest.approx(cost / 1e9)


def test_a_streamed_chat(models: Gateway, upstream: Upstream) -> None:
    upstream.script(streams(function("c1", "one"), text="I look."), streams(text="It is one."))
    chunks = list(
        sdk(models).chat.completions.create(
            model="m", messages=MESSAGES, tools=[tool()], stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "I look. \n\nIt is one. "
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert not any(chunk.choices[0].delta.tool_calls for chunk in chunks if chunk.choices)
    told: dict[str, Any] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            told |= choice.delta.model_dump().get("provider_specific_fields") or {}
    assert told["mcp_call_results"] == [{"tool_call_id": "c1", "name": ECHO, "result": "one"}]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 14
    assert len({chunk.id for chunk in chunks}) == 1


def test_responses_show_what_was_called(models: Gateway, upstream: Upstream) -> None:
    upstream.script(wants(function("c1", "one")), says("It is one."))
    client = sdk(models)
    choice: Any = {"type": "mcp", "server_label": "ours", "name": ECHO}
    answer = client.responses.create(model="m", input="Say it.", tools=[tool()], tool_choice=choice)
    assert [item.type for item in answer.output] == ["mcp_list_tools", "mcp_call", "message"]
    called: Any = answer.output[1]
    assert (called.name, called.output, called.status, called.server_label) == (ECHO, "one", "completed", "ours")
    assert answer.output_text == "It is one."
    assert len({item.id for item in answer.output}) == 3
    assert answer.tools[0].type == "mcp"
    assert [one.json["tool_choice"] for one in upstream.requests] == [
        {"type": "function", "function": {"name": ECHO}},
        "auto",
    ]
    # The conversation goes on from what is kept: calls and results, in every provider's words.
    upstream.script(says("One, as I said."))
    more = client.responses.create(model="m", input="What?", previous_response_id=answer.id, tools=[tool()])
    assert more.output_text == "One, as I said."
    messages = upstream.requests[-1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[2]["content"] == "one"


def test_streamed_responses(models: Gateway, upstream: Upstream) -> None:
    upstream.script(streams(function("c1", "one"), text="I look."), streams(text="It is one."))
    with sdk(models).responses.stream(model="m", input="Say it.", tools=[tool()]) as stream:
        events = list(stream)
        final: Any = stream.get_final_response()
    assert [item.type for item in final.output] == ["mcp_list_tools", "message", "mcp_call", "message"]
    assert final.output[2].output == "one"
    assert [one.sequence_number for one in events if hasattr(one, "sequence_number")] == sorted(
        one.sequence_number for one in events if hasattr(one, "sequence_number")
    )
    kinds = [one.type for one in events if "mcp_call" in one.type]
    assert kinds == ["response.mcp_call.in_progress", "response.mcp_call_arguments.done", "response.mcp_call.completed"]
    assert not any("function_call" in one.type for one in events)
    assert final.usage.total_tokens == 14


def test_calls_wait_for_approval(models: Gateway, upstream: Upstream) -> None:
    client = sdk(models)
    asks = tool(require_approval="always")
    for stream in (False, True):
        upstream.reset()
        call = function("c1", "one")
        upstream.script(streams(call) if stream else wants(call))
        if stream:
            with client.responses.stream(model="m", input="Say it.", tools=[asks]) as events:
                list(events)
                answer: Any = events.get_final_response()
        else:
            answer = client.responses.create(model="m", input="Say it.", tools=[asks])
        assert [item.type for item in answer.output] == ["mcp_list_tools", "mcp_approval_request"]
        assert answer.status == "completed"
        assert len(upstream.requests) == 1
    for approve, result in ((True, "one"), (False, "The user did not approve this call.")):
        upstream.reset()
        upstream.script(says("Done."), says("Again."))
        said: Any = {
            "type": "mcp_approval_response",
            "approval_request_id": answer.output[1].id,
            "approve": approve,
        }
        more: Any = client.responses.create(model="m", input=[said], previous_response_id=answer.id, tools=[asks])
        assert [item.type for item in more.output] == ["mcp_list_tools", *["mcp_call"] * approve, "message"]
        tail = upstream.requests[0].json["messages"][-2:]
        assert (tail[0]["tool_calls"][0]["function"]["name"], tail[1]["content"]) == (ECHO, result)
        client.responses.create(model="m", input="And?", previous_response_id=more.id, tools=[asks])
        messages = upstream.requests[1].json["messages"]
        assert sum(message["role"] == "tool" for message in messages) == 1  # it was not run again


def test_chat_clients_run_what_they_have_to_approve(models: Gateway, upstream: Upstream) -> None:
    some = tool(require_approval={"never": {"tool_names": ["test_simple_text"]}})
    upstream.script(wants(function("c1", "one")))
    answer = sdk(models).chat.completions.create(model="m", messages=MESSAGES, tools=[some])
    assert answer.choices[0].finish_reason == "tool_calls"
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert (calls[0].id, calls[0].function.name) == ("c1", ECHO)  # type: ignore[union-attr]
    upstream.script(wants(function("c1", "x", "all-test_simple_text")), says("Done."))
    answer = sdk(models).chat.completions.create(model="m", messages=MESSAGES, tools=[some])
    assert answer.choices[0].message.content == "Done."


def test_what_may_destroy_is_never_run_unasked(models: Gateway, upstream: Upstream) -> None:
    upstream.script(wants({"id": "c1", "type": "function", "function": {"name": "wipe", "arguments": "{}"}}))
    answer: Any = sdk(models).responses.create(model="m", input="x", tools=[tool("litellm_proxy/mcp/api")])
    assert [item.type for item in answer.output] == ["mcp_list_tools", "mcp_approval_request"]


def test_functions_of_the_client_stay_its_own(models: Gateway, upstream: Upstream) -> None:
    own: Any = {"type": "function", "function": {"name": "mine", "parameters": {"type": "object", "properties": {}}}}
    mine = {"id": "c2", "type": "function", "function": {"name": "mine", "arguments": "{}"}}
    upstream.script(streams(function("c1", "one"), mine))
    chunks = list(sdk(models).chat.completions.create(model="m", messages=MESSAGES, tools=[own, tool()], stream=True))
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert {(call.index, call.function.name) for call in calls if call.function and call.function.name} == {(0, "mine")}
    assert len(upstream.requests) == 1
    # Responses can hold both: ours is run, theirs is theirs.
    upstream.script(wants(function("c1", "one"), mine))
    flat: Any = {"type": "function", "name": "mine", "parameters": {"type": "object", "properties": {}}}
    answer = sdk(models).responses.create(model="m", input="Say it.", tools=[flat, tool()])
    assert [item.type for item in answer.output] == ["mcp_list_tools", "function_call", "mcp_call"]


def test_grants_hold(models: Gateway, upstream: Upstream) -> None:
    upstream.script(wants(function("c1", "one"), function("c2", "x", "all-test_simple_text")))
    answer: Any = sdk(models, OTHER).responses.create(model="m", input="Say it.", tools=[tool("litellm_proxy")])
    assert [one["function"]["name"] for one in upstream.requests[0].json["tools"]] == [ECHO]
    # A tool that was not given is a function nobody knows: the client's to wonder about.
    assert [item.type for item in answer.output] == ["mcp_list_tools", "function_call", "mcp_call"]
    nobody = "sk-riq-test-nobody-0123456789"
    upstream.script(says("No tools."))
    assert sdk(models, nobody).responses.create(model="m", input="x", tools=[tool()]).output_text == "No tools."
    assert "tools" not in upstream.requests[-1].json


def test_allowed_tools_and_places(models: Gateway, upstream: Upstream) -> None:
    for where, allowed, names in (
        ("litellm_proxy/mcp/everything", ["echo"], ["echo"]),
        ("routeiq/everything/mcp/", {"tool_names": ["echo", "no_such"]}, ["echo"]),
        ("litellm_proxy", ["echo"], [ECHO, "second-echo"]),
        ("litellm_proxy/mcp", [ECHO], [ECHO]),
    ):
        upstream.script(says("Done."))
        wanted = tool(where, allowed_tools=allowed)
        sdk(models).chat.completions.create(model="m", messages=MESSAGES, tools=[wanted])
        assert [one["function"]["name"] for one in upstream.requests[-1].json["tools"]] == names
    upstream.script(says("Done."))
    narrowed = tool("litellm_proxy", allowed_tools=["echo"], headers={"x-mcp-servers": "second"})
    sdk(models).chat.completions.create(model="m", messages=MESSAGES, tools=[narrowed])
    assert [one["function"]["name"] for one in upstream.requests[-1].json["tools"]] == ["second-echo"]


def test_rounds_and_costs_end(models: Gateway, upstream: Upstream) -> None:
    cheap = "all-test_simple_text"  # a cent a call; an echo is a quarter of a dollar
    upstream.always(wants(function("c", "x", cheap)))
    answer = sdk(models).chat.completions.create(model="m", messages=MESSAGES, tools=[tool()], tool_choice="required")
    assert [one.json.get("tool_choice") for one in upstream.requests] == ["required", "auto", "auto", "none"]
    assert answer.choices[0].message.tool_calls is None
    upstream.reset()
    upstream.always(wants(function("c", "x"), function("d", "y")))
    answer = sdk(models).chat.completions.create(model="m", messages=MESSAGES, tools=[tool()])
    assert (answer.choices[0].finish_reason, len(upstream.requests)) == ("length", 2)
    upstream.reset()
    upstream.script(wants(function("c1", "1", cheap), function("c2", "2", cheap)), says("Done."))
    found: Any = sdk(models).responses.create(model="m", input="x", tools=[tool()], max_tool_calls=1)
    assert [item.status for item in found.output if item.type == "mcp_call"] == ["completed", "failed"]
    assert upstream.requests[-1].json["tool_choice"] == "none"


def test_limits_of_the_key_count(models: Gateway, upstream: Upstream) -> None:
    upstream.always(wants(function("c1", "one")))
    with pytest.raises(openai.RateLimitError):
        sdk(models, "sk-few").chat.completions.create(model="m", messages=MESSAGES, tools=[tool("litellm_proxy")])
    assert len(upstream.requests) == 1  # the call was the second


def test_what_goes_wrong_is_told(models: Gateway, upstream: Upstream) -> None:
    bad = {"id": "c1", "type": "function", "function": {"name": ECHO, "arguments": "[1]"}}
    upstream.script(wants(bad, function("c2", "x", "all-test_error_handling")), says("I see."))
    answer: Any = sdk(models).responses.create(model="m", input="x", tools=[tool()])
    errors = [item.error for item in answer.output if item.type == "mcp_call"]
    assert errors[0] == "The arguments are not a JSON object."
    assert errors[1]
    client = sdk(models)
    for where in ("litellm_proxy/../admin", "litellm_proxy/mcp/no_such"):
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="m", messages=MESSAGES, tools=[tool(where)])
        assert refused.value.status_code in (400, 404)
    with pytest.raises(openai.BadRequestError, match="require_approval"):
        client.chat.completions.create(model="m", messages=MESSAGES, tools=[tool(require_approval="maybe")])
    own: Any = {"type": "function", "function": {"name": ECHO, "parameters": {}}}
    with pytest.raises(openai.BadRequestError, match="another name"):
        client.chat.completions.create(model="m", messages=MESSAGES, tools=[own, tool()])
    upstream.script(streams(function("c1", "one"), text="I look."))
    upstream.always(Script(status=400))
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="m", messages=MESSAGES, tools=[tool()], stream=True))


def test_other_servers_are_the_providers(models: Gateway, upstream: Upstream) -> None:
    foreign = tool("https://mcp.example.com/mcp")
    body = json.loads(json.dumps({"id": "resp_1", "object": "response", "status": "completed", "model": "m",
                                  "output": []}))  # fmt: skip
    upstream.script(Script(body=body))
    sdk(models).responses.create(model="m", input="x", tools=[foreign])
    assert upstream.requests[0].json["tools"] == [foreign]


def test_auto_models_and_background(models: Gateway, upstream: Upstream) -> None:
    upstream.script(wants(function("c1", "one")), says("It is one."))
    client = sdk(models)
    answer = client.chat.completions.create(model="auto", messages=MESSAGES, tools=[tool()])
    assert answer.choices[0].message.content == "It is one."
    upstream.script(wants(function("c1", "one")), says("It is one."))
    begun = client.responses.create(model="m", input="x", tools=[tool()], background=True)
    end = time.monotonic() + 10
    while begun.status in ("queued", "in_progress"):
        assert time.monotonic() < end
        time.sleep(0.05)
        begun = client.responses.retrieve(begun.id)
    assert [item.type for item in begun.output] == ["mcp_list_tools", "mcp_call", "message"]


def test_a_client_that_leaves_ends_the_loop(models: Gateway, upstream: Upstream) -> None:
    upstream.script(wants(function("c1", "one")), Script(delay=30))
    connection = models.connection(5)
    body = {"model": "m", "messages": MESSAGES, "tools": [tool()]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {AGENT}"})
    upstream.wait(lambda: len(upstream.requests) == 2)
    connection.close()
    upstream.wait(lambda: upstream.requests[1].gone_at)
