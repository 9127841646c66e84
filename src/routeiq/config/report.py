"""Collects what is wrong with a configuration, so that all of it is told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from routeiq.core.settings import ERROR, WARNING, Finding

Path = tuple[str | int, ...]
"""The way to a setting from the root: `("model_list", 2, "litellm_params", "rpm")`."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int


NOWHERE = Mark("", 0, 0)


def dotted(path: Path) -> str:
    """A path as people write it: `model_list[2].litellm_params.rpm`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A hint with the nearest candidate, or nothing."""
    near = difflib.get_close_matches(word, sorted(set(candidates)), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


@dataclass(slots=True)
class Report:
    """Findings in the order they were met. Messages hold names, never values of settings."""

    findings: list[Finding] = field(default_factory=list)

    def error(self, mark: Mark, path: Path, message: str, hint: str = "") -> None:
        self._add(ERROR, mark, path, message, hint)

    def warning(self, mark: Mark, path: Path, message: str, hint: str = "") -> None:
        self._add(WARNING, mark, path, message, hint)

    def _add(self, level: str, mark: Mark, path: Path, message: str, hint: str) -> None:
        finding = Finding(
            level=level,
            message=message,
            path=dotted(path),
            file=mark.file,
            line=mark.line,
            column=mark.column,
            hint=hint,
        )
        if finding not in self.findings:
            self.findings.append(finding)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(sorted((f for f in self.findings if f.level == ERROR), key=_place))

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(sorted((f for f in self.findings if f.level == WARNING), key=_place))


def _place(finding: Finding) -> tuple[str, int, int]:
    return finding.file, finding.line, finding.column
