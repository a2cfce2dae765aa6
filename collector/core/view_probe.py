"""Whether a probe is well, and if not: which fault, since when. For the technician's and the operator's pages.

Source: design §1 ("which probe is ill, since when, why, and what to do"), §8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.core.view_figures import Sample, tests_of
from collector.core.view_service import silent_after_ms
from wire.records import TestRecord

FAR_M = 200
SPOOL_HIGH = 100


class ProbeState(Protocol):
    """What the ledger holds of one probe's chain and liveness."""

    @property
    def probe(self) -> str:
        """Id of the probe."""
        ...

    @property
    def epoch(self) -> int:
        """Newest epoch."""
        ...

    @property
    def upto(self) -> int | None:
        """Contiguous head that is acknowledged; None while nothing contiguous is held."""
        ...

    @property
    def max_seq(self) -> int | None:
        """Highest seq stored in this epoch."""
        ...

    @property
    def last_received_ms(self) -> int | None:
        """When its newest record was committed."""
        ...

    @property
    def status(self) -> str | None:
        """Retained liveness word: "online", "offline" or None."""
        ...

    @property
    def status_ms(self) -> int | None:
        """When that word came."""
        ...


@dataclass(frozen=True, slots=True)
class Illness:
    """`word`: "never", "revoked", "quarantine", "offline", "silent", "hole", "moved", "clock", "backlog", or a cause."""

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
    tests = [r for _, r in tests_of(recent)]
    test = tests[0] if tests else None
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


def _of_test(tests: Sequence[TestRecord]) -> Illness | None:
    if not tests:
        return None
    newest = tests[0]
    if newest.outcome == "failed":
        return Illness(newest.cause or "unknown", _since(tests), newest.stage)
    if newest.path is not None and newest.path.verdict != "ok":
        return Illness(newest.path.verdict, newest.t_ms)
    if newest.clock != "trusted":
        return Illness("clock", newest.t_ms)
    if newest.position is not None and (newest.position.surveyed_offset_m or 0) > FAR_M:
        return Illness("moved", newest.t_ms)
    if newest.host is not None and (newest.host.spool_records or 0) > SPOOL_HIGH:
        return Illness("backlog", newest.t_ms)
    return None


def _since(tests: Sequence[TestRecord]) -> int | None:
    """Time of the first test of the unbroken run of failures that ends with the newest one."""
    since = tests[0].t_ms
    for test in tests:
        if test.outcome != "failed":
            break
        since = test.t_ms or since
    return since
