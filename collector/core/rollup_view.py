"""What rollups come to: exact figures of hamlets, operators, days and communes, and the country's quota table.

Medians are nearest-rank (`view_figures.percentile`), as on boards and pages; they are taken over the values themselves,
never over other medians. Source: design §8 (median and mean, n beside every number); facts note 06 §3.2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.core.rollup import METRICS, DayKey, Hour, together
from collector.core.view_figures import Pace, Stat, pace, rising_percentile


class Counts(NamedTuple):
    """Counts and sums in the order of `rollup.COUNTS`. `covered` to `unknown` are steps, `coverages` records."""

    tests: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    skipped: int = 0
    counted: int = 0
    invalid_path: int = 0
    covered: int = 0
    degraded: int = 0
    no_service: int = 0
    unknown: int = 0
    coverages: int = 0
    downlink_bytes: int = 0
    uplink_bytes: int = 0
    offline_ms: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both added up."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Summary:
    """One group of hours. `hamlet`, `plmn`, `day_ms` are None where the group is over all of them.

    `failures`: tests by "stage/cause"; `steps`: coverage steps by cause letter; `reasons`: why tests do not count.
    `stats`: for each of `rollup.METRICS` number, median, mean and 5th percentile over counted samples.
    """

    hamlet: str | None
    plmn: str | None
    day_ms: int | None
    counts: Counts
    failures: Mapping[str, int]
    steps: Mapping[str, int]
    reasons: Mapping[str, int]
    stats: Mapping[str, Stat]


@dataclass(frozen=True, slots=True)
class Dossier:
    """A commune over a span of time: all of it, by operator, hamlet, both, and each hamlet's days (the calendar)."""

    commune: str
    since_ms: int
    until_ms: int
    whole: Summary
    operators: tuple[Summary, ...]
    hamlets: tuple[Summary, ...]
    hamlet_operators: tuple[Summary, ...]
    hamlet_days: tuple[Summary, ...]


@dataclass(frozen=True, slots=True)
class Mean:
    """Number and sum of the values of counted samples, which give the mean."""

    n: int
    sum: int

    @property
    def value(self) -> float | None:
        """The mean; None where n is 0."""
        return self.sum / self.n if self.n else None

    def plus(self, other: Mean) -> Mean:
        """Both together."""
        return Mean(self.n + other.n, self.sum + other.sum)


@dataclass(frozen=True, slots=True)
class CommuneTotal:
    """One commune and operator over a span of time."""

    province: str
    commune: str
    plmn: str
    counts: Counts
    downlink: Mean
    uplink: Mean
    rtt: Mean


CommuneSum = tuple[str, str, Counts, Mapping[str, int]]
"""Province, commune, counts, and counted samples by operator."""


@dataclass(frozen=True, slots=True)
class CommuneQuota:
    """A commune's row in the country's quota table: counted samples by operator and together, and its pace."""

    province: str
    commune: str
    counts: Counts
    counted_by_plmn: Mapping[str, int]
    pace: Pace


def summary(
    hours: Iterable[Hour], hamlet: str | None = None, plmn: str | None = None, day_ms: int | None = None
) -> Summary:
    """Figures of some hours as one group."""
    return _summary(together(hours), hamlet, plmn, day_ms)


def summary_of(counts: Counts, values: Sequence[Sequence[int]], plmn: str | None = None) -> Summary:
    """Figures of a group whose counts and rising values, of the first of `rollup.METRICS`, are known; no causes."""
    stats = {name: _stat(values[at] if at < len(values) else ()) for at, name in enumerate(METRICS)}
    return Summary(None, plmn, None, counts, {}, {}, {}, stats)


def _summary(hour: Hour, hamlet: str | None, plmn: str | None, day_ms: int | None) -> Summary:
    stats = {name: _stat(values) for name, values in zip(METRICS, hour.values, strict=True)}
    return Summary(hamlet, plmn, day_ms, Counts(*hour.counts), hour.failures, hour.steps, hour.reasons, stats)


def _stat(rising: Sequence[int]) -> Stat:
    mean = sum(rising) / len(rising) if rising else None
    return Stat(len(rising), rising_percentile(rising, 50), mean, rising_percentile(rising, 5))


def dossier(commune: str, since_ms: int, until_ms: int, days: Iterable[tuple[DayKey, Mapping[int, Hour]]]) -> Dossier:
    """Everything about a commune, from its days."""
    merged = [(key, together(hours.values())) for key, hours in days]
    pairs: dict[tuple[str, str], list[Hour]] = defaultdict(list)
    dates: dict[tuple[str, int], list[Hour]] = defaultdict(list)
    for key, hour in merged:
        pairs[key.hamlet, key.plmn].append(hour)
        dates[key.hamlet, key.day_ms].append(hour)
    both = {pair: together(hours) for pair, hours in sorted(pairs.items())}
    hamlets = {hamlet: [hour for (h, _), hour in both.items() if h == hamlet] for hamlet, _ in both}
    operators = {plmn: [hour for (_, p), hour in both.items() if p == plmn] for plmn in sorted({p for _, p in both})}
    return Dossier(
        commune,
        since_ms,
        until_ms,
        summary(both.values()),
        tuple(summary(hours, plmn=plmn) for plmn, hours in operators.items()),
        tuple(summary(hours, hamlet) for hamlet, hours in hamlets.items()),
        tuple(_summary(hour, hamlet, plmn, None) for (hamlet, plmn), hour in both.items()),
        tuple(summary(hours, hamlet, None, day_ms) for (hamlet, day_ms), hours in sorted(dates.items())),
    )


def national_quota(
    sums: Iterable[CommuneSum], minimums: Mapping[str, int], start_ms: int, end_ms: int, now_ms: int
) -> list[CommuneQuota]:
    """The country's quota table, by province and commune: those with a minimum, and any that has samples.

    Counts are the collector's own ("mẫu trạm đo"); the pace is a statement of pace, never the ministry's verdict.
    """
    found: dict[str, CommuneSum] = {code: ("", code, Counts(), {}) for code in minimums}
    for one in sums:
        held = found.get(one[1])
        if held is None or not held[3]:
            found[one[1]] = one
        else:  # under two provinces in one month
            by_plmn = {plmn: held[3].get(plmn, 0) + one[3].get(plmn, 0) for plmn in {*held[3], *one[3]}}
            found[one[1]] = (one[0], one[1], one[2].plus(held[2]), by_plmn)
    rows = [
        CommuneQuota(
            *(province, commune, counts, by_plmn),
            pace(counts.counted, minimums.get(commune), start_ms, end_ms, now_ms),
        )
        for province, commune, counts, by_plmn in found.values()
    ]
    return sorted(rows, key=lambda row: (row.province, row.commune))
