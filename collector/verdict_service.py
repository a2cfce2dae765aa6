"""`dosong-collector judge`: derives the verdict on every record, and tells `receive` which are not to be counted.

It reads the ledger and writes `verdict.db` alone. A probe's month is judged as a whole, again whenever something in it
changed: a new record, a record that was dated, a neighbour's word. What came of it enters the counting by the local
door of `receive`, so that every figure everywhere goes on coming from the ledger.
Source: decision 0027; facts note 08 §3.3, §3.5.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from collector.core.sample import Sample
from collector.core.verdict import digest
from collector.core.verdict_case import Network, Seen
from collector.core.verdict_judge import empty_slots, judge
from collector.core.verdict_rules import RULES
from collector.core.witness import DIRECTIONS, Witness, is_worth_showing
from collector.core.witness import judge as compare
from collector.health import JudgeState, StateFile, now_ms
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.seal_store import SealReader
from collector.verdict_store import NO_TIME, Due, VerdictStore
from collector.verdict_traces import Whose, around, keep
from wire.codec import leaf_text
from wire.errors import Unavailable
from wire.records import AnyRecord, TestRecord
from wire.slots import month_bounds, month_of

LOG = logging.getLogger("collector.judge")
BATCH = 1_000
WEEK_MS = 7 * 86_400_000
BEAT_S = 2.0
SETTLE_MS = 5_000
"""A month waits so long before it is judged: records come in groups."""
MARKS = 200
MOST_BEACONS = 100_000
"""Checkpoints whose moment is remembered: two months of one a minute, 20 MB."""
MOST_STRANGE = 100
"""Roots that we never signed and that are told of a probe, a run of the judge: who invents them must not fill the log,
nor hide what another probe saw."""
AGAIN = "verdict.again"
"""A file of this name in the state folder asks for every verdict to be derived again."""

Marks = Callable[[Sequence[tuple[int, bool]]], int]


class Judge:
    """Derives verdicts. `mark` hands what is suspect, and what no longer is, to whoever counts. Not thread-safe."""

    def __init__(
        self,
        reader: LedgerReader,
        registry: Registry,
        store: VerdictStore,
        network: Network,
        mark: Marks,
        seals: SealReader | None = None,
    ) -> None:
        self._reader, self._registry, self._store = reader, registry, store
        self._network, self._mark, self._seals = network, mark, seals
        self._beacons: dict[tuple[int, str], int] = {}
        self._strange: dict[str, set[tuple[int, str]]] = {}

    def take(self, at_ms: int) -> int:
        """Note what the ledger got, or changed, since the last look; return how many records. Raises Unavailable."""
        self._check_rules()
        position, redo = int(self._store.value("n") or 0), int(self._store.value("redo") or 0)
        last_redo = self._reader.last_redo()
        if position > self._reader.last_n() or redo > last_redo:
            LOG.warning("the ledger holds less than was judged: it was restored; every verdict is derived again")
            self._store.clear()
            return self.take(at_ms)
        if not position:
            redo = last_redo
        fresh = self._reader.samples(after_n=position, limit=BATCH, newest_first=False)
        changed = self._reader.redone(redo, BATCH)
        rows = [_row(sample) for sample in (*fresh, *(sample for _, sample in changed))]
        cursors = {"n": max([position, *(s.n for s in fresh)]), "redo": max([redo, *(n for n, _ in changed)])}
        if rows:
            self._store.take(rows, cursors, at_ms)
        return len(rows)

    def _check_rules(self) -> None:
        """Other rules, or other settings, give other verdicts: all of them are derived again."""
        settings = {"prefixes": dict(self._network.prefixes), "lte_category": self._network.lte_category}
        wanted = digest(RULES, settings)
        held = self._store.value("rules")
        if held not in (None, wanted):
            LOG.warning("rules changed: every verdict is derived again")
            self._store.clear()
        if held != wanted:
            with self._store.transaction() as db:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('rules', ?)", (wanted,))

    def once(self, at_ms: int, settle_ms: int = 0) -> bool:
        """Judge the month that waits longest; False if none does. Raises Unavailable."""
        due = self._store.next_due(at_ms - settle_ms)
        if due is None:
            return False
        self._judge(due, at_ms)
        return True

    def all(self, at_ms: int) -> int:
        """Take and judge until nothing is left; return how many months were judged. Raises Unavailable."""
        done = 0
        while self.take(at_ms) or self.once(at_ms):
            done += 1
        return done

    def _judge(self, due: Due, at_ms: int) -> None:
        begin_ms, end_ms = (0, 0) if due.month == NO_TIME else month_bounds(due.month)
        numbers = self._store.numbers(due.probe, due.month, begin_ms - WEEK_MS, end_ms)
        samples = self._reader.many(numbers)
        records = sorted((self._seen(s) for s in samples), key=_chain_order)
        whose = Whose(due.probe, due.month, next((s.place for s in reversed(records) if s.place), None))
        month = judge(records, around(self._store, whose, records), self._network, begin_ms)
        empty = [] if due.month == NO_TIME else empty_slots([s for s in records if _begins(s, begin_ms)], end_ms)
        self._tell([(s.n, month.judged[s.n].is_suspect, s) for s in samples if s.n in month.judged])
        with self._store.transaction() as db:
            VerdictStore.keep(db, month.judged)
            if due.month != NO_TIME:
                keep(db, whose, month.trace, at_ms)
            db.execute("DELETE FROM empty_slot WHERE probe = ? AND month = ?", (due.probe, due.month))
            rows = [(due.probe, due.month, e.modem, e.slot_ms, e.length_ms, e.why) for e in empty]
            db.executemany("INSERT OR REPLACE INTO empty_slot VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.execute("DELETE FROM due WHERE probe = ? AND month = ? AND since_ms = ?", (*_key(due), due.since_ms))

    def _tell(self, rows: Sequence[tuple[int, bool, Sample]]) -> None:
        """Have what changed counted again, and behind a sample that fell out its slot's other tests."""
        marks: dict[int, bool] = {}
        freed: set[tuple[str, int | None]] = set()
        for n, suspect, sample in rows:
            if isinstance(sample.record, TestRecord) and ("suspect" in sample.not_counted) != suspect:
                marks[n] = suspect
                freed.add((sample.record.modem, sample.record.slot_ms))
        for n, suspect, sample in rows:
            record = sample.record
            is_extra = isinstance(record, TestRecord) and "same_slot" in sample.not_counted
            if isinstance(record, TestRecord) and is_extra and (record.modem, record.slot_ms) in freed:
                marks[n] = suspect
        wanted = sorted(marks.items())
        for at in range(0, len(wanted), MARKS):
            self._mark(wanted[at : at + MARKS])

    def _seen(self, sample: Sample) -> Seen:
        record = sample.record
        witnesses: tuple[Witness, ...] = ()
        if isinstance(record, TestRecord) and is_worth_showing(record):
            named = self._reader.receipts(sample)
            witnesses = tuple(compare(record, way, named.get(way)) for way in DIRECTIONS)
        return Seen(
            n=sample.n,
            received_ms=sample.received_ms,
            t_ms=sample.t_ms,
            record=record,
            reasons=sample.not_counted,
            fault=sample.fault,
            in_chain=sample.in_chain,
            place=self._registry.place(sample.probe, sample.t_ms),
            witnesses=witnesses,
            beacon_ms=self._beacon_ms(sample),
        )

    def _beacon_ms(self, sample: Sample) -> int | None:
        """When the checkpoint that a record names was signed; None if it names none, or none that we signed.

        Only what was found is remembered: one that is not in our log may still come (a log that is put back, a reader
        that is behind), and who names thousands that never were must not fill our memory.
        """
        record = sample.record
        if self._seals is None or record is None or not record.beacon_size or record.beacon_root is None:
            return None
        if not self._seals.path.exists():  # this collector has no log, or none yet
            return None
        key = (record.beacon_size, record.beacon_root)
        if key not in self._beacons:
            signed = [self._seals.checkpoint(shard.n, key[0]) for shard in self._seals.shards()]
            found = [one.signed_ms for one in signed if one is not None and leaf_text(one.root) == key[1]]
            if not found:
                if any(signed) and not _may_be_lost(self._seals, record.beacon_size, sample.t_ms):
                    self._tell_other_root(record)
                return None
            if len(self._beacons) >= MOST_BEACONS:
                self._beacons.clear()
            self._beacons[key] = min(found)
        return self._beacons[key]

    def _tell_other_root(self, record: AnyRecord) -> None:
        """A root that we never signed, for a size that we did: the probe lies, or was shown another log. Once each."""
        key = (record.beacon_size or 0, record.beacon_root or "")
        told = self._strange.setdefault(record.probe, set())
        if len(told) >= MOST_STRANGE or any(key in one for one in self._strange.values()):
            return
        told.add(key)
        LOG.error(
            "log=other_root probe=%s epoch=%d seq=%d size=%d root=%s: another was signed; see docs/operations.md",
            *(record.probe, record.epoch, record.seq, *key),
        )


