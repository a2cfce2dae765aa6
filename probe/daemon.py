"""`dosong-probe run`: one loop that decides when to test, watches the clock and the threads, and ends cleanly.

Each modem has its owner's thread, the broker has the publisher's, a test has a thread for as long as it runs; its
engine is a child process. The loop never blocks for more than a second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from queue import SimpleQueue

from probe import engines, measure, watchdog
from probe.asked import Asked
from probe.boot import keep_boot
from probe.caretaker import Caretaker
from probe.core import clock, schedule
from probe.core.draft import Stamp
from probe.measure import Bench, Order
from probe.owner import Owner
from probe.publish import Publisher
from probe.recorder import Recorder
from probe.spool import Spool
from probe.whereabouts import Whereabouts
from wire.errors import Refused, Unavailable
from wire.failure import Cause, Stage
from wire.records import TestRecord

log = logging.getLogger(__name__)
TICK_S = 1.0
STALLED_MS = 100_000
"""A thread that has not moved for this long keeps the watchdog from being fed. The longest wait is an AT restart."""
STOP_S = 8.0
MODEMS_STOP_S = 3.0
TEST_SPARE_MS = 75_000
"""What a test may take beside its engine: polls of the modem before and after, the receiver, the disk."""
HELD_RECORDS = 50
"""Test records kept in memory while the disk takes none."""


@dataclass(frozen=True, slots=True)
class Station:
    """One modem with all that its tests need. `order` is completed with slot and budget for each run.

    `compared` runs the other engine beside `bench` in every slot; None unless engines are compared.
    """

    owner: Owner
    bench: Bench
    plan: schedule.Plan
    order: Order
    admit: Callable[[Order], tuple[Order, Cause | None]]
    """Add the budget to an order; the cause is why the run must not start, None if it may."""
    settle: Callable[[], object] = lambda: None
    """Count what the run used, as soon as it has ended."""
    compared: Bench | None = None
    short: Bench | None = None
    """For a test that a person asked for; None: `bench`."""


@dataclass(frozen=True, slots=True)
class _Running:
    """The test that runs, and the moment (monotonic) at which it must have ended."""

    order: Order
    until_ms: int


class Daemon:
    """The running probe."""

    def __init__(
        self,
        recorder: Recorder,
        spool: Spool,
        stations: Mapping[str, Station],
        stop: threading.Event,
        *,
        read_clock: Callable[[], Stamp],
        steer: Callable[[Stamp], Mapping[str, Station] | None] = lambda _stamp: None,
        caretaker: Caretaker | None = None,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        self._recorder, self._spool, self._stations, self._stop = recorder, spool, dict(stations), stop
        self._read_clock, self._caretaker, self._whereabouts = read_clock, caretaker, whereabouts
        self._steer = steer
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._since_mono_ms = read_clock().mono_ms
        self._clock_watch = clock.ClockWatch()
        self._usage = {name: self._last_usage(name) for name in self._stations}
        self._test: threading.Thread | None = None
        self._running: _Running | None = None
        self._end_cause = Cause.STOPPED
        self._disk_told: str | None = None
        self._lock = threading.Lock()
        self._unsaved: list[tuple[measure.Run, Order]] = []
        self._publisher: Publisher | None = None
        self.asked = Asked(self._stations, lambda: read_clock().mono_ms)
        self._boot_due: Stamp | None = read_clock()
        self._knew_marks = spool.knows_marks

    def _last_usage(self, modem: str) -> schedule.Usage:
        slots = self._spool.mark(f"slots {modem}") or ""
        return schedule.Usage(tuple(int(slot) for slot in slots.split()))

    def is_testing(self) -> bool:
        """True while a test runs."""
        return self._running is not None

    def run(self, publisher: Publisher | None) -> None:
        """Run until `stop` is set. Raises Unavailable if the spool can no longer be written."""
        self._publisher = publisher
        self._keep_boot()
        for station in self._stations.values():
            station.owner.start()
        if publisher is not None:
            publisher.start()
        watchdog.notify("READY=1")
        try:
            while not self._stop.is_set():
                wait_ms = self._turn()
                self._stop.wait(min(wait_ms / 1000, TICK_S))
        finally:
            watchdog.notify("STOPPING=1")
            self._end()

    def _turn(self) -> int:
        """Do what is due; return how long nothing is, in milliseconds."""
        stamp = self._read_clock()
        self._mend_spool()
        self._feed_watchdog(stamp.mono_ms)
        self._keep_boot()
        if self._caretaker is not None:
            self._caretaker.tend(stamp)
        if self._whereabouts is not None:
            self._whereabouts.tend(stamp)
        self._save_again()
        self._watch_clock(stamp)
        if (running := self._running) is not None:
            self._watch_test(running, stamp.mono_ms)
            return round(TICK_S * 1000)
        self._take_steering(stamp)
        if (modem := self.asked.take()) is not None:
            self._begin_asked(modem, stamp)
            return round(TICK_S * 1000)
        if not self._asked.empty():
            station = self._stations[self._asked.get()]
            self._begin_order(station, replace(station.order, trigger="remote"), stamp)
            return round(TICK_S * 1000)
        plans = [(station.plan, self._usage[name]) for name, station in self._stations.items()]
        choice = schedule.decide(plans, schedule.Now(stamp.t_ms, stamp.mono_ms, self._since_mono_ms))
        if isinstance(choice, schedule.Wait):
            return choice.ms
        self._begin_test(choice, stamp)
        return round(TICK_S * 1000)

    def _mend_spool(self) -> None:
        """Open the spool anew after an error of the disk, which shuts it if that is not over. Raises Unavailable."""
        if self._spool.is_damaged:
            raise Unavailable("the spool is damaged; dosong-probe ends, so that it is set aside at the next start")
        if self._spool.is_broken:
            self._spool.open_again()
        if not self._spool.is_shut and self._knew_marks is False:
            self._usage = {name: self._last_usage(name) for name in self._stations}
        self._knew_marks = self._spool.knows_marks

    def _keep_boot(self) -> None:
        """Keep the boot record of this start; while the disk takes nothing, it is due again at the next turn."""
        if self._boot_due is None:
            return
        try:
            alive_ms = None if self._caretaker is None else self._caretaker.alive_ms
            keep_boot(self._recorder, self._spool, len(self._stations), self._boot_due, alive_ms)
        except Unavailable as error:
            self._tell_disk(str(error))
        else:
            self._boot_due = None

    def ask_tests(self) -> None:
        """Have each modem tested once, as soon as none is; beside the slots, so these are never counted."""
        for name in self._stations:
            self._asked.put(name)

    def _take_steering(self, stamp: Stamp) -> None:
        """Take up what the configuration changed: between tests only, so that no record mixes two."""
        try:
            self._stations |= self._steer(stamp) or {}
        except Unavailable as error:
            self._tell_disk(str(error))

    def _watch_clock(self, stamp: Stamp) -> None:
        """Tell that the clock was set; while the disk takes nothing, this is due again at the next turn."""
        state, is_set = clock.watch(self._clock_watch, stamp)
        if is_set:
            if self._unsaved:
                return
            try:
                self._recorder.event(
                    "clock_set", set_mono_ms=stamp.mono_ms, set_t_ms=stamp.t_ms, set_err_ms=stamp.t_err_ms
                )
            except Unavailable as error:
                self._tell_disk(str(error))
                return
        self._clock_watch = state

    def _watch_test(self, running: _Running, mono_ms: int) -> None:
        """A test that hangs would stop all tests and all sending without a word: end the program instead."""
        if mono_ms > running.until_ms:
            self._end_cause = Cause.TIMEOUT
            raise Unavailable(f"the test of modem {running.order.modem} hangs; dosong-probe ends, to be started anew")

    def _tell_disk(self, text: str) -> None:
        if self._disk_told is None:
            log.error("disk=refuses records are held in memory: %s", text)
        self._disk_told = text

    def _feed_watchdog(self, mono_ms: int) -> None:
        """Feed it only if this loop, the spool and every thread moved.

        A thread that ended on a fault of ours ends the program: restart it.
        """
        threads: list[Owner | Publisher] = [station.owner for station in self._stations.values()]
        if self._publisher is not None:
            threads.append(self._publisher)
        if not all(thread.is_alive for thread in threads):
            raise Unavailable("a thread of dosong-probe ended unexpectedly; see the log above, and restart it")
        self._spool.place()  # waits behind a commit that hangs, and the feed with it
        if all(mono_ms - thread.moved_ms <= STALLED_MS for thread in threads):
            watchdog.notify("WATCHDOG=1")

    def _begin_test(self, choice: schedule.Run, stamp: Stamp) -> None:
        station = self._stations[choice.modem]
        self._usage[choice.modem] = self._usage[choice.modem].after(choice.slot_ms, stamp.mono_ms)
        order = replace(
            station.order,
            slot_ms=choice.slot_ms,
            slot_length_ms=None if choice.slot_ms is None else station.plan.slot_at(choice.slot_ms).length_ms,
            due_ms=choice.due_ms,
        )
        self._begin_order(station, order, stamp)

    def _begin_order(self, station: Station, order: Order, stamp: Stamp) -> None:
        self._running = _Running(order, stamp.mono_ms + station.plan.run_ms + TEST_SPARE_MS)
        self._test = threading.Thread(target=self._run_test, args=(station, order), name="test", daemon=True)
        self._test.start()

    def _begin_asked(self, modem: str, stamp: Stamp) -> None:
        """Begin the short test that a person asked for: it belongs to no slot and is never compared."""
        station = self._stations[modem]
        station = replace(station, bench=station.short or station.bench, compared=None)
        self._begin_order(station, replace(station.order, trigger="acceptance"), stamp)

    def _run_test(self, station: Station, slot: Order) -> None:
        """Run what is due in a slot: one test, or two engines one after the other; each leaves its record."""
        due = list(engines.runs(slot, station.plan, station.bench, station.compared))
        while due:
            order, bench = due.pop(0)
            with self._lock:
                if self._running is None:  # the books are closed
                    return
                self._running = replace(self._running, order=order)
            found = self._measured(station, order, bench)
            with self._lock:
                if self._running is None:
                    return
                self._keep_test(found, order)
                self._running = self._running if due else None

    def _measured(self, station: Station, order: Order, bench: Bench) -> measure.Run:
        """Run one test. A fault of ours must not cost the slot its record."""
        head = self._recorder.head()
        try:
            refusal = None if self._caretaker is None else self._caretaker.forbids()
            if refusal is not None:
                return measure.Run(measure.not_run(order, head, "skipped", Stage.HOST, refusal))
            order, refusal = station.admit(order)
            if refusal is not None:
                return measure.Run(measure.not_run(order, head, "skipped", Stage.SCHEDULE, refusal))
            found = measure.run(order, bench, head)
            station.settle()
        except Exception:
            log.exception("test of modem %s failed inside", order.modem)
            return measure.Run(measure.not_run(order, head, "failed", Stage.HOST, Cause.ENGINE_ERROR))
        return found

    def _keep_test(self, found: measure.Run, order: Order) -> None:
        """Keep a record, or hold it while the disk takes none; those that are held go first."""
        if self._unsaved or not self._is_kept(found, order):
            over = len(self._unsaved) - HELD_RECORDS + 1
            self._unsaved = [*self._unsaved[-HELD_RECORDS + 1 :], (found, order)]
            if over >= 0:
                self._recorder.press(over)

    def _is_kept(self, found: measure.Run, order: Order) -> bool:
        """Try to keep a record; False if the disk does not take it."""
        record = found.record
        marks = {} if order.slot_ms is None else {f"slots {order.modem}": self._slots(order.modem)}
        try:
            try:
                kept = self._recorder.keep(record, marks, found.receipts)
            except Refused as refusal:
                log.error("test record breaks the contract: %s", refusal)  # noqa: TRY400 (the sentence says it all)
                head = self._recorder.head()
                record = measure.not_run(order, head, "failed", Stage.HOST, Cause.ENGINE_ERROR)
                kept = self._recorder.keep(record, marks)
        except Unavailable as error:
            self._tell_disk(str(error))
            self.asked.ended(order, record, None)
            return False
        self.asked.ended(order, record, kept)
        log.info(describe(record), record.modem, kept.epoch, kept.seq, *figures(record))
        return True

    def _slots(self, modem: str) -> str:
        return " ".join(str(slot) for slot in self._usage[modem].done_slots_ms)

    def _save_again(self) -> None:
        """Try to keep what the disk did not take; a disk that mends itself loses no record."""
        with self._lock:
            while self._unsaved and self._is_kept(*self._unsaved[0]):
                del self._unsaved[0]
            if self._disk_told is not None and not self._unsaved:
                self._disk_told = None

    def _end(self) -> None:
        """Close the books: a test under way is recorded as stopped, then a `stopping` event, then all is sent."""
        with self._lock:
            running, self._running = self._running, None
            if running is not None:
                head = self._recorder.head()
                record = measure.not_run(running.order, head, "failed", Stage.HOST, self._end_cause)
                self._keep_test(measure.Run(record), running.order)
        self._stop_modems()
        self._save_again()
        try:
            self._recorder.event("stopping", cause=Cause.STOPPED)
            now_ms = self._recorder.stamp().t_ms
            self._recorder.remember({"clean": "1"} | ({} if now_ms is None else {"alive_ms": str(now_ms)}))
        except Unavailable as error:
            self._tell_disk(str(error))
        if self._caretaker is not None:
            self._caretaker.end()
        if self._publisher is not None:
            self._publisher.stop(STOP_S)

    def _stop_modems(self) -> None:
        """Give the ports back before the books are closed, so that no record comes after `stopping`."""
        for station in self._stations.values():
            station.owner.ask_to_stop()
        until_ms = self._read_clock().mono_ms + round(MODEMS_STOP_S * 1000)
        for station in self._stations.values():
            station.owner.stop(max(0.0, (until_ms - self._read_clock().mono_ms) / 1000))


def describe(record: TestRecord) -> str:
    """Return the log line's format for a test record."""
    is_failed = record.cause is not None
    tail = "stage=%s cause=%s" if is_failed else "downlink_bps=%s uplink_bps=%s path=%s"
    return f"test modem=%s epoch=%d seq=%d outcome={record.outcome} {tail}"


def figures(record: TestRecord) -> tuple[object, ...]:
    """Return what stands in the tail of `describe`."""
    if record.cause is not None:
        return record.stage, record.cause
    return record.downlink_bps, record.uplink_bps, record.path.verdict if record.path else None
