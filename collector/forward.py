"""Ledger to InfluxDB: in order, at least once, nothing lost; the cursor moves on 204 only.

5xx and silence: the same batch again, for ever. 400: the batch is halved until the line that the server will never
take stands alone; that line is parked with its reason and the rest goes on. While one batch is on its way the next is
made ready. InfluxDB is a cache: `rebuild` fills an empty one with equal counts, and `reconcile` compares them at night
and after every outage. Losing it is said once, and once again when it is back.
Source: design §7, forward; facts note 04 §3, §4.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from collector.board_lines import BoardLines
from collector.core import points
from collector.core.rollup import DayKey
from collector.core.sample import Sample
from collector.failpoint import reached
from collector.forward_memory import Memory
from collector.forward_rollups import ALL_HOURS, ANEW, RollupPoints, touched_by
from collector.forward_send import IN_FLIGHT, MAX_LINES, Senders, Sent, Target, written_by
from collector.health import ForwardState, StateFile, now_ms, read_health
from collector.ledger import LedgerReader
from collector.ledger_port import Fenced
from collector.nightly import Nightly
from collector.place_lines import site_lines
from collector.probe_watch import ProbeWatch, Watched, left_lines, state_lines
from collector.reconcile import WINDOW_MS
from collector.registry import Registry
from collector.rollups import Rollups
from collector.settings import Settings
from collector.unit_lines import UnitLines
from wire.errors import Misconfigured, Refused, Unavailable

LOG = logging.getLogger("collector.forward")
POLL_S = 0.25
MAX_RECORDS = 500
PAGE_RECORDS = 250
FRESH_S = 1.0
"""So long new records are written before anything else is looked at."""
ROLLUPS_EVERY_S = 5.0
ROLLUPS_BUSY_S = 60.0
MAX_BACKOFF_S = 30.0
BOARDS_EVERY_S = 60.0
PROBE_STATE_EVERY_S = 30.0
DAY_MS = 86_400_000
SITE_DAYS = 32
"""Boards look so far back for hamlets of the register (`collector.catalogue.parts.REGISTER_WINDOW`)."""


def lines_of(samples: Iterable[Sample]) -> list[str]:
    """All points of some samples."""
    return [line for sample in samples for line in points.lines(sample) if line]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order behind the cursor, ready to be written."""

    lines: list[str]
    taken: dict[int, int]
    touched: dict[DayKey, int]
    last_n: int


