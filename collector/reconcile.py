"""Whether InfluxDB holds what the ledger holds: counts by hamlet, operator and hour compared, differences repaired.

A 204 is no proof: points outside a retention policy are taken and dropped, and a database may be wiped behind our back.
Days are compared from today backwards until enough of them in a row are equal, at night and after every outage.
Source: design §7, forward; facts note 04 §0 point 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from collector.core.clock import DAY_MS, HOUR_MS, ICT
from collector.core.rollup import COUNTS, DayKey
from collector.core.sample import Sample
from collector.ledger import LedgerReader
from collector.rollups import Rollups

LEAST_DAYS = 3
WINDOW_MS = 2 * HOUR_MS
"""A coverage record's points reach less far behind its beginning (60 steps of a minute)."""
_FIELDS = (("test", "seq", COUNTS.index("tests")), ("coverage", "seq", COUNTS.index("coverages")))
Place = tuple[str, str, int]
"""Hamlet, operator, hour (UTC ms)."""


@dataclass(frozen=True, slots=True)
class CountRow:
    """How many points one probe must have in a measurement by the ledger, and how many it has."""

    measurement: str
    probe: str
    ledger: int
    influx: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One hour of a hamlet and operator whose points are not as many as the ledger's records."""

    measurement: str
    hamlet: str
    plmn: str
    hour_ms: int
    ledger: int
    influx: int


@dataclass(frozen=True, slots=True)
class DayCount:
    """A local day compared: how many hours, what differs, and whether InfluxDB holds nothing at all of it."""

    day_ms: int
    hours: int
    differences: tuple[Difference, ...]
    is_empty: bool


class PointCounter(Protocol):
    """What comparing needs of a time-series database."""

    def counts(self, measurement: str, field: str) -> dict[str, int]:
        """How many points with `field` each probe has in `measurement`."""

    def hour_counts(self, measurement: str, field: str, since_ms: int, until_ms: int) -> dict[Place, int]:
        """How many points with `field` each hamlet and operator has in each hour."""


def reconcile_counts(reader: LedgerReader, counter: PointCounter) -> list[CountRow]:
    """Compare by probe over all time: tests, coverage steps, and events with boots and gaps."""
    kinds = reader.kind_counts()
    events: Counter[str] = Counter()
    for (probe, kind), number in kinds.items():
        if kind in {"event", "boot", "gap"}:
            events[probe] += number
    tests = {probe: number for (probe, kind), number in kinds.items() if kind == "test"}
    expected = (("test", "seq", tests), ("coverage", "state", reader.step_counts()), ("probe_state", "event", events))
    rows: list[CountRow] = []
    for measurement, name, ledger in expected:
        held = counter.counts(measurement, name)
        rows += [
            CountRow(measurement, probe, ledger.get(probe, 0), held.get(probe, 0)) for probe in sorted({*ledger, *held})
        ]
    return rows


def compare_day(rollups: Rollups, counter: PointCounter, day_ms: int, until_ms: int | None = None) -> DayCount:
    """Compare one local day (up to `until_ms`, a whole hour) by hamlet, operator and hour."""
    end_ms = min(day_ms + DAY_MS, until_ms or day_ms + DAY_MS)
    expected = {name: _expected(rollups, place, day_ms, end_ms) for name, _, place in _FIELDS}
    differences: list[Difference] = []
    total = held_total = 0
    for measurement, field, _ in _FIELDS:
        held = counter.hour_counts(measurement, field, day_ms, end_ms)
        wanted = expected[measurement]
        total += len(wanted)
        held_total += len(held)
        differences += [
            Difference(measurement, *place, wanted.get(place, 0), held.get(place, 0))
            for place in sorted({*wanted, *held})
            if wanted.get(place, 0) != held.get(place, 0)
        ]
    return DayCount(day_ms, total, tuple(differences), total > 0 and held_total == 0)


def _expected(rollups: Rollups, at: int, since_ms: int, until_ms: int) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for key, hours in rollups.days(since_ms, until_ms):
        for number, hour in hours.items():
            if hour.counts[at]:
                place = (key.hamlet, key.plmn, key.day_ms + number * HOUR_MS)
                found[place] = found.get(place, 0) + hour.counts[at]
    return found


