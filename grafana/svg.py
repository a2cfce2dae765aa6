"""Scales, axes and shapes in SVG for the previews. Pure text, no dependency."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from grafana.frames import moment_text

ZONE = "Asia/Ho_Chi_Minh"
GRID, INK = "#E6E8EB", "#6E747D"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ZONE_MS = 7 * HOUR_MS
_TIME_STEPS = (300_000, 900_000, 1_800_000, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS, 2 * DAY_MS)
_LONG_STEPS = (3 * DAY_MS, 7 * DAY_MS, 14 * DAY_MS, 30 * DAY_MS)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Pixels of a value, kept inside the frame."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / ((self.high - self.low) or 1) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Box:
    """A drawing area in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover a range in about `count` steps."""
    raw = (high - low) / count or 1
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 9) for i in range(first, last + 1)]


def time_ticks(low_ms: float, high_ms: float, count: int = 8) -> list[int]:
    """Whole hours or days of Vietnam's clock inside a range."""
    span = high_ms - low_ms
    step = next((s for s in (*_TIME_STEPS, *_LONG_STEPS) if span / s <= count), _LONG_STEPS[-1])
    first = math.ceil((low_ms + ZONE_MS) / step) * step - ZONE_MS
    return list(range(first, int(high_ms) + 1, step))


def time_label(ms: int, span_ms: float) -> str:
    """Day and month for long ranges, hour and minute for short ones."""
    return moment_text(ms, "DD/MM" if span_ms > 3 * DAY_MS else "HH:mm", ZONE)


def text(x: float, y: float, words: str, anchor: str = "middle", color: str = INK, size: int = 11) -> str:
    """One line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" font-size="{size}">{escape(words)}</text>'
    )


def upright(x: float, y: float, words: str) -> str:
    """The label of a vertical axis."""
    turn = f'transform="rotate(-90 {x:.1f} {y:.1f})"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {turn} text-anchor="middle" fill="{INK}" font-size="11">{escape(words)}</text>'
    )


def rule(x1: float, y1: float, x2: float, y2: float, color: str = GRID) -> str:
    """A hair line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'


def rect(x: float, y: float, width: float, height: float, color: str, opacity: float = 1.0) -> str:
    """A filled rectangle; a negative height grows upwards."""
    top, tall = (y + height, -height) if height < 0 else (y, height)
    fill = f'fill="{color}" fill-opacity="{opacity:g}"'
    return f'<rect x="{x:.1f}" y="{top:.1f}" width="{max(width, 0.6):.1f}" height="{tall:.1f}" {fill}/>'


def dot(x: float, y: float, radius: float, color: str, opacity: float = 1.0) -> str:
    """A point."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{color}" fill-opacity="{opacity:g}"/>'


def runs(points: Iterable[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Cut a line where a value is missing: gaps stay gaps."""
    parts: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            parts.append([])
        else:
            parts[-1].append((x, y))
    return [part for part in parts if part]


def path(points: Sequence[tuple[float, float]], color: str, width: float) -> str:
    """A line through points; a single point becomes a dot."""
    if len(points) == 1:
        return dot(*points[0], width + 0.5, color)
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{steps}" fill="none" stroke="{color}" stroke-width="{width:g}" stroke-linejoin="round"/>'


def area(points: Sequence[tuple[float, float]], color: str, opacity: float) -> str:
    """A filled shape."""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{steps}" fill="{color}" fill-opacity="{opacity:g}"/>'


def value_axis(box: Box, ticks: Sequence[float], scale: Scale, label: str, *, right: bool = False) -> str:
    """Numbers beside the frame, with hair lines on the left axis."""
    x, anchor = (box.right + 6, "start") if right else (box.left - 6, "end")
    marks = [text(x, scale(t) + 4, f"{t:g}", anchor) for t in ticks]
    lines = [] if right else [rule(box.left, scale(t), box.right, scale(t)) for t in ticks]
    beside = box.right + 34 if right else box.left - 38
    return "".join([*lines, *marks, upright(beside, (box.top + box.bottom) / 2, label)])


def time_axis(box: Box, low_ms: float, high_ms: float, scale: Scale) -> str:
    """Times below the frame, Vietnam's clock."""
    marks = (text(scale(t), box.bottom + 16, time_label(t, high_ms - low_ms)) for t in time_ticks(low_ms, high_ms))
    return "".join(marks)


def frame(width: float, height: float, parts: Iterable[str]) -> str:
    """The whole drawing."""
    return (
        f'<svg width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg>'
    )
