"""Ledger to InfluxDB: in order, at least once, nothing lost; the cursor moves on 204 only.

5xx and silence: the same batch again, for ever. 400: the batch is halved until the line that the server will never
take stands alone; that line is parked with its reason and the rest goes on. InfluxDB is a cache: `rebuild` fills an
empty one with equal counts. Losing it is said once, and once again when it is back.
Source: design §7, forward; facts note 04 §3, §4.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from collector.core import points
from collector.core.sample import Sample
from collector.failpoint import reached
from collector.forward_store import ForwardStore
from collector.health import ForwardState, StateFile, now_ms
from collector.ledger import LedgerReader
from collector.place_lines import probe_state_lines, site_lines
from collector.registry import Registry
from collector.settings import Settings
from wire.errors import Misconfigured, Refused, Unavailable

LOG = logging.getLogger("collector.forward")
POLL_S = 0.25
MAX_LINES = 5_000
MAX_RECORDS = 500
MAX_BACKOFF_S = 30.0
PROBE_STATE_EVERY_S = 60.0
DAY_MS = 86_400_000


class PointWriter(Protocol):
    """What forward needs of a time-series database."""

    def prepare(self) -> None:
        """Make the database usable. Raises Unavailable, Misconfigured."""

    def write(self, lines: list[str]) -> None:
        """Write lines; returning means they are taken. Raises Refused, Unavailable, Misconfigured."""


def write_all(writer: PointWriter, lines: list[str], park: Callable[[str, str], None]) -> int:
    """Write lines, 5,000 a request; halve what is refused down to the lines at fault and hand those to `park`.

    Returns how many were written. Raises Unavailable or Misconfigured; writing all of them again is then harmless.
    """
    written = 0
    waiting = [lines[at : at + MAX_LINES] for at in range(0, len(lines), MAX_LINES)][::-1]
    while waiting:
        batch = waiting.pop()
        try:
            writer.write(batch)
            written += len(batch)
        except Refused as error:
            if len(batch) == 1:
                park(batch[0], error.detail or error.reason)
            else:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
    return written


def lines_of(samples: Iterable[Sample]) -> list[str]:
    """All points of some samples."""
    return [line for sample in samples for line in points.lines(sample) if line]


class Forwarder:
    """The forwarding process, from start to stop."""

    def __init__(
        self,
        settings: Settings,
        reader: LedgerReader,
        registry: Registry,
        store: ForwardStore,
        writer: PointWriter,
        stop: threading.Event,
    ) -> None:
        self._reader = reader
        self._registry = registry
        self._store = store
        self._writer = writer
        self._stop = stop
        self._file = StateFile(settings.state, "forward")
        self._started_ms = now_ms()
        self._connected = False
        self._error: str | None = None
        self._lines = 0
        self._last_write_ms: int | None = None
        self._ledger_n = 0
        self._sites_at: tuple[int, int] | None = None
        self._probe_states_due_s = 0.0

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
            except (Unavailable, Misconfigured) as error:
                if isinstance(error, Misconfigured) and self._last_write_ms is None:
                    raise
                prepared = False
                attempt += 1
                self._lose(error)
                self._stop.wait(random.uniform(0.5, min(MAX_BACKOFF_S, 0.5 * 2 ** min(attempt, 8))))  # noqa: S311
        self._say(now=True)

    def _once(self) -> bool:
        """Write one batch of whatever is due; say whether there may be more at once."""
        self._places()
        self._ledger_n = self._reader.last_n()
        if self._store.position() > self._ledger_n or self._store.redo_position() > self._reader.last_redo():
            LOG.warning(
                "the ledger holds less than InfluxDB has taken: it was restored or made anew; everything is written"
                " again; run dosong-collector rebuild influx to drop points that it no longer holds"
            )
            self._store.start_over()
        changed = self._reader.redone(self._store.redo_position(), MAX_RECORDS)
        if changed:
            self._write(lines_of(sample for _, sample in changed))
            reached("forward.redo_written")
            self._store.move_redo({sample.part: n for n, sample in changed})
        position = self._store.position()
        fresh: list[Sample] = []
        if position < self._ledger_n:
            fresh = self._reader.samples(after_n=position, limit=MAX_RECORDS, newest_first=False)
            reached("forward.read")
            self._write(lines_of(fresh))
            reached("forward.written")
            self._store.move({sample.part: sample.n for sample in fresh})
            reached("forward.moved")
        return bool(changed or fresh)

    def _places(self) -> None:
        """Rewrite names and positions at start, when the registry changed, and daily; probe states every minute."""
        at_ms = now_ms()
        key = (self._registry.version(), at_ms // DAY_MS)
        if key != self._sites_at:
            self._write(list(site_lines(self._registry, at_ms // DAY_MS * DAY_MS)))
            self._sites_at = key
        if time.monotonic() >= self._probe_states_due_s:
            self._write(list(probe_state_lines(self._registry, self._reader, at_ms)))
            self._probe_states_due_s = time.monotonic() + PROBE_STATE_EVERY_S

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        self._lines += write_all(self._writer, lines, self._park)
        self._last_write_ms = now_ms()
        if not self._connected:
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
        position = self._store.position()
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
        )
        self._file.write(state, now=now)


def rebuild(
    reader: LedgerReader, registry: Registry, writer: PointWriter, park: Callable[[str, str], None], at_ms: int
) -> int:
    """Write every sample of the ledger, oldest first, and the places; return how many lines were written.

    Safe beside a running forward: both write the same lines, and what changes between our reading and our writing
    is written once more. Raises Unavailable: then run it again.
    """
    redone = reader.last_redo()
    written = write_all(writer, list(site_lines(registry, at_ms // DAY_MS * DAY_MS)), park)
    position = 0
    while samples := reader.samples(after_n=position, limit=MAX_RECORDS, newest_first=False):
        written += write_all(writer, lines_of(samples), park)
        position = samples[-1].n
    while changed := reader.redone(redone, MAX_RECORDS):
        written += write_all(writer, lines_of(sample for _, sample in changed), park)
        redone = changed[-1][0]
    return written


@dataclass(frozen=True, slots=True)
class CountRow:
    """How many points one probe must have in a measurement by the ledger, and how many it has."""

    measurement: str
    probe: str
    ledger: int
    influx: int


class PointCounter(Protocol):
    """What `reconcile_counts` needs of a time-series database."""

    def counts(self, measurement: str, field: str) -> dict[str, int]:
        """How many points with `field` each probe has in `measurement`."""


def reconcile_counts(reader: LedgerReader, counter: PointCounter) -> list[CountRow]:
    """Compare by probe: tests, coverage steps, and events with boots and gaps."""
    kinds = reader.kind_counts()
    events: Counter[str] = Counter()
    for (probe, kind), number in kinds.items():
        if kind in {"event", "boot", "gap"}:
            events[probe] += number
    tests = {probe: number for (probe, kind), number in kinds.items() if kind == "test"}
    expected = (("test", "seq", tests), ("coverage", "state", reader.step_counts()), ("probe_state", "event", events))
    rows: list[CountRow] = []
    for measurement, name, ledger in expected:
        held = counter.counts(measurement, name)
        rows += [
            CountRow(measurement, probe, ledger.get(probe, 0), held.get(probe, 0)) for probe in sorted({*ledger, *held})
        ]
    return rows
