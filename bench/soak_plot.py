"""A soak's samples as one SVG: a panel for each figure, a line for each program, faults as thin marks below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, PANEL, LEFT, TOP, GAP = 960, 130, 74, 44, 30
COLOURS = ("#1b6ca8", "#c1440e", "#2e7d32", "#7b3f98", "#8d6e00", "#00838f")
Lines = Mapping[str, Sequence[float]]


def svg(title: str, at_s: Sequence[float], panels: Mapping[str, Lines], faults: Sequence[float]) -> str:
    """The picture as text. `panels`: heading with its unit, to lines by name; every line has a figure for each time."""
    height = TOP + len(panels) * (PANEL + GAP) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    end_s = max(at_s[-1], 1.0)
    for number, (heading, lines) in enumerate(panels.items()):
        parts += _panel(heading, at_s, lines, TOP + number * (PANEL + GAP), end_s)
    foot = TOP + len(panels) * (PANEL + GAP) - GAP + 8
    parts += [f'<path d="M{_x(at, end_s):.1f} {foot}v8" stroke="#c00" stroke-width="0.6"/>' for at in faults]
    ticks = range(0, int(end_s / 60) + 1, max(1, round(end_s / 600)))
    parts += [f'<text x="{_x(m * 60, end_s):.1f}" y="{foot + 24}" text-anchor="middle">{m} min</text>' for m in ticks]
    return "\n".join([*parts, "</svg>", ""])


def _x(at_s: float, end_s: float) -> float:
    return LEFT + (WIDTH - LEFT - 20) * at_s / end_s


def _panel(heading: str, at_s: Sequence[float], lines: Lines, top: float, end_s: float) -> list[str]:
    most = max((max(values) for values in lines.values()), default=0.0) or 1.0
    base = top + PANEL - 8
    parts = [
        f'<text x="{LEFT}" y="{top + 10}">{escape(heading)}</text>',
        f'<path d="M{LEFT} {top + 16}V{base}H{WIDTH - 20}" fill="none" stroke="#999"/>',
        f'<text x="{LEFT - 6}" y="{top + 24}" text-anchor="end">{most:.4g}</text>',
        f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>',
    ]
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        scale = (PANEL - 34) / most
        points = " ".join(
            f"{_x(at, end_s):.1f},{base - value * scale:.1f}" for at, value in zip(at_s, values, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts.append(f'<text x="{LEFT + 260 + number * 108}" y="{top + 10}" fill="{colour}">{escape(name)}</text>')
    return parts
