"""Which fields of an Event are columns of which table, in the order they are written."""

from __future__ import annotations

import msgspec

from routeiq.ledger.event import RARE_USAGE, Event

HEAD = (
    "id", "at", "model", "prompt_tokens", "completion_tokens", "duration", "ttft", "overhead", "cost",
    "cached_tokens", "written_tokens", "reasoning_tokens",
)  # fmt: skip
"""What `LineTemplate` writes in front, in its order: the columns of `event_rows` after `context`."""
DETAILS = (
    "request_id", "upstream_model", "status", "error", "retries", "fallbacks", "hedged", "continued", "user", "run_id",
    "request_tags",
)  # fmt: skip
"""Columns of `event_details` after `seq`. `upstream_model` stands in for that of the context, where it has none."""
USAGE = tuple(RARE_USAGE.values())
"""Columns of `event_usage` after `seq`."""

PROMPTS = ("prompt", "answer")
"""Columns of `event_prompts` after `seq`."""
DECISIONS = ("decision_id", "decision")
"""Columns of `event_decisions` after `seq`."""
SIDES = {"event_details": DETAILS, "event_usage": USAGE, "event_prompts": PROMPTS, "event_decisions": DECISIONS}
"""What stands beside few rows, by table."""

COLUMNS: tuple[str, ...] = tuple(field.name for field in msgspec.structs.fields(Event))
"""Columns of a whole row, in order: Event's fields."""
CONTEXT = (*COLUMNS[COLUMNS.index("endpoint") :], "upstream_model")
"""The constant part of a `LineTemplate`: the columns of `event_contexts` after `id`. Only templates have
`upstream_model` there: behind a wildcard a client may choose it, so that there would be no bound to the contexts."""
