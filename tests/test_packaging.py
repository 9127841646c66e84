"""What the package says about itself, and what must not be in it."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

import routeiq

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "routeiq"


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert routeiq.__version__ == project["version"]


def test_metadata() -> None:
    metadata = distribution("routeiq").metadata
    assert metadata["Name"] == "routeiq"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11,<3.14" or set(metadata["Requires-Python"].split(",")) == {
        ">=3.11",
        "<3.14",
    }
    assert metadata["Summary"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_licence_is_mit() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License")
    assert "WITHOUT WARRANTY OF ANY KIND" in text


def test_one_command_is_installed() -> None:
    scripts = [entry for entry in distribution("routeiq").entry_points if entry.group == "console_scripts"]
    assert [(entry.name, entry.value) for entry in scripts] == [("routeiq", "routeiq.cli:main")]


def test_data_files_are_found_as_resources() -> None:
    assert files("routeiq").joinpath("py.typed").is_file()
    assert files("routeiq.providers").joinpath("catalog.json").is_file()
    assert files("routeiq.store").joinpath("migrations").is_dir()


def test_nothing_runs_by_itself() -> None:
    """A `.pth` file is executed at every start of an interpreter; compiled code can't be read."""
    assert [path for path in SOURCE.rglob("*") if path.suffix in (".pth", ".so", ".sh", ".exe")] == []


def test_make_and_lock_pin_the_same_python() -> None:
    lock = (ROOT / "uv.lock").read_text()
    assert re.search(r'requires-python = ">=3\.11, <3\.14"', lock)
    assert "(3, 11) <= sys.version_info[:2] < (3, 14)" in (ROOT / "Makefile").read_text()


def test_changelog_has_this_version_or_what_is_unreleased() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{routeiq.__version__}]" in text
