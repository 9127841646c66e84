"""What a valid configuration comes to in the Snapshot."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from config_helpers import ENVIRON, Compile

from routeiq.config.schema.routeiq import JournalSettings, LimitSettings, TimeoutSettings
from routeiq.core import snapshot as snapshots
from routeiq.core.keys import BudgetLimit
from routeiq.core.money import Prices
from routeiq.core.snapshot import MODEL_MARK, Journal, Limits, Timeouts, Wildcard


def one(params: str, more: str = "") -> str:
    return f"model_list:\n  - model_name: m\n    litellm_params: {{{params}}}\n{more}"


OPENAI = "model: openai/gpt-4o, api_key: sk-x"


def test_heads_are_whole_requests_less_their_length(compiled: Compile) -> None:
    deployment = compiled(one(f"{OPENAI}, organization: org-1, extra_headers: {{X-Team: a b}}")).only
    head = deployment.heads["chat"].decode()
    lines = head.split("\r\n")
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert lines[1] == "Host: api.openai.com"
    assert "Authorization: Bearer sk-x" in lines
    assert "Content-Type: application/json" in lines
    assert "Accept-Encoding: identity" in lines
    assert "OpenAI-Organization: org-1" in lines
    assert "X-Team: a b" in lines
    assert any(line.startswith("User-Agent: routeiq/") for line in lines)
    assert lines[-1] == ""
    assert "" not in lines[:-1]
    assert set(deployment.heads) == {"chat", "completion", "embedding", "responses"}
    assert deployment.heads["embedding"].startswith(b"POST /v1/embeddings HTTP/1.1\r\n")
    assert (deployment.scheme, deployment.host, deployment.port) == ("https", "api.openai.com", 443)


@pytest.mark.parametrize(
    ("base", "host", "port", "header", "path"),
    [
        ("http://localhost:8000/v1", "localhost", 8000, "localhost:8000", "/v1/chat/completions"),
        ("http://localhost:8000/v1/", "localhost", 8000, "localhost:8000", "/v1/chat/completions"),
        ("https://H.Example.com:443", "h.example.com", 443, "h.example.com", "/chat/completions"),
        ("http://[::1]:9000/a", "::1", 9000, "[::1]:9000", "/a/chat/completions"),
        ("https://h/v1/chat/completions", "h", 443, "h", "/v1/chat/completions"),
        ("https://h:80/v1", "h", 80, "h:80", "/v1/chat/completions"),
    ],
)
def test_addresses(compiled: Compile, base: str, host: str, port: int, header: str, path: str) -> None:
    deployment = compiled(one(f'{OPENAI}, api_base: "{base}"')).only
    assert (deployment.host, deployment.port) == (host, port)
    assert deployment.heads["chat"].startswith(f"POST {path} HTTP/1.1\r\nHost: {header}\r\n".encode())


@pytest.mark.parametrize(
    "base",
    [
        *("ftp://h", "h/v1", "https://", "https://h:0", "https://h:99999", "https://h:x", "https://u:p@h/v1"),
        *("https://h/v1?a=b", "https://h/v1#x", "https://h/a b", "https://h\\r\\nX: y/v1", "https://h/\\r\\nX: y"),
        *(
            "https://h/..",
            "https://h/%zz",
            "https://a..b/",
            "https://h\\0/",
            "https://[::1",
            "https://[zz]/",
            "\\u00e9",
        ),
        *("https://ex\\u00e4mple.com", "https://h/\\u2028", "https://-h/", "https://h\\\\@evil/"),
    ],
)
def test_addresses_that_are_refused(compiled: Compile, base: str) -> None:
    result = compiled(one(f'{OPENAI}, api_base: "{base}"'))
    assert result.error("model_list[0].litellm_params.api_base").line == 3


@pytest.mark.parametrize(
    "params",
    [
        'model: openai/m, api_key: "a\\r\\nX-Evil: 1"',
        'model: openai/m, api_key: "a\\nb"',
        'model: openai/m, api_key: "a\\0b"',
        'model: openai/m, api_key: " a"',
        'model: openai/m, api_key: "\\u2028"',
        'model: openai/m, api_key: k, organization: "a\\r\\nb"',
        'model: openai/m, api_key: k, extra_headers: {"X-A\\r\\nB": c}',
        'model: openai/m, api_key: k, extra_headers: {X-A: "c\\r\\nd"}',
        'model: openai/m, api_key: k, extra_headers: {"X A": c}',
        "model: openai/m, api_key: k, extra_headers: {Host: evil}",
        "model: openai/m, api_key: k, extra_headers: {content-length: '3'}",
        "model: openai/m, api_key: k, extra_headers: {Transfer-Encoding: chunked}",
        'model: azure/m, api_key: k, api_base: "https://h", api_version: "1\\r\\nX: 1"',
        'model: "azure/m\\r\\nX: 1", api_key: k, api_base: "https://h"',
    ],
)
def test_nothing_can_break_a_head_apart(compiled: Compile, params: str) -> None:
    result = compiled(one(params))
    assert result.errors
    for deployment in result.snapshot.deployments:
        assert b"X-Evil" not in b"".join(deployment.heads.values())


def test_azure_has_the_model_in_its_path_and_a_key_of_its_own(compiled: Compile) -> None:
    text = one('model: azure/my gpt?/4o, api_key: k, api_base: "https://r.openai.azure.com", api_version: 2024-10-21')
    head = compiled(text).only.heads["chat"].decode()
    assert head.startswith(
        "POST /openai/deployments/my%20gpt%3F%2F4o/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n"
    )
    assert "\r\napi-key: k\r\n" in head
    assert "Authorization" not in head


def test_azure_v1_and_tokens(compiled: Compile) -> None:
    base = 'model: azure/m, api_base: "https://r.openai.azure.com"'
    assert (
        b"POST /openai/v1/chat/completions HTTP"
        in compiled(one(base + ", api_key: k, api_version: v1")).only.heads["chat"]
    )
    head = compiled(one(base + ", azure_ad_token: t")).only.heads["chat"]
    assert b"Authorization: Bearer t\r\n" in head
    assert b"?api-version=2025-02-01-preview " in head
    wild = compiled(
        base.join(("model_list: [{model_name: 'a/*', litellm_params: {api_key: k, ", "}}]")).replace("/m", "/*")
    )
    (deployment,) = wild.snapshot.deployments
    assert not wild.errors
    target = b"/openai/deployments/" + MODEL_MARK + b"/chat/completions?api-version=2025-02-01-preview"
    assert deployment.heads["chat"].startswith(b"POST " + target + b" HTTP/1.1\r\n")


def test_keys_come_from_the_environment_for_the_providers_own_address_only(compiled: Compile) -> None:
    own = compiled(one("model: groq/llama-3.3-70b-versatile"), GROQ_API_KEY="gk").only
    assert b"Host: api.groq.com\r\n" in own.heads["chat"]
    assert b"Bearer gk\r\n" in own.heads["chat"]
    other = compiled(one('model: openai/x, api_base: "https://elsewhere.example/v1"'), OPENAI_API_KEY="sk-env")
    assert "own address" in other.error("model_list[0].litellm_params.api_key").message
    assert not any(b"sk-env" in d.heads["chat"] for d in other.snapshot.deployments)
    missing = compiled(one("model: openai/x"))
    assert "OPENAI_API_KEY" in missing.error("model_list[0].litellm_params.api_key").message
    chosen = compiled(one("model: openai/x"), OPENAI_API_KEY="sk-env", OPENAI_BASE_URL="http://localhost:1/v1").only
    assert b"Bearer sk-env" in chosen.heads["chat"]
    assert chosen.port == 1


def test_self_hosted_models_need_no_key(compiled: Compile) -> None:
    head = compiled(one('model: hosted_vllm/meta/llama, api_base: "http://vllm:8000/v1"')).only.heads["chat"]
    assert b"Authorization" not in head
    missing = compiled(one("model: hosted_vllm/llama"))
    assert "HOSTED_VLLM_API_BASE" in missing.error("model_list[0].litellm_params.api_base").message


@pytest.mark.parametrize(
    ("params", "provider", "model"),
    [
        ("model: gpt-4o", "openai", "gpt-4o"),
        ("model: openai/meta-llama/x", "openai", "meta-llama/x"),
        ("model: meta/x, custom_llm_provider: groq", "groq", "meta/x"),
        ("model: groq/x, custom_llm_provider: groq", "groq", "x"),
        ("model: ollama/llama3", "ollama", "llama3"),
        ("model: text-completion-openai/gpt-3.5-turbo-instruct", "text-completion-openai", "gpt-3.5-turbo-instruct"),
    ],
)
def test_providers_are_read_as_litellm_does(compiled: Compile, params: str, provider: str, model: str) -> None:
    deployment = compiled(one(params + ", api_key: k")).only
    assert (deployment.provider, deployment.model) == (provider, model)


@pytest.mark.parametrize(
    ("model", "hint"),
    [("llama3", "openai/llama3"), ("opnai/x", "openai"), ("deepgram/nova-3", "api_base"), ("openai/", "")],
)
def test_models_without_a_provider_we_can_call(compiled: Compile, model: str, hint: str) -> None:
    assert hint in compiled(one(f"model: {model}, api_key: k")).error("model_list[0].litellm_params.model").hint


def test_mock_and_demo_deployments_need_no_network(compiled: Compile) -> None:
    mock = compiled(one("model: openai/gpt-4o, mock_response: hello")).only
    assert (mock.kind, mock.mock_response, mock.heads) == ("mock", "hello", {})
    demo = compiled(one("model: demo/chat")).only
    assert demo.kind == "demo"
    assert demo.prices is not None
    assert demo.prices.source == "demo"


def test_ids_are_stable_and_differ(compiled: Compile) -> None:
    text = one(OPENAI)
    first, again = compiled(text).only.id, compiled(text).only.id
    assert first == again
    assert len(first) == 64
    assert compiled(text.replace("sk-x", "sk-y")).only.id != first
    twins = compiled("model_list:\n" + one(OPENAI).split("\n", 1)[1] * 2)
    assert len({d.id for d in twins.snapshot.deployments}) == 2
    assert twins.warning("model_list[1]")
    named = compiled(one(OPENAI, "    model_info: {id: 7}\n"))
    assert named.only.id == "7"
    both = "model_list:\n" + one(OPENAI, "    model_info: {id: a}\n").split("\n", 1)[1] * 2
    assert compiled(both).error("model_list[1].model_info.id")


def test_revisions_follow_what_is_served(compiled: Compile) -> None:
    revision = compiled(one(OPENAI)).snapshot.revision
    assert len(revision) == 12
    assert compiled(one(OPENAI) + "\n# a note\n").snapshot.revision == revision
    assert compiled(one(OPENAI.replace("sk-x", "sk-y"))).snapshot.revision != revision
    assert compiled(one(OPENAI + ", rpm: 3")).snapshot.revision != revision


def test_snapshots_survive_the_pipe(compiled: Compile) -> None:
    snapshot = compiled(one(OPENAI), OPENAI_API_KEY="k").snapshot
    assert snapshots.decode(snapshots.encode(snapshot)) == snapshot


def group_text(*names: str, settings: str = "") -> str:
    entries = "".join(
        f"  - model_name: '{name}'\n    litellm_params: {{model: '{'openai/*' if '*' in name else 'openai/gpt-4o'}',"
        f" api_key: k, order: {index}}}\n"
        for index, name in enumerate(names)
    )
    return f"model_list:\n{entries}{settings}"


def test_wildcards_are_ordered_by_how_much_they_say(compiled: Compile) -> None:
    snapshot = compiled(group_text("*", "openai/*", "*-mini", "openai/gpt-*", "x")).snapshot
    assert [w.group for w in snapshot.wildcards] == ["openai/gpt-*", "openai/*", "*-mini", "*"]
    assert snapshot.wildcards[2] == Wildcard("", "-mini", "*-mini")
    assert snapshot.prices["openai"]["gpt-4o"].input == 2_500_000


@pytest.mark.parametrize(("name", "model"), [("a/*/*", "openai/*"), ("a/*", "openai/*/*"), ("a", "openai/*")])
def test_wildcards_that_make_no_sense(compiled: Compile, name: str, model: str) -> None:
    text = f"model_list: [{{model_name: '{name}', litellm_params: {{model: '{model}', api_key: k}}}}]"
    assert "*" in compiled(text).errors[0].message


def test_fallbacks(compiled: Compile) -> None:
    settings = """\
