"""Sums and values of records by hamlet, operator and hour: what a record adds, and how two hours become one.

An hour keeps counts by outcome, cause and reason, a few sums, and the *values* of its counted samples, so that a median
over any set of hours is exact. Adding and taking away are one operation with a sign: what a record added can be taken
from its hour again when it is judged anew or its probe is found to have stood elsewhere.
Hours lie in local days (Asia/Ho_Chi_Minh): day 0 to 23 of `day_of`. Source: design §7, rollups; §8, counted sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

from collector.core.clock import HOUR_MS, day_of
from collector.core.row import invalid_path, is_coverage, is_test
from wire.records import AnyRecord, CoverageRecord, TestRecord

COUNTS = (
    *("tests", "ok", "partial", "failed", "skipped", "counted", "invalid_path"),
    *("covered", "degraded", "no_service", "unknown"),
    *("coverages", "downlink_bytes", "uplink_bytes", "offline_ms"),
)
"""What is counted and summed, in the order in which it is kept. `covered` to `unknown`: steps of coverage records."""
METRICS = ("downlink_bps", "uplink_bps", "rtt_us_median", "loss_ppm", "rsrp_dbm_x10")
"""Whose values of counted samples are kept. RSRP is the serving cell's before the test."""
_PLACE = {name: place for place, name in enumerate(COUNTS)}
_TESTS, _COUNTED, _INVALID = _PLACE["tests"], _PLACE["counted"], _PLACE["invalid_path"]
_COVERED, _COVERAGES, _OFFLINE = _PLACE["covered"], _PLACE["coverages"], _PLACE["offline_ms"]
_DOWN_BYTES, _UP_BYTES = _PLACE["downlink_bytes"], _PLACE["uplink_bytes"]
_OUTCOMES = {word: _PLACE[word] for word in ("ok", "partial", "failed", "skipped")}


class Hour(NamedTuple):
    """One hour of one hamlet and operator. Times are milliseconds after the hour began.

    `failures`: tests by "stage/cause"; `steps`: coverage steps by cause letter; `reasons`: tests that do not count, by
    reason (one test may have several). `values`: for each of METRICS the values of counted samples, rising.
    """

    counts: list[int]
    last_t: int
    last_received: int
    failures: dict[str, int]
    steps: dict[str, int]
    reasons: dict[str, int]
    values: list[list[int]]


class DayKey(NamedTuple):
    """Which hamlet, operator and local day; codes are "" for a probe that stands nowhere or a network unknown."""

    day_ms: int
    province: str
    commune: str
    hamlet: str
    plmn: str


# Made for every record: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Fact:
    """A dated test or coverage record in the chain, with what was derived of it."""

    province: str
    commune: str
    hamlet: str
    plmn: str
    t_ms: int
    received_ms: int
    record: AnyRecord | None
    not_counted: Sequence[str]

    @property
    def place(self) -> tuple[DayKey, int]:
        """The day that it belongs to, and the hour (0 to 23) in it."""
        day_ms = day_of(self.t_ms)[0]
        return DayKey(day_ms, self.province, self.commune, self.hamlet, self.plmn), (self.t_ms - day_ms) // HOUR_MS


