"""Outcomes in other projects' formats: read whole, priced, split by the prompt's hash; mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeiq.cli import make_app
from routeiq.mlops.dataset import BadData, read_dataset, split_of
from routeiq.mlops.importing import Outcome, Price, gather, llmrouter, parse_price, prices_of, routellm, routerbench


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_llmrouter(tmp_path: Path) -> None:
    row = {"task_name": "qa", "query": "Who?", "metric": "em", "response": "x", "embedding_id": 0}
    file = lines(
        tmp_path / "routing.jsonl",
        {**row, "model_name": "a", "performance": 1.0, "token_num": 100},
        {**row, "model_name": "b", "performance": 0.5, "token_num": 10},
        {**row, "query": "What?", "model_name": "a", "performance": 0},
    )
    models = tmp_path / "llm.json"
    models.write_text(
        json.dumps(
            {"a": {"size": "7B", "input_price": 1, "output_price": 2}, "b": {"input_price": 0, "output_price": 4}}
        )
    )
    data = gather(llmrouter([file]), prices_of(models))
    assert (data.models, data.prompts, data.tasks.tolist()) == (("a", "b"), ("Who?", "What?"), ["qa", "qa"])
    assert data.quality[0].tolist() == [1.0, 0.5]
    assert data.cost[0].tolist() == pytest.approx([1e-6 + 200e-6, 40e-6])
    assert str(data.quality[1].tolist()) == "[0.0, nan]"
    assert data.splits.tolist() == [split_of("Who?"), split_of("What?")]


def test_routerdc(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text(json.dumps([{"question": "Who?", "scores": {"a": 0.25, "b": 1}, "cluster_id": 3}]))
    data = gather(llmrouter([file]), {"a": Price(0, 0), "b": Price(1e-6, 0)})
    assert (data.quality.tolist(), data.tasks.tolist()) == ([[0.25, 1.0]], ["3"])


def test_routellm(tmp_path: Path) -> None:
    file = tmp_path / "mmlu_law.csv"
    file.write_text(
        'prompt,gpt-4-1106-preview,mistralai/Mixtral-8x7B-Instruct-v0.1\n"Who,\nme?",True,False\nWhat?,False,True\n'
    )
    data = gather(routellm([file]), {"mistralai/Mixtral-8x7B-Instruct-v0.1": Price(0.6e-6, 0.6e-6)})
    assert data.prompts == ("Who,\nme?", "What?")
    assert data.quality.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert data.cost[0, 0] > 10 * data.cost[0, 1], "GPT-4's price is that of the table"
    assert set(data.tasks.tolist()) == {"mmlu_law"}


def test_routerbench(tmp_path: Path) -> None:
    rows = {
        "sample_id": ["1", "2"], "prompt": ["Who?", "What?"], "eval_name": ["mmlu", "gsm8k"], "m": [1.0, 0.25],
        "m|model_response": ["x", "y"], "m|total_cost": [0.001, 0.002], "n": [0.0, None], "n|total_cost": [0.0, None],
        "oracle_model_to_route_to": ["m", "m"],
    }  # fmt: skip
    pq.write_table(pa.table(rows), tmp_path / "bench.parquet")
    data = gather(routerbench([tmp_path / "bench.parquet"]), {})
    assert (data.models, data.tasks.tolist()) == (("m", "n"), ["mmlu", "gsm8k"])
    assert data.cost[:, 0].tolist() == [0.001, 0.002]
    (tmp_path / "bench.csv").write_text("prompt,eval_name,m,m|total_cost\nWho?,mmlu,1.0,0.001\n")
    assert gather(routerbench([tmp_path / "bench.csv"]), {}).quality.tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("read", "name", "text", "message"),
    [
        (llmrouter, "a.jsonl", "{", "line 1 can't be read"),
        (llmrouter, "a.jsonl", '{"query": "x"}', "needs query, model_name and performance"),
        (llmrouter, "a.jsonl", '{"query": "x", "model_name": "m", "performance": 3}', "not from 0 to 1"),
        (llmrouter, "a.json", '[{"question": 1}]', "has no question"),
        (routellm, "a.csv", "prompt,model\nx,maybe\n", "one of True and False"),
        (routerbench, "a.csv", "prompt,model\nx,1\n", "total_cost"),
        (routerbench, "a.pkl", "", "is a pickle"),
        (routerbench, "a.parquet", "no", "no Parquet file"),
    ],
)
def test_mistakes(read: Any, name: str, text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(BadData, match=message):
        gather(read([file]), {})


def test_what_has_no_price_is_told() -> None:
    with pytest.raises(BadData, match="--price 'nobody/knows-it=INPUT/OUTPUT'"):
        gather([Outcome("Who?", "", "nobody/knows-it", 1.0)], {})
    assert parse_price("a/b=c=1/2") == ("a/b=c", Price(1e-6, 2e-6))
    for text in ("a", "a=1", "=1/2", "a=-1/2", "a=x/y"):
        with pytest.raises(BadData, match="is not MODEL"):
            parse_price(text)


@given(
    st.lists(st.tuples(st.text(min_size=1), st.sampled_from(["a", "b", "c"]), st.floats(0, 1)), min_size=1, max_size=30)
)
def test_every_outcome_has_its_place(rows: list[tuple[str, str, float]]) -> None:
    data = gather([Outcome(prompt, "", model, score, 0.0) for prompt, model, score in rows], {})
    first: dict[tuple[str, str], float] = {}
    for prompt, model, score in rows:
        first.setdefault((prompt, model), score)
    for (prompt, model), score in first.items():
        assert data.quality[data.prompts.index(prompt), data.models.index(model)] == score
    assert int((data.quality == data.quality).sum()) == len(first)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mmlu_law.csv"
    file.write_text("prompt,a,b\nWho?,True,False\nWhat?,False,True\n")
    words = ["mlops", "import", "routellm", str(file), "--out", str(tmp_path / "out.parquet")]
    assert make_app()([*words, "--price", "a=1/2", "--price", "b=1/2", "--json"], result_action="return_value") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["prompts"], told["models"]) == (2, ["a", "b"])
    assert read_dataset(tmp_path / "out.parquet").quality.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert make_app()(words, result_action="return_value") == 1
    assert "has no price" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