router_settings:
  fallbacks: [{a: [b, alias]}, {"*": [c]}]
  default_fallbacks: [d]
  context_window_fallbacks: [{a: [d]}]
  content_policy_fallbacks: [{alias: [a]}]
  model_group_alias: {alias: c, secret: {model: d, hidden: true}, chain: alias}
litellm_settings:
  fallbacks: [{b: [a]}]
  num_retries: 5
"""
    snapshot = compiled(group_text("a", "b", "c", "d", settings=settings)).snapshot
    groups = snapshot.groups
    assert groups["a"].fallbacks == ("b", "c", "d")
    assert groups["b"].fallbacks == ("c", "d")
    assert groups["c"].fallbacks == ("d",)
    assert groups["d"].fallbacks == ("c",)
    assert groups["a"].context_window_fallbacks == ("d",)
    assert groups["c"].content_policy_fallbacks == ("a",)
    assert snapshot.aliases == {"alias": "c", "secret": "d", "chain": "c"}
    assert snapshot.hidden_aliases == ("secret",)
    assert {group.num_retries for group in groups.values()} == {5}


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ("fallbacks: [{a: [a]}]", "fallbacks[0].a[0]", "can't fall back to itself"),
        ("fallbacks: [{a: [bb]}]", "fallbacks[0].a[0]", "no model is called bb"),
        ("fallbacks: [{x: [a]}]", "fallbacks[0].x", "no model is called x"),
        ("fallbacks: [{a: [b]}, {a: [b]}]", "fallbacks[1].a", "already has fallbacks"),
        ("default_fallbacks: [zz]", "default_fallbacks[0]", "no model is called zz"),
        ("model_group_alias: {x: y, y: x}", "model_group_alias.x", "leads back"),
        ("model_group_alias: {x: x}", "model_group_alias.x", "leads back"),
        ("model_group_alias: {x: nothing}", "model_group_alias.x", "no model is called nothing"),
        ("routing_strategy: fastest", "routing_strategy", "no routing strategy is called fastest"),
    ],
)
def test_names_that_lead_nowhere(compiled: Compile, settings: str, path: str, message: str) -> None:
    result = compiled(group_text("a", "b", settings=f"router_settings: {{{settings}}}\n"))
    assert message in result.error(f"router_settings.{path}").message


def test_strategies(compiled: Compile) -> None:
    def strategy(name: str) -> str:
        return (
            compiled(group_text("a", settings=f"router_settings: {{routing_strategy: {name}}}"))
            .snapshot.groups["a"]
            .strategy
        )

    assert strategy("least-busy") == "least-busy"
    assert strategy("usage-based-routing") == "usage-based-routing-v2"
    assert strategy("provider-budget-routing") == "simple-shuffle"


def test_weights_of_nothing(compiled: Compile) -> None:
    result = compiled(one(f"{OPENAI}, weight: 0"))
    assert result.error("model_list[0].litellm_params.weight")


def test_groups_are_hidden_when_no_deployment_is_discoverable(compiled: Compile) -> None:
    snapshot = compiled(one(OPENAI, "    model_info: {discoverable: false}\n")).snapshot
    assert snapshot.groups["m"].hidden


EVERYTHING = """\
router_settings: {timeout: 30, stream_timeout: 1m, max_fallbacks: 1, retry_after: 2, allowed_fails: 3, cooldown_time: 7,
  disable_cooldowns: true, num_retries: 4, default_max_parallel_requests: 9,
  retry_policy: {RateLimitErrorRetries: 3, TimeoutErrorRetries: 1}}
