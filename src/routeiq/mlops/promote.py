"""Puts artifacts where a gateway's `model_path` points, and back.

`model_path` becomes a symbolic link to a copy of the artifact beside it, in `<name>.versions/`. The link is exchanged
in one step, so whoever reads it finds one artifact or the other whole. The one before it is remembered for `rollback`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from routeiq.config.artifacts import Untrusted, digest_of, verify
from routeiq.core.artifacts import MANIFEST, Trust

PREVIOUS = "previous"
KEPT = 5
"""Versions that stay, the one in use and the one before it among them."""


class NotPromoted(ValueError):
    """Nothing was changed. Its text says why."""


def promote(artifact: Path, place: Path, trust: Trust) -> Path:
    """Make `place` the artifact; what it was before is kept. Gives the copy's directory.

    Raises `Untrusted` where it must not be used, `NotPromoted` where `place` is something else, `OSError`.
    """
    digests = verify(artifact, trust)
    if place.exists() and not place.is_symlink():
        raise NotPromoted(f"{place} is there and is no link: move it away, it will be a link to the promoted artifact")
    versions = _versions(place)
    version = versions / digest_of(artifact / MANIFEST)[:16]
    if not version.exists():
        partial = versions / f".{version.name}.{os.getpid()}"
        partial.mkdir(parents=True)
        try:
            for name in (*digests, MANIFEST):
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(artifact / name, partial / name)
            if verify(partial, trust) != digests:
                raise Untrusted(f"{artifact} changed while it was copied")
            partial.rename(version)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    current = _target(place)
    if current is not None and current != version.name:
        _point(versions / PREVIOUS, current)
    _point(place, str(Path(versions.name) / version.name))
    _forget(versions, {version.name, _target(versions / PREVIOUS)})
    return version


def rollback(place: Path) -> Path:
    """Make `place` what it was before; again, and it is what it is now. Raises `NotPromoted`, `OSError`."""
    versions = _versions(place)
    current, previous = _target(place), _target(versions / PREVIOUS)
    if current is None or previous is None or not (versions / previous).is_dir():
        raise NotPromoted(f"{place} has no version before this one")
    _point(place, str(Path(versions.name) / previous))
    _point(versions / PREVIOUS, current)
    return versions / previous


def _versions(place: Path) -> Path:
    return place.with_name(f"{place.name}.versions")


def _target(link: Path) -> str | None:
    """Name of the version a link leads to."""
    return Path(os.readlink(link)).name if link.is_symlink() else None


def _point(link: Path, target: str) -> None:
    new = link.with_name(f".{link.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def _forget(versions: Path, kept: set[str | None]) -> None:
    old = [path for path in versions.iterdir() if path.is_dir() and not path.is_symlink() and path.name not in kept]
    old.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in old[max(KEPT - len(kept), 0) :]:
        shutil.rmtree(path)
