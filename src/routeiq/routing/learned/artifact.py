"""A trained artifact as a worker reads it: a directory with `router.json` and `router.safetensors`.

`manifest.json` beside them, with digests and a signature, is verified before a configuration is put to use; a worker is
given the digests and parses only bytes that have them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from routeiq.routing.learned.tensors import Array, BadTensors, read_tensors

ROUTER, TENSORS = "router.json", "router.safetensors"
FORMAT = 2
"""Of `router.json` and the names of the arrays."""


class BadArtifact(ValueError):
    """It can't be used. Its text says why and names the file."""


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as it was in the training data."""

    name: str
    quality: float
    """Mean, 0 to 1."""
    cost: float
    """Mean, US dollars a request."""
    input_tokens: float = 0.0
    """Mean, of the prompts it was run on."""
    output_tokens: float | None = None
    """Mean, where the data tells. The two prices are known then, too."""
    input_price: float = 0.0
    """US dollars a token, as the data's costs imply."""
    output_price: float = 0.0


class Router(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`router.json`."""

    format: int
    strategy: str
    models: tuple[Model, ...]
    targets: dict[str, float]
    """λ, in quality per US dollar, by share of the best single model's quality: `{"0.98": 41.2}`."""
    options: dict[str, Any] = {}
    """What the strategy was trained with."""
    trained: dict[str, Any] = {}
    """From what, when, by which version."""
    expected: dict[str, Any] = {}
    """What cross-validation promises: by target, quality and cost in % of the best single model's."""


class Arrays(dict[str, Array]):
    """The arrays of a file."""

    def __missing__(self, name: str) -> Array:
        raise BadArtifact(f"the artifact has no array {name}: train it again with this version of RouteIQ")


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact in memory."""

    router: Router
    tensors: dict[str, Array]

    @property
    def best(self) -> int:
        """The model of the highest mean quality."""
        qualities = [model.quality for model in self.router.models]
        return qualities.index(max(qualities))

    def price_of_quality(self, target: float) -> float:
        """λ for a target between those it was made for, and for the nearest one outside of them."""
        known = sorted((float(name), value) for name, value in self.router.targets.items())
        below = max((pair for pair in known if pair[0] <= target), default=known[0])
        above = min((pair for pair in known if pair[0] >= target), default=known[-1])
        if above[0] == below[0]:
            return below[1]
        share = (target - below[0]) / (above[0] - below[0])
        return below[1] + share * (above[1] - below[1])


def read_artifact(directory: Path | str, files: Mapping[str, str] | None = None) -> Artifact:
    """Read it. `files` has the SHA-256 every file must have, in hex. Raises `BadArtifact`."""
    place = Path(directory)
    try:
        router = msgspec.json.decode(_verified(place / ROUTER, files), type=Router)
        tensors = Arrays(read_tensors(_verified(place / TENSORS, files)))
    except msgspec.DecodeError as error:
        raise BadArtifact(f"{place / ROUTER} can't be read: {error}") from None
    except BadTensors as error:
        raise BadArtifact(f"{place / TENSORS} is no safetensors file: {error}") from None
    if router.format != FORMAT:
        raise BadArtifact(f"{place / ROUTER} has format {router.format}; this version of RouteIQ reads {FORMAT}")
    if not router.models or not router.targets:
        raise BadArtifact(f"{place / ROUTER} has no models, or no targets")
    if not all(math.isfinite(value) and value >= 0 for value in router.targets.values()):
        raise BadArtifact(f"{place / ROUTER} has a target whose λ is not a number from 0 up")
    return Artifact(router=router, tensors=tensors)


def _verified(path: Path, files: Mapping[str, str] | None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadArtifact(f"{path} can't be read: {error.strerror}") from None
    if files is not None and hashlib.sha256(data).hexdigest() != files.get(path.name):
        raise BadArtifact(f"{path} is not the file that was verified: it has changed, or its manifest doesn't name it")
    return data
