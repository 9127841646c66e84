"""Trained artifacts that strategies are configured with: copied here from object stores, looked after while serving."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from routeiq.config.artifacts import Untrusted, read_manifest
from routeiq.config.context import Context
from routeiq.config.strategies import WITHIN, local_directory, model_path
from routeiq.core.routing import ArtifactFiles, Choosing
from routeiq.core.snapshot import Snapshot
from routeiq.store.objects import Prefix, Unfetched, fetch, is_remote, newest_copy, version_of

if TYPE_CHECKING:
    from routeiq.control.plane import Plane  # it brings the database along, which a build has no use for

LOOK_SECONDS = 1.0
log = logging.getLogger("routeiq.control")


def copies(ctx: Context, state: Path) -> Mapping[str, Path]:
    """Copy every artifact that is in an object store; one that can't be reached is served as it was last."""
    found: dict[str, Path] = {}
    for source in dict.fromkeys(filter(_is_url, _sources(ctx))):
        try:
            if not is_remote(source):
                raise Unfetched(f"{source} is in no object store: s3://, gs:// or az://")
            found[source] = fetch(source, state / "artifacts")
        except (Unfetched, OSError) as error:
            last = newest_copy(source, state / "artifacts")
            if last is None:
                ctx.error(("router_settings", "routing_strategy_args", "model_path"), str(error))
            else:
                ctx.warning(
                    ("router_settings", "routing_strategy_args", "model_path"), f"{error}; the last copy is served"
                )
                found[source] = last
    return found


def _sources(ctx: Context) -> Iterator[Any]:
    yield from _of(ctx.config.router.routing_strategy_args)
    for settings in ctx.config.routeiq.auto_models.values():
        yield from _of(settings.args)


def _of(args: Mapping[str, Any]) -> Iterator[Any]:
    yield model_path(args)
    within = args.get(WITHIN)
    for entry in within if isinstance(within, list) else ():
        own = entry.get("args") if isinstance(entry, dict) else None
        if isinstance(own, dict):
            yield from _of(own)


def _is_url(source: Any) -> bool:
    return isinstance(source, str) and "://" in source


async def watch_artifacts(plane: Plane) -> None:
    """Ask for a build when `model_path` leads to another artifact, for as long as the process lives."""
    looked: dict[str, float] = {}
    tried: dict[str, str] = {}
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        snapshot = plane.snapshot
        if snapshot is None or plane.changes.rebuilding:
            continue
        changed = False
        for artifact in served(snapshot):
            source = artifact.source
            if not artifact.interval or time.monotonic() < looked.get(source, 0.0) + artifact.interval:
                continue
            looked[source] = time.monotonic()
            found = await run_in_threadpool(_version, artifact)
            if found and tried.get(source) != found:
                tried[source] = found
                changed = True
        if changed and plane.snapshot is snapshot and not plane.changes.rebuilding:
            plane.changes.rebuild()


def served(snapshot: Snapshot) -> list[ArtifactFiles]:
    """All artifacts of a Snapshot, each once."""
    choosings = [auto.choosing for auto in snapshot.auto_models.values()]
    choosings += [group.choosing for group in snapshot.groups.values() if group.choosing is not None]
    return list({artifact.source: artifact for each in choosings for artifact in _artifacts(each)}.values())


def _artifacts(choosing: Choosing) -> Iterator[ArtifactFiles]:
    if choosing.artifact is not None:
        yield choosing.artifact
    for each in choosing.within:
        yield from _artifacts(each)


def _version(artifact: ArtifactFiles) -> str:
    """What tells the artifact that is there now from others; empty when it is the one that is served, or none."""
    try:
        if is_remote(artifact.source):
            found = version_of(Prefix(artifact.source).listing())
            return "" if found == Path(artifact.path).name else found
        manifest = read_manifest(local_directory(artifact.source))
    except (Unfetched, Untrusted) as error:
        log.debug("an artifact can't be looked at: %s", error)
        return ""
    files = {file.path: file.sha256.lower() for file in manifest.artifacts}
    return "" if files == artifact.files else repr(sorted(files.items()))
