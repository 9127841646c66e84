"""Makes `routing/learned/data/centroids.safetensors`: the centres of simple and of complex prompts.

    python bench/centroids.py outcomes.parquet small-model large-model

The file that ships was made of RouteLLM's evaluation of MMLU and GSM8K (https://github.com/lm-sys/RouteLLM, Apache-2.0;
the questions are MIT), with Mixtral-8x7B-Instruct and gpt-4-1106-preview: simple is what both answered, complex what
only the large one did.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from routeiq.mlops.dataset import read_dataset
from routeiq.mlops.train import encode
from routeiq.routing.learned.encoder import DATA
from routeiq.routing.learned.tensors import write_tensors


def main(path: str, small: str, large: str) -> None:
    """Write the file."""
    data = read_dataset(Path(path)).split("train", "val")
    embeddings = np.stack([encoding.embedding for encoding in encode(data.prompts)])
    weak, strong = (data.quality[:, data.models.index(name)] >= 0.5 for name in (small, large))
    centres = {"simple": embeddings[weak & strong].mean(axis=0), "complex": embeddings[~weak & strong].mean(axis=0)}
    for name, centre in centres.items():
        centres[name] = (centre / np.linalg.norm(centre)).astype(np.float32)
    (DATA / "centroids.safetensors").write_bytes(write_tensors(centres))
    lead = embeddings @ centres["simple"] - embeddings @ centres["complex"]
    print(f"mean lead: simple {lead[weak & strong].mean():.3f}, complex {lead[~weak & strong].mean():.3f}")
    print(f"quantiles of the lead: {np.quantile(lead, [0.1, 0.25, 0.5, 0.75, 0.9]).round(3).tolist()}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
