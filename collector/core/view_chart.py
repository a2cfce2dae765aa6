"""Where things stand in a drawing: rates over time, rate against RSRP, and the plain map. Pure geometry.

Templates draw SVG from these numbers; the drawing works without JavaScript and prints. Lengths are SVG units with
the origin at the top left. Axes of rates begin at zero. Source: facts note 06 §4 (zero-based, units on every axis).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, log10, radians
from typing import Literal

from collector.core.sample import Sample
from collector.core.view import DAY_MS, ICT
from collector.core.view_figures import tests_of
from wire.records import Reading, TestRecord

_ICT_MS = round(ICT.utcoffset(None).total_seconds() * 1000)
_TIME_STEPS_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)


@dataclass(frozen=True, slots=True)
class Box:
    """The drawing and, inside it, the plot."""

    width: int = 640
    height: int = 260
    left: int = 48
    right: int = 24
    top: int = 34
    bottom: int = 34

    @property
    def floor(self) -> int:
        """y of the x axis."""
        return self.height - self.bottom

    @property
    def plot_width(self) -> int:
        """Width between the axes."""
        return self.width - self.left - self.right

    @property
    def plot_height(self) -> int:
        """Height between the axes."""
        return self.floor - self.top


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, and the raw value it stands for."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A point that stands for one test: its place, raw value, time and (probe, epoch, seq)."""

    x: float
    y: float
    series: Literal["downlink", "uplink", "failed"]
    value: float | None
    t_ms: int
    key: tuple[str, int, int]
    cause: str | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing. `lines` are runs of points without a failed test between them."""

    box: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    lines: tuple[tuple[str, str], ...]

    @property
    def y_digits(self) -> int:
        """Decimals that the labels of a rate axis (Mbit/s) need."""
        return 0 if all(tick.value % 1_000_000 == 0 for tick in self.y_ticks) else 1

    @property
    def x_digits(self) -> int:
        """Decimals that the labels of an axis in dBm x10 need: steps of 2.5 dBm must not read as 2 or 3."""
        return 0 if all(tick.value % 10 == 0 for tick in self.x_ticks) else 1


def nice_step(span: float, parts: int) -> float:
    """A step of 1, 2, 2.5 or 5 times a power of ten that cuts `span` into at most `parts`."""
    if span <= 0:
        return 1.0
    rough = span / parts
    power = 10.0 ** floor(log10(rough))
    return next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * (1 - 1e-9))


def scale_ticks(low: float, high: float, parts: int) -> tuple[float, ...]:
    """Round values from at or below `low` to at or above `high`."""
    step = nice_step(high - low, parts)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return tuple(step * i for i in range(first, max(last, first + 1) + 1))


def time_ticks(start_ms: int, end_ms: int, parts: int) -> tuple[int, ...]:
    """Round Vietnam times in [start, end], at most about `parts` of them."""
    span = max(end_ms - start_ms, 1)
    step = next((s * 1000 for s in _TIME_STEPS_S if span / 1000 / s <= parts), ceil(span / parts / DAY_MS) * DAY_MS)
    first = ceil((start_ms + _ICT_MS) / step) * step - _ICT_MS
    return tuple(range(first, end_ms + 1, step))


def rates_over_time(samples: Sequence[Sample], box: Box | None = None) -> Chart | None:
    """Downlink and uplink of every dated test, failed ones as marks on the axis. None if there is no test."""
    place = box or Box()
    dated = sorted(((s.t_ms, r) for s, r in tests_of(samples) if s.t_ms is not None), key=lambda pair: pair[0])
    if not dated:
        return None
    start_ms, end_ms = dated[0][0], dated[-1][0]
    rates = [v for _, r in dated for v in (r.downlink_bps, r.uplink_bps) if v is not None]
    values = scale_ticks(0, max([*rates, 1_000_000]), 5)

    def across(t_ms: int) -> float:
        return round(place.left + (t_ms - start_ms) * place.plot_width / max(end_ms - start_ms, 1), 1)

    def up(bps: float) -> float:
        return round(place.floor - bps * place.plot_height / values[-1], 1)

    marks = tuple(mark for t_ms, r in dated for mark in _marks(r, t_ms, across(t_ms), up, place.floor - 6))
    x_ticks = tuple(Tick(across(t), t) for t in time_ticks(start_ms, end_ms, 6))
    return Chart(place, x_ticks, tuple(Tick(up(v), v) for v in values), marks, tuple(_lines(marks)))


def _marks(record: TestRecord, t_ms: int, x: float, up: Callable[[float], float], low: float) -> Iterable[Mark]:
    key = (record.probe, record.epoch, record.seq)
    if record.outcome in ("failed", "skipped"):
        yield Mark(x, low, "failed", None, t_ms, key, record.cause, record.stage)
        return
    if record.downlink_bps is not None:
        yield Mark(x, up(record.downlink_bps), "downlink", record.downlink_bps, t_ms, key)
    if record.uplink_bps is not None:
        yield Mark(x, up(record.uplink_bps), "uplink", record.uplink_bps, t_ms, key)


def _lines(marks: Iterable[Mark]) -> Iterable[tuple[str, str]]:
    """Join neighbouring points of a series; a failed test breaks both lines, so that an outage is seen as one."""
    open_runs: dict[str, list[str]] = {"downlink": [], "uplink": []}
    for mark in marks:
        if mark.series == "failed":
            yield from ((name, " ".join(run)) for name, run in open_runs.items() if len(run) > 1)
            open_runs = {"downlink": [], "uplink": []}
        else:
            open_runs[mark.series].append(f"{mark.x},{mark.y}")
    yield from ((name, " ".join(run)) for name, run in open_runs.items() if len(run) > 1)


def rate_by_rsrp(samples: Sequence[Sample], box: Box | None = None) -> Chart | None:
    """Downlink of counted samples against RSRP before the test (dBm x10). None unless one has both."""
    return _rate_by(samples, lambda reading: reading.rsrp_dbm_x10, box or Box())


def rate_by_sinr(samples: Sequence[Sample], box: Box | None = None) -> Chart | None:
    """Downlink of counted samples against SINR before the test (dB x10). None unless one has both."""
    return _rate_by(samples, lambda reading: reading.sinr_db_x10, box or Box())


def _rate_by(samples: Sequence[Sample], heard: Callable[[Reading], int | None], place: Box) -> Chart | None:
    found = [
        (signal, r.downlink_bps, s.t_ms or 0, (r.probe, r.epoch, r.seq))
        for s, r in tests_of([s for s in samples if s.counted])
        if r.radio and r.radio.before and (signal := heard(r.radio.before)) is not None and r.downlink_bps is not None
    ]
    if not found:
        return None
    xs = scale_ticks(min(f[0] for f in found) - 20, max(f[0] for f in found) + 20, 6)
    ys = scale_ticks(0, max([f[1] for f in found] + [1_000_000]), 5)

    def across(value: float) -> float:
        return round(place.left + (value - xs[0]) * place.plot_width / (xs[-1] - xs[0]), 1)

    def up(value: float) -> float:
        return round(place.floor - value * place.plot_height / ys[-1], 1)

    marks = tuple(Mark(across(signal), up(bps), "downlink", bps, t_ms, key) for signal, bps, t_ms, key in found)
    return Chart(place, tuple(Tick(across(x), x) for x in xs), tuple(Tick(up(y), y) for y in ys), marks, ())


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the plain map: its code and where it is drawn."""

    code: str
    x: float
    y: float


def plain_map(places: Sequence[tuple[str, int, int]], width: int, height: int, margin: int) -> tuple[Spot, ...]:
    """Project (code, lat_e7, lon_e7) into a drawing, north up, same scale both ways at the middle latitude."""
    if not places:
        return ()
    squeeze = cos(radians(sum(p[1] for p in places) / len(places) / 1e7))
    xs = [p[2] * squeeze for p in places]
    ys = [-float(p[1]) for p in places]
    span = max((max(xs) - min(xs)) / (width - 2 * margin), (max(ys) - min(ys)) / (height - 2 * margin), 1.0)
    mid_x, mid_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return tuple(
        Spot(p[0], round(width / 2 + (x - mid_x) / span, 1), round(height / 2 + (y - mid_y) / span, 1))
        for p, x, y in zip(places, xs, ys, strict=True)
    )
