"""Whatever is written in a file, the answer is findings at places in it, never an exception."""

from __future__ import annotations

import msgspec
from config_helpers import ENVIRON, compile_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routeiq.config.address import Address, parse_base
from routeiq.config.groups import find_wildcards
from routeiq.config.heads import render
from routeiq.core.provider import ProviderSpec

VALID = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY, rpm: 10, timeout: 30s}
    model_info: {mode: chat, id: a}
  - model_name: "open/*"
    litellm_params: {model: "openai/*", api_key: k, api_base: http://localhost:1/v1, weight: 1}
router_settings: {routing_strategy: least-busy, fallbacks: [{gpt-4o: [open/x]}], model_group_alias: {a: gpt-4o}}
litellm_settings: {num_retries: 3, request_timeout: 60, drop_params: true}
general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, max_request_size_mb: 5}
environment_variables: {KEY: sk-x}
routeiq:
  port: 4000
  keys: [{name: ci, key: os.environ/KEY, models: [gpt-*], max_budget: 1.5, budget_duration: 30d}]
  limits: {max_body: 10MB}
  upstreams: [{host: localhost, proxy: none}]
"""
FRAGMENTS = [
    *(
        "model_list:\n",
        "  - model_name: x\n",
        "    litellm_params: ",
        "{model: openai/x}",
        "include: [a]\n",
        "&a ",
        "*a",
    ),
    *(
        "<<: ",
        "os.environ/",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "\n",
        "  ",
        "!!int ",
        "~",
        "'",
        '"',
        "*",
        "|",
        "\t",
        "1e999",
    ),
    *(
        "\x00",
        "\ud7ff",
        "\u2028",
        "\r",
        "0x",
        "1:2:3",
        "!!binary x",
        "? ",
        ".nan",
        "9" * 5000,
        "routeiq:\n",
        "  keys: ",
    ),
]
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(text: str) -> None:
    lines = text.count("\n") + text.count("\r") + text.count("\u2028") + text.count("\x85") + text.count("\u2029") + 2
    result = compile_text(text, ENVIRON)
    for finding in (*result.errors, *result.warnings):
        assert finding.message
        assert 0 <= finding.line <= lines
        assert finding.column >= (1 if finding.line else 0)
    if not result.errors:
        msgspec.msgpack.encode(result.snapshot)


@quick
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=30).map("".join))
def test_any_text(text: str) -> None:
    check(text)


@quick
@given(st.integers(0, len(VALID)), st.integers(0, 12), st.sampled_from(FRAGMENTS) | st.text(max_size=4))
def test_a_valid_file_damaged(at: int, cut: int, put: str) -> None:
    check(VALID[:at] + put + VALID[at + cut :])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["gpt-4o", "30d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TREE = {
    "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/x", "api_key": "k"}}],
    "router_settings": {"fallbacks": [{"m": ["n"]}], "model_group_alias": {"n": "m"}, "retry_policy": {}},
    "litellm_settings": {"ssl_verify": True},
    "general_settings": {"master_key": "k"},
    "environment_variables": {},
    "routeiq": {
        "keys": [{"name": "a", "hash": "a" * 64}],
        "timeouts": {},
        "resilience": {"hedge": {}},
        "upstreams": [],
    },
}


@quick
@given(st.data())
def test_a_valid_tree_with_any_value_in_any_place(data: st.DataObject) -> None:
    tree = msgspec.json.decode(msgspec.json.encode(TREE))
    node = tree
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        deeper = isinstance(node[key], (dict, list)) and len(node[key]) > 0
        if not deeper or data.draw(st.booleans()):
            node[key] = data.draw(values)
            break
        node = node[key]
    check(msgspec.json.encode(tree).decode())


@quick
@given(st.text(), st.text(), st.text(), st.text(), st.text())
def test_heads_are_one_request_or_refused(base: str, key: str, model: str, name: str, value: str) -> None:
    spec = ProviderSpec(name="x", paths={"chat": "/{model}"})
    try:
        address = parse_base("https://h/" + base)
        head = render(spec, address, model=model, version=None, auth=("X-Api-Key", key), extra={name: value})["chat"]
    except (ValueError, UnicodeEncodeError):
        return
    lines = head.split(b"\r\n")
    assert len(lines) == 8
    assert lines[-1] == b""
    assert lines[0].count(b" ") == 2
    assert not any(byte in b"\r\n\0" for line in lines for byte in line)


@quick
@given(st.text())
def test_addresses_are_refused_or_clean(text: str) -> None:
    for candidate in (text, "https://" + text):
        try:
            address = parse_base(candidate)
        except ValueError:
            continue
        assert isinstance(address, Address)
        assert address.host_header.isprintable()
        assert " " not in address.url


@quick
@given(st.lists(st.tuples(st.text("ab", max_size=3), st.text("ab", max_size=3)), max_size=6))
def test_more_specific_wildcards_come_first(parts: list[tuple[str, str]]) -> None:
    found = find_wildcards({f"{prefix}*{suffix}" for prefix, suffix in parts})
    lengths = [len(w.prefix) + len(w.suffix) for w in found]
    assert lengths == sorted(lengths, reverse=True)