litellm_settings: {request_timeout: 100, num_retries: 9, json_logs: true, budget_exceeded_status_code: 429}
general_settings: {max_request_size_mb: 2, max_in_flight_requests_per_worker: 11, litellm_key_header_name: X-Key,
  dangerously_allow_mock_testing_request_params: true}
routeiq:
  host: 0.0.0.0
  port: 8080
  workers: auto
  state_dir: /var/lib/routeiq
  log_level: debug
  key_lookup: true
  metrics_public: true
  timeout_status: 408
  unpriced_models: reject
  timeouts: {connect: 1, first_byte: 2, idle: 3, client_header: 4, client_body_idle: 5, client_keepalive: 6}
  limits: {max_head: 16KiB, max_headers: 50, max_url: 4096, max_connections: 7, max_frame: 1MiB, pool_per_host: 8,
    pool_idle_seconds: 9, dns_ttl: 10, drain_seconds: 11, drain_notice: 12}
  resilience: {backoff_base: 1, backoff_max: 2, retry_budget: 0.5, retry_budget_min: 6, breaker_failures: 7,
    stream_failover: true, breaker_seconds: 8, hedge: {after: 500ms, quantile: 0.9, max_share: 0.1, max_cost: 0.01}}
  journal: {segment_bytes: 1MiB, max_bytes: 2MiB, on_full: drop}
