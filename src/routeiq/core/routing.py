"""What a Snapshot says about choosing between models: auto models, their strategies, and what candidates can do."""

from __future__ import annotations

from typing import Any

import msgspec

CAPABILITIES = ("vision", "audio", "documents", "tools", "json", "schema", "reasoning")
"""What a request may need: images, sound and documents to read, tools, JSON and JSON by a schema, reasoning."""
PROFILES = ("auto", "eco", "premium", "free", "reasoning")

BALANCING = (
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "cost-based-routing",
    "usage-based-routing-v2",
    "round-robin",
)
"""Strategies that spread requests over the deployments of a group without a look at what is asked."""
RANKING = (
    "routeiq-ridge",
    "routeiq-kumaraswamy-thompson",
    "routeiq-ensemble",
    "routeiq-pipeline",
    "llmrouter-knn",
    "llmrouter-svm",
    "llmrouter-mlp",
    "llmrouter-mf",
    "llmrouter-elo",
    "llmrouter-routerdc",
    "llmrouter-hybrid",
    "llmrouter-causallm",
    "llmrouter-graph",
    "llmrouter-automix",
    "llmrouter-r1",
    "llmrouter-gmt",
    "llmrouter-knn-multiround",
    "llmrouter-llm-multiround",
    "llmrouter-smallest",
    "llmrouter-largest",
    "llmrouter-custom",
    "llmrouter-cost-aware",
    "llmrouter-cost-cascade",
    "llmrouter-nadirclaw-centroid",
    "llmrouter-semantic-intent",
    "llmrouter-tag-regex-ua",
    "llmrouter-latency-sla",
    "llmrouter-usage-based",
    "llmrouter-least-busy",
    "llmrouter-linucb",
    "llmrouter-kv-cache-aware",
    "personalized",
)
"""Strategies that rank candidates for what is asked: `routing.registry` knows where each is."""


PLAYING = (
    "llmrouter-automix",
    "llmrouter-cost-cascade",
    "llmrouter-r1",
    "llmrouter-knn-multiround",
    "llmrouter-llm-multiround",
)
"""Those of them that ask models themselves, and so only work behind an auto model."""


class Traits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a deployment's model."""

    context_window: int | None = None
    """Tokens of prompt and answer."""
    capabilities: dict[str, bool] = {}
    """Of `CAPABILITIES`; what is missing is not known."""
    size: float | None = None
    """Billions of parameters."""
    region: str = ""
    """Where its data is: `eu-central-1`, `eu`."""
    metrics_url: str = ""
    """Prometheus metrics of its engine (vLLM)."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the request, its key or the configuration asks of the choice. `None` leaves it to the strategy."""

    target_quality: float | None = None
    """Share of the best candidate's quality to be reached on average, 0 to 1: 0.98."""
    max_cost: float | None = None
    """US dollars this request may be expected to cost."""
    willingness_to_pay: float | None = None
    """US dollars one unit of quality (from 0 to 1) is worth: `1 / λ` of `quality - λ · cost`."""
    profile: str = "auto"
    """Of `PROFILES`."""
    latency: float | None = None
    """Seconds to the first byte that should not be exceeded."""
    models: tuple[str, ...] = ()
    """Only these candidates: names or patterns."""
    excluded: tuple[str, ...] = ()
    """Not these."""
    region: str = ""
    """Preferred, or with `residency` the only one allowed: `eu` is also `eu-central-1`."""
    residency: bool = False


def over(wishes: Wishes, before: Wishes) -> Wishes:
    """Wishes that come over others': what they say nothing about stays, what is excluded stays so, and so does where
    data has to stay.
    """
    said = {name: value for name, default in _SAID_NOTHING.items() if (value := getattr(wishes, name)) != default}
    if wishes.excluded:
        said["excluded"] = tuple(dict.fromkeys((*before.excluded, *wishes.excluded)))
    if before.residency and before.region:
        said.pop("region", None)
    return msgspec.structs.replace(before, **said) if said else before


_SAID_NOTHING = msgspec.structs.asdict(Wishes())


class ArtifactFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A trained artifact as it was verified: workers parse the very bytes these digests are of."""

    path: str
    """The directory it is in."""
    files: dict[str, str]
    """Hex SHA-256 by file name."""
    source: str
    """`model_path` as configured: a directory, a link to one, or a URL."""
    interval: float
    """Seconds between two looks whether there is another one; 0 is never."""


class Choosing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A strategy of `RANKING` as configured."""

    strategy: str
    args: dict[str, Any] = {}
    artifact: ArtifactFiles | None = None
    within: tuple[Choosing, ...] = ()
    """The strategies an ensemble, a pipeline or a cascade is made of."""


class AutoModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public name behind which models are chosen, request by request."""

    name: str
    models: tuple[str, ...]
    """Public names of the candidates."""
    choosing: Choosing
    wishes: Wishes = Wishes()
    session_ttl: float = 0.0
    """Seconds a conversation stays with its model after its last request; 0 is not at all."""
