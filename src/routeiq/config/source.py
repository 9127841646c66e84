"""YAML files as a tree that remembers where each key and value stands.

Only plain data is taken: strings, numbers, booleans, null, lists, maps, anchors and `<<` merges. Dates stay
text. Keys are taken as written (`on:` is "on"). A key may stand once in a map.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

import yaml

from routeiq.config.report import NOWHERE, Mark, Path, Report

MAX_BYTES = 8 * 1024 * 1024
"""Largest file, bytes."""
MAX_NODES = 500_000
"""Most values in one file after aliases are followed: what stops an alias bomb."""
MAX_DEPTH = 64
MAX_FILES = 256

Scalar = str | int | float | bool | None

_TAG = "tag:yaml.org,2002:"
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGEABLE = (dict, list)


@dataclass(slots=True)
class Node:
    """A value and its place. `keys` holds the places of a map's keys."""

    value: Scalar | dict[str, Node] | list[Node]
    mark: Mark
    keys: dict[str, Mark] = field(default_factory=dict)
    secret: bool = False
    """Came from the environment under a name that says it is a secret."""
    broken: bool = False
    """Held a reference that could not be resolved, which has been reported."""

    def plain(self) -> Any:
        """The value without places."""
        value = self.value
        if isinstance(value, dict):
            return {key: child.plain() for key, child in value.items()}
        if isinstance(value, list):
            return [child.plain() for child in value]
        return value

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """This value and all below it, with their paths."""
        yield path, self
        if isinstance(self.value, dict):
            for key, child in self.value.items():
                yield from child.walk((*path, key))
        elif isinstance(self.value, list):
            for index, child in enumerate(self.value):
                yield from child.walk((*path, index))

    def get(self, path: Path) -> Node | None:
        """The value at a path below this one."""
        node: Node | None = self
        for part in path:
            node = node._child(part) if node is not None else None
        return node

    def _child(self, part: str | int) -> Node | None:
        value = self.value
        if isinstance(value, dict):
            return value.get(part) if isinstance(part, str) else None
        if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
            return value[part]
        return None

    def mark_of(self, path: Path) -> Mark:
        """Where a setting stands: its key, or its value in a list, or the nearest thing above that exists."""
        node, mark = self, self.mark
        for part in path:
            child = node._child(part)
            if child is None:
                break
            mark, node = node.keys.get(part, child.mark) if isinstance(part, str) else child.mark, child
        return mark


@dataclass(frozen=True, slots=True)
class Source:
    """What the files say, merged, and which files they were."""

    root: Node
    files: tuple[str, ...]


def load_files(paths: Sequence[str], report: Report) -> Source:
    """Read the files and all they `include`; what is wrong goes to the report and is left out of the tree."""
    loader = _Files(report)
    for path in paths:
        loader.add(FilePath(path), NOWHERE, ())
    return Source(loader.root or Node({}, Mark(paths[0] if paths else "", 1, 1)), tuple(loader.files))


class _Files:
    """One loading: files are merged in the order they are met, each before what it includes."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.root: Node | None = None
        self.files: list[str] = []

    def add(self, path: FilePath, asked: Mark, parents: tuple[str, ...]) -> None:
        name = str(path.absolute())
        where: Path = ("include",) if parents else ()
        if name in parents:
            self.report.error(asked, where, f"{path} includes itself", "a file is read once: remove this line")
            return
        if name in self.files:
            return
        if len(self.files) >= MAX_FILES:
            self.report.error(asked, where, f"more than {MAX_FILES} files are included")
            return
        self.files.append(name)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            mark = asked if asked.line else Mark(str(path), 0, 0)
            self.report.error(mark, where, f"can't read {path}: {error.strerror}")
            return
        node = parse(data, str(path), self.report)
        if node is None:
            return
        includes = _includes(node, self.report)
        self.root = node if self.root is None else _merge(self.root, node, (), self.report)
        for included, mark in includes:
            self.add(path.parent / included, mark, (*parents, name))


def _includes(node: Node, report: Report) -> list[tuple[str, Mark]]:
    """Take the `include` list out of a file's root."""
    assert isinstance(node.value, dict)
    include = node.value.pop("include", None)
    if include is None:
        return []
    items = include.value if isinstance(include.value, list) else [include]
    out: list[tuple[str, Mark]] = []
    for item in items:
        if isinstance(item.value, str) and item.value and "\0" not in item.value:
            out.append((item.value, item.mark))
        else:
            report.error(item.mark, ("include",), "must be the path of a YAML file")
    return out


def _merge(first: Node, second: Node, path: Path, report: Report) -> Node:
    """Lists are joined, maps merged; of two single values the one met first wins, with a warning."""
    if isinstance(first.value, dict) and isinstance(second.value, dict):
        merged = dict(first.value)
        keys = dict(first.keys)
        for key, node in second.value.items():
            if key in merged:
                merged[key] = _merge(merged[key], node, (*path, key), report)
            else:
                merged[key], keys[key] = node, second.keys[key]
        return replace(first, value=merged, keys=keys)
    if isinstance(first.value, list) and isinstance(second.value, list):
        return replace(first, value=[*first.value, *second.value])
    if first.value is None:
        return second
    if second.value is not None and first.plain() != second.plain():
        place = f"{first.mark.file}:{first.mark.line}"
        report.warning(second.mark, path, f"is set in {place} as well; that value is used, this one is not")
    return first


