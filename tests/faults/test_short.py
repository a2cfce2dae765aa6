"""The fault programs in short, so that they and what they promise stay true: `make faults` runs them in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.failpoint import STEPS
from tests.faults import deliveries, kills, outage, restore

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]


def test_killed_once_at_every_step_everybody_agrees(tmp_path: Path) -> None:
    done = kills.run(tmp_path, 1, 3, 4.0, patience_s=200)
    assert done.verdict.ok, done.verdict
    assert {step for step, count in done.kills.items() if count} == set(STEPS)
    assert done.verdict.records == done.verdict.acknowledged > 0
    assert done.verdict.counted > 0


def test_a_backup_put_back_under_load_loses_nothing_that_probes_hold(tmp_path: Path) -> None:
    done = restore.run(tmp_path, 3, 20.0, 100, 100)
    assert done.verdict.ok, done.verdict
    assert done.lost_with_disk >= 100
    assert done.names_lost


def test_probes_that_come_back_together_are_drained_once_each(tmp_path: Path) -> None:
    done = outage.run(tmp_path, 8, 12.0)
    assert done.verdict.ok, done.verdict
    assert done.verdict.acknowledged == done.records > 100
    assert done.quota == done.truth > 0


def test_deliveries_out_of_order_and_repeated_are_held_once(tmp_path: Path) -> None:
    done = deliveries.run(tmp_path, 1_500, 0.3, 5, 2)
    assert done.is_ok, done
    assert (done.deliveries, done.records, done.repeated) == (1_500, 1_050, 450)
    assert done.late > 50
