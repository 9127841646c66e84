"""Looks into a wheel: the package as it is in the checkout, its metadata, and nothing else.

A `.pth` file or a stray script runs code on every start of an interpreter; there is no reason to ship one.
"""

from __future__ import annotations

import sys
import zipfile
from email import message_from_string
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
REQUIRED = ("routeiq/py.typed", "routeiq/providers/catalog.json", "routeiq/config/known.json")
REQUIRED_FOLDERS = ("routeiq/store/migrations/",)


def problems(wheel: Path) -> list[str]:
    """What is wrong with it."""
    out = []
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.partition("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(f"{info}/METADATA").decode())
        entry_points = archive.read(f"{info}/entry_points.txt").decode().split()
    package = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    shipped = {name for name in names if not name.startswith(f"{info}/")}
    out += [f"not in the checkout: {name}" for name in sorted(shipped - package)]
    out += [f"not in the wheel: {name}" for name in sorted(package - shipped)]
    out += [f"missing: {name}" for name in REQUIRED if name not in names]
    for folder in REQUIRED_FOLDERS:
        if not any(name.startswith(folder) and name.endswith(".py") for name in names):
            out.append(f"nothing in {folder}")
    out += [f"must not be shipped: {name}" for name in names if name.endswith((".pth", ".pyc", ".so", ".sh", ".exe"))]
    if entry_points != ["[console_scripts]", "routeiq", "=", "routeiq.cli:main"]:
        out.append(f"entry points: {entry_points}")
    if metadata["License-Expression"] != "MIT" or f"{info}/licenses/LICENSE" not in names:
        out.append("the licence is missing")
    return out


def main() -> int:
    """Check every wheel named."""
    wheels = [Path(name) for name in sys.argv[1:]]
    found = [f"{wheel.name}: {problem}" for wheel in wheels for problem in problems(wheel)]
    print("\n".join(found) if found else f"{', '.join(wheel.name for wheel in wheels)}: as it should be")
    return 1 if found or not wheels else 0


if __name__ == "__main__":
    sys.exit(main())
