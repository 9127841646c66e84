"""A learned router's artifact exchanged over and over under load: no request may fail.

    python bench/swaps.py [--swaps 100] [--workers 2] [--clients 2] [--json]

Two artifacts of the test suite's outcomes, the second with its models' names exchanged, take turns at `model_path`. An
exchange counts when every one of eight requests in a row was answered by the new one's choice. Exit code 1 when a
request failed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from routeiq.config.artifacts import trust_of
from routeiq.mlops.promote import promote
from routeiq.mlops.train import save, train
from support.gateway import Gateway, config_for, deployment  # type: ignore[import-not-found]
from support.outcomes import CODER, LARGE, SMALL, outcomes, prompt  # type: ignore[import-not-found]
from support.upstream import Upstream  # type: ignore[import-not-found]

IN_A_ROW = 8
"""Requests that reach every worker, most likely."""
PATIENCE = 60.0
"""Seconds until an exchange has failed."""


def artifacts(directory: Path) -> tuple[Path, Path]:
    """One, and one that takes the small model for the large one."""
    first = train(outcomes(), "routeiq-ridge", {})
    swapped = {SMALL: LARGE, LARGE: SMALL}
    models = tuple(
        msgspec.structs.replace(model, name=swapped.get(model.name, model.name)) for model in first.router.models
    )
    save(first, directory / "first")
    second = msgspec.structs.replace(first, router=msgspec.structs.replace(first.router, models=models))
    save(second, directory / "second")
    return directory / "first", directory / "second"


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    asked = prompt("law", random.Random(7))
    body = {"model": "auto", "messages": [{"role": "user", "content": asked}]}
    answered, failed, stop = [0], [], threading.Event()
    with tempfile.TemporaryDirectory() as directory, Upstream() as provider:
        both, place, trust = artifacts(Path(directory)), Path(directory) / "models" / "router", trust_of({})
        place.parent.mkdir()
        promote(both[0], place, trust)
        args = {"model_path": str(place), "reload_interval": "500ms"}
        auto = {"auto": {"strategy": "routeiq-ridge", "args": args, "session_ttl": 0}}
        models = [deployment(provider, name.partition("/")[2]) for name in (SMALL, CODER, LARGE)]
        config = {**config_for(provider, routeiq={"auto_models": auto}), "model_list": models}
        with Gateway(config, workers=given.workers) as gateway:

            def chosen() -> str:
                status, head, answer = gateway.call("/v1/chat/completions", body)
                answered[0] += 1
                if status != 200:
                    failed.append(repr(answer))
                return str(head.get("x-routeiq-selected-model"))

            def load() -> None:
                while not stop.is_set():
                    try:
                        chosen()
                    except OSError as error:
                        failed.append(repr(error))
                    time.sleep(0.01)

            threads = [threading.Thread(target=load) for _ in range(given.clients)]
            for thread in threads:
                thread.start()
            start, done = time.monotonic(), 0
            try:
                for done in range(1, given.swaps + 1):
                    promote(both[done % 2], place, trust)
                    wanted, end = ("large", "small")[done % 2], time.monotonic() + PATIENCE
                    while not all(chosen() == wanted for _ in range(IN_A_ROW)):
                        if time.monotonic() > end:
                            failed.append(f"exchange {done} was not served")
                            break
                        time.sleep(0.05)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
    taken = time.monotonic() - start
    if given.json:
        print(json.dumps({"exchanges": done, "seconds": taken, "requests": answered[0], "failed": failed}))
        return 1 if failed else 0
    print(f"{done} exchanges in {taken:.0f} s, {answered[0]} requests, {len(failed)} failed")
    for what in failed[:5]:
        print(what)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
