"""What an operator sees once everything runs."""

from __future__ import annotations

from pathlib import Path


def banner(*, url: str, revision: str, models: int, workers: int, state_dir: Path, warnings: int, color: bool) -> str:
    """A few lines of text, with ANSI colours where `color` asks for them."""
    bold, dim, warm, plain = ("\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m") if color else ("", "", "", "")
    plural = "" if models == 1 else "s"
    rows = [
        ("URL", f"{bold}{url}{plain}"),
        ("Models", f"{models} model{plural}, revision {revision}"),
        ("Workers", str(workers)),
        ("State", str(state_dir)),
    ]
    if warnings:
        rows.append(("Warnings", f"{warm}{warnings}, see above{plain}"))
    lines = [f"  {dim}{name:<10}{plain}{value}" for name, value in rows]
    return "\n".join(["", f"  {bold}RouteIQ{plain} is ready", *lines, "", ""])
