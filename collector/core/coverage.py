"""The minute ledger: was there service in this hamlet by this operator, minute by minute, and who says so.

A minute is covered, degraded, without service, or unknown with its cause; unknown is never weak coverage, and no
share counts it in. A minute has the state of the step that holds its middle. Where several modems of one operator
stand in a hamlet the best of them holds, since a minute with service somewhere at the site is a minute with service;
that they differed is counted. Rule set `coverage-1`; the definition is printed on every sheet (design §8).
Source: design §4 (coverage records), §8; SPEC §10; issue "Evidence for officials", 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from collector.core.clock import DAY_MS, HOUR_MS, day_of
from collector.core.period import MINUTE_MS, Period

RULE_ID = "coverage-1"
NO_PROBE, NOT_YET = ord("-"), ord("?")
"""Cause letters of our own below `U`, beside SPEC's: no probe stood there; its records have not come that far."""
COVERED, DEGRADED, NO_SERVICE, UNKNOWN = (ord(letter) for letter in "CDNU")
_STATE_RANK = {COVERED: 0, DEGRADED: 1, NO_SERVICE: 2, UNKNOWN: 3}
_OFF, _POWER = ord("o"), ord("f")
_UNKNOWN_RANK = {_POWER: 1, _OFF: 2, NOT_YET: 3, NO_PROBE: 4}
"""Of several unknowns the one that says most: what a probe signed goes before what we concluded from its silence."""


@dataclass(frozen=True, slots=True)
class Window:
    """The letters of one coverage record; its first step began at `t_ms`."""

    t_ms: int
    step_ms: int
    states: str
    causes: str


