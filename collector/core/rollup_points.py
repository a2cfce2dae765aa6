"""Rollups as points: `test_1h` by hour, `test_1d` and `cause_1d` by local day, `unit_1d` and `unit_1mo` of whole units.

Fields are the counts of `rollup.COUNTS` and, of each of `rollup.METRICS`, number, mean, 5th, 50th and 95th percentile
of counted samples (nearest rank, as InfluxQL's `percentile()`; left out where the values are too few for it), how many
counted samples reach a mark, and how many lie in each band of RSRP. Percentiles of units are taken over all their
values: a mean of percentiles is none. A point is the same at every attempt but for what was counted since. Pure.
Source: design §7, forward; facts note 06 §3.2, §4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from collector.core.clock import HOUR_MS
from collector.core.points import Field, line, series, time_ns
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour, together
from collector.core.view_figures import percentile
from wire.failure import COVERAGE_CAUSES

HOURLY, DAILY, CAUSES = "test_1h", "test_1d", "cause_1d"
MARKS_BPS: Mapping[str, int] = {"downlink_at_10": 10_000_000, "downlink_at_40": 40_000_000}
"""Counted samples whose downlink reaches so much: the two marks of facts note 01 §2, §3.3."""
RSRP_BANDS: Sequence[tuple[str, int]] = (
    *(("rsrp_none", -2_000), ("rsrp_poor", -1_150), ("rsrp_fair", -1_000), ("rsrp_strong", -800), ("", 1_000)),
)
"""Bands of RSRP before the test (dBm/10), each from its edge up to the next; one vendor's table (facts note 06 §4)."""
_DOWNLINK, _RSRP = METRICS.index("downlink_bps"), METRICS.index("rsrp_dbm_x10")
_STATES = tuple((COUNTS.index(word), worst) for word, worst in (("no_service", 3), ("degraded", 2), ("covered", 1)))
_CODES = ("province", "commune", "hamlet", "plmn")


def rollup_lines(key: DayKey, hours: Mapping[int, Hour], wanted: int) -> Iterator[str]:
    """Points of the hours whose bit is set in `wanted`, and the day's, from all of the day's `hours`."""
    tags = tuple(zip(_CODES, key[1:], strict=True))
    for number, hour in hours.items():
        if wanted >> number & 1:
            fields = {**figures(hour), **_service(hour)}
            yield line(series(HOURLY, tags), fields, time_ns(key.day_ms + number * HOUR_MS, 0))
    whole = together(hours.values())
    at_ns = time_ns(key.day_ms, 0)
    yield line(series(DAILY, tags), figures(whole), at_ns)
    for what, word, number in words_of_hour(whole):
        yield line(series(CAUSES, (*tags, ("what", what), ("word", word))), {"n": number}, at_ns)


def figures(hour: Hour) -> dict[str, Field]:
    """Counts, percentiles, marks and bands of one group of records, whose values rise."""
    fields: dict[str, Field] = dict(zip(COUNTS, hour.counts, strict=True))
    for name, values in zip(METRICS, hour.values, strict=True):
        fields[f"{name}_n"] = len(values)
        if values:
            fields[f"{name}_mean"] = sum(values) / len(values)
            fields.update({f"{name}_p{p}": percentile(values, p) for p in (5, 50, 95)})
    rates, levels = hour.values[_DOWNLINK], hour.values[_RSRP]
    fields.update({name: len(rates) - bisect_left(rates, mark) for name, mark in MARKS_BPS.items()})
    for (name, low), (_, high) in pairwise(RSRP_BANDS):
        fields[name] = bisect_left(levels, high) - bisect_left(levels, low)
    return fields


def _service(hour: Hour) -> dict[str, Field]:
    """The worst known coverage of an hour (3 no service, 2 degraded, 1 covered, 0 unknown) and its most frequent cause.

    No field where no coverage was recorded: silence is not coverage.
    """
    if not hour.counts[COUNTS.index("coverages")]:
        return {}
    worst = next((number for place, number in _STATES if hour.counts[place]), 0)
    letter = max(sorted(hour.steps), key=hour.steps.__getitem__, default=None)
    cause = None if letter is None or worst == 1 else COVERAGE_CAUSES.get(letter)
    return {"worst": worst, "cause": None if cause is None else str(cause)}


def words_of_hour(hour: Hour) -> Iterator[tuple[str, str, int]]:
    """What, word, how often: tests by cause of failure, coverage steps by cause, tests that do not count by reason."""
    failures: dict[str, int] = {}
    for both, number in hour.failures.items():
        cause = both.partition("/")[2]
        failures[cause] = failures.get(cause, 0) + number
    steps = {str(COVERAGE_CAUSES.get(letter) or letter): number for letter, number in hour.steps.items()}
    for what, found in (("failure", failures), ("coverage", steps), ("not_counted", hour.reasons)):
        yield from ((what, word, number) for word, number in sorted(found.items()) if number)