@dataclass(slots=True)
class Change:
    """What is to be added to one hour; counts may be negative. `stale`: its last times must be looked up anew."""

    counts: list[int] = field(default_factory=lambda: [0] * len(COUNTS))
    last_t: int = -1
    last_received: int | None = None
    failures: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    plus: list[list[int]] = field(default_factory=lambda: [[], [], [], [], []])
    minus: list[list[int]] = field(default_factory=lambda: [[], [], [], [], []])
    stale: bool = False

    def apply(self, record: AnyRecord | None, not_counted: Sequence[str], sign: int) -> None:
        """Add (`sign` 1) or take away (-1) what a record is to its hour; its times are not touched."""
        if is_test(record):
            self.test(record, not_counted, sign)
        elif is_coverage(record):
            self.coverage(record, sign)

    def see(self, t_ms: int, received_ms: int, hour_ms: int) -> None:
        """Remember the times of a record that was added to the hour that begins at `hour_ms`."""
        at, received = t_ms - hour_ms, received_ms - hour_ms
        self.last_t = max(self.last_t, at)
        if self.last_received is None or received > self.last_received:
            self.last_received = received

    def test(self, record: TestRecord, not_counted: Sequence[str], sign: int) -> None:
        """As `apply`, of a test."""
        counts = self.counts
        counts[_TESTS] += sign
        counts[_OUTCOMES[record.outcome]] += sign
        if invalid_path(record):
            counts[_INVALID] += sign
        counts[_DOWN_BYTES] += sign * (record.downlink_bytes or 0)
        counts[_UP_BYTES] += sign * (record.uplink_bytes or 0)
        if record.cause is not None:
            _add(self.failures, f"{record.stage or 'unknown'}/{record.cause}", sign)
        if not_counted:
            for reason in not_counted:
                _add(self.reasons, str(reason), sign)
            return
        counts[_COUNTED] += sign
        lists = self.plus if sign > 0 else self.minus
        for values, value in zip(lists, _values(record)):  # noqa: B905 (as many of each, for every record)
            if value is not None:
                values.append(value)

    def coverage(self, record: CoverageRecord, sign: int) -> None:
        """As `apply`, of a coverage record."""
        counts, states, causes = self.counts, record.states, record.causes
        counts[_COVERAGES] += sign
        for place, letter in enumerate("CDNU", _COVERED):
            counts[place] += sign * states.count(letter)
        counts[_OFFLINE] += sign * (record.offline_ms or 0)
        for letter in set(causes):
            if letter != ".":
                _add(self.steps, letter, sign * causes.count(letter))


def _values(record: TestRecord) -> tuple[int | None, ...]:
    before = record.radio.before if record.radio else None
    rsrp = before.rsrp_dbm_x10 if before else None
    return record.downlink_bps, record.uplink_bps, record.rtt_us_median, record.loss_ppm, rsrp


def _add(into: dict[str, int], key: str, number: int) -> None:
    into[key] = into.get(key, 0) + number


def merged(held: Hour | None, change: Change) -> Hour | None:
    """The hour after the change; None if nothing is left in it."""
    was = held or EMPTY
    counts = list(map(add, was.counts, change.counts)) if held else change.counts
    if counts[_TESTS] == 0 and counts[_COVERAGES] == 0:
        return None
    received = change.last_received
    return Hour(
        counts,
        max(was.last_t, change.last_t),
        was.last_received if received is None else received if held is None else max(was.last_received, received),
        _sum(was.failures, change.failures),
        _sum(was.steps, change.steps),
        _sum(was.reasons, change.reasons),
        [_altered(*lists) for lists in zip(was.values, change.plus, change.minus, strict=True)],
    )


EMPTY = Hour([0] * len(COUNTS), -1, 0, {}, {}, {}, [[] for _ in METRICS])


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Both added up, without what came to nothing, by key."""
    if not other:
        return dict(one)
    if not one and len(other) == 1:
        return {key: n for key, n in other.items() if n}
    return {key: n for key in sorted({*one, *other}) if (n := one.get(key, 0) + other.get(key, 0))}


def _altered(held: list[int], plus: list[int], minus: list[int]) -> list[int]:
    """A rising list with `plus` added and each of `minus` taken out once. Raises ValueError if one is not in it."""
    if not plus and not minus:
        return held
    values = held + plus
    for value in minus:
        values.remove(value)
    values.sort()
    return values


def together(hours: Iterable[Hour]) -> Hour:
    """Several hours as one; values rising, times meaningless."""
    held = list(hours)
    counts = list(map(sum, zip(*(hour.counts for hour in held), strict=True))) or [0] * len(COUNTS)
    failures: dict[str, int] = {}
    steps: dict[str, int] = {}
    reasons: dict[str, int] = {}
    values: list[list[int]] = [[] for _ in METRICS]
    for hour in held:
        for into, more in ((failures, hour.failures), (steps, hour.steps), (reasons, hour.reasons)):
            for key, number in more.items():
                into[key] = into.get(key, 0) + number
        for own, others in zip(values, hour.values, strict=True):
            own.extend(others)
    for own in values:
        own.sort()
    return Hour(counts, -1, 0, failures, steps, reasons, values)
