"""The account outlives a damaged spool, a lost slate and a power cut in the middle of a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from probe.core.draft import Identity
from probe.core.engine_terms import EngineRequest
from probe.core.schedule import Plan
from probe.core.wallet import Terms
from probe.measure import Order
from probe.purse import Purse
from probe.recorder import Recorder
from probe.slate import Slate
from probe.spool import Spool
from tests.probe.kit import KEY, ORIGIN, PROBE, STAMP
from wire.failure import Cause

MB = 1_000_000
ORDER = Order("m1", "cell0", "scheduled")
TERMS = Terms(
    limit_bytes=100 * MB,
    billing_day=1,
    test_limit_bytes=30 * MB,
    engine="dosong",
    request=EngineRequest("cell0", "198.51.100.7", 7480, "x"),
    plan=Plan(PROBE, "m1", bytes(32), 3_600_000, 90_000),
)


class Sim:
    """One SIM's purse over a real spool and slate; `counter` is the kernel's, `boot` the running boot."""

    def __init__(self, folder: Path, boot: str, counter: int) -> None:
        self.counter, self.pledged = counter, 0
        self.spool, self.slate = Spool(folder, MB), Slate(folder)
        stamp = replace(STAMP, boot=boot)
        recorder = Recorder(self.spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "s"), lambda: stamp)
        self.purse = Purse(
            "m1",
            recorder,
            TERMS,
            link_bytes=lambda: (self.counter, 0),
            saved=self.spool.mark("budget m1"),
            slate=self.slate,
        )

    def test(self, used_bytes: int, *, is_cut: bool = False) -> Cause | None:
        """Run one test of so many bytes; the power goes before its end if `is_cut`."""
        order, refusal = self.purse.admit(ORDER)
        self.pledged = (order.budget.test_limit_bytes if order.budget else None) or 0
        if refusal is None and not is_cut:
            self.counter += used_bytes
            self.purse.settle()
        return refusal

    def used(self) -> int:
        return self.purse.update().used_bytes


def first(folder: Path) -> Sim:
    sim = Sim(folder, "a" * 32, 0)
    sim.purse.update()
    assert sim.test(20 * MB) is None
    return sim


@pytest.mark.parametrize("lost", [("spool.db",), ("slate",), ("spool.db-wal", "spool.db"), ()])
def test_account_is_known_as_long_as_one_of_two_files_is(tmp_path: Path, lost: tuple[str, ...]) -> None:
    first(tmp_path).spool.close()
    for name in lost:
        if (tmp_path / name).exists():
            (tmp_path / name).write_bytes(b"no longer what it was" * 500)
    again = Sim(tmp_path, "b" * 32, 0)
    assert again.used() == 20 * MB
    assert again.test(20 * MB) is None
    assert again.used() == 40 * MB


def test_power_cut_in_a_test_costs_its_whole_limit(tmp_path: Path) -> None:
    sim = first(tmp_path)
    assert sim.test(30 * MB, is_cut=True) is None
    sim.spool.close()
    assert 29 * MB < sim.pledged <= 30 * MB
    after = Sim(tmp_path, "b" * 32, 0)
    assert after.used() == 20 * MB + sim.pledged
    after.spool.close()
    assert Sim(tmp_path, "c" * 32, 0).used() == 20 * MB + sim.pledged, "only once"


def test_crash_of_the_program_in_a_test_costs_what_the_kernel_counted(tmp_path: Path) -> None:
    sim = first(tmp_path)
    sim.test(30 * MB, is_cut=True)
    sim.spool.close()
    again = Sim(tmp_path, "a" * 32, 20 * MB + 7)
    assert again.used() == 20 * MB + 7


def test_power_cuts_in_test_after_test_never_pass_the_limit(tmp_path: Path) -> None:
    really = 20 * MB
    first(tmp_path).spool.close()
    for boot in "bcdefgh":
        sim = Sim(tmp_path, boot * 32, 0)
        if sim.test(30 * MB, is_cut=True) is None:
            really += sim.pledged  # the worst: all of it went over the link before the power did
        sim.spool.close()
    assert 49 * MB < really <= 100 * MB
    last = Sim(tmp_path, "9" * 32, 0)
    assert last.used() == really
    last.counter = 80 * MB
    assert last.test(1) is Cause.BUDGET_SPENT
