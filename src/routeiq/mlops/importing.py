"""Outcomes as other projects keep them, read as ours.

LLMRouter: https://github.com/ulab-uiuc/LLMRouter (routing data, one JSON line for a prompt and a model; and RouterDC's
lists of scores), RouteLLM: https://github.com/lm-sys/RouteLLM/tree/main/routellm/evals, RouterBench:
https://huggingface.co/datasets/withmartian/routerbench (as CSV or Parquet: pickles are not read).
"""

from __future__ import annotations

import csv
import datetime
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from routeiq.config.prices import PriceTable
from routeiq.core.money import PICO_PER_DOLLAR
from routeiq.mlops.dataset import BadData, Dataset, check, split_of

CHARACTERS_PER_TOKEN = 4
ANSWER_TOKENS = 150.0
"""Of an answer whose length the data does not tell."""
PER_MILLION = 1e6
_TRUE = {"true": 1.0, "false": 0.0}
csv.field_size_limit(2**24)


class Price(NamedTuple):
    """US dollars a token."""

    input: float
    output: float


class Outcome(NamedTuple):
    """One prompt with one model."""

    prompt: str
    task: str
    model: str
    score: float
    cost: float | None = None
    """US dollars; `None` is worked out by prices."""
    output: float | None = None
    """Tokens of the answer."""


Reader = Callable[[Iterable[Path]], Iterator[Outcome]]


def llmrouter(paths: Iterable[Path]) -> Iterator[Outcome]:
    """Routing data in JSON lines, or RouterDC's JSON list of `question` and `scores`."""
    for path in paths:
        text = _text(path)
        if text.lstrip().startswith("["):
            for row in _decoded(path, text, list[dict[str, Any]]):
                scores = row.get("scores")
                if not isinstance(row.get("question"), str) or not isinstance(scores, dict):
                    raise BadData(f"{path}: an entry has no question, or no scores")
                task = str(row.get("task_name") or row.get("cluster_id") or "")
                for model, score in scores.items():
                    yield Outcome(row["question"], task, model, _share(path, score))
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                row = _decoded(path, line, dict[str, Any], number)
                if not {"query", "model_name", "performance"} <= row.keys():
                    raise BadData(f"{path}, line {number} needs query, model_name and performance")
                tokens = row.get("token_num")
                output = float(tokens) if isinstance(tokens, (int, float)) and tokens >= 0 else None
                yield Outcome(
                    str(row["query"]),
                    str(row.get("task_name") or ""),
                    str(row["model_name"]),
                    _share(path, row["performance"]),
                    output=output,
                )


def routellm(paths: Iterable[Path]) -> Iterator[Outcome]:
    """CSV files with `prompt` and, for each model, whether it was right; the file's name is the task."""
    for path in paths:
        for row in _csv(path):
            models = [name for name in row if name and name != "prompt" and str(row[name]).lower() in _TRUE]
            if "prompt" not in row or not models:
                raise BadData(f"{path} needs a column `prompt`, and one of True and False for each model")
            for model in models:
                yield Outcome(row["prompt"], path.stem, model, _TRUE[row[model].lower()])


def routerbench(paths: Iterable[Path]) -> Iterator[Outcome]:
    """Tables with `prompt`, `eval_name` and, for each model M, `M` and `M|total_cost`."""
    for path in paths:
        for row in _table(path):
            models = [name.removesuffix("|total_cost") for name in row if name.endswith("|total_cost")]
            if "prompt" not in row or not models:
                raise BadData(f"{path} needs `prompt`, and `M` and `M|total_cost` for each model M")
            prompt = row["prompt"]
            for model in models:
                score = row.get(model)
                if score not in (None, ""):
                    cost = float(row[f"{model}|total_cost"] or 0.0)
                    yield Outcome(str(prompt), str(row.get("eval_name") or ""), model, _share(path, score), cost)


FORMATS: dict[str, Reader] = {"llmrouter": llmrouter, "routellm": routellm, "routerbench": routerbench}


