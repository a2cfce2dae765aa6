"""The fault programs in short, so that they and what they promise stay true: `make faults` runs them in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.failpoint import STEPS
from tests.faults import kills

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]


def test_killed_once_at_every_step_everybody_agrees(tmp_path: Path) -> None:
    done = kills.run(tmp_path, 1, 3, 4.0, patience_s=200)
    assert done.verdict.ok, done.verdict
    assert {step for step, count in done.kills.items() if count} == set(STEPS)
    assert done.verdict.records == done.verdict.acknowledged > 0
    assert done.verdict.counted > 0
