"""How a hamlet is served now, and how its last coverage windows went. Unknown is never weak coverage.

The state says what the newest record says; a fault of the probe, the SIM's plan or the power is `none` with its
cause, never `bad`. Source: design §8 (coverage of a minute), facts note 06 §4 (colour with a word and a shape).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, pairwise

from collector.core.sample import Sample
from collector.core.view_figures import percentile
from wire.failure import COVERAGE_CAUSES, COVERAGE_STATES, PARTY, Party
from wire.records import CoverageRecord, TestRecord

NETWORK_CAUSES = frozenset(cause for cause, party in PARTY.items() if party is Party.OPERATOR)
"""Causes for which the operator's network must act: only these are lost or weak service, all others are unknown."""
RECENT_TESTS = 5
# Three missed reports in a row: one is chance, two a bad hour; never less than a minute and a half.
SILENT_INTERVALS = 3
SILENT_MIN_MS = 90_000


class State(StrEnum):
    """Service now, each with its own word, colour and shape on every page."""

    GOOD = "good"
    WEAK = "weak"
    BAD = "bad"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Service:
    """`state` and why: a cause word of `wire.failure`, silent, invalid_path, no_records, no_probe, or None if good."""

    state: State
    cause: str | None


def silent_after_ms(received_ms: Sequence[int]) -> int | None:
    """After what silence a probe is silent: thrice its usual interval. None with fewer than two records."""
    gaps = [abs(a - b) for a, b in pairwise(received_ms)]
    usual = percentile(gaps, 90)
    return None if usual is None else max(SILENT_MIN_MS, round(SILENT_INTERVALS * usual))


def service(recent: Sequence[Sample], now_ms: int) -> Service:
    """Judge from the newest tests and coverage records (newest first, at least RECENT_TESTS of each if there are)."""
    known = [s for s in recent if isinstance(s.record, TestRecord | CoverageRecord)]
    if not known:
        return Service(State.NONE, "no_records")
    limit_ms = silent_after_ms([s.received_ms for s in known])
    if limit_ms is not None and now_ms - known[0].received_ms > limit_ms:
        return Service(State.NONE, "silent")
    newest = known[0].record
    if isinstance(newest, CoverageRecord):
        return _of_coverage(newest)
    tests = [s.record for s in known if isinstance(s.record, TestRecord)]
    return _of_tests(tests[:RECENT_TESTS])


def _of_coverage(record: CoverageRecord) -> Service:
    cause = COVERAGE_CAUSES[record.causes[-1]]
    states = {"C": State.GOOD, "D": State.WEAK, "N": State.BAD, "U": State.NONE}
    return Service(states[record.states[-1]], None if cause is None else cause.value)


def _of_tests(tests: Sequence[TestRecord]) -> Service:
    newest = tests[0]
    if newest.path is not None and newest.path.verdict != "ok":
        return Service(State.NONE, newest.path.verdict)
    if newest.outcome == "ok":
        failed = next((t.cause for t in tests if t.outcome == "failed" and t.cause in NETWORK_CAUSES), None)
        return Service(State.WEAK if failed else State.GOOD, failed)
    if newest.cause not in NETWORK_CAUSES:
        return Service(State.NONE, newest.cause)
    return Service(State.WEAK if newest.outcome == "partial" else State.BAD, newest.cause)


@dataclass(frozen=True, slots=True)
class Run:
    """Steps in a row with one state and one cause. `start_ms` None: the record is not dated."""

    state: str
    cause: str | None
    steps: int
    length_ms: int
    start_ms: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """One coverage record as a strip. `key` is (probe, epoch, seq)."""

    key: tuple[str, int, int]
    start_ms: int | None
    length_ms: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class CoverageSum:
    """Time in each state over several windows, and in each cause of a state. `known_ms` leaves unknown out."""

    total_ms: int
    by_state_ms: dict[str, int]
    by_cause_ms: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def known_ms(self) -> int:
        """Time of which the probe can speak."""
        return self.total_ms - self.by_state_ms.get("unknown", 0)

    def known_ppm(self, state: str) -> int | None:
        """Share of `state` in the time of which the probe can speak, in parts per million; None of nothing."""
        return round(self.by_state_ms.get(state, 0) * 1_000_000 / self.known_ms) if self.known_ms else None


def window(record: CoverageRecord, t_ms: int | None) -> Window:
    """Turn a coverage record's letters into runs; `t_ms` is when its first step began."""
    runs: list[Run] = []
    at = 0
    for (state, cause), steps in groupby(zip(record.states, record.causes, strict=True)):
        count = len(list(steps))
        word = COVERAGE_CAUSES[cause]
        start_ms = None if t_ms is None else t_ms + at * record.step_ms
        runs.append(Run(COVERAGE_STATES[state], word and word.value, count, count * record.step_ms, start_ms))
        at += count
    return Window((record.probe, record.epoch, record.seq), t_ms, at * record.step_ms, tuple(runs))


def windows(samples: Sequence[Sample]) -> tuple[Window, ...]:
    """The windows of coverage samples, oldest first by time; undated ones are left out of the strip."""
    made = [window(s.record, s.t_ms) for s in samples if isinstance(s.record, CoverageRecord) and s.t_ms is not None]
    return tuple(sorted(made, key=lambda w: w.start_ms or 0))


def coverage_sum(strips: Sequence[Window]) -> CoverageSum:
    """Add up the windows."""
    by_state: dict[str, int] = dict.fromkeys(COVERAGE_STATES.values(), 0)
    by_cause: dict[tuple[str, str], int] = {}
    for run in (run for strip in strips for run in strip.runs):
        by_state[run.state] += run.length_ms
        if run.cause is not None:
            by_cause[run.state, run.cause] = by_cause.get((run.state, run.cause), 0) + run.length_ms
    return CoverageSum(sum(w.length_ms for w in strips), by_state, by_cause)
