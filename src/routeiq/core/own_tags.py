"""Tags this gateway puts on requests, so that the ledger adds up what it has no column for.

    routeiq:workspace:<workspace_id>, routeiq:policy:<policy_id>/<group>

Nobody else may say a tag that begins so: it would count for others.
"""

from __future__ import annotations

RESERVED = "routeiq:"
OWN_KINDS = ("workspace", "policy")
"""Kinds of subjects whose spend is that of a tag."""


def own_tag(kind: str, id: str) -> str:
    """The tag of a subject of `OWN_KINDS`."""
    return f"{RESERVED}{kind}:{id}"