def parse(data: bytes, name: str, report: Report) -> Node | None:
    """One file's bytes as a tree whose root is a map, or `None` with the reason in the report."""
    if len(data) > MAX_BYTES:
        report.error(Mark(name, 1, 1), (), f"is larger than {MAX_BYTES} bytes")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        report.error(Mark(name, before.count(b"\n") + 1, column), (), "is not UTF-8 text")
        return None
    try:
        tree = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        mark = Mark(name, where.line + 1, where.column + 1) if where else Mark(name, 1, 1)
        report.error(mark, (), f"is not YAML: {error.problem or error.context}")
        return None
    except (yaml.YAMLError, RecursionError) as error:
        report.error(_unreadable(text, name), (), f"is not YAML: {_reason(error)}")
        return None
    if tree is None:
        return Node({}, Mark(name, 1, 1))
    root = _Converter(name, report).convert(tree, (), 0)
    if root is None:
        return None
    if root.value is None:
        return Node({}, root.mark)
    if not isinstance(root.value, dict):
        report.error(root.mark, (), "must be a map of sections such as model_list")
        return None
    return root


_ODD = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def from_value(value: Any, path: Path, report: Report, depth: int = 0, mark: Mark = NOWHERE) -> Node | None:
    """A value of Python's as a tree, all of it at `mark`; what has no place in a configuration goes to the report."""
    if depth > MAX_DEPTH:
        report.error(mark, path, f"is nested deeper than {MAX_DEPTH} levels")
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return Node(value, mark)
    if isinstance(value, Mapping):
        children: dict[str, Node] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                report.error(mark, path, "has a key that is not text")
                continue
            child = from_value(item, (*path, key), report, depth + 1, mark)
            if child is not None:
                children[key] = child
        return Node(children, mark, dict.fromkeys(children, mark))
    if isinstance(value, (list, tuple)):
        items = (from_value(item, (*path, index), report, depth + 1, mark) for index, item in enumerate(value))
        return Node([item for item in items if item is not None], mark)
    report.error(mark, path, f"is a {type(value).__name__}, which no setting takes")
    return None


def _unreadable(text: str, name: str) -> Mark:
    found = _ODD.search(text)
    at = found.start() if found else 0
    return Mark(name, text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "it holds a character YAML does not allow"


class _Stop(Exception):
    """A limit was passed; the reason is in the report."""


class _Converter:
    """Turns PyYAML's nodes into ours, following aliases."""

    def __init__(self, name: str, report: Report) -> None:
        self.name = name
        self.report = report
        self.count = 0

    def convert(self, node: yaml.Node, path: Path, depth: int) -> Node | None:
        try:
            return self._convert(node, path, depth)
        except _Stop:
            return None

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _convert(self, node: yaml.Node, path: Path, depth: int) -> Node:
        mark = self._mark(node)
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            what = f"nested deeper than {MAX_DEPTH}" if depth > MAX_DEPTH else f"more than {MAX_NODES} values"
            self.report.error(mark, path, what)
            raise _Stop
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._map(node, mark, path, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return Node([self._convert(n, (*path, i), depth + 1) for i, n in enumerate(node.value)], mark)
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, mark, path), mark)
        self.report.error(mark, path, f"has the tag {node.tag}, which is not plain data")
        return Node(None, mark)

    def _map(self, node: yaml.MappingNode, mark: Mark, path: Path, depth: int) -> Node:
        out = Node({}, mark)
        assert isinstance(out.value, dict)
        defaults: list[Node] = []
        for key, child in node.value:
            place = self._mark(key)
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}null":
                self.report.error(place, path, "a key must be a word")
                continue
            if key.tag == f"{_TAG}merge":
                defaults += self._defaults(child, path, depth)
                continue
            name = key.value
            if name in out.value:
                first = out.keys[name]
                self.report.error(place, (*path, name), f"is already set in line {first.line} of this map")
                continue
            out.value[name] = self._convert(child, (*path, name), depth + 1)
            out.keys[name] = place
        for source in defaults:
            assert isinstance(source.value, dict)
            for name, value in source.value.items():
                if name not in out.value:
                    out.value[name], out.keys[name] = value, source.keys[name]
        return out

    def _defaults(self, node: yaml.Node, path: Path, depth: int) -> list[Node]:
        """The maps behind `<<`."""
        value = self._convert(node, path, depth + 1)
        items = value.value if isinstance(value.value, list) else [value]
        maps = [item for item in items if isinstance(item.value, dict)]
        if len(maps) != len(items):
            self.report.error(value.mark, path, "<< merges maps only")
        return maps

    def _scalar(self, node: yaml.ScalarNode, mark: Mark, path: Path) -> Scalar:
        tag = node.tag.removeprefix(_TAG)
        construct = yaml.constructor.SafeConstructor()
        try:
            if tag in ("str", "timestamp", "value", "merge"):
                return str(node.value)
            if tag == "int":
                return int(construct.construct_yaml_int(node))
            if tag == "float":
                return float(construct.construct_yaml_float(node))
            if tag == "bool":
                return bool(construct.construct_yaml_bool(node))
        except (ValueError, KeyError, IndexError, OverflowError):
            self.report.error(mark, path, f"is not a number or word of the type {tag}")
            return None
        if tag != "null":
            self.report.error(mark, path, f"has the tag {node.tag}, which is not plain data")
        return None
