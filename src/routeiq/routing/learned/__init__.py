"""Strategies that predict quality and cost of each candidate from what they were trained on, with numpy alone.

Nothing is imported here: a worker loads these modules, and numpy, only when one of them is configured.
"""

_HERE = "routeiq.routing.learned"

LEARNED: dict[str, str] = {
    "routeiq-ridge": f"{_HERE}.ridge:build",
    "llmrouter-linucb": f"{_HERE}.linucb:build",
    "llmrouter-knn": f"{_HERE}.neighbours:build",
    "llmrouter-svm": f"{_HERE}.svm:build",
    "llmrouter-mlp": f"{_HERE}.mlp:build",
    "llmrouter-mf": f"{_HERE}.factors:build",
    "llmrouter-elo": f"{_HERE}.elo:build",
    "llmrouter-hybrid": f"{_HERE}.hybrid:build",
    "llmrouter-routerdc": f"{_HERE}.contrastive:build",
    "llmrouter-graph": f"{_HERE}.graph:build",
    "llmrouter-gmt": f"{_HERE}.gmt:build",
    "llmrouter-causallm": f"{_HERE}.language:build",
    "llmrouter-nadirclaw-centroid": f"{_HERE}.centroid:build",
    "routeiq-kumaraswamy-thompson": f"{_HERE}.thompson:build",
    "personalized": f"{_HERE}.personal:build",
}
"""Where each strategy's `build(args, artifact)` is. The last three do without an artifact."""
