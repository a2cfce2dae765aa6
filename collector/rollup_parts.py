"""Counts and values of many communes at once, by operator: what a province's report needs of 100,000 packed days.

Counts come from the sums beside the packed days, so only values are unpacked, and of those only rates and delay. Whole
days are read a province and day at a time; what a span has of a day at its ends is read as `Rollups` does, commune by
commune: right to the millisecond.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from collector.core.clock import DAY_MS, day_of
from collector.core.period import Period
from collector.core.rollup import COUNTS, METRICS, together
from collector.core.rollup_view import Counts, Summary, summary_of
from collector.rollup_pack import unpack_values
from collector.rollups import Rollups

READ = METRICS[:3]
"""Metrics whose values are read: downlink, uplink, round trip."""
_SUMS = (
    f"SELECT commune, plmn, {', '.join(f'sum({name})' for name in COUNTS)} FROM rollup_total"  # noqa: S608 (fixed names)
    " WHERE span = 'day' AND start_ms >= ? AND start_ms < ? GROUP BY commune, plmn"
)
_PROVINCES = "SELECT DISTINCT province, commune FROM rollup_total WHERE span = 'day' AND start_ms = ?"
_DAY = "SELECT commune, hamlet, plmn, counted, hours FROM rollup_day WHERE day_ms = ? AND province = ?"
Values = list[list[int]]


def _none() -> Values:
    return [[] for _ in READ]


@dataclass(slots=True)
class Part:
    """One commune and operator: its counts, and for each of READ the values of counted samples, rising."""

    counts: Counts = field(default_factory=Counts)
    values: Values = field(default_factory=_none)


@dataclass(slots=True)
class Parts:
    """All of them by (commune, operator), and counted samples by (commune, hamlet)."""

    held: dict[tuple[str, str], Part] = field(default_factory=dict)
    counted: dict[tuple[str, str], int] = field(default_factory=dict)

    def of_commune(self, commune: str) -> Summary | None:
        """A commune over all operators; None without any record."""
        return _figures(_joined([part for (code, _), part in self.held.items() if code == commune]))

    def figures(self) -> tuple[Summary | None, list[Summary]]:
        """Everything together (None without any record), and each operator by its code."""
        by_plmn = {
            plmn: _joined([part for (_, p), part in self.held.items() if p == plmn])
            for plmn in sorted({plmn for _, plmn in self.held})
        }
        each = [_figures(part, plmn) for plmn, part in by_plmn.items()]
        return _figures(_joined([part for part in by_plmn.values() if part])), [one for one in each if one is not None]

    def part(self, commune: str, plmn: str) -> Part:
        """The part of a commune and operator, made if it is new."""
        return self.held.setdefault((commune, plmn), Part())


def parts_of(rollups: Rollups, span: Period, communes: Collection[str]) -> Parts:
    """Read the parts of some communes over a span."""
    found = Parts()
    first = span.start_ms if day_of(span.start_ms)[0] == span.start_ms else day_of(span.start_ms)[1]
    last = day_of(span.end_ms)[0]
    edges = [span]
    if first < last:
        _sums(rollups, first, last, communes, found)
        for day_ms in range(first, last, DAY_MS):
            _values(rollups, day_ms, communes, found)
        edges = [Period(span.start_ms, first), Period(last, span.end_ms)]
    for edge in edges:
        if edge.start_ms < edge.end_ms:
            for commune in sorted(communes):
                _edge(rollups, edge, commune, found)
    for part in found.held.values():
        for values in part.values:
            values.sort()
    return found


def _sums(rollups: Rollups, first: int, last: int, communes: Collection[str], found: Parts) -> None:
    for commune, plmn, *counts in map(tuple, rollups.source.rows(_SUMS, first, last)):
        if commune in communes:
            part = found.part(commune, plmn)
            part.counts = part.counts.plus(Counts(*counts))


def _values(rollups: Rollups, day_ms: int, communes: Collection[str], found: Parts) -> None:
    provinces = {row[0] for row in rollups.source.rows(_PROVINCES, day_ms) if row[1] in communes}
    for province in sorted(provinces):
        for commune, hamlet, plmn, counted, packed in map(tuple, rollups.source.rows(_DAY, day_ms, province)):
            if commune not in communes:
                continue
            found.counted[commune, hamlet] = found.counted.get((commune, hamlet), 0) + counted
            if counted:
                _extend(found.part(commune, plmn).values, unpack_values(packed))


def _extend(own: Values, hours: Sequence[Values]) -> None:
    """Most hours of a day have no test: they are passed over."""
    for at, into in enumerate(own):
        for hour in hours:
            if hour[at]:
                into.extend(hour[at])


def _edge(rollups: Rollups, edge: Period, commune: str, found: Parts) -> None:
    for key, hours in rollups.days(edge.start_ms, edge.end_ms, commune):
        hour = together(hours.values())
        counts, part = Counts(*hour.counts), found.part(commune, key.plmn)
        part.counts = part.counts.plus(counts)
        found.counted[commune, key.hamlet] = found.counted.get((commune, key.hamlet), 0) + counts.counted
        _extend(part.values, [hour.values])


def _joined(parts: Sequence[Part]) -> Part | None:
    """Several as one. Rising lists behind each other are merged rather than sorted: that is how `sort` works."""
    if len(parts) < 2:
        return parts[0] if parts else None
    whole = Part()
    for part in parts:
        whole.counts = whole.counts.plus(part.counts)
        _extend(whole.values, [part.values])
    for values in whole.values:
        values.sort()
    return whole


def _figures(part: Part | None, plmn: str | None = None) -> Summary | None:
    return None if part is None else summary_of(part.counts, part.values, plmn)