def days_backwards(rollups: Rollups, until_ms: int) -> Iterator[int]:
    """Local days that have records, from the last that begins before `until_ms` back to the first."""
    day_ms = rollups.day_before(until_ms)
    while day_ms is not None:
        yield day_ms
        day_ms = rollups.day_before(day_ms)


@dataclass(frozen=True, slots=True)
class Found:
    """What a comparison came to: hours compared, those that differed, and those that still do after the repair.

    `is_wiped`: of a day that has records nothing is held; then everything is to be written again, not repaired.
    """

    hours: int
    differed: int
    left: tuple[Difference, ...]
    is_wiped: bool = False


class Repairer(Protocol):
    """What repairing needs: delete an hour's points of a hamlet, and write records again."""

    def again(self, samples: Iterable[Sample], keys: Iterable[DayKey]) -> None:
        """Write the points of some records again, and the rollup points of some days."""

    def forget(self, measurement: str, tag: str, code: str, since_ms: int, until_ms: int) -> None:
        """Delete the points of a tag's code. Raises Refused if the server cannot."""


def reconcile_days(
    reader: LedgerReader,
    counter: PointCounter,
    repairer: Repairer | None,
    at_ms: int,
    say: Callable[[Difference], None],
    days: int = LEAST_DAYS,
) -> Found:
    """Compare days backwards until `days` in a row are equal; repair what differs if there is a `repairer`.

    The hour that runs and the one before it are left to the next time: records of theirs are on their way.
    """
    rollups = Rollups(reader)
    until_ms = at_ms // HOUR_MS * HOUR_MS - HOUR_MS
    hours = differed = equal = 0
    left: list[Difference] = []
    for day_ms in days_backwards(rollups, until_ms):
        found = compare_day(rollups, counter, day_ms, until_ms)
        hours += found.hours
        differed += len(found.differences)
        if found.is_empty and repairer is not None:
            is_wiped = _takes_any(reader, rollups, counter, repairer, found, until_ms)
            return Found(hours, differed, (*left, *found.differences), is_wiped)
        for difference in found.differences:
            say(difference)
        if found.differences and repairer is not None:
            repair(reader, repairer, found.differences)
            found = compare_day(rollups, counter, day_ms, until_ms)
        left += found.differences
        equal = 0 if found.differences else equal + 1
        if equal >= days:
            break
    return Found(hours, differed, tuple(left))


def hours_found(reader: LedgerReader, counter: PointCounter, at_ms: int, days: int) -> tuple[Found, list[Difference]]:
    """Compare without repairing, the running hour included."""
    said: list[Difference] = []
    return reconcile_days(reader, counter, None, at_ms + 2 * HOUR_MS, said.append, days), said


def hour_text(hour_ms: int) -> str:
    """An hour as people in Vietnam write it."""
    return datetime.fromtimestamp(hour_ms / 1000, ICT).strftime("%Y-%m-%d %H:00")


def _takes_any(
    reader: LedgerReader, rollups: Rollups, counter: PointCounter, repairer: Repairer, found: DayCount, until_ms: int
) -> bool:
    """Whether a day that is empty holds what is written to it now: it was wiped. If not, it is outside retention."""
    hamlet = found.differences[0].hamlet
    repair(reader, repairer, [one for one in found.differences if one.hamlet == hamlet])
    return not compare_day(rollups, counter, found.day_ms, until_ms).is_empty


def repair(reader: LedgerReader, repairer: Repairer, differences: Iterable[Difference]) -> None:
    """Write again what is missing; where there is too much, delete the hour first and write all around it again."""
    spans: dict[str, tuple[int, int]] = {}
    for one in differences:
        since, until = spans.get(one.hamlet, (one.hour_ms, one.hour_ms + HOUR_MS))
        spans[one.hamlet] = (min(since, one.hour_ms), max(until, one.hour_ms + HOUR_MS))
        if one.influx > one.ledger:
            repairer.forget(one.measurement, "hamlet", one.hamlet, one.hour_ms, one.hour_ms + HOUR_MS)
    rollups = Rollups(reader)
    for hamlet, (since, until) in spans.items():
        samples = reader.samples(hamlet=hamlet, since_ms=since - WINDOW_MS, until_ms=until, limit=2**53)
        repairer.again(samples, (key for key, _ in rollups.days(since, until, hamlet=hamlet)))
