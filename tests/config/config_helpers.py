"""Compiling a configuration in a test."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from routeiq.config.compile import compile_snapshot
from routeiq.config.load import load, read_bytes
from routeiq.config.report import Report
from routeiq.config.server import compile_server
from routeiq.core.settings import Finding, Overrides, ServerSettings
from routeiq.core.snapshot import Deployment, Snapshot
from routeiq.providers.catalog import load_catalog

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
ENVIRON = {"HOME": "/home/someone", "LITELLM_MASTER_KEY": "sk-a-long-enough-master-key"}


@dataclass
class Compiled:
    snapshot: Snapshot
    server: ServerSettings
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def only(self) -> Deployment:
        """The one deployment of a valid configuration."""
        assert not self.errors, [str(error) for error in self.errors]
        (deployment,) = self.snapshot.deployments
        return deployment

    def error(self, path: str) -> Finding:
        """The one error about a setting."""
        (found,) = [finding for finding in self.errors if finding.path == path]
        return found

    def warning(self, path: str) -> Finding:
        """The one warning about a setting."""
        (found,) = [finding for finding in self.warnings if finding.path == path]
        return found


Compile = Callable[..., Compiled]


def compile_text(text: str | bytes, environ: dict[str, str] | None = None, **more: str) -> Compiled:
    """What a configuration comes to, under `environ` with `more` over it."""
    report = Report()
    data = text.encode() if isinstance(text, str) else text
    source = read_bytes(data, "test.yaml", report)
    ctx = load(source, {**(ENVIRON if environ is None else environ), **more}, load_catalog(), NOW, report)
    server = compile_server(ctx, Overrides(), 4)
    snapshot = compile_snapshot(ctx, host=server.host, now=0.0)
    return Compiled(snapshot, server, report.errors, report.warnings)
