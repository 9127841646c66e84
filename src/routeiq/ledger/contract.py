"""`routeiq.router_decision.v1`: a routing decision as telemetry has it, out of the decision and its request's row."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from routeiq.core.decisions import Decision
from routeiq.core.snapshot import COMPLETION, EMBEDDING, RESPONSES

NAME, VERSION = "routeiq.router_decision.v1", "v1"
_KINDS = {COMPLETION: "completion", EMBEDDING: "embedding", RESPONSES: "responses"}
"""`api_type` by endpoint; all others are `chat_completion`."""


def router_decision(decision: Decision, event: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the contract. `event` is a row of the ledger; texts of prompts are in neither."""
    at = event["at"]
    api_type = _KINDS.get(event["endpoint"], "chat_completion")
    tokens = event["prompt_tokens"], event["completion_tokens"]
    chosen = next((one for one in decision.candidates if one.model == decision.selected), None)
    return {
        "contract_version": VERSION,
        "contract_name": NAME,
        "event_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"routeiq:decision:{decision.id}")),
        "trace_id": "",
        "span_id": decision.id,
        "parent_span_id": "",
        "timestamp_utc": datetime.datetime.fromtimestamp(at / 1e6, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "timestamp_unix_ms": at // 1000,
        "input": {
            "requested_model": decision.model,
            "query_length": decision.query_length,
            "user_id": event["user_id"] or event["user"],
            "team_id": event["team_id"],
            "api_type": api_type,
            "request_metadata": {"estimated_prompt_tokens": decision.tokens, "stream": bool(event["stream"])},
        },
        "strategy_name": decision.strategy,
        "strategy_version": decision.version,
        "selected_deployment": event["deployment"],
        "selection_reason": decision.reason,
        "candidate_deployments": [
            {
                "model_name": one.model,
                "provider": one.provider,
                "score": one.score,
                "available": not one.removed,
            }
            for one in decision.candidates
        ],
        "experiment": {
            "experiment_id": "",
            "variant": decision.variant,
            "strategy_name": decision.strategy,
            "strategy_version": decision.version,
            "weight": 1,
            "total_weight": 1,
            "hash_bucket": 0,
            "hash_key_type": "",
        },
        "timings": {
            "total_ms": decision.timings.total / 1000,
            "strategy_ms": decision.timings.strategy / 1000,
            "embedding_ms": decision.timings.embedding / 1000,
            "candidate_filter_ms": decision.timings.filters / 1000,
        },
        "outcome": {
            "status": _status(event),
            "error_message": "",
            "error_type": event["error"],
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "total_tokens": sum(tokens),
            "api_type": api_type,
        },
        "fallback": {
            "fallback_triggered": event["fallbacks"] > 0,
            "original_model": decision.selected if event["fallbacks"] else "",
            "fallback_reason": "the chosen model failed" if event["fallbacks"] else "",
            "fallback_attempt": event["fallbacks"],
        },
        "custom_attributes": {
            "propensity": decision.propensity,
            "confidence": decision.confidence,
            "predicted_quality": chosen.quality if chosen is not None else None,
            "predicted_cost": chosen.cost if chosen is not None else None,
            "cost": event["cost"] / 1e9 if event["cost"] is not None else None,
            "sticky": decision.sticky,
        },
    }


def _status(event: Mapping[str, Any]) -> str:
    """Of `success`, `failure`, `fallback`, `error`, `no_candidates`, `timeout`."""
    if event["error"] == "timeout":
        return "timeout"
    if event["status"] >= 500:
        return "failure"
    if event["status"] >= 400:
        return "error"
    return "fallback" if event["fallbacks"] else "success"
