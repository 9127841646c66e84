"""Reading YAML: places, includes, limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from routeiq.config.report import Report
from routeiq.config.source import MAX_DEPTH, load_files, parse


def read(text: str | bytes) -> tuple[object, list[str]]:
    report = Report()
    node = parse(text.encode() if isinstance(text, str) else text, "f.yaml", report)
    return (node.plain() if node else None), [str(finding) for finding in report.findings]


def test_values_are_plain_data_and_dates_stay_text() -> None:
    value, findings = read("a: 1\nb: 1.5\nc: yes\nd: ~\ne: 2025-01-31\non: {'x': [1, two]}\n1: one\n")
    assert findings == []
    assert value == {"a": 1, "b": 1.5, "c": True, "d": None, "e": "2025-01-31", "on": {"x": [1, "two"]}, "1": "one"}


def test_every_key_and_value_keeps_its_place() -> None:
    report = Report()
    node = parse(b"router_settings:\n  fallbacks:\n    - a: [b, c]\n", "f.yaml", report)
    assert node is not None
    mark = node.mark_of(("router_settings", "fallbacks", 0, "a"))
    assert (mark.line, mark.column) == (3, 7)
    mark = node.mark_of(("router_settings", "fallbacks", 0, "a", 1))
    assert (mark.line, mark.column) == (3, 14)
    mark = node.mark_of(("router_settings", "nothing", "here"))
    assert (mark.line, mark.column) == (1, 1)


def test_anchors_and_merges_are_followed() -> None:
    value, findings = read("d: &d {rpm: 1, tpm: 2}\na: {<<: *d, rpm: 3}\nb: {<<: [*d, {x: 1}]}\n")
    assert findings == []
    assert value == {"d": {"rpm": 1, "tpm": 2}, "a": {"rpm": 3, "tpm": 2}, "b": {"rpm": 1, "tpm": 2, "x": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: error: a: is already set in line 1 of this map"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2:2: error: is not YAML"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: error: is not YAML"),
        ("- 1\n", "f.yaml:1:1: error: must be a map of sections"),
        ("a: !!python/object/apply:os.system [x]\n", "f.yaml:1:4: error: a: has the tag"),
        ("a: !custom 1\n", "f.yaml:1:4: error: a: has the tag !custom"),
        ("a: !!int word\n", "f.yaml:1:4: error: a: is not a number"),
        ("[a]: 1\n", "f.yaml:1:1: error: a key must be a word"),
        ("a: 1\n<<: 3\n", "f.yaml:2:5: error: << merges maps only"),
        (b"a: 1\nb: \xff\n", "f.yaml:2:4: error: is not UTF-8"),
        ("a: 1\nb: '\x01'\n", "f.yaml:2:5: error: is not YAML"),
        ("a: 1\n---\nb: 2\n", "error: is not YAML"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str | bytes, expected: str) -> None:
    _, findings = read(text)
    assert any(expected in finding for finding in findings), findings


def test_an_alias_bomb_is_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    value, findings = read("\n".join(lines))
    assert value is None
    assert "values" in findings[0]


@pytest.mark.parametrize(
    "text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)]
)
def test_endless_nesting_is_stopped(text: str) -> None:
    value, findings = read(text)
    assert value is None
    assert findings


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n"])
def test_an_empty_file_is_an_empty_map(text: str) -> None:
    assert read(text) == ({}, [])


def files(tmp_path: Path, **texts: str) -> str:
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return str(tmp_path / "main.yaml")


def test_includes_join_lists_and_merge_maps(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.yaml").write_text("model_list: [c]\ninclude: [../last.yaml]\n")
    main = files(
        tmp_path,
        main="include: [sub/more.yaml]\nmodel_list: [a, b]\nrouter_settings: {num_retries: 1}\n",
        last="model_list: [d]\nrouter_settings: {timeout: 3, num_retries: 1}\n",
    )
    report = Report()
    source = load_files([main], report)
    assert report.findings == []
    assert source.root.plain() == {"model_list": list("abcd"), "router_settings": {"num_retries": 1, "timeout": 3}}
    assert [Path(file).name for file in source.files] == ["main.yaml", "more.yaml", "last.yaml"]


def test_the_including_file_wins_and_says_so(tmp_path: Path) -> None:
    main = files(tmp_path, main="include: [b.yaml]\nx: {y: 1}\n", b="x:\n  y: 2\n")
    report = Report()
    assert load_files([main], report).root.plain() == {"x": {"y": 1}}
    (warning,) = report.warnings
    assert (Path(warning.file).name, warning.line, warning.path) == ("b.yaml", 2, "x.y")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"main": "include: [main.yaml]\n"}, "main.yaml:1:11: error: include:"),
        ({"main": "include: [b.yaml]\n", "b": "include: [main.yaml]\n"}, "b.yaml:1:11: error: include:"),
        ({"main": "a: 1\ninclude:\n  - gone.yaml\n"}, "main.yaml:3:5: error: include: can't read"),
        ({"main": "include: [1]\n"}, "main.yaml:1:11: error: include: must be the path"),
        ({}, "can't read"),
    ],
)
def test_includes_that_fail(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    report = Report()
    load_files([files(tmp_path, **texts)], report)
    assert message in str(report.errors[0])


def test_a_file_included_twice_is_read_once(tmp_path: Path) -> None:
    main = files(
        tmp_path, main="include: [a.yaml, b.yaml]\n", a="include: [c.yaml]\n", b="include: [c.yaml]\n", c="l: [1]\n"
    )
    report = Report()
    assert load_files([main], report).root.plain() == {"l": [1]}
    assert report.findings == []


def test_a_directory_and_a_pipe_of_any_size_are_refused(tmp_path: Path) -> None:
    report = Report()
    load_files([str(tmp_path)], report)
    assert "can't read" in str(report.errors[0])