"""


def test_every_setting_lands(compiled: Compile) -> None:
    result = compiled(one(OPENAI, EVERYTHING))
    assert not result.errors
    snapshot, server = result.snapshot, result.server
    built = msgspec.to_builtins(snapshot)
    assert built["timeouts"] == {
        "connect": 1.0,
        "first_byte": 2.0,
        "idle": 3.0,
        "total": 100.0,
        "client_header": 4.0,
        "client_body_idle": 5.0,
        "client_keepalive": 6.0,
    }
    assert built["limits"] == {
        "max_in_flight": 11,
        "max_body": 2 << 20,
        "max_head": 16384,
        "max_headers": 50,
        "max_url": 4096,
        "max_connections": 7,
        "max_frame": 1 << 20,
        "pool_per_host": 8,
        "pool_idle_seconds": 9.0,
        "dns_ttl": 10.0,
        "drain_seconds": 11.0,
        "drain_notice": 12.0,
    }
    assert built["resilience"] == {
        "max_fallbacks": 1,
        "retry_after": 2.0,
        "backoff_base": 1.0,
        "backoff_max": 2.0,
        "retry_budget": 0.5,
        "retry_budget_min": 6,
        "stream_failover": True,
        "retries": {"RateLimitError": 3, "Timeout": 1},
        "allowed_fails": 3,
        "cooldown_time": 7.0,
        "disable_cooldowns": True,
        "breaker_failures": 7,
        "breaker_seconds": 8.0,
        "hedge_after": 0.5,
        "hedge_quantile": 0.9,
        "hedge_max_share": 0.1,
        "hedge_max_cost": 10_000_000,
    }
    assert built["journal"] == {"segment_bytes": 1 << 20, "max_bytes": 2 << 20, "on_full": "drop"}
    auth = snapshot.auth
    assert (auth.lookup, auth.metrics_public, auth.key_header, auth.budget_exceeded_status) == (
        True,
        True,
        "x-key",
        429,
    )
    assert (snapshot.timeout_status, snapshot.drop_unpriced, snapshot.mock_testing) == (408, True, True)
    assert snapshot.groups["m"].num_retries == 4
    deployment = result.only
    assert (deployment.timeout, deployment.stream_timeout, deployment.max_parallel_requests) == (30.0, 60.0, 9)
    assert (server.host, server.port, server.workers, server.state_dir) == ("0.0.0.0", 8080, 4, "/var/lib/routeiq")
    assert (server.log_level, server.json_logs) == ("debug", True)
    assert server.database_url == "sqlite:////var/lib/routeiq/routeiq.db"


def test_sections_have_the_fields_of_their_structs() -> None:
    pairs = ((LimitSettings, Limits), (TimeoutSettings, Timeouts), (JournalSettings, Journal))
    for section, struct in pairs:
        assert set(section.model_fields) == set(struct.__struct_fields__)


def test_deployment_settings_land(compiled: Compile) -> None:
    params = f"""{OPENAI}, rpm: '1', tpm: 2, weight: 3, order: 4, timeout: 5, stream_timeout: 6, max_retries: 7,
      allowed_fails: 8, cooldown_time: 9, max_parallel_requests: 10"""
    deployment = compiled(one(params, "    model_info: {mode: chat, allowed_fails: 11, note: x}\n")).only
    assert (deployment.rpm, deployment.tpm, deployment.weight, deployment.order) == (1, 2, 3.0, 4)
    assert (deployment.timeout, deployment.stream_timeout, deployment.max_retries) == (5.0, 6.0, 7)
    assert (deployment.allowed_fails, deployment.cooldown_time, deployment.max_parallel_requests) == (11, 9.0, 10)
    info = msgspec.json.decode(deployment.info)
    assert info["id"] == deployment.id
    assert (info["mode"], info["note"], info["input_cost_per_token"]) == ("chat", "x", 2.5e-06)


def test_model_info_shows_no_secret(compiled: Compile) -> None:
    info = "    model_info: {owner: os.environ/SOME_TOKEN, api_key: hidden, mode: chat}\n"
    shown = compiled(one(OPENAI, info), SOME_TOKEN="hidden").only.info
    assert b"hidden" not in shown
    assert msgspec.json.decode(shown)["owner"] == "***"


def test_own_prices_win(compiled: Compile) -> None:
    params = f"{OPENAI}, input_cost_per_token: 0.0000015, cache_read_input_token_cost: 1e-7"
    assert compiled(
        one(params, "    model_info: {output_cost_per_token: 2e-06, input_cost_per_token: 1}\n")
    ).only.prices == (Prices(input=1_500_000, output=2_000_000, cache_read=100_000, source="config"))


def test_models_without_a_price_are_named(compiled: Compile) -> None:
    result = compiled(one('model: openai/my-own, api_key: k, api_base: "http://localhost:1"'))
    assert result.only.prices is None
    assert result.warning("model_list[0]").message == "model m has no price: its requests are counted as unpriced"
    based = compiled(
        one("model: azure/mine, api_key: k, api_base: https://h", "    model_info: {base_model: azure/gpt-4o}\n")
    )
    assert based.only.prices is not None
    assert based.only.prices.input == 2_500_000


PROXIED = {"HTTPS_PROXY": "http://proxy.corp:3128", "NO_PROXY": "internal.corp,10.0.0.0/8,.skip.example"}


@pytest.mark.parametrize(
    ("base", "environ", "proxy"),
    [
        ("https://api.x.example", PROXIED, "http://proxy.corp:3128"),
        ("https://a.internal.corp", PROXIED, None),
        ("https://10.1.2.3", PROXIED, None),
        ("https://a.skip.example", PROXIED, None),
        ("https://localhost", PROXIED, None),
        ("https://127.0.0.1:8443", PROXIED, None),
        ("https://[::1]", PROXIED, None),
        ("http://api.x.example", PROXIED, None),
        ("http://api.x.example", {"ALL_PROXY": "socks5://p:1"}, "socks5://p:1"),
        ("http://api.x.example", {"http_proxy": "p:1"}, "http://p:1"),
        ("http://api.x.example", {"http_proxy": "p:1", "no_proxy": "*"}, None),
        ("http://api.x.example:81", {"http_proxy": "p:1", "no_proxy": "api.x.example:80"}, "http://p:1"),
    ],
)
def test_proxies(compiled: Compile, base: str, environ: dict[str, str], proxy: str | None) -> None:
    deployment = compiled(one(f'{OPENAI}, api_base: "{base}"'), **environ).only
    assert deployment.proxy == proxy
    assert deployment.via == ("library" if proxy else "direct")


def test_upstreams(compiled: Compile, tmp_path: object) -> None:
    settings = (
        "routeiq: {upstreams: [{host: API.openai.com, http2: true, proxy: none, verify_tls: false}, {host: x.y}]}\n"
    )
    result = compiled(one(OPENAI, settings), **PROXIED)
    deployment = result.only
    assert (deployment.via, deployment.http2, deployment.proxy, deployment.verify_tls) == ("library", True, None, False)
    assert "no deployment is on x.y" in result.warning("routeiq.upstreams[1].host").message
    missing = compiled(one(f"{OPENAI}, ssl_verify: {tmp_path}/none.pem"))
    assert "does not exist" in missing.error("model_list[0].litellm_params.ssl_verify").message


KEYS = """\
routeiq:
  keys:
    - name: ci
      key: os.environ/CI_KEY
      models: [m, gpt-*]
      rpm: 10
      tpm: 20
      max_parallel_requests: 3
      max_budget: 12.5
      budget_duration: 30d
      expires: 2027-01-01
      tags: [a]
    - {name: ops, hash: HASH, admin: true, blocked: true}
