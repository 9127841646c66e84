"""The documentation names what the code has: enumerated from the code, looked for in the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from routeiq.cli import make_app
from routeiq.core.errors import GatewayError
from routeiq.core.routing import BALANCING as STRATEGIES
from routeiq.observe.metrics import FAMILIES, Family

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "bench" / "README.md",
    ROOT / "conformance" / "README.md",
]
LINK = re.compile(r"\[[^\]]+\]\(([^)#]+)[^)]*\)")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def row(text: str, start: str) -> str:
    """The table row whose first cell is `start`."""
    found = [line for line in text.splitlines() if line.startswith(f"| `{start}` |")]
    assert len(found) == 1, f"{start}: {len(found)} rows"
    return found[0]


def errors(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from errors(child)


def commands(group: App, prefix: str = "routeiq") -> Iterator[str]:
    """Every command, those of groups with them, as it is typed."""
    for name in group:
        if name.startswith("-"):
            continue
        inner = [item for item in group[name] if not item.startswith("-")]
        if inner:
            yield from commands(group[name], f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_metric_is_described(family: Family) -> None:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "-"
    assert row(page("operations.md"), family.name).endswith(f"| {family.kind} | {labels} | {family.help} |")


def test_no_metric_is_described_that_is_gone() -> None:
    named = set(re.findall(r"^\| `(routeiq_\w+)`", page("operations.md"), re.M))
    assert named == {family.name for family in FAMILIES}


@pytest.mark.parametrize("error", [*errors()], ids=lambda error: error.__name__)
def test_every_error_is_described(error: type[GatewayError]) -> None:
    line = row(page("errors.md"), error.__name__)
    assert f"`{error.kind}`" in line
    if error.kind != "upstream":
        assert f"`{error.type}`" in line


def test_every_code_of_an_error_is_described() -> None:
    sources = [file.read_text() for file in (ROOT / "src").rglob("*.py")]
    codes = {code for text in sources for code in re.findall(r'\bcode ?= ?"(\w+)"', text)}
    table = page("errors.md").partition("### Codes")[2].partition("\n## ")[0]
    described = set(re.findall(r"`([a-z]+_\w+|timeout|overloaded|starting)`", table)) - {"drop_params", "api_base"}
    made = {"prediction_failed", "prediction_canceled"}  # of a status that Replicate tells
    assert described == codes | made


def test_every_header_is_described() -> None:
    sources = [file.read_text() for file in (ROOT / "src" / "routeiq").rglob("*.py")]
    found = {name for text in sources for name in re.findall(r"\b(x-(?:litellm|routeiq)-[a-z-]+[a-z])\b", text)}
    assert len(found) > 12
    missing = [name for name in sorted(found) if f"`{name}`" not in page("headers.md")]
    assert not missing


def test_every_command_is_described() -> None:
    text = page("operations.md")
    missing = [command for command in commands(make_app()) if f"`{command}`" not in text]
    assert not missing


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_described(strategy: str) -> None:
    assert f"`{strategy}`" in page("routing.md")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    targets = [link for link in LINK.findall(file.read_text()) if "://" not in link]
    assert [link for link in targets if not (file.parent / link).exists()] == []


@pytest.mark.parametrize("file", sorted((ROOT / "docs").glob("*.md")), ids=lambda file: file.name)
def test_every_page_is_in_the_index(file: Path) -> None:
    assert file.name == "index.md" or f"({file.name})" in page("index.md")


def test_every_target_of_make_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for text in (file.read_text() for file in PAGES):
        for target in re.findall(r"\bmake ([a-z]+)\b(?=[\s)`])", text):
            if f"\n{target}:" not in makefile:
                assert target not in ("demo", "test", "lint", "bench", "soak", "clean"), target