def _may_be_lost(seals: SealReader, size: int, t_ms: int | None) -> bool:
    """Whether a log that was cut off by a restore may have signed it, behind what the backup held.

    Who heard that names it until the next is heard: within a week of the new log's first checkpoint, or later if it
    is out of reach for longer, which is told as any other.
    """
    for before, after in pairwise(seals.shards()):
        if before.gen != after.gen:
            last, first = seals.last_checkpoint(before.n), seals.first_checkpoint(after.n)
            is_soon = t_ms is None or first is None or t_ms < first.signed_ms + WEEK_MS
            if is_soon and size > (last.size if last else 0):
                return True
    return False


def _row(sample: Sample) -> tuple[int, str, str, int | None]:
    month = NO_TIME if sample.t_ms is None else month_of(sample.t_ms)
    return sample.n, sample.probe, month, sample.t_ms


def _chain_order(seen: Seen) -> tuple[int, int, int]:
    record = seen.record
    return (record.epoch, record.seq, seen.n) if record is not None else (0, 0, seen.n)


def _begins(seen: Seen, begin_ms: int) -> bool:
    return seen.t_ms is not None and seen.t_ms >= begin_ms


def _key(due: Due) -> tuple[str, str]:
    return due.probe, due.month


def serve(judge_: Judge, store: VerdictStore, state: Path, stop: threading.Event) -> None:
    """Judge until stopped, at most half of the time, so that whoever needs the processor more has it."""
    os.nice(5)
    said: str | None = None
    file, started_ms = StateFile(state, "judge"), now_ms()
    while not stop.is_set():
        began_s = time.monotonic()
        try:
            if (state / AGAIN).exists():
                store.clear()
                (state / AGAIN).unlink(missing_ok=True)
            busy = judge_.take(now_ms()) >= BATCH
            busy = judge_.once(now_ms(), SETTLE_MS) or busy
            if said is not None:
                LOG.warning("judge=goes_on")
            said = None
        except Unavailable as error:
            if str(error) != said:
                LOG.warning("judge=waits %s", error)
            said, busy = str(error), False
        file.write(JudgeState(os.getpid(), now_ms(), started_ms, store.due_count(), said))
        stop.wait(max(0.05, time.monotonic() - began_s) if busy else BEAT_S)
