"""What every compile step is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from routeiq.config.prices import PriceTable
from routeiq.config.report import NOWHERE, Path, Report
from routeiq.config.schema.root import Config
from routeiq.config.source import Node
from routeiq.core.provider import ProviderSpec

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True)
class Context:
    """Validated sections, the tree they came from (for places), and the world outside the files."""

    config: Config
    root: Node
    environ: Mapping[str, str]
    """The process environment with `environment_variables` over it."""
    providers: Mapping[str, ProviderSpec]
    prices: PriceTable
    report: Report
    stored_servers: frozenset[str] = frozenset()
    stored_agents: frozenset[str] = frozenset()
    """Ids of agents that are from the database."""
    """Names of the MCP servers that are in the database: an admin has written them, not the operator."""
    copies: Mapping[str, FilePath] = field(default_factory=dict)
    """Where what is configured as a URL of an object store has been copied to."""

    def error(self, path: Path, message: str, hint: str = "") -> None:
        self.report.error(self.root.mark_of(path), path, message, hint)

    def warning(self, path: Path, message: str, hint: str = "") -> None:
        self.report.warning(self.root.mark_of(path), path, message, hint)

    def broken(self, path: Path) -> bool:
        """Whether a setting held a reference that has been reported already."""
        node = self.root.get(path)
        return node is not None and node.broken

    def first_set(self, *names: str) -> tuple[str, str] | None:
        """The first environment variable that is set and not empty, with its name."""
        return next(((name, self.environ[name]) for name in names if self.environ.get(name)), None)


def flag_of(ctx: Context, name: str) -> bool | None:
    """A flag of the environment; `None` where it is not set."""
    text = ctx.environ.get(name, "").strip().lower()
    if not text:
        return None
    if text not in _TRUE + _FALSE:
        ctx.report.error(NOWHERE, (), f"the environment variable {name} must be true or false")
    return text in _TRUE
