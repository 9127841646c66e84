"""Strategies that predict quality and cost of each candidate from what they were trained on, with numpy alone.

Nothing is imported here: a worker loads these modules, and numpy, only when one of them is configured.
"""

LEARNED: dict[str, str] = {
    "routeiq-ridge": "routeiq.routing.learned.ridge:build",
}
"""Where each strategy's `build(args, artifact)` is."""
