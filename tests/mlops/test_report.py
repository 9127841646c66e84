"""The page about an artifact, and what MLflow is told of it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from routeiq.cli import make_app
from routeiq.mlops.dataset import write_dataset
from routeiq.mlops.train import save, train
from support.outcomes import outcomes


class Page(HTMLParser):
    """Checks that what is opened is closed; keeps tags and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `data.parquet` and `artifact`; the first model's name is as bad as names can be."""
    place = tmp_path_factory.mktemp("report")
    data = outcomes(120)
    data = msgspec.structs.replace(data, models=("<script>small</script>", *data.models[1:]))
    write_dataset(data, place / "data.parquet")
    save(train(data, "llmrouter-mf", {"data": "data.parquet"}), place / "artifact")
    return place


def run(*words: str) -> int:
    return int(make_app()(["mlops", "report", *words], result_action="return_value"))


def test_a_page_and_a_run(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mlflow import MlflowClient

    out, uri = tmp_path / "report.html", f"sqlite:///{tmp_path}/mlflow.db"
    words = ("--artifact", str(trained / "artifact"), "--data", str(trained / "data.parquet"), "--out", str(out))
    assert run(*words, "--mlflow", uri, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    page = Page()
    page.feed(out.read_text())
    assert not page.open
    text = " ".join(page.texts)
    assert "<script>small</script>" in text
    assert f"{told['targets']['0.98']['quality_pct']:.2f} %" in text
    assert page.tags.count("circle") == 3 + 4 + 2
    assert not {"script", "link", "img"} & set(page.tags), "it needs nothing else"
    found = MlflowClient(tracking_uri=uri).get_run(told["mlflow_run"])
    assert found.data.params["strategy"] == "llmrouter-mf"
    assert np.isclose(found.data.metrics["quality_pct_at_0.98"], told["targets"]["0.98"]["quality_pct"])


def test_mistakes(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, artifact = str(trained / "data.parquet"), str(trained / "artifact")
    out = tmp_path / "report.html"
    assert run("--artifact", str(tmp_path), "--data", data, "--out", str(out)) == 1
    assert "can't be read" in capsys.readouterr().err
    assert run("--artifact", artifact, "--data", data, "--split", "none", "--out", str(out)) == 1
    assert "no row is of split none" in capsys.readouterr().err
    assert run("--artifact", artifact, "--data", data, "--out", str(out), "--mlflow", "nonsense://x") == 1
    assert "MLflow at nonsense://x" in capsys.readouterr().err
