"""Outcomes of prompts with models, as training takes them.

A Parquet file with a row per prompt: `prompt`, `split` (train, val, test or any other name), perhaps `id`, `task`,
`prompt_tokens`; then for each model M `score:M` (0 to 1, empty where it was not run), `cost:M` (US dollars) and perhaps
`out_tokens:M`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

SCORE, COST, OUTPUT = "score:", "cost:", "out_tokens:"
LEARNED = ("train", "val")
"""Splits that training uses."""
LEAST_ROWS = 20

Matrix = NDArray[np.float64]


class BadData(ValueError):
    """The data can't be used. Its text says why and names the file."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts and what became of them. Matrices have a row per prompt and a column per model."""

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    tasks: NDArray[np.str_]
    """Empty where it is not known."""
    splits: NDArray[np.str_]
    quality: Matrix
    """NaN where the model was not run."""
    cost: Matrix
    """US dollars."""
    output: Matrix
    """Tokens of the answer; NaN where they are not known."""
    input: NDArray[np.float64]
    """Tokens of the prompt; NaN where they are not known."""

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: Any) -> Dataset:
        """Some of the prompts: places, or a mask."""
        places = np.arange(len(self))[rows]
        return Dataset(
            models=self.models,
            prompts=tuple(self.prompts[place] for place in places),
            tasks=self.tasks[places],
            splits=self.splits[places],
            quality=self.quality[places],
            cost=self.cost[places],
            output=self.output[places],
            input=self.input[places],
        )

    def split(self, *names: str) -> Dataset:
        """The prompts of these splits. Raises `BadData` where there are none."""
        rows = np.isin(self.splits, names)
        if not rows.any():
            there = ", ".join(sorted(set(self.splits.tolist()))) or "none"
            raise BadData(f"no row is of split {' or '.join(names)}; there are: {there}")
        return self.take(rows)


def read_dataset(path: Path) -> Dataset:
    """Read a Parquet file. Raises `BadData`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise BadData(f"{path} is not there") from None
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"{path} is no Parquet file that can be read: {error}") from None
    names = set(table.column_names)
    models = tuple(name.removeprefix(SCORE) for name in table.column_names if name.startswith(SCORE))
    if "prompt" not in names or not models:
        raise BadData(f"{path} needs a column `prompt` and a column `score:<model>` for each model")
    missing = [model for model in models if COST + model not in names]
    if missing:
        raise BadData(f"{path} has no column `cost:{missing[0]}` beside `score:{missing[0]}`")
    prompts = table.column("prompt").to_pylist()
    if not all(isinstance(prompt, str) for prompt in prompts):
        raise BadData(f"{path} has prompts that are not texts")

    def texts(name: str, default: str) -> NDArray[np.str_]:
        if name not in names:
            return np.full(len(prompts), default)
        return np.array([default if value is None else str(value) for value in table.column(name).to_pylist()])

    def numbers(name: str) -> NDArray[np.float64]:
        if name not in names:
            return np.full(len(prompts), np.nan)
        try:
            return np.array(table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        except pa.ArrowException:
            raise BadData(f"{path}: column `{name}` is not of numbers") from None

    def matrix(prefix: str) -> Matrix:
        return np.stack([numbers(prefix + model) for model in models], axis=1)

    data = Dataset(
        models=models,
        prompts=tuple(prompts),
        tasks=texts("task", ""),
        splits=texts("split", "train"),
        quality=matrix(SCORE),
        cost=matrix(COST),
        output=matrix(OUTPUT),
        input=numbers("prompt_tokens"),
    )
    check(data, str(path))
    return data


def check(data: Dataset, name: str) -> None:
    """Raises `BadData` for what no data of this kind can be."""
    if not len(data):
        raise BadData(f"{name} has no rows")
    for matrix, low, high, what in ((data.quality, 0.0, 1.0, "score"), (data.cost, 0.0, np.inf, "cost")):
        wrong = (matrix < low) | (matrix > high) | np.isinf(matrix)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            model = data.models[column]
            raise BadData(f"{name}: `{what}:{model}` is {matrix[row, column]:g} in row {row}")
        empty = np.isnan(matrix).all(axis=0)
        if empty.any():
            raise BadData(f"{name}: `{what}:{data.models[int(empty.argmax())]}` has no value")


def digest(path: Path) -> str:
    """SHA-256 of the file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_dataset(data: Dataset, path: Path) -> None:
    """Write it as `read_dataset` reads it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        "prompt": list(data.prompts),
        "task": data.tasks.tolist(),
        "split": data.splits.tolist(),
        "prompt_tokens": data.input,
    }
    for prefix, matrix in ((SCORE, data.quality), (COST, data.cost), (OUTPUT, data.output)):
        for column, model in enumerate(data.models):
            if prefix != OUTPUT or not np.isnan(matrix[:, column]).all():
                columns[prefix + model] = matrix[:, column]
    pq.write_table(pa.table(columns), path)


def split_of(prompt: str, shares: Sequence[tuple[str, int]] = (("train", 80), ("val", 10), ("test", 10))) -> str:
    """The split of a prompt, by the hash of its text: the same prompt is never in two."""
    key = " ".join(prompt.lower().split()).encode()
    place = int.from_bytes(hashlib.sha256(key).digest()) % 100
    for name, percent in shares:
        if place < percent:
            return name
        place -= percent
    return shares[-1][0]
