"""What a local day's tests say beside the rollups: `referral_1d` by referral code, `fleet_1h` of the probes themselves.

Rollups hold neither codes of referral nor how the Pi felt; so both are counted in the records, an hour at a time.
Boards then read one point a commune, code and day (`referral_1d`) or hour (`fleet_1h`), whatever the range.
Source: `collector.core.measures`; issue 7 (400 days in under three seconds).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from collector.core.clock import DAY_MS, HOUR_MS, hour_of
from collector.core.measures import measure_line
from collector.core.sample import Sample
from wire.records import TestRecord

REFERRALS, FLEET = "referral_1d", "fleet_1h"
_NO_LIMIT = 2**53
Unit = tuple[str, str]
"""Province and commune, "" where a probe stood nowhere."""


class DaySource(Protocol):
    """What is asked of the ledger."""

    def samples(
        self, *, kind: str | None = None, since_ms: int | None = None, until_ms: int | None = None, limit: int = 100
    ) -> Sequence[Sample]: ...

    def rows(self, sql: str, *values: Any) -> list[Any]: ...


def lines_of_day(source: DaySource, day_ms: int, province: str | None) -> Iterator[str]:
    """Points of one local day of a province, of all of them if None. Raises Unavailable."""
    codes: dict[tuple[Unit, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    felt: dict[tuple[Unit, int], dict[str, int]] = defaultdict(dict)
    for hour_ms in range(day_ms, day_ms + DAY_MS, HOUR_MS):
        found = source.samples(kind="test", since_ms=hour_ms, until_ms=hour_ms + HOUR_MS, limit=_NO_LIMIT)
        _count((one for one in found if province in {None, one.province}), codes, felt)
    for (unit, code), (tests, counted, failed) in sorted(codes.items()):
        fields = {"tests": tests, "counted": counted, "failed": failed}
        yield measure_line(REFERRALS, (*_tags(unit), ("referral", code)), fields, day_ms)
    for (unit, hour_ms), worst in sorted(felt.items()):
        yield measure_line(FLEET, _tags(unit), worst, hour_ms)


def _tags(unit: Unit) -> tuple[tuple[str, str | None], ...]:
    return (("province", unit[0] or None), ("commune", unit[1] or None))


def _count(
    samples: Iterable[Sample], codes: dict[tuple[Unit, str], list[int]], felt: dict[tuple[Unit, int], dict[str, int]]
) -> None:
    """Add dated tests in their chain: by code (tests, counted, failed), and the most that any probe said of itself."""
    for sample in samples:
        record = sample.record
        if not isinstance(record, TestRecord) or sample.t_ms is None or not sample.in_chain:
            continue
        unit = (sample.province, sample.commune)
        if record.referral is not None:
            held = codes[unit, record.referral]
            held[0] += 1
            held[1] += sample.counted
            held[2] += record.outcome != "ok"
        if record.host is not None:
            worst = felt[unit, hour_of(sample.t_ms)]
            for name in ("spool_records", "cpu_temp_c_x10"):
                value = getattr(record.host, name)
                if value is not None:
                    worst[name] = max(worst.get(name, value), value)


def every_day(source: DaySource, at_ms: int, mine: Callable[[int], bool] = lambda _: True) -> Iterator[list[str]]:
    """All such points that the ledger gives, newest day first: for a database made anew.

    `mine`: whether a day that begins at a moment (UTC ms) is wanted."""
    sql = "SELECT DISTINCT start_ms FROM rollup_total WHERE span = 'day' AND start_ms < ? ORDER BY start_ms DESC"
    for (day_ms,) in map(tuple, source.rows(sql, at_ms)):
        if mine(day_ms):
            yield [text for text in lines_of_day(source, day_ms, None) if text]
