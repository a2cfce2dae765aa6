"""A card that is full or read-only, at the start or later: the probe goes on, holds what it made, and says so.

On real file systems: ext4 in an image, mounted, filled, remounted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probe import caretaker as caretaker_module
from probe import spool as spool_module
from probe.caretaker import Caretaker, Senses
from probe.compose import fault_cause
from probe.core import schedule
from probe.core.draft import Identity, Stamp
from probe.daemon import Daemon, Station
from probe.devices import clock, host, links
from probe.devices.modem import AtModem
from probe.measure import Bench, Order
from probe.owner import Owner
from probe.recorder import Recorder
from probe.slate import Slate
from probe.spool import DiskBroken, DiskFull, Spool
from tests.probe.disks import fill_up, make_image, memory_disk, mounted, needs_disks, remount
from tests.probe.kit import KEY, ORIGIN, PROBE, read, wait_until
from tests.probe.test_spool import check_chain, fill, opened
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import AnyRecord, BootRecord, EventRecord, GapRecord, TestRecord

pytestmark = needs_disks
BOOT = clock.boot_id()


class Probe:
    """A daemon in a thread with its caretaker, a modem that is not there, and a slot every second."""

    def __init__(self, folder: Path) -> None:
        self.offset_ms = 1_795_000_000_000 - clock.mono_ms()
        self.spool = Spool(folder, 1_000_000, may_wait=True)
        self.slate = Slate(folder)
        self.stop = threading.Event()
        self.error: Exception | None = None
        self.recorder = Recorder(self.spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "s"), self.stamp)
        owner = Owner(
            *("m1", AtModem(str(folder / "no-modem"))),
            poll_s=0.5,
            fast_s=0.5,
            fault_cause=fault_cause,
            mono_ms=clock.mono_ms,
            on_poll=lambda _seen: None,
        )
        bench = Bench(owner, self.none, links.read, self.none, lambda _ppm: None, clock.mono_ms)
        order = Order("m1", "cell9", "scheduled")
        station = Station(
            owner, bench, schedule.Plan(PROBE, "m1", bytes(32), 1000, 500), order, lambda o: (o, Cause.BUDGET_SPENT)
        )
        senses = Senses(lambda: host.free_bytes(folder), lambda: None)
        self.daemon = Daemon(
            *(self.recorder, self.spool, {"m1": station}, self.stop),
            read_clock=self.stamp,
            caretaker=Caretaker(self.recorder, self.spool, self.slate, senses),
        )
        self.thread = threading.Thread(target=self._run)

    @staticmethod
    def none() -> object:
        raise AssertionError("nothing is to be measured")

    def stamp(self) -> Stamp:
        mono_ms = clock.mono_ms()
        return Stamp(BOOT, mono_ms, "trusted", "ntp", mono_ms + self.offset_ms, 5)

    def _run(self) -> None:
        try:
            self.daemon.run(None)
        except Unavailable as error:
            self.error = error

    def records(self) -> list[AnyRecord]:
        return [read(kept.raw) for kept in self.spool.waiting(5000)]

    def tests(self) -> list[TestRecord]:
        return [record for record in self.records() if isinstance(record, TestRecord)]

    def events(self, name: str) -> list[EventRecord]:
        return [record for record in self.records() if isinstance(record, EventRecord) and record.event == name]


@contextmanager
def running(folder: Path) -> Iterator[Probe]:
    probe = Probe(folder)
    probe.thread.start()
    try:
        yield probe
    finally:
        probe.stop.set()
        probe.thread.join(30)
        assert not probe.thread.is_alive()
        probe.slate.close()
        probe.spool.close()


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caretaker_module, "LOOK_MS", 200)
    monkeypatch.setattr(spool_module, "_RETRY_S", 0.2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(make_image(tmp_path / "disk.img"), tmp_path / "disk") as at:
        yield at


def check_whole(probe: Probe) -> None:
    """Every slot once, in order, every record in its place in one chain, the boot record among them."""
    slots = [test.slot_ms for test in probe.tests()]
    assert slots == sorted({slot for slot in slots if slot})
    check_chain(probe.spool.waiting(5000))
    assert sum(isinstance(record, BootRecord) for record in probe.records()) == 1


def test_disk_full_before_the_first_start_ever(disk: Path) -> None:
    ballast = fill_up(disk)
    with running(disk) as probe:
        wait_until(lambda: len(probe.daemon._unsaved) >= 2, 40, "records are held")
        assert probe.error is None
        assert probe.spool.is_shut
        ballast.unlink()
        wait_until(lambda: len(probe.tests()) >= 3, 40, "they are kept once there is space")
        check_whole(probe)
        wait_until(lambda: [e.now for e in probe.events("disk_error") if e.was == "refuses"], 40, "the end is told")
        begin = next(event for event in probe.events("disk_error") if event.now == "refuses")
        assert (begin.stage, begin.cause) == ("host", "low_disk")


def test_disk_fills_up_and_is_freed_while_running_and_across_a_restart(disk: Path) -> None:
    with running(disk) as probe:
        wait_until(lambda: len(probe.tests()) >= 2, 40, "tests")
        kept_before = len(probe.records())
    ballast = fill_up(disk)
    with running(disk) as probe:
        wait_until(lambda: len(probe.daemon._unsaved) >= 2 or len(probe.tests()) >= 4, 40, "it goes on, full at start")
        assert probe.error is None
        ballast.unlink()
        wait_until(lambda: not probe.daemon._unsaved and len(probe.tests()) >= 4, 40, "all is kept")
        assert len(probe.records()) > kept_before
        slots = [test.slot_ms for test in probe.tests()]
        assert len(slots) == len(set(slots)), "no slot twice"
        check_chain(probe.spool.waiting(5000))


def test_card_goes_read_only_while_running_and_comes_back(disk: Path) -> None:
    with running(disk) as probe:
        wait_until(lambda: len(probe.tests()) >= 1, 40, "a test")
        probe.spool.close()  # what holds files open for writing would refuse the remount; an error of the card does not
        probe.slate._drop_file()
        remount(disk, "ro")
        probe.spool.is_broken = True
        wait_until(lambda: probe.spool.is_shut and len(probe.daemon._unsaved) >= 2, 40, "records are held")
        assert probe.error is None
        remount(disk, "rw")
        wait_until(lambda: not probe.daemon._unsaved and len(probe.tests()) >= 3, 40, "they are kept")
        check_whole(probe)
        wait_until(lambda: [e.now for e in probe.events("disk_error") if e.was == "refuses"], 40, "the end is told")
        assert {event.cause for event in probe.events("disk_error") if event.now == "refuses"} == {"disk_error"}


def test_card_that_is_read_only_at_the_start_keeps_what_it_knew(disk: Path) -> None:
    with running(disk) as probe:
        wait_until(lambda: len(probe.tests()) >= 1, 40, "a test")
        before = probe.spool.mark("slots m1")
    remount(disk, "ro")
    with running(disk) as probe:
        assert probe.spool.is_shut
        assert probe.spool.knows_marks
        assert probe.spool.mark("slots m1") == before
        wait_until(lambda: probe.daemon._unsaved, 40, "records are held")
        remount(disk, "rw")
        wait_until(lambda: not probe.daemon._unsaved, 40, "they are kept")
        slots = [test.slot_ms for test in probe.tests()]
        assert len(slots) == len(set(slots))


def test_full_disk_frees_what_the_ledger_has_before_it_refuses(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", 8_000_000) as disk:
        spool, recorder = opened(disk, 64_000_000)
        fill(recorder, 300, "y" * 100)
        spool.release(1, 199, 5, 5)
        spool.keep_reserve()
        fill_up(disk)
        fill(recorder, 100, "y" * 100)
        kept = [record.seq for record in spool.waiting(5000)]
        assert kept == list(range(200, 400)), "nothing that waits was touched"
        assert spool.depth().records < 400
        spool.close()


def test_full_disk_drops_the_oldest_that_wait_only_if_pressed_and_declares_it(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", 8_000_000) as disk:
        spool, recorder = opened(disk, 64_000_000)
        fill(recorder, 300, "y" * 100)
        spool.keep_reserve()
        fill_up(disk)
        with pytest.raises(DiskFull):
            fill(recorder, 2000, "y" * 100)
        last = spool.place().seq
        assert [record.seq for record in spool.waiting(5000)] == list(range(last)), "no gap without need"
        recorder.press()
        fill(recorder, 2000, "y" * 100)
        kept = spool.waiting(5000)
        gaps = [gap for gap in (read(record.raw) for record in kept) if isinstance(gap, GapRecord)]
        assert (gaps[0].from_seq, gaps[0].reason) == (0, "spool_full")
        held = {record.seq for record in kept}
        for gap in gaps:
            held |= set(range(gap.from_seq, gap.to_seq + 1))
        assert held == set(range(spool.place().seq)), "every place is held or declared dropped"
        spool.close()


def test_without_leave_to_wait_a_full_or_read_only_disk_is_an_error(disk: Path) -> None:
    fill_up(disk)
    with pytest.raises(DiskFull, match="spool"):
        Spool(disk, 1_000_000)
    (disk / "ballast").unlink()
    remount(disk, "ro")
    with pytest.raises(DiskBroken, match="spool"):
        Spool(disk, 1_000_000)
    remount(disk, "rw")
