"""The probe's spool over a simulated disk: what `probe.spool.Spool` does, in tables instead of SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest

from collector.core.accept import GapRange, leaf_bytes
from probe.core import holes
from tests.years.disk import Change, Disk, Full
from tests.years.terms import DAY_MS, Mutants, Rec, made
from wire.codec import leaf_text

WAITING, ACKED, DROPPED, DISPUTED = "waiting", "acked", "dropped", "disputed"
Row = tuple[Rec, str, int]
"""(record, place, moment of the ACK)."""
Key = tuple[int, int]


class Spool:
    """Records that wait, in the order of their places; marks beside them. `limit`: so many records fit."""

    def __init__(self, disk: Disk, epoch_file: Disk, limit: int, mutants: Mutants) -> None:
        self._disk, self._epoch_file, self.limit, self._mutants = disk, epoch_file, limit, mutants
        self._rows: dict[Key, Row] = disk.tables["record"]
        self._marks: dict[str, object] = disk.tables["mark"]
        self._waiting = {key for key, row in self._rows.items() if row[1] == WAITING}
        self.version = 0
        self.declared: list[Rec] = []
        if "epoch" not in self._marks:
            self._write_epoch(int(self._epoch_file.tables["epoch"].get("epoch", 0)) + 1)
            first = int(self._epoch_file.tables["epoch"]["epoch"])
            self._commit([("mark", "epoch", first), ("mark", "next_seq", 0), ("mark", "prev", "")])

    def _write_epoch(self, epoch: int) -> None:
        self._epoch_file.commit([("epoch", "epoch", epoch)])

    def _commit(self, changes: list[Change]) -> None:
        self._disk.commit(changes, flush="no_fsync" not in self._mutants)
        self.version += 1

    def place(self) -> tuple[int, int, str]:
        """Where the next record will stand: epoch, seq, prev."""
        return int(str(self._marks["epoch"])), int(str(self._marks["next_seq"])), str(self._marks["prev"])

    def mark(self, name: str) -> object | None:
        """A mark, None if it was never set."""
        return self._marks.get(name)

    def _next(self, rec: Rec) -> list[Change]:
        return [
            ("record", rec.key, (rec, WAITING, 0)),
            *[("mark", "epoch", rec.epoch), ("mark", "next_seq", rec.seq + 1)],
            ("mark", "prev", leaf_text(rec.leaf)),
        ]

    def append(self, kind: str, slot_ms: int | None = None, marks: Mapping[str, object] | None = None) -> Rec:
        """Commit a record in its place. Raises Full."""
        rec = made(*self.place(), kind, slot_ms)
        self._commit([*self._next(rec), *(("mark", *item) for item in (marks or {}).items())])
        self._waiting.add(rec.key)
        return rec

    def begin_epoch(self, epoch: int) -> Rec:
        """Go on in another epoch; what still waits is disputed."""
        self._write_epoch(epoch)
        rec = made(epoch, 0, "", "boot")
        moved: list[Change] = [
            ("record", key, (self._rows[key][0], DISPUTED, 0)) for key in self._waiting if key[0] < epoch
        ]
        self._commit([*moved, *self._next(rec)])
        self._waiting = {rec.key}
        return rec

    def waiting(self, limit: int) -> list[Rec]:
        """The oldest that wait, gaps first."""
        recs = [self._rows[key][0] for key in self._waiting]
        return nsmallest(limit, recs, key=lambda rec: (rec.kind != "gap", rec.key))

    def disputed(self, after: Key, limit: int) -> list[Rec]:
        """What the ledger knows otherwise, behind `after`."""
        return nsmallest(limit, (r for r, place, _ in self._rows.values() if place == DISPUTED and r.key > after),
                         key=lambda rec: rec.key)  # fmt: skip

    def leaf(self, epoch: int, seq: int | None) -> str | None:
        """The leaf of our own record there, None if we hold none."""
        row = None if seq is None else self._rows.get((epoch, seq))
        return None if row is None else leaf_text(row[0].leaf)

    def release(self, epoch: int, upto: int, life_ms: int) -> list[Rec]:
        """The ledger holds these: end their wait."""
        done = [key for key in self._held(epoch, upto) if self._rows[key][1] in (WAITING, DISPUTED)]
        gone = [key for key in self._held(epoch, upto - 1) if self._rows[key][1] == DROPPED]
        recs = [self._rows[key][0] for key in done]
        changes: list[Change] = [("record", rec.key, (rec, ACKED, life_ms)) for rec in recs]
        self._commit([*changes, *(("record", key, None) for key in gone), ("mark", "acked", (epoch, upto))])
        self._waiting -= set(done)
        return recs

    def _held(self, epoch: int, upto: int) -> list[Key]:
        return [key for key in self._rows if key[0] == epoch and key[1] <= upto]

    def reinstate(self, epoch: int, upto: int | None, gen: int) -> None:
        """The ledger was restored: what it may lack waits again."""
        kept = -1 if upto is None else upto
        if "hole_not_declared" not in self._mutants:
            self._declare(epoch, upto)
        rows = [
            row for row in self._rows.values() if row[1] == ACKED and not (row[0].epoch == epoch and row[0].seq <= kept)
        ]
        self._commit([*(("record", row[0].key, (row[0], WAITING, 0)) for row in rows), ("mark", "gen", gen)])
        self._waiting |= {row[0].key for row in rows}

    def dispute(self, epoch: int) -> None:
        """The ledger knows the end of this epoch otherwise."""
        keys = [key for key in self._waiting if key[0] == epoch]
        self._commit([("record", key, (self._rows[key][0], DISPUTED, 0)) for key in keys])
        self._waiting -= set(keys)

    def _declare(self, epoch: int, upto: int | None) -> None:
        """What neither the ledger nor we hold any more is declared, as `probe.spool_holes` does."""
        gaps = {(rec.gap.epoch, rec.gap.from_seq): rec.gap for rec, _, _ in self._rows.values() if rec.gap is not None}
        runs = [(*key, key[1]) for key, row in self._rows.items() if row[1] != DROPPED]
        runs += [(gap.epoch, gap.from_seq, gap.to_seq) for gap in gaps.values()]
        end, next_seq, prev = self.place()
        for one, first, last in holes.holes(runs, epoch, upto, (end, next_seq)):
            row = self._rows.get((one, last + 1))
            if (one, last + 1) == (end, next_seq):
                told = GapRange(one, first, last, leaf_bytes(prev))
            elif row is not None and row[1] != DROPPED:
                told = GapRange(one, first, last, leaf_bytes(row[0].prev))
            else:
                behind = gaps[(one, last + 1)]
                told = GapRange(one, first, behind.to_seq, behind.last_leaf)
            rec = made(*self.place(), "gap", gap=told)
            self._commit(self._next(rec))
            self._waiting.add(rec.key)
            self.declared.append(rec)

    def purge(self, life_ms: int, keep_days: int) -> None:
        """Forget what was acknowledged long ago."""
        limit = life_ms - keep_days * DAY_MS
        old = [key for key, row in self._rows.items() if row[1] == ACKED and row[2] < limit]
        self._commit([*(("record", key, None) for key in old), ("mark", "life_ms", life_ms)])

    def make_room(self) -> tuple[list[Rec], Rec | None]:
        """Acknowledged and disputed records go first, then the oldest that wait, which a gap declares. What went."""
        if len(self._rows) < self.limit:
            return [], None
        spare = [key for key, row in sorted(self._rows.items()) if row[1] == ACKED][: self.limit // 10]
        if len(spare) < self.limit // 10:
            spare += [key for key, row in sorted(self._rows.items()) if row[1] == DISPUTED][: self.limit // 10]
        gone = [self._rows[key][0] for key in spare]
        self._commit([("record", key, None) for key in spare])
        return (gone, None) if len(self._rows) < self.limit else self._drop_waiting(gone)

    def _drop_waiting(self, gone: list[Rec]) -> tuple[list[Rec], Rec | None]:
        run: list[Rec] = []
        for rec in sorted((self._rows[key][0] for key in self._waiting), key=lambda rec: rec.key):
            if (
                rec.kind == "gap"
                or len(run) >= self.limit // 10
                or (run and rec.key != (run[-1].epoch, run[-1].seq + 1))
            ):
                if run or rec.kind != "gap":
                    break
                continue
            run.append(rec)
        if not run:
            raise Full
        last = run[-1]
        gap = made(*self.place(), "gap", gap=GapRange(last.epoch, run[0].seq, last.seq, last.leaf))
        changes: list[Change] = [("record", rec.key, None) for rec in run[:-1]]
        declared = [] if "gap_not_declared" in self._mutants else self._next(gap)
        self._commit([*changes, ("record", last.key, (last, DROPPED, 0)), *declared])
        self._waiting -= {rec.key for rec in run}
        if declared:
            self._waiting.add(gap.key)
        return [*gone, *run], gap if declared else None

    def forget(self, recs: list[Rec]) -> None:
        """Delete without an ACK: what a probe that trusts the broker would do (a mutant)."""
        self._commit([("record", rec.key, None) for rec in recs])
        self._waiting -= {rec.key for rec in recs}