"""


def test_keys(compiled: Compile) -> None:
    hashed = hashlib.sha256(b"sk-ops").hexdigest()
    result = compiled(one(OPENAI, KEYS.replace("HASH", hashed)), CI_KEY="sk-ci-0123456789abcdef")
    assert not result.errors
    assert "no model is called gpt-*" in result.warning("routeiq.keys[0].models[1]").message
    keys = result.snapshot.auth.keys
    key = keys[hashlib.sha256(b"sk-ci-0123456789abcdef").hexdigest()]
    (own,) = key.subjects
    assert (key.name, key.rules[0].models, key.expires) == ("ci", ("m", "gpt-*"), 1798761600.0)
    assert (own.name, own.rpm, own.tpm, own.max_parallel_requests) == (f"key:{key.id}", 10, 20, 3)
    assert own.budgets == (BudgetLimit(amount=12_500_000_000, duration="30d"),)
    assert (keys[hashed].admin, keys[hashed].blocked) == (True, True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("[{name: a, hash: HASH, max_budget: 1, budget_duration: 36h}]", "whole number of days"),
        ("[{name: a, key: x, hash: HASH}]", "has both key and hash"),
        ("[{name: a}]", "needs a key or a hash"),
        ("[{name: a, hash: abc}]", "must match pattern"),
        ("[{name: a, hash: HASH}, {name: b, hash: HASH}]", "is the same key as a"),
        ("[{name: a, hash: HASH}, {name: a, key: other-key-0123456789}]", "another key is called a"),
        ("[{name: a, key: sk-a-long-enough-master-key}]", "is the same key as the master key"),
        ("[{name: a, hash: HASH, budget_duration: 1d}]", "needs max_budget"),
        ("[{name: a, hash: HASH, expires: soon}]", "must be an ISO 8601 date"),
    ],
)
def test_keys_that_are_wrong(compiled: Compile, keys: str, message: str) -> None:
    result = compiled(one(OPENAI, f"routeiq: {{keys: {keys.replace('HASH', 'a' * 64)}}}\n"))
    assert any(message in error.message for error in result.errors), result.errors


OPEN = {"HOME": "/h"}


@pytest.mark.parametrize(
    ("settings", "environ", "open_", "error"),
    [
        ("", ENVIRON, False, False),
        ("", OPEN, True, False),
        ("routeiq: {host: localhost}", OPEN, True, False),
        ("routeiq: {host: 0.0.0.0}", OPEN, False, True),
        ("routeiq: {host: '::'}", OPEN, False, True),
        ("routeiq: {host: 10.0.0.1}", OPEN, False, True),
        ("", {**OPEN, "LITELLM_HOST": "0.0.0.0"}, False, True),
        ("routeiq: {host: 0.0.0.0, allow_unauthenticated: true}", OPEN, True, False),
        ("routeiq: {host: 0.0.0.0, key_lookup: true}", OPEN, False, False),
        ("routeiq: {host: 0.0.0.0, allow_unauthenticated: true}", ENVIRON, False, False),
        (
            "{general_settings: {dangerously_permit_weak_or_unset_master_key: true}, routeiq: {host: 0.0.0.0}}",
            OPEN,
            True,
            False,
        ),
        ("general_settings: {master_key: os.environ/GONE}", OPEN, False, True),
        ("general_settings: {master_key: ''}", OPEN, False, True),
    ],
)
def test_only_loopback_is_open_unless_it_says_so(
    compiled: Compile, settings: str, environ: dict[str, str], open_: bool, error: bool
) -> None:
    text = one(OPENAI)
    if settings.startswith("{"):
        settings = settings[1:-1].replace("}, ", "}\n")
    result = compiled(text + settings, environ)
    assert bool(result.errors) == error, result.errors
    if not error:
        assert result.snapshot.auth.open == open_


def test_keys_from_tutorials_are_served_with_a_warning(compiled: Compile) -> None:
    result = compiled(one(OPENAI, "general_settings: {master_key: sk-1234}\n"))
    assert not result.errors
    assert result.snapshot.auth.master_key == hashlib.sha256(b"sk-1234").hexdigest()
    assert "everyone knows" in result.warning("general_settings.master_key").message


def test_server_settings_prefer_the_environment(compiled: Compile) -> None:
    environ = {"LITELLM_PORT": "5000", "ROUTEIQ_STATE_DIR": "~/x", "LITELLM_LOG": "DEBUG", "REDIS_HOST": "r"}
    result = compiled(
        one(OPENAI, "routeiq: {port: 1, state_dir: /y}\n"), DATABASE_URL="postgresql://u:p@h/d", **environ
    )
    assert (result.server.port, result.server.state_dir, result.server.log_level) == (5000, "/home/someone/x", "debug")
    assert not any("REDIS" in warning.message for warning in result.warnings)
    assert result.snapshot.shared is not None
    assert result.snapshot.shared.url == "redis://r:6379/0"
    assert result.server.database_url == "postgresql://u:p@h/d"


def test_state_follows_xdg(compiled: Compile) -> None:
    assert compiled(one(OPENAI)).server.state_dir == "/home/someone/.local/state/routeiq"
    assert compiled(one(OPENAI), XDG_STATE_HOME="/s").server.state_dir == "/s/routeiq"
    assert "HOME is not set" in compiled(one(OPENAI), {}).error("routeiq.state_dir").message


def test_postgresql_urls(compiled: Compile) -> None:
    url = "postgres://u:hunter2@h:5433,h2/d?sslmode=require&connection_limit=3&schema=s"
    result = compiled(one(OPENAI), DATABASE_URL=url)
    assert not result.errors
    assert result.server.database_url == url
    (told,) = [warning for warning in result.warnings if warning.path == "general_settings.database_url"]
    assert told.message == "the parameter connection_limit has no effect"
    for wrong, why in (
        ("mysql://u:hunter2@h/d", "must begin with"),
        ("postgresql://u:hunter2/x@h/d", "percent-encode"),
        ("postgresql://u:hunter2#x@h/d", "percent-encode"),
        ("postgresql://u:x:hunter2@h/d/e", "percent-encoded"),
        ("postgresql://u:hunter2@h:no/d", "port is not a number"),
        ("postgresql://u:p?hunter2=x@h/d", "percent-encoded"),
        ("postgresql://u:p@h/d?hunter2=x", "parameter that PostgreSQL does not know"),
        ("postgresql:u:hunter2@h/d", "must be postgresql://"),
        ("postgresql://u:hunter2%00@h/d", "must be postgresql://"),
    ):
        error = compiled(one(OPENAI), DATABASE_URL=wrong).error("general_settings.database_url")
        assert why in error.message
        assert "hunter2" not in str(error)


def test_postgresql_needs_its_extra(compiled: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routeiq.config.server.find_spec", lambda name: None)
    error = compiled(one(OPENAI), DATABASE_URL="postgresql://u:p@h/d").error("general_settings.database_url")
    assert error.hint == "pip install 'routeiq[postgres]'"


def test_sqlite_urls(compiled: Compile) -> None:
    url = "general_settings: {database_url: 'sqlite:////data/r.db'}\n"
    assert compiled(one(OPENAI, url)).server.database_url == "sqlite:////data/r.db"
    memory = compiled(one(OPENAI, "general_settings: {database_url: 'sqlite://'}\n"))
    assert memory.error("general_settings.database_url")
