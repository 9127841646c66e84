"""The paths a worker answers itself, matched exactly and undecoded; every other path belongs to another process."""

from __future__ import annotations

from routeiq.core.snapshot import CHAT, COMPLETION, COUNT_TOKENS, EMBEDDING, MESSAGES

_SUFFIXES = {b"chat/completions": CHAT, b"completions": COMPLETION, b"embeddings": EMBEDDING}

HOT: dict[bytes, str] = {
    prefix + suffix: endpoint for suffix, endpoint in _SUFFIXES.items() for prefix in (b"/v1/", b"/")
} | {
    b"/v1/messages": MESSAGES,
    b"/v1/messages/count_tokens": COUNT_TOKENS,
}
"""POST."""

DEPLOYMENT_PREFIXES = (b"/openai/deployments/", b"/v1/engines/", b"/engines/")
"""Azure's form of the same, and OpenAI's oldest: the model is in the path."""

LOCAL: dict[bytes, str] = {
    b"/v1/models": "models",
    b"/models": "models",
    b"/v1/model/info": "model_info",
    b"/model/info": "model_info",
    b"/_health/live": "live",
    b"/health/liveliness": "live",
    b"/health/liveness": "live",
    b"/_health/ready": "ready",
    b"/health/readiness": "ready",
}
"""GET."""

MODEL_PREFIXES = (b"/v1/models/", b"/models/")
"""GET, followed by a model's name, which may hold slashes."""


def deployment_route(path: bytes) -> tuple[str, bytes] | None:
    """(endpoint, percent-encoded model) of a path that names its model."""
    for prefix in DEPLOYMENT_PREFIXES:
        if path.startswith(prefix):
            rest = path[len(prefix) :]
            for suffix, endpoint in _SUFFIXES.items():
                model = rest.removesuffix(b"/" + suffix)
                if model is not rest and model and not model.endswith(b"/chat"):
                    return endpoint, model
    return None
