"""Rollups as points: `test_1h` by hour, `test_1d` by local day, of each hamlet and operator. Pure.

Fields are the counts of `rollup.COUNTS` and, of each of `rollup.METRICS`, number, mean, 5th, 50th and 95th percentile
of counted samples (nearest rank, as InfluxQL's `percentile()`; left out where the values are too few for it). A point
is the same at every attempt but for what was counted since. Source: design §7, forward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.core.clock import HOUR_MS
from collector.core.points import Field, line, series, time_ns
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour, together
from collector.core.view_figures import percentile

HOURLY, DAILY = "test_1h", "test_1d"


def rollup_lines(key: DayKey, hours: Mapping[int, Hour], wanted: int) -> Iterator[str]:
    """Points of the hours whose bit is set in `wanted`, and the day's, from all of the day's `hours`."""
    for number, hour in hours.items():
        if wanted >> number & 1:
            yield _point(HOURLY, key, hour, key.day_ms + number * HOUR_MS)
    yield _point(DAILY, key, together(hours.values()), key.day_ms)


def _point(measurement: str, key: DayKey, hour: Hour, at_ms: int) -> str:
    tags = (("province", key.province), ("commune", key.commune), ("hamlet", key.hamlet), ("plmn", key.plmn))
    fields: dict[str, Field] = dict(zip(COUNTS, hour.counts, strict=True))
    for name, values in zip(METRICS, hour.values, strict=True):
        fields[f"{name}_n"] = len(values)
        if values:
            fields[f"{name}_mean"] = sum(values) / len(values)
            fields.update({f"{name}_p{p}": percentile(values, p) for p in (5, 50, 95)})
    return line(series(measurement, tags), fields, time_ns(at_ms, 0))