def gather(outcomes: Iterable[Outcome], prices: Mapping[str, Price]) -> Dataset:
    """All of them by prompt. A prompt that is there twice counts once, the first. Raises `BadData`."""
    rows: dict[str, int] = {}
    tasks: list[str] = []
    models: dict[str, int] = {}
    cells: dict[tuple[int, int], Outcome] = {}
    for each in outcomes:
        row = rows.setdefault(each.prompt, len(rows))
        if row == len(tasks):
            tasks.append(each.task)
        cells.setdefault((row, models.setdefault(each.model, len(models))), each)
    shape = (len(rows), len(models))
    quality, cost, output = (np.full(shape, math.nan) for _ in range(3))
    size = np.array([max(1.0, len(prompt) / CHARACTERS_PER_TOKEN) for prompt in rows])
    known = {name: price for name in models if (price := prices.get(name) or listed_price(name)) is not None}
    for (row, column), each in cells.items():
        quality[row, column] = each.score
        if each.output is not None:
            output[row, column] = each.output
        if each.cost is not None:
            cost[row, column] = each.cost
            continue
        price = known.get(each.model)
        if price is None:
            raise BadData(
                f"{each.model} has no price: give --price '{each.model}=INPUT/OUTPUT', dollars a million tokens"
            )
        tokens = ANSWER_TOKENS if each.output is None else each.output
        cost[row, column] = size[row] * price.input + tokens * price.output
    prompts = tuple(rows)
    data = Dataset(
        models=tuple(models),
        prompts=prompts,
        tasks=np.array(tasks, str),
        splits=np.array([split_of(prompt) for prompt in prompts], str),
        quality=quality,
        cost=cost,
        output=output,
        input=size,
    )
    check(data, "the data")
    return data


def listed_price(model: str) -> Price | None:
    """By the price table that comes with the gateway."""
    found = PriceTable(datetime.datetime.now(datetime.UTC)).find_anywhere(model.rpartition("/")[2])
    return None if found is None else Price(found.input / PICO_PER_DOLLAR, found.output / PICO_PER_DOLLAR)


def prices_of(path: Path) -> dict[str, Price]:
    """LLMRouter's JSON of models: `input_price` and `output_price` in dollars a million tokens. Raises `BadData`."""
    found = {}
    for name, entry in _decoded(path, _text(path), dict[str, dict[str, Any]]).items():
        try:
            found[name] = Price(float(entry["input_price"]) / PER_MILLION, float(entry["output_price"]) / PER_MILLION)
        except (KeyError, TypeError, ValueError):
            raise BadData(f"{path}: {name} needs input_price and output_price") from None
    return found


def parse_price(text: str) -> tuple[str, Price]:
    """`MODEL=INPUT/OUTPUT`, dollars a million tokens. Raises `BadData`."""
    name, equals, amounts = text.rpartition("=")
    try:
        given, asked = (float(part) for part in amounts.split("/"))
    except ValueError:
        given = asked = -1.0
    if not equals or not name or given < 0 or asked < 0:
        raise BadData(f"{text!r} is not MODEL=INPUT/OUTPUT, in dollars a million tokens")
    return name, Price(given / PER_MILLION, asked / PER_MILLION)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadData(f"{path} is not there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} can't be read: {error}") from None


def _decoded(path: Path, text: str, kind: Any, line: int = 0) -> Any:
    where = f"{path}, line {line}" if line else str(path)
    try:
        return msgspec.json.decode(text.encode(), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadData(f"{where} can't be read: {error}") from None


def _csv(path: Path) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(_text(path).splitlines(keepends=True))
    try:
        for row in reader:
            yield {str(name): value or "" for name, value in row.items() if isinstance(value, str) or value is None}
    except csv.Error as error:
        raise BadData(f"{path}, line {reader.line_num} can't be read: {error}") from None


def _table(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise BadData(f"{path} is a pickle, which may run any code: write it as CSV or Parquet where you trust it")
    if path.suffix.lower() != ".parquet":
        yield from _csv(path)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"{path} is no Parquet file that can be read: {error}") from None


def _share(path: Path, value: Any) -> float:
    try:
        found = _TRUE[value.lower()] if isinstance(value, str) and value.lower() in _TRUE else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 <= found <= 1:
        raise BadData(f"{path} has a score that is not from 0 to 1: {str(value)[:50]!r}")
    return found
