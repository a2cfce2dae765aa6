"""`dosong-probe run`: one loop that decides when to test, watches the clock and the threads, and ends cleanly.

Each modem has its owner's thread, the broker has the publisher's, a test has a thread for as long as it runs; its
engine is a child process. The loop never blocks for more than a second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from probe import engines, measure, watchdog
from probe.boot import keep_boot
from probe.core import clock, schedule
from probe.core.draft import Stamp
from probe.measure import Bench, Order
from probe.owner import Owner
from probe.publish import Publisher
from probe.recorder import Recorder
from probe.spool import Spool
from wire.errors import Refused, Unavailable
from wire.failure import Cause, Stage
from wire.records import TestRecord

log = logging.getLogger(__name__)
TICK_S = 1.0
STALLED_MS = 100_000
"""A thread that has not moved for this long keeps the watchdog from being fed. The longest wait is an AT restart."""
STOP_S = 8.0
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
    compared: Bench | None = None


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
    ) -> None:
        self._recorder, self._spool, self._stations, self._stop = recorder, spool, dict(stations), stop
        self._read_clock = read_clock
        self._since_mono_ms = read_clock().mono_ms
        self._clock_watch = clock.ClockWatch()
        self._usage = {name: self._last_usage(name) for name in self._stations}
        self._test: threading.Thread | None = None
        self._running: Order | None = None
        self._lock = threading.Lock()
        self._unsaved: list[tuple[TestRecord, Order]] = []
        self._publisher: Publisher | None = None

    def _last_usage(self, modem: str) -> schedule.Usage:
        slot = self._spool.mark(f"slot {modem}")
        return schedule.Usage(last_slot_ms=None if slot is None else int(slot))

    def is_testing(self) -> bool:
        """True while a test runs."""
        return self._running is not None

    def run(self, publisher: Publisher | None) -> None:
        """Run until `stop` is set. Raises Unavailable if the spool can no longer be written."""
        self._publisher = publisher
        keep_boot(self._recorder, self._spool, len(self._stations))
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
        if self._spool.is_broken:
            raise Unavailable("the disk reported an error; dosong-probe ends, so that the spool is opened anew")
        stamp = self._read_clock()
        self._clock_watch, is_set = clock.watch(self._clock_watch, stamp)
        if is_set:
            self._recorder.event("clock_set", set_mono_ms=stamp.mono_ms, set_t_ms=stamp.t_ms, set_err_ms=stamp.t_err_ms)
        self._feed_watchdog(stamp.mono_ms)
        self._save_again()
        if self._running is not None:
            return round(TICK_S * 1000)
        plans = [(station.plan, self._usage[name]) for name, station in self._stations.items()]
        choice = schedule.decide(plans, schedule.Now(stamp.t_ms, stamp.mono_ms, self._since_mono_ms))
        if isinstance(choice, schedule.Wait):
            return choice.ms
        self._begin_test(choice, stamp)
        return round(TICK_S * 1000)

    def _feed_watchdog(self, mono_ms: int) -> None:
        """Feed it only if every thread moved. A thread that ended on a fault of ours ends the program: restart it."""
        threads: list[Owner | Publisher] = [station.owner for station in self._stations.values()]
        if self._publisher is not None:
            threads.append(self._publisher)
        if not all(thread.is_alive for thread in threads):
            raise Unavailable("a thread of dosong-probe ended unexpectedly; see the log above, and restart it")
        if all(mono_ms - thread.moved_ms <= STALLED_MS for thread in threads):
            watchdog.notify("WATCHDOG=1")

    def _begin_test(self, choice: schedule.Run, stamp: Stamp) -> None:
        station = self._stations[choice.modem]
        self._usage[choice.modem] = schedule.Usage(choice.slot_ms, stamp.mono_ms)
        order = replace(
            station.order,
            slot_ms=choice.slot_ms,
            slot_length_ms=None if choice.slot_ms is None else station.plan.slot_ms,
            due_ms=choice.due_ms,
        )
        self._running = order
        self._test = threading.Thread(target=self._run_test, args=(station, order), name="test", daemon=True)
        self._test.start()

    def _run_test(self, station: Station, slot: Order) -> None:
        """Run what is due in a slot: one test, or two engines one after the other; each leaves its record."""
        for order, bench in engines.runs(slot, station.plan, station.bench, station.compared):
            with self._lock:
                if self._running is None:  # the books are closed
                    return
                self._running = order
            record = self._one_test(station, order, bench)
            with self._lock:
                if self._running is None:
                    return
                self._keep_test(record, order)
        self._running = None

    def _one_test(self, station: Station, order: Order, bench: Bench) -> TestRecord:
        head = self._recorder.head()
        try:
            order, refusal = station.admit(order)
            if refusal is not None:
                return measure.not_run(order, head, "skipped", Stage.SCHEDULE, refusal)
            return measure.run(order, bench, head)
        except Exception:  # a fault of ours must not cost the slot its record
            log.exception("test of modem %s failed inside", order.modem)
            return measure.not_run(order, head, "failed", Stage.HOST, Cause.ENGINE_ERROR)

    def _keep_test(self, record: TestRecord, order: Order) -> None:
        marks = {} if order.slot_ms is None else {f"slot {order.modem}": str(order.slot_ms)}
        try:
            kept = self._recorder.keep(record, marks)
        except Refused as refusal:
            log.error("test record breaks the contract: %s", refusal)  # noqa: TRY400 (the sentence says it all)
            head = self._recorder.head()
            kept = self._recorder.keep(measure.not_run(order, head, "failed", Stage.HOST, Cause.ENGINE_ERROR), marks)
        except Unavailable as error:
            log.error("test record held in memory: %s", error)  # noqa: TRY400 (the sentence says it all)
            self._unsaved = [*self._unsaved[-HELD_RECORDS + 1 :], (record, order)]
            return
        log.info(describe(record), record.modem, kept.epoch, kept.seq, *figures(record))

    def _save_again(self) -> None:
        """Try to keep what the disk did not take; a disk that mends itself loses no record."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, []
            for record, order in unsaved:
                self._keep_test(record, order)

    def _end(self) -> None:
        """Close the books: a test under way is recorded as stopped, then a `stopping` event, then all is sent."""
        with self._lock:
            order, self._running = self._running, None
        try:
            if order is not None:
                record = measure.not_run(order, self._recorder.head(), "failed", Stage.HOST, Cause.STOPPED)
                self._keep_test(record, order)
            self._recorder.event("stopping", cause=Cause.STOPPED)
            now_ms = self._recorder.stamp().t_ms
            self._recorder.remember({"clean": "1"} | ({} if now_ms is None else {"alive_ms": str(now_ms)}))
        except Unavailable:
            log.exception("could not record the end")
        if self._publisher is not None:
            self._publisher.stop(STOP_S)
        for station in self._stations.values():
            station.owner.stop(STOP_S / 4)


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
