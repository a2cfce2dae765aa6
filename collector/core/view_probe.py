"""Whether a probe is well, and if not: which fault, since when. For the technician's and the operator's pages.

Source: design §1 ("which probe is ill, since when, why, and what to do"), §8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.sample import ProbeState, Sample
from collector.core.view_figures import tests_of
from collector.core.view_service import silent_after_ms
from wire.records import TestRecord

FAR_M = 200
SPOOL_HIGH = 100


@dataclass(frozen=True, slots=True)
class Illness:
    """What is wrong, since when (None: not known), and the stage of a failed test.

    `word`: never, revoked, quarantine, offline, silent, hole, invalid_path, invalid_isolation, clock, moved, backlog,
    or a cause of `wire.failure`.
    """

    word: str
    since_ms: int | None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Checkup:
    """One probe: its newest test, and its first illness (None: green)."""

    illness: Illness | None
    test: TestRecord | None
    acked: int | None
    missing: int


def checkup(registered: str, state: ProbeState | None, recent: Sequence[Sample], now_ms: int) -> Checkup:
    """Judge a probe by its registry state, its chain and its newest samples (newest first)."""
    tests = tests_of(recent)
    test = tests[0][1] if tests else None
    if state is None:
        return Checkup(Illness(registered if registered != "active" else "never", None), test, None, 0)
    top = state.max_seq if state.max_seq is not None else -1
    missing = max(0, top - (state.upto if state.upto is not None else -1))
    illness = _illness(registered, state, recent, now_ms) or _hole(missing, state) or _of_test(tests)
    return Checkup(illness, test, state.upto, missing)


def _illness(registered: str, state: ProbeState, recent: Sequence[Sample], now_ms: int) -> Illness | None:
    if registered != "active":
        return Illness(registered, None)
    limit_ms = silent_after_ms([s.received_ms for s in recent])
    last_ms = state.last_received_ms
    if limit_ms is not None and last_ms is not None and now_ms - last_ms > limit_ms:
        return Illness("silent", last_ms)
    # The retained word may be older than the newest record: the record is the better witness.
    if state.status == "offline" and (state.status_ms or 0) > (last_ms or 0):
        return Illness("offline", state.status_ms)
    return None


def _hole(missing: int, state: ProbeState) -> Illness | None:
    return Illness("hole", state.last_received_ms) if missing else None


def _of_test(tests: Sequence[tuple[Sample, TestRecord]]) -> Illness | None:
    if not tests:
        return None
    sample, newest = tests[0]
    if newest.outcome == "failed":
        return Illness(newest.cause or "unknown", _since(tests), newest.stage)
    far_m = newest.position.surveyed_offset_m if newest.position is not None else None
    waiting = newest.host.spool_records if newest.host is not None else None
    verdict = newest.path.verdict if newest.path is not None else "ok"
    signs = (
        (verdict, verdict != "ok"),
        ("clock", newest.clock != "trusted"),
        ("moved", (far_m or 0) > FAR_M),
        ("backlog", (waiting or 0) > SPOOL_HIGH),
    )
    return next((Illness(word, sample.t_ms) for word, shows in signs if shows), None)


def _since(tests: Sequence[tuple[Sample, TestRecord]]) -> int | None:
    """Time of the first test of the unbroken run of failures that ends with the newest one."""
    since = tests[0][0].t_ms
    for sample, record in tests:
        if record.outcome != "failed":
            break
        since = sample.t_ms or since
    return since
