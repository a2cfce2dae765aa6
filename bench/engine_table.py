"""The one table of `bench/engine.py`, and its goals: medians, spread, ratios to speedtest-cli over the same links."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.engine_bed import DIRECTIONS, Row

OURS, SAVER, THEIRS = "dosong", "dosong saver", "speedtest-cli"
VARIABLE = ("static", "driving")
_HEAD = (
    f"{'link':26} {'way':8} {'tool':13} {'runs':>4}  {'error % median':>14} {'least':>8} {'most':>8}  "
    f"{'link MB':>8} {'wall s':>7} {'CPU s':>6} {'RSS MB':>6}   {'bytes':>6} {'wall':>6} {'CPU':>6} {'RSS':>5}"
)


@dataclass(frozen=True)
class Cell:
    """All runs of one tool over one link in one direction: medians, and the least and greatest error."""

    tool: str
    runs: int
    failed: int
    error: float | None
    least: float | None
    most: float | None
    link_mb: float
    wall_s: float
    cpu_s: float
    rss_mb: float


def table(rows: list[Row]) -> list[str]:
    """The lines of the table; ratios are speedtest-cli's figure over the tool's."""
    lines = [_HEAD]
    for kind in dict.fromkeys(row.kind for row in rows):
        for link in dict.fromkeys(row.link for row in rows if row.kind == kind):
            for direction in DIRECTIONS:
                here = [row for row in rows if (row.kind, row.link, row.direction) == (kind, link, direction)]
                lines += _lines(link, direction, here)
    return [*lines, "ratios: speedtest-cli's median over the tool's; variable links: over the windows that both had"]


def _lines(link: str, direction: str, rows: list[Row]) -> list[str]:
    theirs = _cell(THEIRS, rows)
    lines = []
    for tool in dict.fromkeys(row.tool for row in rows):
        cell = _cell(tool, rows)
        if cell is None:
            continue
        fair = _cell(tool, _shared(rows, tool)) if theirs and tool != THEIRS else None
        base = _cell(THEIRS, _shared(rows, tool)) if fair else None
        lines.append(f"{link:26} {direction:8} {_figures(cell)}   {_ratios(fair, base)}")
    return lines


def _shared(rows: list[Row], tool: str) -> list[Row]:
    """Rows of the windows that this tool and speedtest-cli both measured (constant links: all)."""
    windows = {row.window for row in rows if row.tool == tool} & {row.window for row in rows if row.tool == THEIRS}
    return [row for row in rows if row.window in windows]


def _cell(tool: str, rows: Iterable[Row]) -> Cell | None:
    mine = [row for row in rows if row.tool == tool]
    if not mine:
        return None
    errors = [row.error_percent for row in mine if row.error_percent is not None]
    middle = {
        name: statistics.median(getattr(row, name) for row in mine) for name in ("link_mb", "wall_s", "cpu_s", "rss_mb")
    }
    known = (statistics.median(errors), min(errors), max(errors)) if errors else (None, None, None)
    return Cell(tool, len(mine), len(mine) - len(errors), *known, **middle)


def _figures(cell: Cell) -> str:
    errors = (f"{cell.error:+14.2f} {cell.least:+8.2f} {cell.most:+8.2f}") if cell.error is not None else f"{'-':>32}"
    failed = f" ({cell.failed} failed)" if cell.failed else ""
    return (
        f"{cell.tool:13} {cell.runs:4}  {errors}  {cell.link_mb:8.2f} {cell.wall_s:7.2f} {cell.cpu_s:6.2f} "
        f"{cell.rss_mb:6.0f}{failed}"
    )


def _ratios(cell: Cell | None, base: Cell | None) -> str:
    if cell is None or base is None or cell.failed == cell.runs:
        return ""
    pairs = [(name, getattr(base, name), getattr(cell, name)) for name in ("link_mb", "wall_s", "cpu_s", "rss_mb")]
    return " ".join(f"{theirs / max(mine, 1e-9):5.1f}x" for _, theirs, mine in pairs)


def goals(rows: list[Row]) -> list[tuple[str, float, bool, str]]:
    """What was found for each goal of the issue that these rows speak of: name, figure, whether met, the limit."""
    found: list[tuple[str, float, bool, str]] = []
    constant = [row for row in rows if row.kind == "constant"]
    if constant:
        found += _constant(constant)
    for kind, limit in (("rtt", 0.5), ("starved", 1.0)):
        errors = _errors([row for row in rows if row.kind == kind and row.tool == OURS])
        if errors:
            worst = max(map(abs, errors))
            found.append((f"{kind}: our worst error %", worst, worst <= limit, f"<= {limit:g}"))
    for kind, limit in zip(VARIABLE, (2.0, 3.0), strict=True):
        found += _variable(kind, [row for row in rows if row.kind == kind], limit)
    return found


def _constant(rows: list[Row]) -> list[tuple[str, float, bool, str]]:
    ours = [abs(error) for error in _errors([row for row in rows if row.tool == OURS])]
    theirs = [abs(error) for error in _errors([row for row in rows if row.tool == THEIRS])]
    found = [("constant: our worst error %", max(ours), max(ours) <= 0.5, "<= 0.5")]
    if not theirs:
        return found
    times = statistics.mean(theirs) / max(statistics.mean(ours), 1e-9)
    found.append(("constant: error, times smaller", times, times >= 8, ">= 8"))
    for name, least in (("link_mb", 5.5), ("wall_s", 6.0), ("cpu_s", 10.0), ("rss_mb", 8.0)):
        ratios = _ratios_of(rows, OURS, lambda row, name=name: float(getattr(row, name)))
        middle = statistics.median(ratios)
        words = f"constant: {name}, times less (median of {min(ratios):.1f} to {max(ratios):.1f})"
        found.append((words, middle, middle >= least, f">= {least:g}"))
    return found


def _variable(kind: str, rows: list[Row], limit: float) -> list[tuple[str, float, bool, str]]:
    mine = [row for row in rows if row.tool == OURS]
    errors = _errors(mine)
    if not errors:
        return []
    windows = len({row.window for row in mine})
    mean, bias = statistics.mean(map(abs, errors)), statistics.mean(errors)
    found = [
        (f"{kind}: windows each way", float(windows), windows >= 60, ">= 60"),
        (f"{kind}: failed of {len(mine)}", float(len(mine) - len(errors)), len(mine) == len(errors), "0"),
        (f"{kind}: our mean error % of the own window", mean, mean <= limit, f"<= {limit:g}"),
        (f"{kind}: our bias %", bias, abs(bias) <= 2, "within 2"),
    ]
    for tool, least in ((OURS, 1.8), (SAVER, 3.0)):
        shared = [row for row in _shared(rows, tool) if row.tool in (tool, THEIRS)]
        mine_mb, theirs_mb = (sum(row.link_mb for row in shared if row.tool == one) for one in (tool, THEIRS))
        if mine_mb and theirs_mb:
            times = theirs_mb / mine_mb
            found.append(
                (f"{kind}: {tool}: link bytes of shared windows, times less", times, times >= least, f">= {least:g}")
            )
    return found


def _ratios_of(rows: list[Row], tool: str, figure: Callable[[Row], float]) -> list[float]:
    """speedtest-cli's median over the tool's, for each link, window and direction that both measured."""
    ratios = []
    for key in dict.fromkeys((row.link, row.window, row.direction) for row in rows):
        here = [row for row in rows if (row.link, row.window, row.direction) == key]
        mine, theirs = ([figure(row) for row in here if row.tool == one] for one in (tool, THEIRS))
        if mine and theirs:
            ratios.append(statistics.median(theirs) / max(statistics.median(mine), 1e-9))
    return ratios


def _errors(rows: list[Row]) -> list[float]:
    return [row.error_percent for row in rows if row.error_percent is not None]
