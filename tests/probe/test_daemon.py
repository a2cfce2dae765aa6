"""The loop: what hangs or dies is noticed, what the disk refuses is held and said once, and the books are closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from probe import daemon as daemon_module
from probe.compose import fault_cause
from probe.core import schedule
from probe.core.draft import Identity, Stamp
from probe.daemon import Daemon, Station
from probe.devices import clock, links
from probe.devices.modem import AtModem
from probe.measure import Bench, Order
from probe.owner import Observed, Owner
from probe.recorder import Recorder
from probe.spool import Spool
from tests.probe.kit import KEY, ORIGIN, PROBE, read, wait_until
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import AnyRecord, EventRecord, TestRecord

BOOT = clock.boot_id()
Admit = Callable[[Order], tuple[Order, Cause | None]]


class Running:
    """A daemon in a thread, with one modem that is not there and a slot every second."""

    def __init__(self, folder: Path, admit: Admit, on_poll: Callable[[Observed], None] = lambda _seen: None) -> None:
        self.wall_offset_ms = 1_795_000_000_000 - clock.mono_ms()
        self.spool = Spool(folder, 1_000_000)
        self.stop = threading.Event()
        self.error: Exception | None = None
        recorder = Recorder(self.spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "s"), self.stamp)
        self.owner = Owner(
            *("m1", AtModem(str(folder / "no-modem"))),
            poll_s=0.1,
            fast_s=0.1,
            fault_cause=fault_cause,
            mono_ms=clock.mono_ms,
            on_poll=on_poll,
        )
        bench = Bench(self.owner, self._no_engine, links.read, self._no_engine, lambda _ppm: None, clock.mono_ms)
        plan = schedule.Plan(PROBE, "m1", bytes(32), 1000, 500)
        station = Station(self.owner, bench, plan, Order("m1", "cell9", "scheduled"), admit)
        self.daemon = Daemon(recorder, self.spool, {"m1": station}, self.stop, read_clock=self.stamp)
        self.thread = threading.Thread(target=self._run)

    @staticmethod
    def _no_engine() -> object:
        raise AssertionError("there is no modem: nothing is to be measured")

    def stamp(self) -> Stamp:
        mono_ms = clock.mono_ms()
        return Stamp(BOOT, mono_ms, "trusted", "ntp", mono_ms + self.wall_offset_ms, 5)

    def _run(self) -> None:
        try:
            self.daemon.run(None)
        except Unavailable as error:
            self.error = error

    def end(self) -> None:
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def records(self) -> list[AnyRecord]:
        return [read(kept.raw) for kept in self.spool.waiting(1000) if kept.raw[0]]

    def tests(self) -> list[TestRecord]:
        return [record for record in self.records() if isinstance(record, TestRecord)]


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Running] = []

    def begin(admit: Admit, **more: Callable[[Observed], None]) -> Running:
        made.append(Running(tmp_path, admit, **more))
        made[-1].thread.start()
        return made[-1]

    yield begin
    for running in made:
        running.end()
        running.spool.close()


def skip(order: Order) -> tuple[Order, Cause | None]:
    return order, Cause.BUDGET_SPENT


def test_a_test_that_hangs_ends_the_program_and_is_recorded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "TEST_SPARE_MS", 500)
    never = threading.Event()

    def hang(order: Order) -> tuple[Order, Cause | None]:
        never.wait(60)
        return order, Cause.BUDGET_SPENT

    running = start(hang)
    wait_until(lambda: running.error is not None, 40, "the program ends")
    assert "hangs" in str(running.error)
    never.set()
    test, stopping = running.records()[-2:]
    assert isinstance(test, TestRecord)
    assert (test.outcome, test.stage, test.cause) == ("failed", "host", "timeout")
    assert isinstance(stopping, EventRecord)
    assert len(running.tests()) == 1, "what the hung thread brings later is not kept beside it"


def test_a_fault_inside_a_test_costs_neither_its_record_nor_the_next(start: Start) -> None:
    def fault(_order: Order) -> tuple[Order, Cause | None]:
        raise ValueError("a fault of ours")

    running = start(fault)
    wait_until(lambda: len(running.tests()) >= 2, 40, "two tests")
    assert {(test.outcome, test.cause) for test in running.tests()} == {("failed", "engine_error")}


def test_a_thread_that_dies_ends_the_program(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)

    def fault(_seen: Observed) -> None:
        raise ValueError("a fault of ours")

    running = start(skip, on_poll=fault)
    wait_until(lambda: running.error is not None, 40, "the program ends")
    assert "thread" in str(running.error)
    assert len(died) == 1


def test_full_disk_holds_records_says_so_once_and_keeps_them_in_order(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    running = start(skip)
    wait_until(running.tests, 40, "a first test")
    (pages,) = running.spool._db.execute("PRAGMA page_count").fetchone()
    running.spool._db.execute(f"PRAGMA max_page_count = {pages}")
    caplog.set_level(logging.ERROR)
    with suppress(Unavailable):
        while True:  # fill the last page
            running.spool.append("event", lambda _place: bytes(3000))
    wait_until(lambda: len(running.daemon._unsaved) >= 2, 40, "records are held")
    running.wall_offset_ms += 60_000  # the clock is set while the disk takes nothing
    wait_until(lambda: len(running.daemon._unsaved) >= 3, 40, "more records are held")
    assert running.error is None
    assert sum("held in memory" in message for message in caplog.messages) == 1
    running.spool._db.execute("PRAGMA max_page_count = 1000000")
    wait_until(lambda: not running.daemon._unsaved, 40, "the held records are kept")
    slots = [test.slot_ms for test in running.tests() if test.slot_ms]
    assert slots == sorted(set(slots))
    assert len(slots) >= 4
    wait_until(lambda: sum(is_clock_set(record) for record in running.records()) == 2, 40, "the event comes too")


def is_clock_set(record: AnyRecord) -> bool:
    return isinstance(record, EventRecord) and record.event == "clock_set"


def test_no_slot_twice_when_the_clock_is_set_back_and_after_a_restart(start: Start) -> None:
    running = start(skip)
    wait_until(lambda: len(running.tests()) >= 2, 40, "two tests")
    running.wall_offset_ms -= 2_000
    wait_until(lambda: len(running.tests()) >= 3, 40, "tests go on")
    running.end()
    again = start(skip)
    again.wall_offset_ms = running.wall_offset_ms - 3_000
    wait_until(lambda: len(again.tests()) >= 5, 40, "tests go on")
    slots = [test.slot_ms for test in again.tests()]
    assert len(slots) == len(set(slots))


def test_stopping_is_the_last_record_even_if_a_poll_is_under_way(start: Start) -> None:
    def slow_disk(_seen: Observed) -> None:
        running.stop.wait(20)  # the end comes while this poll is being told
        threading.Event().wait(0.5)
        running.daemon._recorder.event("sim_changed", modem="m1")

    running = start(skip, on_poll=slow_disk)
    wait_until(running.tests, 40, "a first test")
    running.end()
    wait_until(lambda: not running.owner.is_alive, 40, "the modem's thread ends")
    events = [record.event for record in running.records() if isinstance(record, EventRecord)]
    assert events[-2:] == ["sim_changed", "stopping"]
