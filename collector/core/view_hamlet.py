"""A hamlet's month in drawings: the p5-p50-p95 band by day, medians by hour of day, and the worst state of each hour.

All from the ledger's rollups, by the definitions of the catalogue's queries (`downlink_band`, `coverage_state`), so
that page and board show one number; a test compares them at a real InfluxDB. Pure geometry, SVG units.
Source: facts note 06 §4 (hamlet board); design §8 (n beside every number, unknown kept apart).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.core.clock import DAY_MS, HOUR_MS
from collector.core.rollup import METRICS, DayKey, Hour
from collector.core.view_board import Figure
from collector.core.view_chart import Box, Tick, scale_ticks
from collector.core.view_figures import percentile

Days = Sequence[tuple[DayKey, Mapping[int, Hour]]]
BAND_DAYS = 30
STRIP_HOURS = 7 * 24
_WORST = (("no_service", 9), ("degraded", 8), ("covered", 7), ("unknown", 10))
"""States from worst known to unknown, with their place in `rollup.COUNTS`."""


@dataclass(frozen=True, slots=True)
class BandDay:
    """One local day: percentiles of its counted samples (bit/s; None: too few for this one) and how many there are."""

    day_ms: int
    p5: float | None
    p50: float | None
    p95: float | None
    n: int


@dataclass(frozen=True, slots=True)
class BandMark:
    """Where a day's figures are drawn: x, and y of each percentile (None: not drawn)."""

    day: BandDay
    x: float
    p5: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """The band over the last days. A day without samples breaks it."""

    box: Box
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    marks: tuple[BandMark, ...]
    n: int

    @property
    def y_digits(self) -> int:
        """Decimals that the labels of the axis (Mbit/s) need."""
        return 0 if all(tick.value % 1_000_000 == 0 for tick in self.y_ticks) else 1

    @property
    def areas(self) -> tuple[str, ...]:
        """Polygons between p5 and p95, one for each run of days that have both."""
        return tuple(
            " ".join([*(f"{m.x},{m.p95}" for m in run), *(f"{m.x},{m.p5}" for m in reversed(run))])
            for run in self._runs(lambda m: m.p5 is not None and m.p95 is not None)
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """Medians of neighbouring days, joined."""
        return tuple(" ".join(f"{m.x},{m.p50}" for m in run) for run in self._runs(lambda m: m.p50 is not None))

    def _runs(self, has: Callable[[BandMark], bool]) -> list[list[BandMark]]:
        found: list[list[BandMark]] = []
        for mark in self.marks:
            if not has(mark):
                continue
            last = found[-1][-1] if found else None
            if last is not None and mark.day.day_ms - last.day.day_ms == DAY_MS:
                found[-1].append(mark)
            else:
                found.append([mark])
        return [run for run in found if len(run) > 1]


def band_days(days: Days, metric: str = "downlink_bps") -> tuple[BandDay, ...]:
    """Percentiles by local day over all operators, oldest first; days without a counted sample are left out."""
    held: dict[int, list[int]] = {}
    for key, hours in days:
        for hour in hours.values():
            held.setdefault(key.day_ms, []).extend(_values(hour, metric))
    return tuple(
        BandDay(day, percentile(values, 5), percentile(values, 50), percentile(values, 95), len(values))
        for day, values in sorted(held.items())
        if values
    )


def band(days: Days, until_ms: int, metric: str = "downlink_bps", box: Box | None = None) -> Band | None:
    """The drawing over the last BAND_DAYS days before `until_ms` (the end of a local day). None without samples."""
    place = box or Box(height=230)
    found = band_days(days, metric)
    if not found:
        return None
    first_ms = until_ms - BAND_DAYS * DAY_MS
    tops = [v for one in found for v in (one.p95, one.p50) if v is not None]
    rises = scale_ticks(0, max([*tops, 1_000_000]), 5)

    def across(day_ms: int) -> float:
        return round(place.left + (day_ms + DAY_MS / 2 - first_ms) * place.plot_width / (BAND_DAYS * DAY_MS), 1)

    def up(bps: float | None) -> float | None:
        return None if bps is None else round(place.floor - bps * place.plot_height / rises[-1], 1)

    marks = tuple(BandMark(one, across(one.day_ms), up(one.p5), up(one.p50), up(one.p95)) for one in found)
    weeks = (Tick(across(day), day) for day in range(first_ms, until_ms, 5 * DAY_MS))
    ticks = tuple(Tick(up(v) or float(place.top), v) for v in rises)
    return Band(place, ticks, tuple(weeks), marks, sum(one.n for one in found))


@dataclass(frozen=True, slots=True)
class HoursOfDay:
    """One operator: the median downlink of each hour of the day, 0 to 23."""

    plmn: str
    hours: tuple[Figure, ...]


def hours_of_day(days: Days) -> tuple[HoursOfDay, ...]:
    """Medians of counted samples by operator and hour of day, over all days; operators by PLMN."""
    held: dict[str, list[list[int]]] = {}
    for key, hours in days:
        row = held.setdefault(key.plmn, [[] for _ in range(24)])
        for number, hour in hours.items():
            row[number].extend(_values(hour, "downlink_bps"))
    return tuple(
        HoursOfDay(plmn, tuple(Figure(percentile(values, 50), len(values), is_median=True) for values in row))
        for plmn, row in sorted(held.items())
        if any(row)
    )


@dataclass(frozen=True, slots=True)
class StateRun:
    """Hours in a row with one worst state: when they begin, and how many."""

    state: str
    start_ms: int
    hours: int


@dataclass(frozen=True, slots=True)
class Strip:
    """One operator's states over the last week, hour by hour; hours without a coverage record are left out."""

    plmn: str
    start_ms: int
    runs: tuple[StateRun, ...]


def strips(days: Days, until_ms: int) -> tuple[Strip, ...]:
    """The worst known state of each hour of the last STRIP_HOURS before `until_ms`, by operator."""
    start_ms = until_ms - STRIP_HOURS * HOUR_MS
    held: dict[str, dict[int, str]] = {}
    for key, hours in days:
        for number, hour in hours.items():
            at_ms, state = key.day_ms + number * HOUR_MS, _worst(hour)
            if state is not None and at_ms >= start_ms:
                held.setdefault(key.plmn, {})[at_ms] = state
    return tuple(Strip(plmn, start_ms, _joined(states)) for plmn, states in sorted(held.items()))


def _worst(hour: Hour) -> str | None:
    """As `coverage_state` has it: no service before degraded before covered; unknown only if nothing else was seen."""
    return next((state for state, at in _WORST if hour.counts[at]), None)


def _joined(states: Mapping[int, str]) -> tuple[StateRun, ...]:
    runs: list[StateRun] = []
    for at_ms, state in sorted(states.items()):
        last = runs[-1] if runs else None
        if last is not None and last.state == state and last.start_ms + last.hours * HOUR_MS == at_ms:
            runs[-1] = StateRun(state, last.start_ms, last.hours + 1)
        else:
            runs.append(StateRun(state, at_ms, 1))
    return tuple(runs)


def _values(hour: Hour, metric: str) -> list[int]:
    return hour.values[METRICS.index(metric)]
