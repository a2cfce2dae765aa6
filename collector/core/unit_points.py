"""Figures of whole units, exact: `unit_1d` of communes and provinces by local day, `unit_1mo` with hamlets by month.

`unit_cause_1d` adds up `cause_1d` for the same units, so that a province's causes need no sum over its hamlets.
A median over many hamlets is taken over all of their values, which no sum of daily points gives; so it is taken where
the values are, in the ledger's rollups. `plmn` is an operator's code, or `all` for all of them together. Pure.
Source: facts note 01 §2 (the month is the official grain), note 06 §3.2 (percentiles are never averaged).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import add

from collector.core.points import Field, line, series, time_ns
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour
from collector.core.rollup_points import MARKS_BPS, figures, words_of_hour
from collector.core.view_figures import N_MIN, percentile

UNIT_DAY, UNIT_MONTH, UNIT_CAUSES = "unit_1d", "unit_1mo", "unit_cause_1d"
EVERYONE = "all"
Unit = tuple[str, str, str, str]
"""Province, commune ("" above), hamlet ("" above), operator or `all`."""
_COUNTED = COUNTS.index("counted")


@dataclass(slots=True)
class Gathered:
    """All counts and values of one unit and operator so far."""

    counts: list[int] = field(default_factory=lambda: [0] * len(COUNTS))
    values: list[array[int]] = field(default_factory=lambda: [array("q") for _ in METRICS])
    hamlets: dict[str, array[int]] = field(default_factory=dict)
    words: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(
        self, hamlet: str, counts: Sequence[int], values: Sequence[array[int]], words: Mapping[tuple[str, str], int]
    ) -> None:
        """Add what one hamlet and operator had. `words`: how often each cause or reason, as in `cause_1d`."""
        for word, number in words.items():
            self.words[word] = self.words.get(word, 0) + number
        self.counts = list(map(add, self.counts, counts))
        for own, more in zip(self.values, values, strict=True):
            own.extend(more)
        if counts[_COUNTED]:
            self.hamlets.setdefault(hamlet, array("q")).extend(values[0])

    def fields(self) -> dict[str, Field]:
        """The fields of the point: those of `figures`, and how many hamlets have counted samples and reach a mark."""
        hour = Hour(self.counts, -1, 0, {}, {}, {}, [sorted(values) for values in self.values])
        assessed = [percentile(sorted(rates), 50) or 0 for rates in self.hamlets.values() if len(rates) >= N_MIN]
        reached = {f"hamlets{name.removeprefix('downlink')}": sum(m >= mark for m in assessed) for name, mark in _MARKS}
        sure = {name: percentile(hour.values[at], 50) for name, at in _MEDIANS if len(hour.values[at]) >= N_MIN}
        return {**figures(hour), **sure, "hamlets": len(self.hamlets), "hamlets_assessed": len(assessed), **reached}


_MARKS = tuple(MARKS_BPS.items())
_MEDIANS = (("downlink_median", 0), ("uplink_median", 1), ("rtt_median", 2))
"""Medians that are assessed: left out below N_MIN, so that no table colours a unit of two samples."""


def gather(days: Iterable[tuple[DayKey, Mapping[int, Hour]]], *, hamlets: bool) -> dict[Unit, Gathered]:
    """Add up days by province, by commune and (`hamlets`) by hamlet, each by operator and all together."""
    found: dict[Unit, Gathered] = {}
    for key, hours in days:
        counts = [sum(column) for column in zip(*(hour.counts for hour in hours.values()), strict=True)]
        values = [array("q", chain.from_iterable(own)) for own in zip(*(h.values for h in hours.values()), strict=True)]
        words: dict[tuple[str, str], int] = {}
        for hour in hours.values():
            for what, word, number in words_of_hour(hour):
                words[what, word] = words.get((what, word), 0) + number
        places = [(key.province, "", ""), (key.province, key.commune, "")]
        if hamlets:
            places.append((key.province, key.commune, key.hamlet))
        for place in places:
            for plmn in (key.plmn, EVERYONE):
                found.setdefault((*place, plmn), Gathered()).add(key.hamlet, counts, values, words)
    return found


def unit_lines(
    measurement: str, units: Mapping[Unit, Gathered], at_ms: int, known: Callable[[Unit], Mapping[str, Field]]
) -> Iterator[str]:
    """One point a unit and operator, at the local day's or month's first moment; `known`: what the register says."""
    for (province, commune, hamlet, plmn), own in units.items():
        level = "hamlet" if hamlet else "commune" if commune else "province"
        tags = (("level", level), ("province", province), ("commune", commune), ("hamlet", hamlet), ("plmn", plmn))
        more = known((province, commune, hamlet, plmn))
        yield line(series(measurement, tags), {**own.fields(), **more}, time_ns(at_ms, 0))
        for (what, word), number in own.words.items() if measurement == UNIT_DAY else ():
            yield line(series(UNIT_CAUSES, (*tags, ("what", what), ("word", word))), {"n": number}, time_ns(at_ms, 0))
