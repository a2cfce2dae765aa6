"""The figures of a hamlet: medians, means, counts, quota pace. The one place where pages get their arithmetic.

The median is the nearest-rank percentile of InfluxQL (a value that was really measured), so that a page and a board
show the same number. n stands beside every figure; below `N_MIN` a figure is not shown as an assessment.
Source: design §8; facts note 06 §3.2 (percentile rule), note 01 §1 (quota), §3.1 (mean and median both labelled).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from collector.core.sample import Sample
from wire.records import TestRecord

N_MIN = 5
"""Fewest values that a figure is assessed from; below it stands "Không đủ số mẫu để đánh giá"."""


@dataclass(frozen=True, slots=True)
class Point:
    """What the figures need of one test, small enough to keep months of them. `counted` is the ledger's verdict."""

    plmn: str | None
    outcome: str
    counted: bool
    downlink_bps: int | None
    uplink_bps: int | None
    rtt_us_median: int | None
    loss_ppm: int | None


@dataclass(frozen=True, slots=True)
class Stat:
    """Median and mean of `n` values in the record's own unit; None where n is 0."""

    n: int
    median: float | None
    mean: float | None
    p5: float | None

    @property
    def enough(self) -> bool:
        """Whether there are enough values to assess (N_MIN)."""
        return self.n >= N_MIN


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`; `ppm` is None where n is 0."""

    hits: int
    n: int

    @property
    def ppm(self) -> int | None:
        """The share in parts per million."""
        return round(self.hits * 1_000_000 / self.n) if self.n else None

    @property
    def enough(self) -> bool:
        """Whether there are enough values to assess (N_MIN)."""
        return self.n >= N_MIN


@dataclass(frozen=True, slots=True)
class Figures:
    """The five numbers of one operator (`plmn`, None: all together) over counted samples; `success` over all runs."""

    plmn: str | None
    tests: int
    counted: int
    downlink: Stat
    uplink: Stat
    rtt: Stat
    loss: Stat
    success: Share


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Nearest-rank percentile as InfluxQL's `percentile()` computes it; None where that gives nothing.

    It gives nothing of too few values for the rank: a 5th percentile needs ten.
    """
    return rising_percentile(sorted(values), percent)


def rising_percentile(rising: Sequence[float], percent: int) -> float | None:
    """The same of values that are in rising order already."""
    rank = floor(len(rising) * percent / 100 + 0.5) - 1
    return rising[rank] if 0 <= rank < len(rising) else None


def stat(values: Iterable[float | None]) -> Stat:
    """Summarise the values that are known."""
    known = [value for value in values if value is not None]
    mean = sum(known) / len(known) if known else None
    return Stat(len(known), percentile(known, 50), mean, percentile(known, 5))


def tests_of(samples: Iterable[Sample]) -> list[tuple[Sample, TestRecord]]:
    """The samples that are readable tests, with their record, in the given order."""
    return [(s, s.record) for s in samples if isinstance(s.record, TestRecord)]


def points(samples: Iterable[Sample]) -> list[Point]:
    """The tests among `samples` as the figures take them."""
    return [
        Point(r.plmn, r.outcome, s.counted, r.downlink_bps, r.uplink_bps, r.rtt_us_median, r.loss_ppm)
        for s, r in tests_of(samples)
    ]


def figures(tests: Iterable[Point], plmn: str | None = None) -> Figures:
    """The figures of one operator, or of all where `plmn` is None."""
    own = [t for t in tests if plmn is None or t.plmn == plmn]
    counted = [t for t in own if t.counted]
    attempts = [t for t in own if t.outcome != "skipped"]
    return Figures(
        plmn=plmn,
        tests=len(own),
        counted=len(counted),
        downlink=stat(t.downlink_bps for t in counted),
        uplink=stat(t.uplink_bps for t in counted),
        rtt=stat(t.rtt_us_median for t in counted),
        loss=stat(t.loss_ppm for t in counted),
        success=Share(sum(t.outcome == "ok" for t in attempts), len(attempts)),
    )


def by_operator(tests: Sequence[Point]) -> tuple[Figures, ...]:
    """Figures of each operator seen, in order of its PLMN."""
    seen = sorted({t.plmn for t in tests if t.plmn is not None})
    return tuple(figures(tests, plmn) for plmn in seen)


PaceWord = Literal["reached", "on_pace", "behind", "no_quota"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Counted samples against a monthly minimum. `due` is what an even pace asks for by now.

    `minimum` is None where no quota is set. A statement of pace, not the ministry's verdict: see design §7, counts.
    """

    counted: int
    minimum: int | None
    due: int | None
    word: PaceWord

    @property
    def missing(self) -> int | None:
        """How many are still missing to the minimum; None without a quota."""
        return None if self.minimum is None else max(0, self.minimum - self.counted)

    @property
    def ahead(self) -> int | None:
        """Counted samples above (below: negative) the even pace; None without a quota."""
        return None if self.due is None else self.counted - self.due

    @property
    def bar_ppm(self) -> int:
        """How far the bar is filled, 0 to 1,000,000."""
        return min(1_000_000, self.counted * 1_000_000 // self.minimum) if self.minimum else 0


def pace(counted: int, minimum: int | None, start_ms: int, end_ms: int, now_ms: int) -> Pace:
    """Compare `counted` with the even pace of the month [start, end) at `now_ms`."""
    if minimum is None:
        return Pace(counted, None, None, "no_quota")
    elapsed = min(max(now_ms - start_ms, 0), end_ms - start_ms)
    due = ceil(minimum * elapsed / (end_ms - start_ms))
    if counted >= minimum:
        return Pace(counted, minimum, due, "reached")
    return Pace(counted, minimum, due, "on_pace" if counted >= due else "behind")
