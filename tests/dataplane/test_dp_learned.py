"""A trained router in a running gateway: it decides by what is asked, and is exchanged while requests are served."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from routeiq.config.artifacts import trust_of
from routeiq.mlops.promote import promote, rollback
from routeiq.mlops.signing import new_key, sign
from routeiq.mlops.strategies import TRAINED
from routeiq.mlops.train import save
from routeiq.routing.learned import LEARNED
from routeiq.routing.learned.artifact import read_artifact
from support.answers import error
from support.gateway import ROUTEIQ, Gateway, config_for, deployment
from support.outcomes import CODER, LARGE, SMALL, prompt
from support.trained import Trained
from support.upstream import Script, Upstream

TRUST = trust_of({})


def names_of(path: str) -> str:
    return path.partition("/")[2]


@pytest.fixture(scope="module")
def artifacts(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two of the same strategy; the second takes the small model for the large one, and the other way round."""
    place = tmp_path_factory.mktemp("artifacts")
    first = read_artifact(trained("routeiq-ridge"))
    save(first, place / "first")
    swapped = {SMALL: LARGE, LARGE: SMALL}
    models = tuple(
        msgspec.structs.replace(model, name=swapped.get(model.name, model.name)) for model in first.router.models
    )
    router = msgspec.structs.replace(first.router, models=models)
    save(msgspec.structs.replace(first, router=router), place / "second")
    return {name: place / name for name in ("first", "second")}


