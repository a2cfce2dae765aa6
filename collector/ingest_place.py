"""Where authentic records go in the ledger: at the head of their chain as a run, or each by what is held around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from collector.core import accept, run
from collector.core.accept import Arrival, Chain, Duplicate, Look, Mark, NoteGap, Settle, Standing, Store
from collector.core.row import Row, is_clock, is_test, prev_of
from collector.core.run import Run
from collector.failpoint import reached
from collector.ingest_judge import Bytes, Judge
from collector.ledger_port import Ledger, StoredRow
from collector.registry import Registry
from collector.registry_rows import ProbeEntry
from wire.codec import Opened
from wire.records import AnyRecord

Slots = set[tuple[str, int]]


class Placer:
    """Works inside one transaction of the ledger at a time."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self._ledger = ledger
        self._judge = Judge(ledger, registry)
        self.forks: list[tuple[str, str]] = []
        """Probes of which a second record of one number was kept, and where: proof of a copied card."""

    # --- runs -----------------------------------------------------------------------------------------------------

    def extend(self, entry: ProbeEntry, one: Run, received_ms: int) -> int | None:
        """Let a run go on at its chain's head; return how many of it were held, None if each must be asked."""
        epoch = one.records[0].epoch
        chain = self._ledger.chain(entry.id, epoch)
        places = run.overlap(chain, one)
        if places is None:
            return None
        held = self._ledger.leaves(entry.id, epoch, places) if places else {}
        found = run.extend(chain, one, held)
        if found is None:
            return None
        if found.held < len(one):
            first = self._keep(entry, one.part(found.held, len(one)), received_ms)
            reached("receive.stored")
            self._ledger.keep_chain(entry.id, found.chain)
            for at, gap in found.gaps:
                if at >= found.held:
                    self._ledger.note_gap(entry.id, gap, first + at - found.held)
                    if gap.epoch != epoch:
                        self._look(entry, Look(gap.epoch, gap.from_seq), found.chain)
        return found.held

    def _keep(self, entry: ProbeEntry, one: Run, received_ms: int) -> int:
        """Store records that go on at the head; return the first one's number, of consecutive ones.

        Behind a record that dates its boot the others are judged with what it says.
        """
        clocks = [at for at, record in enumerate(one.records) if is_clock(record)]
        undated = bool(clocks) and any(record.t_ms is None for record in one.records)
        first, start, boot = 0, 0, None
        for at in clocks:
            dates = undated or bool(self._ledger.undated(entry.id, one.records[at].boot))
            boot = self._set_clock(entry.id, one.records[at])
            if dates:
                n = self._keep_stretch(entry, one.part(start, at + 1), received_ms, boot)
                first, start, boot = first or n, at + 1, None
        if start < len(one):
            # Nothing held gets its time by the clocks of this last part.
            n = self._keep_stretch(entry, one.part(start, len(one)), received_ms, None)
            first = first or n
        return first

    def _keep_stretch(self, entry: ProbeEntry, one: Run, received_ms: int, dates_boot: str | None) -> int:
        """Store records of which none dates those before it; the last may date what is held of `dates_boot`."""
        rows = self._judge.rows(entry, one, received_ms, self._slots(entry.id, one.records))
        first = self._ledger.insert(rows)
        self._date(entry, dates_boot)
        return first

    def _slots(self, probe: str, records: Sequence[AnyRecord | None]) -> Slots:
        """Slots of these records that counted samples hold already."""
        slots = [one.slot_ms for one in records if is_test(one) and one.slot_ms is not None]
        return self._ledger.slots_taken(probe, min(slots), max(slots)) if slots else set()

    # --- one by one -----------------------------------------------------------------------------------------------

    def place(self, entry: ProbeEntry, opened: Opened, received_ms: int) -> bool:
        """Put one authentic record where it belongs; say whether it is new."""
        probe = entry.id
        epoch = opened.head.epoch if opened.head else self._ledger.last_epoch(probe) or 1
        before = self._ledger.chain(probe, epoch)
        chain, effects = accept.step(before, self._arrival(opened, probe, before))
        new = not isinstance(effects[0], Duplicate)
        n = 0
        for effect in effects:
            if isinstance(effect, Store):
                n = self._store(opened, entry, effect, before, received_ms)
            elif isinstance(effect, NoteGap):
                self._ledger.note_gap(probe, effect.gap, n)
            elif isinstance(effect, Look):
                chain = self._look(entry, effect, chain)
        if chain not in (before, Chain(epoch)):
            self._ledger.keep_chain(probe, chain)
        return new

    def doubt(self, entry: ProbeEntry, stored: StoredRow, fault: str) -> None:
        """A stored record turns out to have a fault: it stays and counts no more."""
        self._judge_again(entry, replace(stored, fault=fault))

    def suspect(self, entry: ProbeEntry, stored: StoredRow, *, is_suspect: bool) -> None:
        """Count a stored record again, with what its verdict says now."""
        self._judge_again(entry, replace(stored, suspect=is_suspect))

    def _arrival(self, opened: Opened, probe: str, chain: Chain) -> Arrival:
        """Fetch what the step needs to know about the record's place."""
        head = opened.head
        if head is None:
            return Arrival(opened, aside=self._ledger.is_aside(probe, opened.leaf))
        if head.seq >= chain.end_seq:
            return Arrival(opened)
        held = self._ledger.leaf_at(probe, head.epoch, head.seq)
        if held is not None:
            return Arrival(opened, held, aside=held != opened.leaf and self._ledger.is_aside(probe, opened.leaf))
        before = self._ledger.leaf_at(probe, head.epoch, head.seq - 1)
        return Arrival(opened, before=before, after=self._ledger.prev_at(probe, head.epoch, head.seq + 1))

    def _look(self, entry: ProbeEntry, look: Look, chain: Chain) -> Chain:
        """Move a chain's head as far as it goes; return `chain`, moved if the look was at its own epoch."""
        own = look.epoch == chain.epoch
        moving = chain if own else self._ledger.chain(entry.id, look.epoch)
        todo: list[Look] = [replace(look, seq=moving.next_seq)]
        while todo:
            asked = todo.pop()
            moving, effects = accept.step(moving, self._ledger.look(entry.id, asked.epoch, asked.seq))
            for effect in effects:
                if isinstance(effect, Look):
                    todo.append(effect)
                elif isinstance(effect, Mark):
                    self._mark(entry, moving.epoch, effect)
                elif isinstance(effect, Settle):
                    self._ledger.settle(entry.id, effect.leaf, moving.epoch, effect.seq)
        if not own:
            self._ledger.keep_chain(entry.id, moving)
        return moving if own else chain

    def _mark(self, entry: ProbeEntry, epoch: int, mark: Mark) -> None:
        stored = self._ledger.at(entry.id, epoch, mark.seq)
        if stored is not None:
            self.doubt(entry, stored, mark.fault)

    def _store(self, opened: Opened, entry: ProbeEntry, store: Store, chain: Chain, received_ms: int) -> int:
        dates_boot = self._set_clock(entry.id, opened.record)
        own = replace(Bytes.of(opened, received_ms), prev=prev_of(opened, accept.loose_prev(opened.raw)))
        forked = chain.fork_seq is not None
        taken = self._slots(entry.id, [opened.record])
        row = self._judge.row(entry, opened.record, own, store.standing, store.fault, forked=forked, taken=taken)
        n = self._ledger.insert([row])
        if store.standing is Standing.FORK and opened.head is not None:
            self.forks.append((entry.id, f"epoch {opened.head.epoch}: two records with the same number"))
        reached("receive.stored")
        self._date(entry, dates_boot)
        return n

    # --- clocks ---------------------------------------------------------------------------------------------------

    def _set_clock(self, probe: str, record: AnyRecord | None) -> str | None:
        """Take the word of a `clock_set` event; return the boot that it dates, None if it dates nothing new."""
        if not is_clock(record):
            return None
        if record.set_mono_ms is None or record.set_t_ms is None:
            return None
        first = self._ledger.set_clock(probe, record.boot, record.set_mono_ms, record.set_t_ms)
        return record.boot if first else None

    def _date(self, entry: ProbeEntry, boot: str | None) -> None:
        """Judge the undated records of a boot again, once its clock is known."""
        for stored in self._ledger.undated(entry.id, boot) if boot is not None else ():
            self._judge_again(entry, stored)

    def _judge_again(self, entry: ProbeEntry, stored: StoredRow) -> None:
        self._ledger.judge_again(stored, self.again(entry, stored))

    def again(self, entry: ProbeEntry, stored: StoredRow) -> Row:
        """The row that a stored record would get now."""
        record = stored.record
        slot = (record.modem, record.slot_ms) if is_test(record) and record.slot_ms is not None else None
        taken = {slot} if slot and self._ledger.slot_taken(entry.id, *slot, stored.n) else set()
        own = Bytes(received_ms=stored.received_ms)
        known = (entry, record, own, stored.standing, stored.fault)
        return self._judge.row(*known, forked=stored.forked, taken=taken, suspect=stored.suspect)
