"""Directories in object stores, copied here: `s3://`, `gs://`, `az://`; credentials are those of the environment.

https://developmentseed.org/obstore/latest/getting-started/
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

SCHEMES = ("s3://", "gs://", "az://")
MOST_FILES, MOST_BYTES = 100, 512 * 1024 * 1024
KEPT = 3
"""Copies of one directory that stay."""


class Unfetched(Exception):
    """It can't be copied. Its text says why."""


def is_remote(path: str) -> bool:
    """Whether a path is in an object store."""
    return path.startswith(SCHEMES)


class Prefix:
    """A directory in an object store. Every method raises `Unfetched`."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise Unfetched(f"{url} needs the extra: pip install 'routeiq[objects]'") from None
        self._obstore = obstore
        self._url = url
        try:
            self._store: Any = from_url(url)
        except Exception as error:  # obstore's have no common base but this
            raise Unfetched(f"{url}: {_said(error)}") from None

    def listing(self) -> dict[str, tuple[int, str]]:
        """Size and version of every file, by its path in the directory."""
        found: dict[str, tuple[int, str]] = {}
        try:
            for batch in self._obstore.list(self._store):
                for each in batch:
                    version = each.get("e_tag") or str(each["last_modified"])
                    found[str(each["path"])] = int(each["size"]), version
        except Exception as error:
            raise Unfetched(f"{self._url} can't be listed: {_said(error)}") from None
        if not found:
            raise Unfetched(f"{self._url} holds no files")
        if len(found) > MOST_FILES or sum(size for size, _ in found.values()) > MOST_BYTES:
            raise Unfetched(f"{self._url} holds more than {MOST_FILES} files or {MOST_BYTES} bytes")
        return found

    def read(self, name: str) -> bytes:
        """One file."""
        try:
            return bytes(self._obstore.get(self._store, name).bytes())
        except Exception as error:
            raise Unfetched(f"{self._url}/{name} can't be read: {_said(error)}") from None


def version_of(listing: dict[str, tuple[int, str]]) -> str:
    """The same for two listings of the same files, and no others."""
    parts = (f"{name}\0{size}\0{version}\n" for name, (size, version) in sorted(listing.items()))
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]


def fetch(url: str, into: Path) -> Path:
    """A copy of the directory under `into`, made when there is none of this version. Raises `Unfetched`, `OSError`."""
    prefix = Prefix(url)
    listing = prefix.listing()
    copies = into / hashlib.sha256(url.encode()).hexdigest()[:16]
    copy = copies / version_of(listing)
    if copy.is_dir():
        os.utime(copy)
        return copy
    partial = copies / f".{copy.name}.{os.getpid()}"
    partial.mkdir(parents=True, mode=0o700)
    try:
        for name in listing:
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts:
                raise Unfetched(f"{url} holds a file of the name {name!r}")
            file = partial / pure
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(prefix.read(name))
        partial.rename(copy)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    old = sorted((each for each in copies.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
    for each in old[:-KEPT]:
        shutil.rmtree(each, ignore_errors=True)
    return copy


def newest_copy(url: str, into: Path) -> Path | None:
    """The copy that was made last, for when the store can't be reached."""
    copies = into / hashlib.sha256(url.encode()).hexdigest()[:16]
    found = [each for each in copies.iterdir() if not each.name.startswith(".")] if copies.is_dir() else []
    return max(found, key=lambda each: each.stat().st_mtime, default=None)


def _said(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:500] or type(error).__name__