@pytest.fixture(scope="module")
def gateway(
    provider: Upstream, artifacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    place = tmp_path_factory.mktemp("models") / "router"
    promote(artifacts["first"], place, TRUST)
    args = {"model_path": str(place), "reload_interval": "500ms"}
    own = {"auto_models": {"auto": {"strategy": "routeiq-ridge", "args": args, "session_ttl": 0}}}
    models = [deployment(provider, names_of(name)) for name in (SMALL, CODER, LARGE)]
    with Gateway({**config_for(provider, routeiq=own), "model_list": models}, workers=2) as running:
        running.place = place  # type: ignore[attr-defined]
        yield running


@pytest.fixture(autouse=True)
def obedient(upstream: Upstream) -> None:
    """The provider forgets what other tests have told it."""


def ask(gateway: Gateway, text: str, **headers: str) -> dict[str, str]:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
    status, head, answer = gateway.call("/v1/chat/completions", body, headers=headers)
    assert status == 200, answer
    return head


def chosen(gateway: Gateway, kind: str, **headers: str) -> str:
    return ask(gateway, prompt(kind, random.Random(7)), **headers)["x-routeiq-selected-model"]


def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_what_is_asked_decides(gateway: Gateway) -> None:
    assert [chosen(gateway, kind) for kind in ("chat", "code", "law")] == ["small", "coder", "large"]
    assert chosen(gateway, "law", **{"x-routeiq-profile": "free"}) == "small"
    assert chosen(gateway, "law", **{"x-routeiq-willingness-to-pay": "0.000001"}) == "small"
    body = {"model": "auto", "prompt": prompt("law", random.Random(7))}
    found = json.loads(gateway.call("/v1/routing/explain", body)[2])
    quality = {one["model"]: one["quality"] for one in found["candidates"]}
    assert quality["large"] > quality["small"] + 0.3
    assert found["timings"]["total"] > 0


def test_workers_stay_small(gateway: Gateway) -> None:
    ask(gateway, "Hello")
    workers = [process for process in gateway.processes() if "routeiq.worker" in process.cmdline()]
    assert len(workers) == 2
    for process in workers:
        assert psutil.Process(process.pid).memory_info().rss < 110_000_000


def test_artifacts_are_exchanged_and_brought_back_under_load(gateway: Gateway, artifacts: dict[str, Path]) -> None:
    place: Path = gateway.place  # type: ignore[attr-defined]
    seen: Counter[str] = Counter()
    failed: list[str] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                seen[chosen(gateway, "law")] += 1
                time.sleep(0.01)
            except Exception as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        promote(artifacts["second"], place, TRUST)
        until(lambda: all(chosen(gateway, "law") == "small" for _ in range(8)))
        rollback(place)
        until(lambda: all(chosen(gateway, "law") == "large" for _ in range(8)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert seen["small"] > 0
    assert seen["large"] > 0


def test_what_is_not_trusted_is_not_served(gateway: Gateway, artifacts: dict[str, Path], tmp_path: Path) -> None:
    place: Path = gateway.place  # type: ignore[attr-defined]
    before = Path(place).resolve()
    copy = tmp_path / "changed"
    copy.mkdir()
    for file in artifacts["second"].iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "router.safetensors").write_bytes((copy / "router.safetensors").read_bytes() + b" ")
    place.unlink()
    place.symlink_to(copy)
    try:
        until(lambda: "it has changed since" in gateway.logs())
        assert chosen(gateway, "law") == "large"
    finally:
        place.unlink()
        place.symlink_to(before)


def check(gateway: Gateway, tmp_path: Path, artifact: Path, **env: str) -> str:
    """What `routeiq config check` says of a configuration with this artifact."""
    own = {"auto_models": {"auto": {"strategy": "routeiq-ridge", "args": {"model_path": str(artifact)}}}}
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"model_list": [deployment("http://127.0.0.1:1", "small")], "routeiq": own}))
    key = {"LITELLM_MASTER_KEY": "sk-a-long-enough-master-key", "HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [ROUTEIQ, "config", "check", "--config", str(file)], env={**key, **env}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_signatures_may_be_asked_for(gateway: Gateway, artifacts: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "signed"
    copy.mkdir()
    for file in artifacts["first"].iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    enforced = {"LLMROUTER_ENFORCE_SIGNED_MODELS": "true"}
    assert "manifest is not signed" in check(gateway, tmp_path, copy, **enforced)
    private, public = new_key()
    sign(copy, "ed25519", private)
    trusted = {**enforced, "LLMROUTER_MODEL_PUBLIC_KEY_B64": public}
    assert "manifest" not in check(gateway, tmp_path, copy, **trusted)
    other = {**enforced, "LLMROUTER_MODEL_PUBLIC_KEY_B64": new_key()[1]}
    assert "not by the key that is trusted" in check(gateway, tmp_path, copy, **other)
    assert "can't be read" in check(gateway, tmp_path, tmp_path / "nothing")


@pytest.fixture(scope="module")
def every(provider: Upstream, trained: Trained) -> Iterator[Gateway]:
    """A gateway with an auto model for each learned strategy, called like it."""
    autos: dict[str, Any] = {"default": {"session_ttl": 0}}
    for name in LEARNED:
        args = {"model_path": str(trained(name))} if name in TRAINED else {}
        autos[name] = {"strategy": name, "args": args, "session_ttl": 0}
    models = []
    for name, price in ((SMALL, 1e-7), (CODER, 1e-6), (LARGE, 1e-5)):
        entry = deployment(provider, names_of(name))
        entry["model_info"] = {"input_cost_per_token": price, "output_cost_per_token": price}
        models.append(entry)
    config = config_for(provider, routeiq={"auto_models": autos})
    with Gateway({**config, "model_list": models}) as running:
        yield running


def by(gateway: Gateway, strategy: str, kind: str = "law", user: str = "ada", **headers: str) -> dict[str, str]:
    text = prompt(kind, random.Random(7))
    body = {"model": strategy, "user": user, "messages": [{"role": "user", "content": text}]}
    status, head, answer = gateway.call("/v1/chat/completions", body, headers=headers)
    assert status == 200, answer
    return head


@pytest.mark.parametrize("name", list(TRAINED))
def test_every_trained_strategy_serves(every: Gateway, name: str) -> None:
    cheap = by(every, name, **{"x-routeiq-willingness-to-pay": "0.00001"})
    dear = by(every, name, **{"x-routeiq-willingness-to-pay": "1000"})
    assert (cheap["x-routeiq-selected-model"], cheap["x-routeiq-strategy"]) == ("small", name)
    assert dear["x-routeiq-selected-model"] != "small"


def test_an_auto_model_needs_nothing(every: Gateway) -> None:
    assert by(every, "default")["x-routeiq-strategy"] == "llmrouter-nadirclaw-centroid"
    chosen = []
    for text in ("What is the capital of France?", "Prove that there are infinitely many primes, step by step."):
        body = {"model": "default", "messages": [{"role": "user", "content": text}]}
        chosen.append(every.call("/v1/chat/completions", body)[1]["x-routeiq-selected-model"])
    assert chosen == ["small", "large"]


def judge(gateway: Gateway, head: dict[str, str], score: float) -> None:
    body = {"decision_id": head["x-routeiq-decision-id"], "score": score}
    until(lambda: gateway.call("/v1/routing/feedback", body)[0] == 200)


def test_preferences_of_users_are_learned(every: Gateway) -> None:
    before = by(every, "personalized", user="grace")
    for _ in range(4):
        judge(every, by(every, "personalized", user="grace"), 0.0)
    until(
        lambda: (
            by(every, "personalized", user="grace")["x-routeiq-selected-model"] != before["x-routeiq-selected-model"]
        )
    )
    assert by(every, "personalized", user="alan")["x-routeiq-selected-model"] == before["x-routeiq-selected-model"]


def test_linucb_is_corrected_by_judgements(every: Gateway) -> None:
    wish = {"x-routeiq-willingness-to-pay": "0.02"}
    first = by(every, "llmrouter-linucb", "chat", **wish)["x-routeiq-selected-model"]
    for _ in range(30):
        head = by(every, "llmrouter-linucb", "chat", **wish)
        if head["x-routeiq-selected-model"] != first:
            break
        judge(every, head, 0.0)
        time.sleep(0.3)
    until(lambda: by(every, "llmrouter-linucb", "chat", **wish)["x-routeiq-selected-model"] != first)


def test_thompson_learns_from_what_comes(every: Gateway, upstream: Upstream) -> None:
    name = "routeiq-kumaraswamy-thompson"
    for model in ("coder", "large"):
        upstream.always(Script(status=500, body=error("no")), model=model)
    for _ in range(40):
        by(every, name)
    upstream.reset()
    chosen = Counter(by(every, name)["x-routeiq-selected-model"] for _ in range(30))
    assert chosen["small"] > 20
