"""Access groups: one name for several models, in the lists of what keys, users, teams and organizations may use.

https://docs.litellm.ai/docs/proxy/model_access_groups
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def expand(models: Iterable[str], groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Names and patterns, after each that is a group's name the models of the group; each stands once.

    A group's own name stays: a model may have the same.
    """
    out: dict[str, None] = {}
    for name in models:
        out[name] = None
        out.update(dict.fromkeys(groups.get(name, ())))
    return tuple(out)
