"""Who a request counts for, as SQL over its row `r`, its context `c` and its details `d`."""

from __future__ import annotations


def public(context: str, model: str) -> str:
    """SQL for the public model: the group's name, or behind a wildcard what was asked for; empty without a group."""
    group = f'{context}."group"'
    return f"CASE WHEN replace({group}, '*', '') <> {group} THEN {model} ELSE {group} END"


CONTEXT_IDS = {
    "key": 'c."key"',
    "user": "c.user_id",
    "member": "CASE WHEN c.team_id = '' OR c.user_id = '' THEN '' ELSE c.team_id || '/' || c.user_id END",
    "team": "c.team_id",
    "organization": "c.organization_id",
    "provider": "c.provider",
    "deployment": "c.deployment",
}
"""The id of each kind that a context tells; empty: none. That of a model is `public`, that of `global` is empty."""
DETAIL_IDS = {"end_user": 'd."user"', "run": "d.run_id"}
"""The same for what is in the details."""
TAG = "tag"
"""A kind of which a request may have several, from its key and from its client."""
SHARED = ("key", "user", "member", "team", "organization", "end_user", "tag")
"""Kinds whose spend is kept by public model too."""


def listed(dialect: str, array: str) -> str:
    """A table `t (value)` of the words of a JSON array, which may be empty text."""
    if dialect == "postgresql":
        return f"jsonb_array_elements_text(nullif({array}, '')::jsonb) AS t(value)"
    return f"json_each(nullif({array}, '')) AS t"


def matches(kind: str, dialect: str) -> str:
    """SQL that is true of the requests of the subject whose id is the parameter `:id`."""
    if kind == "global":
        return "true"
    if kind == TAG:
        either = " OR ".join(
            f"EXISTS (SELECT 1 FROM {listed(dialect, column)} WHERE t.value = :id)"
            for column in ("c.tags", "d.request_tags")
        )
        return f"({either})"
    return f"{id_of(kind)} = :id"


def id_of(kind: str) -> str:
    """SQL for the one id of a kind. Raises `KeyError` for one there is not, and for tags."""
    if kind == "model":
        return public("c", "r.model")
    return (CONTEXT_IDS | DETAIL_IDS)[kind]