class Forwarder:
    """The forwarding process, from start to stop."""

    def __init__(
        self,
        settings: Settings,
        reader: LedgerReader,
        registry: Registry,
        store: Memory,
        writer: Target,
        stop: threading.Event,
    ) -> None:
        self._reader = reader
        self._registry = registry
        self._store = store
        self._writer = writer
        self._stop = stop
        self._file = StateFile(settings.state, "forward")
        self._watch = ProbeWatch(reader, registry, lambda: read_health(settings.state, now_ms()))
        self._rollup_points = RollupPoints(Rollups(reader), store, writer, self._write)
        self._watched: list[Watched] = []
        units = UnitLines(reader, registry, store, self._forget)
        self._boards = BoardLines(settings.state, reader, registry, units, lambda: self._watched)
        self._nightly = Nightly(reader, store, writer, self.again)
        self._senders = Senders(writer)
        self._ready: Batch | None = None
        self._started_ms = now_ms()
        self._connected = False
        self._error: str | None = None
        self._lines = 0
        self._last_write_ms: int | None = None
        self._ledger_n = 0
        self._sites_at: tuple[int, int] | None = None
        self._boards_due_s = 0.0
        self._probe_states_due_s = 0.0
        self._rollups_due_s = 0.0

    def run(self) -> None:
        """Forward until stopped. Raises Misconfigured if InfluxDB refuses us before it ever took anything."""
        attempt = 0
        prepared = False
        while not self._stop.is_set():
            try:
                if not prepared:
                    self._writer.prepare()
                    prepared = True
                busy = self._once()
                attempt = 0
                self._say()
                if not busy:
                    self._stop.wait(POLL_S)
            except Fenced as error:
                LOG.info("%s", error)
                self._ready = None
                self._stop.wait(POLL_S)
            except (Unavailable, Misconfigured) as error:
                if isinstance(error, Misconfigured) and self._last_write_ms is None:
                    raise
                prepared = False
                attempt += 1
                self._ready = None
                self._lose(error)
                self._stop.wait(random.uniform(0.5, min(MAX_BACKOFF_S, 0.5 * 2 ** min(attempt, 8))))  # noqa: S311
        self._senders.close()
        self._say(now=True)

    def _once(self) -> bool:
        """Write one batch of whatever is due; say whether there may be more at once."""
        if self._store.turn():
            self._ready = None
        if self._store.leads:
            self._places()
        self._ledger_n, redo = self._reader.last_n(), self._reader.last_redo()
        if self._store.parts is not None and not self._store.parts:
            return False
        if self._store.position() > self._ledger_n or self._store.redo_position() > redo:
            LOG.warning(
                "the ledger holds less than InfluxDB has taken: it was restored or made anew; everything is written"
                " again; run dosong-collector rebuild influx to drop points that it no longer holds"
            )
            self._start_over()
        busy = self._changed()
        busy = self._fresh() or busy
        if not busy or time.monotonic() >= self._rollups_due_s:
            self._rollups(busy=busy)
        if not busy:
            self._store.seen(self._ledger_n, redo)
        if not busy and self._store.leads and self._nightly.once(now_ms()):
            self._start_over()
            return True
        return busy

    def _start_over(self) -> None:
        self._ready = None
        self._store.start_over()

    def _changed(self) -> bool:
        """Write records again that changed after they were stored; say whether there were any."""
        after = self._store.redo_position()
        changed = self._reader.redone(after, MAX_RECORDS, self._store.parts)
        if not changed:
            return False
        before = self._reader.places_before(after, changed[-1][0])
        self._write(lines_of(self._unmoved(changed, before)))
        reached("forward.redo_written")
        touched = {k: h | ANEW for k, h in touched_by((sample, before.get(n)) for n, sample in changed).items()}
        self._store.move_redo({sample.part: n for n, sample in changed}, touched)
        return True

    def _unmoved(self, changed: Sequence[tuple[int, Sample]], before: Mapping[int, str]) -> list[Sample]:
        """The records to write: of a probe that stood elsewhere all of the span, whose points are deleted first."""
        spans: dict[str, tuple[int, int]] = {}
        for n, sample in changed:
            if n in before and sample.t_ms is not None:
                since, until = spans.get(sample.probe, (sample.t_ms, sample.t_ms))
                spans[sample.probe] = (min(since, sample.t_ms), max(until, sample.t_ms))
        again = [sample for _, sample in changed if sample.probe not in spans]
        for probe, (since, until) in spans.items():
            for measurement in ("test", "coverage", "probe_state"):
                self._forget(measurement, "probe", probe, since, until + WINDOW_MS)
            again += self._reader.samples(
                probe=probe, since_ms=since - WINDOW_MS, until_ms=until + WINDOW_MS, limit=2**53
            )
        return again

    def _forget(self, measurement: str, tag: str, code: str, since_ms: int, until_ms: int) -> None:
        try:
            self._writer.forget(measurement, tag, code, since_ms, until_ms)
        except Refused as error:
            self._park(f"delete {measurement} of {tag} {code} from {since_ms} to {until_ms}", str(error))

    def _fresh(self) -> bool:
        """Write batches behind the cursor, for a moment, `IN_FLIGHT` at once; say whether any was there.

        The next one is on its way before the cursor moves over the last, so that the server never waits for our disk,
        nor for the line between us. The cursor moves over each in order, and only once all before it are taken.
        """
        batch = self._ready or self._read(self._store.position())
        self._ready = None
        if batch is None:
            return False
        until_s = time.monotonic() + FRESH_S
        sent = deque([(batch, self._begin(batch))])
        last: Batch | None = batch
        ready: Batch | None = None
        try:
            while sent:
                if last is not None and ready is None:
                    ready = self._read(last.last_n)
                    last = ready
                is_over = time.monotonic() >= until_s or self._stop.is_set()
                if ready is not None and len(sent) < IN_FLIGHT and not is_over:
                    sent.append((ready, self._begin(ready)))
                    ready = None
                    continue
                done, future = sent.popleft()
                self._move(done, future.result())
                self._say()
                last = None if is_over else last
        finally:
            wait([future for _, future in sent])
        self._ready = ready
        return True

    def _begin(self, batch: Batch) -> Future[Sent]:
        reached("forward.read")
        return self._senders.begin(batch.lines)

    def _move(self, batch: Batch, written: Sent) -> None:
        """Move the cursor over a batch that the server has taken."""
        self._sent(*written)
        reached("forward.written")
        self._store.move(batch.taken, batch.touched)
        reached("forward.moved")

    def _read(self, position: int) -> Batch | None:
        """Records behind `position`, as many as make one request; None if there are none."""
        lines: list[str] = []
        taken: dict[int, int] = {}
        touched: dict[DayKey, int] = {}
        last_n = position
        while len(lines) < MAX_LINES:
            samples = self._reader.samples(
                after_n=last_n, parts=self._store.parts, limit=PAGE_RECORDS, newest_first=False
            )
            if not samples:
                break
            lines += lines_of(one for one in samples if not self._store.is_taken(one.part, one.n))
            taken.update({sample.part: sample.n for sample in samples})
            for key, hours in touched_by((sample, None) for sample in samples).items():
                touched[key] = touched.get(key, 0) | hours
            last_n = samples[-1].n
        return Batch(lines, taken, touched, last_n) if taken else None

    def _rollups(self, *, busy: bool) -> None:
        """Write rollup points that are due, all of them unless there is other work."""
        while self._rollup_points.once() and not busy and not self._stop.is_set():
            self._say()
        self._rollups_due_s = time.monotonic() + (ROLLUPS_BUSY_S if busy else ROLLUPS_EVERY_S)

    def again(self, samples: Iterable[Sample], keys: Iterable[DayKey]) -> None:
        """Write the points of some records again, and have the rollup points of some days written."""
        self._write(lines_of(samples))
        self._store.move({}, dict.fromkeys(keys, ALL_HOURS))

    def _places(self) -> None:
        """Rewrite names and positions at start, when the registry changed, and daily; the rest at its own pace."""
        at_ms = now_ms()
        key = (self._registry.version(), at_ms // DAY_MS)
        if key != self._sites_at:
            self._write(list(site_lines(self._registry, at_ms // DAY_MS * DAY_MS)))
            self._left(at_ms)
            self._sites_at = key
        if time.monotonic() >= self._probe_states_due_s:
            self._watched = self._watch.now(at_ms)
            self._write(list(state_lines(self._watched, at_ms)))
            self._probe_states_due_s = time.monotonic() + PROBE_STATE_EVERY_S
        if time.monotonic() >= self._boards_due_s:
            self._boards_due_s = time.monotonic() + BOARDS_EVERY_S
            for lines in self._boards.lines(at_ms):
                self._write(lines)

    def _left(self, at_ms: int) -> None:
        """End the series of places that probes left, and forget hamlets that have no site any more."""
        self._write(list(left_lines(self._registry, at_ms)))
        for hamlet in self._registry.hamlets_left():
            self._forget("site", "hamlet", hamlet, at_ms - SITE_DAYS * DAY_MS, at_ms + DAY_MS)

    def _write(self, lines: list[str]) -> None:
        if lines:
            self._sent(*written_by(self._writer, lines))

    def _sent(self, written: int, parked: list[tuple[str, str]]) -> None:
        for line, reason in parked:
            self._park(line, reason)
        self._lines += written
        self._last_write_ms = now_ms()
        if not self._connected:
            self._nightly.due()
            self._connected, self._error = True, None
            self._say(now=True)
            LOG.info("InfluxDB takes points")

    def _park(self, line: str, reason: str) -> None:
        self._store.park(line, reason, now_ms())
        LOG.warning("parked one line that InfluxDB will never take: %s", reason)

    def _lose(self, error: Unavailable | Misconfigured) -> None:
        """Say a loss once, and what a person must put right whenever that is something new."""
        sentence = str(error)
        new = self._error is None or (isinstance(error, Misconfigured) and sentence != self._error)
        self._connected, self._error = False, sentence
        # The health page first: who reads the log line and looks there finds the same thing.
        self._say(now=True)
        if new:
            LOG.warning("%s; trying again for ever", sentence)

    def _say(self, *, now: bool = False) -> None:
        position = min(self._store.position(), self._ledger_n)
        state = ForwardState(
            pid=os.getpid(),
            at_ms=now_ms(),
            started_ms=self._started_ms,
            influx_connected=self._connected,
            influx_error=self._error,
            cursor_n=position,
            ledger_n=self._ledger_n,
            lag=max(0, self._ledger_n - position),
            lines=self._lines,
            parked=self._store.parked(),
            last_write_ms=self._last_write_ms,
            unequal=self._nightly.unequal,
        )
        self._file.write(state, now=now)
