"""Whether a probe is well, and if not: which fault, since when. For the technician's and the operator's pages.

The judgement itself stands in `collector.core.liveness`. Source: design §1, §8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.liveness import Ears, Illness, illness, missing_records
from collector.core.sample import ProbeState, Sample
from collector.core.view_figures import tests_of
from collector.core.vitals import Vitals, fold
from wire.records import TestRecord


@dataclass(frozen=True, slots=True)
class Checkup:
    """One probe: its newest test, and its first illness (None: green)."""

    illness: Illness | None
    test: TestRecord | None
    acked: int | None
    missing: int


def checkup(
    registered: str, state: ProbeState | None, recent: Sequence[Sample], now_ms: int, ears: Ears | None = None
) -> Checkup:
    """Judge a probe by its registry state, its chain and its newest samples (newest first)."""
    tests = tests_of(recent)
    test = tests[0][1] if tests else None
    vitals = Vitals()
    for sample in reversed(recent):
        vitals = fold(vitals, sample)
    found = illness(registered, state, vitals, now_ms, ears)
    # What is only late does its work: a technician at the station has nothing to do about it.
    shown = None if found is not None and found.word == "late" else found
    if state is None:
        return Checkup(shown, test, None, 0)
    return Checkup(shown, test, state.upto, missing_records(state))
