"""A user's own class: a name of an entry point, or a file and the class in it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from routeiq.routing.arguments import Arguments
from routeiq.routing.strategy import Strategy

GROUP = "routeiq.strategies"
"""Of the entry points."""


def build(args: Mapping[str, Any]) -> Strategy:
    """`llmrouter-custom`: `class` as `package.module:Class`, `path/to/file.py:Class` or the name of an entry point of
    `routeiq.strategies`; `args` are given to it as keywords.
    """
    given = Arguments(args)
    where = given.text("class")
    own = given.get("args", {})
    given.done()
    if not where:
        raise ValueError("needs class: package.module:Class, path/to/file.py:Class, or the name of an entry point")
    if not isinstance(own, dict):
        raise ValueError("args must be a map")
    try:
        made: Strategy = _find(where)(**own)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{where} can't be made: {type(error).__name__}: {error}") from error
    for method in ("rank", "update"):
        if not callable(getattr(made, method, None)):
            raise ValueError(f"{where} has no method {method}")
    if not isinstance(getattr(made, "name", None), str):
        raise ValueError(f"{where} has no name")
    return made


def _find(where: str) -> Any:
    for entry in entry_points(group=GROUP, name=where):
        return entry.load()
    place, colon, name = where.rpartition(":")
    if not colon:
        raise ValueError(f"no entry point of {GROUP} is called {where}")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise ValueError(f"there is no file {place}")
        spec = importlib.util.spec_from_file_location(f"routeiq_custom_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    found = getattr(module, name, None)
    if found is None:
        raise ValueError(f"there is no {name} in {place}")
    return found
