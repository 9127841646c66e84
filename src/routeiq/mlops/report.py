"""What an artifact reaches, as one HTML page that needs nothing else: a plot, tables, where the artifact comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from routeiq.routing.learned.artifact import Artifact

WIDTH, HEIGHT, MARGIN = 720, 420, 56
STEPS = 5
"""Lines of the grid, each way."""
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2330; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #dde2ea; }
th { text-align: left; font-weight: 600; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
.bar { background: #3b6fd4; height: .7rem; display: inline-block; vertical-align: middle; }
svg text { font: 12px system-ui, sans-serif; fill: #4a5568; }
"""


class Plot:
    """Cost to the right, quality upwards, both in % of the best single model."""

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        known = list(points)
        costs, qualities = [cost for cost, _ in known], [quality for _, quality in known]
        self._costs = 0.0, max(100.0, *costs) * 1.05
        low, high = min(qualities), max(qualities)
        room = (high - low) * 0.08 or 1.0
        self._qualities = low - room, high + room
        self._parts: list[str] = []

    def _at(self, cost: float, quality: float) -> tuple[float, float]:
        (left, right), (low, high) = self._costs, self._qualities
        x = MARGIN + (cost - left) / (right - left) * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - (quality - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        return round(x, 1), round(y, 1)

    def line(self, points: Sequence[tuple[float, float]], colour: str, dashes: str = "") -> None:
        """Points joined in their order."""
        path = " ".join(f"{x},{y}" for x, y in (self._at(*point) for point in points))
        style = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{style}/>')

    def dot(self, point: tuple[float, float], name: str, colour: str, *, named: bool = False) -> None:
        """One point; its name shows on it, or beside it."""
        x, y = self._at(*point)
        title = f"{escape(name)}: {point[1]:.1f} % of quality, {point[0]:.1f} % of cost"
        self._parts.append(f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}"><title>{title}</title></circle>')
        if named:
            self._parts.append(f'<text x="{x + 8}" y="{y + 4}">{escape(name)}</text>')

    def svg(self) -> str:
        """The drawing."""
        grid = []
        for step in range(STEPS + 1):
            cost = self._costs[0] + (self._costs[1] - self._costs[0]) * step / STEPS
            quality = self._qualities[0] + (self._qualities[1] - self._qualities[0]) * step / STEPS
            x, y = self._at(cost, quality)
            grid.append(f'<line x1="{x}" y1="{MARGIN}" x2="{x}" y2="{HEIGHT - MARGIN}" stroke="#edf0f5"/>')
            grid.append(f'<line x1="{MARGIN}" y1="{y}" x2="{WIDTH - MARGIN}" y2="{y}" stroke="#edf0f5"/>')
            grid.append(f'<text x="{x}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{cost:.0f}</text>')
            grid.append(f'<text x="{MARGIN - 8}" y="{y + 4}" text-anchor="end">{quality:.1f}</text>')
        labels = (
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">cost, % of the best single model</text>'
            f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">quality, %</text>'
        )
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-label="Quality by cost">{"".join(grid)}{labels}{"".join(self._parts)}</svg>'
        )


def html(artifact: Artifact, result: Mapping[str, Any], data: str, split: str) -> str:
    """The page for what `mlops.evaluate.evaluate` found on a split of the data of that name."""
    router = artifact.router
    curve = [_point(point) for point in result["curve"]]
    singles = {name: _point(point) for name, point in result["singles"].items()}
    reached = {target: _point(point) for target, point in result["targets"].items()}
    oracle, chance = (_point(result["baselines"][name]) for name in ("oracle", "random"))
    plot = Plot([*curve, *singles.values(), *reached.values(), oracle])
    plot.line(curve, "#3b6fd4")
    for name, point in singles.items():
        plot.dot(point, name, "#9aa5b8")
    plot.dot(oracle, "oracle", "#2f9e5f", named=True)
    plot.dot(chance, "random", "#c96a3a", named=True)
    for target, point in reached.items():
        plot.dot(point, f"target {target}", "#3b6fd4", named=True)
    targets = [
        (target, f"{point[1]:.2f} %", f"{point[0]:.2f} %", f"{100 * float(target) - point[1]:+.2f}")
        for target, point in reached.items()
    ]
    whole = [
        ("best single model", str(result["baselines"]["best_single"]["model"])),
        ("prompts", str(result["prompts"])),
        ("AIQ", str(result["aiq"])),
        ("gain over the best single model", f"{result['perf_gain']} %"),
        ("cost saved at its quality", "-" if result["cost_save"] is None else f"{result['cost_save']} %"),
        ("decisions that flip under noise", f"{result['flip_rate']} %"),
    ]
    origin = [(name, str(value)) for name, value in {**router.trained, **router.options}.items()]
    parts = (
        f"<h1>{escape(router.strategy)} on {escape(data)}, split {escape(split)}</h1>",
        plot.svg(),
        "<h2>Targets</h2>" + _table(("target", "quality", "cost", "short by"), targets),
        "<h2>As a whole</h2>" + _table(("", ""), whole),
        "<h2>Who is asked</h2>"
        + "".join(_shares(target, each["models"]) for target, each in result["targets"].items()),
        "<h2>Single models</h2>"
        + _table(
            ("model", "quality", "cost"),
            [
                (name, f"{q:.2f} %", f"{c:.2f} %")
                for name, (c, q) in sorted(singles.items(), key=lambda one: -one[1][1])
            ],
        ),
        "<h2>The artifact</h2>" + _table(("", ""), origin),
    )
    title = f"{escape(router.strategy)} on {escape(data)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _point(point: Mapping[str, float]) -> tuple[float, float]:
    return point["cost_pct"], point["quality_pct"]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads) if any(heads) else ""
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' if place else ''}>{escape(cell)}</td>" for place, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _shares(target: str, models: Mapping[str, float]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{100 * share:.1f} %</td>"
        f'<td><span class="bar" style="width:{200 * share:.0f}px"></span></td></tr>'
        for name, share in models.items()
    )
    return f"<h3>{escape(target)}</h3><table>{rows}</table>"