@dataclass(frozen=True, slots=True)
class Witness:
    """One modem as a witness of a hamlet. `stood`: when it stood there; `off`: when a boot record or a declaration
    says that it had no power (any order); `reported_ms`: its probe has sent every record up to then."""

    probe: str
    modem: str
    stood: tuple[Period, ...]
    reported_ms: int
    windows: tuple[Window, ...]
    without_power: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class Minutes:
    """A letter of state and of cause for each minute from `start_ms` (UTC, a whole minute); `differed`: minutes in
    which one witness had service and another had none."""

    start_ms: int
    states: bytes
    causes: bytes
    differed: int = 0

    @property
    def period(self) -> Period:
        """The time that it speaks of."""
        return Period(self.start_ms, self.start_ms + len(self.states) * MINUTE_MS)

    def cut(self, period: Period) -> Minutes:
        """The minutes that begin in `period`."""
        first = max(0, -(-(period.start_ms - self.start_ms) // MINUTE_MS))
        last = max(first, -(-(period.end_ms - self.start_ms) // MINUTE_MS))
        return Minutes(self.start_ms + first * MINUTE_MS, self.states[first:last], self.causes[first:last])


def seen_by(witness: Witness, period: Period) -> Minutes:
    """Lay one witness's records over a period. Raises ValueError if the period is not of whole minutes."""
    if period.start_ms % MINUTE_MS or period.end_ms % MINUTE_MS:
        raise ValueError("a minute ledger begins and ends on whole minutes")
    count = (period.end_ms - period.start_ms) // MINUTE_MS
    states, causes = bytearray(b"U" * count), bytearray(b"-" * count)
    for stood in witness.stood:
        _lay(causes, period, stood, _OFF)
        late = Period(max(stood.start_ms, witness.reported_ms), stood.end_ms)
        if late.start_ms < late.end_ms:
            _lay(causes, period, late, NOT_YET)
    for dark in witness.without_power:
        for stood in witness.stood:
            part = dark.met_by(stood)
            if part is not None:
                _lay(causes, period, part, _POWER)
    for window in sorted(witness.windows, key=lambda one: one.t_ms):
        _lay_window(states, causes, period, window)
    return Minutes(period.start_ms, bytes(states), bytes(causes))


def _lay(causes: bytearray, period: Period, span: Period, letter: int) -> None:
    first, last = _places(period, span, len(causes))
    if first < last:
        causes[first:last] = bytes([letter]) * (last - first)


def _places(period: Period, span: Period, count: int) -> tuple[int, int]:
    """Minutes whose middle lies in `span`."""
    half = MINUTE_MS // 2
    first = -(-(span.start_ms - period.start_ms - half) // MINUTE_MS)
    last = -(-(span.end_ms - period.start_ms - half) // MINUTE_MS)
    return min(max(first, 0), count), min(max(last, 0), count)


def _lay_window(states: bytearray, causes: bytearray, period: Period, window: Window) -> None:
    span = Period(window.t_ms, window.t_ms + len(window.states) * window.step_ms)
    first, last = _places(period, span, len(states))
    for place in range(first, last):
        middle = period.start_ms + place * MINUTE_MS + MINUTE_MS // 2
        step = (middle - window.t_ms) // window.step_ms
        states[place], causes[place] = ord(window.states[step]), ord(window.causes[step])


def merged(all_minutes: Sequence[Minutes]) -> Minutes:
    """Join witnesses of one hamlet and operator over the same period: the best holds. Raises ValueError of none."""
    if not all_minutes:
        raise ValueError("a minute ledger needs a witness")
    first, *rest = all_minutes
    states, causes, differed = bytearray(first.states), bytearray(first.causes), bytearray(len(first.states))
    for other in rest:
        if other.period != first.period:
            raise ValueError("witnesses of different periods cannot be joined")
        for i, (state, cause) in enumerate(zip(other.states, other.causes, strict=True)):
            if {state, states[i]} == {COVERED, NO_SERVICE}:
                differed[i] = 1
            if _rank(state, cause) < _rank(states[i], causes[i]):
                states[i], causes[i] = state, cause
    return Minutes(first.start_ms, bytes(states), bytes(causes), sum(differed))


def _rank(state: int, cause: int) -> tuple[int, int]:
    return _STATE_RANK[state], _UNKNOWN_RANK.get(cause, 0) if state == UNKNOWN else 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Minutes in each state. Shares are of the minutes that are known, in parts per million; None of none."""

    covered: int
    degraded: int
    no_service: int
    unknown: int

    @property
    def known(self) -> int:
        """Minutes of which somebody can speak."""
        return self.covered + self.degraded + self.no_service

    def share_ppm(self, minutes: int) -> int | None:
        """Share of `minutes` in the known ones."""
        return round(minutes * 1_000_000 / self.known) if self.known else None

    @property
    def covered_ppm(self) -> int | None:
        """Covered share of the known minutes."""
        return self.share_ppm(self.covered)


def tally(minutes: Minutes) -> Tally:
    """Count the minutes."""
    return Tally(*(minutes.states.count(letter) for letter in (COVERED, DEGRADED, NO_SERVICE, UNKNOWN)))


def by_cause(minutes: Minutes) -> dict[tuple[str, str], int]:
    """Minutes by (state letter, cause letter), covered left out; most first."""
    counts = Counter(zip(minutes.states, minutes.causes, strict=True))
    return {
        (chr(state), chr(cause)): count
        for (state, cause), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if state != COVERED
    }


def calendar(minutes: Minutes) -> list[tuple[int, tuple[Tally, ...]]]:
    """Return the days of Vietnam as (start of the day, its 24 hours). Minutes outside the ledger belong to no tally."""
    period, rows = minutes.period, []
    day = day_of(period.start_ms)[0]
    while day < period.end_ms:
        hours = tuple(
            tally(minutes.cut(part)) if (part := Period(start, start + HOUR_MS).met_by(period)) else Tally(0, 0, 0, 0)
            for start in range(day, day + DAY_MS, HOUR_MS)
        )
        rows.append((day, hours))
        day += DAY_MS
    return rows


Confidence = Literal["claimed", "corroborated"]


@dataclass(frozen=True, slots=True)
class Outage:
    """Minutes on end without service. `from_ms`/`to_ms` are sure only if the minute before/after it is known;
    `cause` is the letter that most of its minutes have."""

    from_ms: int
    to_ms: int
    cause: str
    begin_is_known: bool
    end_is_known: bool

    @property
    def minutes(self) -> int:
        """How long it was at least."""
        return (self.to_ms - self.from_ms) // MINUTE_MS


def outages(minutes: Minutes, at_least: int = 1) -> list[Outage]:
    """List the outages of `at_least` minutes, oldest first. An unknown minute ends an outage: nobody can say."""
    found, at = [], 0
    for state, run in groupby(minutes.states):
        length = len(list(run))
        if state == NO_SERVICE and length >= at_least:
            cause = Counter(minutes.causes[at : at + length]).most_common(1)[0][0]
            start = minutes.start_ms + at * MINUTE_MS
            known = [0 <= i < len(minutes.states) and minutes.states[i] != UNKNOWN for i in (at - 1, at + length)]
            found.append(Outage(start, start + length * MINUTE_MS, chr(cause), *known))
        at += length
    return found


@dataclass(frozen=True, slots=True)
class Gap:
    """The longest time without service: at least (known minutes only), and at most (unknown ones between and around
    counted as lost)."""

    at_least: int
    at_most: int


def longest_gap(minutes: Minutes) -> Gap:
    """Return the longest gap in minutes. `at_most` holds whatever the unknown minutes were."""
    sure = max((one.minutes for one in outages(minutes)), default=0)
    most, run = 0, 0
    for state in minutes.states:
        run = run + 1 if state in (NO_SERVICE, UNKNOWN) else 0
        most = max(most, run)
    return Gap(sure, most)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What another witness says of the time of an outage: its name, its minutes without service, its known minutes."""

    name: str
    no_service: int
    known: int

    @property
    def agrees(self) -> bool:
        """At least half of what it knows of that time was without service too."""
        return self.known > 0 and self.no_service * 2 >= self.known


def neighbours(outage: Outage, others: Iterable[tuple[str, Minutes]]) -> list[Neighbour]:
    """Ask other ledgers (of other probes, or of hamlets nearby, same operator) about the time of an outage."""
    span = Period(outage.from_ms, outage.to_ms)
    asked = ((name, tally(minutes.cut(span))) for name, minutes in others)
    return [Neighbour(name, found.no_service, found.known) for name, found in asked]


def confidence(outage: Outage, asked: Sequence[Neighbour]) -> Confidence:
    """`corroborated` if another witness lost service at that time too, else what one probe claims."""
    return "corroborated" if outage.minutes and any(one.agrees for one in asked) else "claimed"


@dataclass(frozen=True, slots=True)
class ClassRule:
    """When a hamlet is called without signal (trắng sóng) or with holes (lõm sóng). Ours until the official criteria
    (1603/BTTTT-CVT) are entered: shares of known minutes, in ppm, and how many minutes must be known at all."""

    code: str
    min_known: int
    white_no_service_ppm: int
    hole_not_covered_ppm: int


OUR_CLASSES = ClassRule("dosong-1", min_known=7 * 24 * 60, white_no_service_ppm=950_000, hole_not_covered_ppm=50_000)
SignalClass = Literal["white", "hole", "neither"]


def signal_class(found: Tally, rule: ClassRule = OUR_CLASSES) -> SignalClass | None:
    """Name the class of a hamlet by one operator; None: too few known minutes. The classes are disjoint."""
    if found.known < rule.min_known:
        return None
    if found.no_service * 1_000_000 >= rule.white_no_service_ppm * found.known:
        return "white"
    if (found.degraded + found.no_service) * 1_000_000 >= rule.hole_not_covered_ppm * found.known:
        return "hole"
    return "neither"
