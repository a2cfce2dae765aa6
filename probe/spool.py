"""The probe's durable queue: every record is on disk before anything may send it, and stays until the ledger has it.

SQLite, WAL, synchronous=FULL: a commit is on disk when it returns (NORMAL lost acknowledged rows in 14 of 35 power
cuts). Only `release`, called for a signed ACK, ends the wait of a record; a PUBACK has no way in here. Released
records are kept for days, for a ledger that was restored. When the space runs out, acknowledged records go first, the
oldest first; dropping an unacknowledged one is itself a signed `gap` record that is sent before all others.

A damaged file is set aside and a new epoch begins. A disk that takes nothing raises Unavailable; a spool that may wait
is shut then: it takes no record, tells the marks that it could read, and opens by itself once the disk works again.
Source: design §5 (Spool); facts note 08 §2, §3.1 (write-ahead rule), §7.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from probe import spool_open, spool_rows
from probe.core.parcel import pack_receipts
from probe.spool_files import drop_reserve, put_reserve, read_epoch, set_aside, write_epoch
from probe.spool_holes import unheld
from probe.spool_open import DiskBroken, DiskFull, read_standing
from probe.spool_rows import ACKED, DISPUTED, DROPPED, SIZE, WAITING, Depth, Dropped, Kept, Place, Standing
from wire.codec import leaf_hash, leaf_text
from wire.errors import Unavailable

__all__ = ["DiskBroken", "DiskFull", "Dropped", "Kept", "Place", "Spool", "Standing", "read_standing"]

_DAY_MS = 86_400_000
_SPARE_BYTES = 16_384
_FREED_BYTES = 65_536
"""What is freed at once when the disk is full: some forty records."""
_TIGHT_PAGES = 8
"""Free pages in the file that one record with its marks may take: 32 KB."""
_RETRY_S = 5.0
"""How often a shut spool tries the disk again."""

Seal = Callable[[Place], bytes]


class Spool:
    """The open spool. Safe for several threads of one process; a second process may only read.

    `origin_of_file` is "ok", "new" (there was none) or "damaged" (set aside beside it). With `may_wait` a disk that
    takes nothing shuts the spool instead of raising; `knows_marks` says whether its marks could be read.
    """

    def __init__(self, folder: Path, limit_bytes: int, *, may_wait: bool = False) -> None:
        self._folder, self._limit_bytes, self._may_wait = folder, limit_bytes, may_wait
        self._bytes = 0
        self._lock = threading.RLock()
        self._path = folder / "spool.db"
        self.version = 0
        """Rises with every change, so that a reader need not ask the disk."""
        self.is_broken = False
        """The disk reported an error, or damage was read: what is held of this file is no longer sure. Open it anew."""
        self.is_damaged = False
        """Damage was read: only a restart sets the file aside and says so in its boot record."""
        self.refusal: Unavailable | None = None
        """Why the disk took nothing at the last attempt; None if it did."""
        self.is_shut, self.knows_marks, self._retry_s = False, True, 0.0
        self.origin_of_file: Literal["ok", "new", "damaged"] = "ok"
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self.open_again()

    def open_again(self) -> bool:
        """Open the file, or open it anew after an error. Returns False if the spool is shut, which needs `may_wait`."""
        with self._lock:
            self._db.close()
            try:
                self._open_with_reserve()
            except (DiskFull, DiskBroken) as error:
                self._db, self.knows_marks = spool_open.stand_in(self._path)
                self.is_shut, self.refusal, self._retry_s = True, error, time.monotonic() + _RETRY_S
                if not self._may_wait:
                    raise
                return False
            self.is_shut, self.is_broken, self.refusal, self.knows_marks = False, False, None, True
            self.version += 1
            return True

    def _open_with_reserve(self) -> None:
        try:
            self._open_file()
        except DiskFull:
            drop_reserve(self._folder)
            self._open_file()

    def _open_file(self) -> None:
        with spool_open.translated(self._path):
            self._folder.mkdir(parents=True, exist_ok=True)
            is_there = self._path.exists() and self._path.stat().st_size > 0
            self.origin_of_file = "ok" if is_there else "new"
            self._db = self._connected()
            try:
                self._begin_first_epoch()
                self._bytes = spool_open.depth_of(self._db).bytes
            except BaseException:
                self._db.close()
                raise

    def _connected(self) -> sqlite3.Connection:
        try:
            return spool_open.connect(self._path)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in spool_open.DAMAGED:
                raise
        self.origin_of_file = "damaged"
        set_aside(self._path)
        return spool_open.connect(self._path)

    def _begin_first_epoch(self) -> None:
        if self._db.execute("SELECT 1 FROM mark WHERE name = 'epoch'").fetchone() is None:
            first = Place(read_epoch(self._folder) + 1, 0, "")
            write_epoch(self._folder, first.epoch)
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._place_next(first)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _on_disk(self) -> Iterator[None]:
        """One use of the file: alone, errors translated, and those remembered that only a restart can mend."""
        with self._lock, spool_open.translated(self._path):
            try:
                yield
            except sqlite3.Error as error:
                self.is_broken |= spool_open.primary_code(error) in spool_open.BREAKING
                self.is_damaged |= spool_open.primary_code(error) in spool_open.DAMAGED
                raise

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """One commit, on disk when this ends; nothing of it if anything raises."""
        with self._lock, self._refusals_noted():
            self._must_be_open()
            with self._on_disk():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        self._db.execute("ROLLBACK")
                    raise
                self.version += 1

    @contextlib.contextmanager
    def _refusals_noted(self) -> Iterator[None]:
        try:
            yield
        except (DiskFull, DiskBroken) as error:
            self.refusal = error
            raise
        self.refusal = None

    def _must_be_open(self) -> None:
        """Try a shut spool's disk again, though not all the time. Raises Unavailable if it stays shut."""
        if self.is_shut and (time.monotonic() < self._retry_s or not self.open_again()):
            raise self.refusal or DiskBroken(f"the spool {self._path} is shut; check the card")

    def place(self) -> Place:
        """Return where the next record will stand."""
        with self._lock:
            return Place(int(self.mark("epoch") or 1), int(self.mark("next_seq") or 0), self.mark("prev") or "")

    def append(
        self, kind: str, seal: Seal, marks: Mapping[str, str] | None = None, receipts: Sequence[bytes] = ()
    ) -> Kept:
        """Sign a record for its place and commit it, with `marks` and `receipts`, in one transaction, on disk then.

        What `seal` raises comes through, and nothing is changed. Raises Unavailable if the disk cannot take it.
        """
        with self._bytes_kept(), self._transaction():
            kept = self._insert(kind, seal, WAITING, receipts)
            self._put_marks(marks or {})
        return kept

    @contextlib.contextmanager
    def _bytes_kept(self) -> Iterator[None]:
        """Undo the count of bytes with a transaction that failed."""
        with self._lock:
            before = self._bytes
            try:
                yield
            except BaseException:
                self._bytes = before
                raise

    def _insert(self, kind: str, seal: Seal, place: int, receipts: Sequence[bytes] = ()) -> Kept:
        at = self.place()
        raw = seal(at)
        leaf, packed = leaf_hash(raw), pack_receipts(receipts)
        row = (at.epoch, at.seq, kind, raw, leaf, place, packed)
        insert = "INSERT INTO record (epoch, seq, kind, raw, leaf, place, receipts) VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._db.execute(insert, row)
        self._place_next(Place(at.epoch, at.seq + 1, leaf_text(leaf)))
        self._bytes += len(raw) + len(packed or b"")
        return Kept(at.epoch, at.seq, kind, raw, tuple(receipts))

    def _place_next(self, place: Place) -> None:
        self._put_marks({"epoch": str(place.epoch), "next_seq": str(place.seq), "prev": place.prev})

    def begin_epoch(self, epoch: int, seal_boot: Seal) -> Kept:
        """Go on in `epoch`, whose first record is made by `seal_boot`, in the same commit.

        What still waits is disputed: the ledger holds other records in its places.
        """
        with self._lock, spool_open.translated(self._path):
            self._must_be_open()
            write_epoch(self._folder, epoch)
        with self._bytes_kept(), self._transaction():
            self._db.execute("UPDATE record SET place = ? WHERE place = ? AND epoch < ?", (DISPUTED, WAITING, epoch))
            self._place_next(Place(epoch, 0, ""))
            return self._insert("boot", seal_boot, WAITING)

    def is_over_limit(self) -> bool:
        """True if the next record might not fit; `drop_oldest` makes room."""
        with self._lock:
            return self._bytes + _SPARE_BYTES > self._limit_bytes

    def drop_oldest(self, seal_gap: Callable[[Dropped, Place], bytes]) -> Dropped | None:
        """Make room: acknowledged records first, then disputed ones, then the oldest that wait.

        Returns None if the first two were enough; else what was dropped, declared by a gap record made by `seal_gap`
        in the same transaction. Room is made down to nine tenths of the limit, in steps, not record by record.
        """
        return self._drop_to(self._limit_bytes * 9 // 10 - _SPARE_BYTES, seal_gap)

    @contextlib.contextmanager
    def squeezed(self, seal_gap: Callable[[Dropped, Place], bytes], *, is_pressing: bool) -> Iterator[Dropped | None]:
        """The disk is full: make room inside the file for one record, and lend the reserve while it is written.

        Acknowledged records go; if pressing, the oldest that wait too, which is yielded. Nothing grows the file, so
        the reserve can be set aside again. Raises Unavailable if nothing may go.
        """
        with self._lock:
            self._must_be_open()
            drop_reserve(self._folder)
            try:
                self._shorten_log()
                dropped = None
                if self._free_pages() < _TIGHT_PAGES:
                    dropped = self._drop_to(self._bytes - _FREED_BYTES, seal_gap if is_pressing else None)
                    self._shorten_log()
                if self._free_pages() < _TIGHT_PAGES:
                    raise DiskFull(f"the disk of the spool {self._path} is full of what still waits; free space on it")
                yield dropped
            finally:
                self._shorten_log()
                put_reserve(self._folder, at_any_price=True)

    def _free_pages(self) -> int:
        with self._on_disk():
            return int(self._db.execute("PRAGMA freelist_count").fetchone()[0])

    def _shorten_log(self) -> None:
        """Move the log into the file, which gives the log's space back; what refuses here will refuse the commit."""
        with contextlib.suppress(Unavailable), self._on_disk():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def try_again(self) -> None:
        """See whether a disk that refused takes a commit again; `refusal` says so afterwards."""
        with contextlib.suppress(Unavailable):
            self.put_marks({"tried": str(self.version)})

    def keep_reserve(self) -> None:
        """Set the reserve aside again while there is space. Quiet if there is none."""
        with self._lock:
            if not self.is_shut:
                put_reserve(self._folder)

    def _drop_to(self, ceiling: int, seal_gap: Callable[[Dropped, Place], bytes] | None) -> Dropped | None:
        """Drop down to `ceiling` bytes; without `seal_gap` nothing that waits."""
        dropped = None
        with self._bytes_kept():
            with self._transaction():
                self._forget((ACKED, DISPUTED), ceiling)
                if seal_gap is not None and self._bytes > ceiling:
                    dropped = self._drop_waiting(seal_gap, ceiling)
            self._bytes = self.depth().bytes
        return dropped

    def _forget(self, places: Sequence[int], ceiling: int) -> None:
        for place in places:
            for epoch, seq, size in self._oldest(place):
                if self._bytes <= ceiling:
                    return
                self._db.execute("DELETE FROM record WHERE epoch = ? AND seq = ?", (epoch, seq))
                self._bytes -= size

    def _oldest(self, place: int) -> list[tuple[int, int, int]]:
        query = f"SELECT epoch, seq, {SIZE} FROM record WHERE place = ? AND kind != 'gap' ORDER BY epoch, seq"  # noqa: S608
        return self._db.execute(query, (place,)).fetchall()

    def _drop_waiting(self, seal_gap: Callable[[Dropped, Place], bytes], ceiling: int) -> Dropped | None:
        """Drop a contiguous run, so that one gap says it all; the last one's leaf stays, for its ACK."""
        run, freed = spool_rows.oldest_run(self._oldest(WAITING), self._bytes - ceiling)
        if not run:
            return None
        self._bytes -= freed
        epoch, first, last = run[0][0], run[0][1], run[-1][1]
        (leaf,) = self._db.execute("SELECT leaf FROM record WHERE epoch = ? AND seq = ?", (epoch, last)).fetchone()
        dropped = Dropped(epoch, first, last, leaf_text(leaf))
        where = "WHERE epoch = ? AND seq BETWEEN ? AND ?"
        self._db.execute(f"DELETE FROM record {where}", (epoch, first, last - 1))  # noqa: S608 (no input in it)
        drop = f"UPDATE record SET raw = NULL, receipts = NULL, place = ? {where}"  # noqa: S608
        self._db.execute(drop, (DROPPED, epoch, last, last))
        self._insert("gap", lambda place: seal_gap(dropped, place), WAITING)
        return dropped

    def disputed(self, after: tuple[int, int], limit: int) -> list[Kept]:
        """Return the next records that the ledger knows otherwise, behind the place `after`."""
        return self._page("place = ? AND (epoch, seq) > (?, ?) ORDER BY epoch, seq", DISPUTED, *after, limit)

    def waiting(self, limit: int) -> list[Kept]:
        """Return the oldest records that wait, gaps first: the order in which they are to be sent."""
        return self._page("place = ? ORDER BY kind != 'gap', epoch, seq", WAITING, limit)

    def _page(self, which: str, *values: int) -> list[Kept]:
        query = f"SELECT epoch, seq, kind, raw, receipts FROM record WHERE {which} LIMIT ?"  # noqa: S608 (no input)
        with self._on_disk():
            return [spool_rows.kept_of(row) for row in self._db.execute(query, values)]

    def leaf(self, epoch: int, seq: int | None) -> str | None:
        """Return the leaf hash (base64) of a record of ours; None if we hold none at that place."""
        query = "SELECT leaf FROM record WHERE epoch = ? AND seq = ?"
        with self._on_disk():
            row = self._db.execute(query, (epoch, seq)).fetchone()
        return None if row is None else leaf_text(row[0])

    def release(self, epoch: int, upto: int, now_ms: int, life_ms: int) -> int:
        """Only for a signed ACK: end the wait of `epoch` up to `upto`, at this wall and life time. Returns how many."""
        update = "UPDATE record SET place = ?, acked_ms = ? WHERE epoch = ? AND seq <= ? AND place IN (?, ?)"
        with self._transaction():
            done = self._db.execute(update, (ACKED, life_ms, epoch, upto, WAITING, DISPUTED)).rowcount
            # A dropped record's leaf was kept for an ACK that names it; a later one has come.
            self._db.execute("DELETE FROM record WHERE place = ? AND epoch = ? AND seq < ?", (DROPPED, epoch, upto))
            self._put_marks({"acked": f"{epoch} {upto}", "acked_ms": str(now_ms)})
        return done

    def reinstate(self, epoch: int, upto: int | None, gen: int, seal_gap: Callable[[Dropped, Place], bytes]) -> int:
        """The ledger was restored and holds `epoch` up to `upto` (None: nothing): what we hold beyond waits again.

        What nobody holds any more is declared by gap records. Returns how many records wait again."""
        update = "UPDATE record SET place = ?, acked_ms = NULL WHERE place = ? AND NOT (epoch = ? AND seq <= ?)"
        with self._bytes_kept(), self._transaction():
            for run in unheld(
                lambda query, values: self._db.execute(query, values).fetchall(), epoch, upto, self.place()
            ):
                self._insert("gap", partial(seal_gap, run), WAITING)
            again = self._db.execute(update, (WAITING, ACKED, epoch, -1 if upto is None else upto)).rowcount
            self._put_marks({"gen": str(gen)})
        return again

    def dispute(self, epoch: int) -> int:
        """The ledger knows the end of `epoch` otherwise: what waits of it waits behind all else. Returns how many."""
        with self._transaction():
            update = "UPDATE record SET place = ? WHERE place = ? AND epoch = ?"
            return self._db.execute(update, (DISPUTED, WAITING, epoch)).rowcount

    def purge(self, life_ms: int, keep_days: int) -> int:
        """Forget what was acknowledged more than `keep_days` of running ago, and remember `life_ms`. Returns how many.

        Not by the wall clock: one jump of it would forget at once what a restored ledger will ask for.
        """
        with self._transaction():
            gone = spool_open.forget_acked(self._db, life_ms, life_ms - keep_days * _DAY_MS)
            self._put_marks({spool_open.LIFE_MARK: str(life_ms)})
        self._bytes = self.depth().bytes
        return gone

    def depth(self) -> Depth:
        """Count what is held."""
        with self._on_disk():
            return spool_open.depth_of(self._db)

    def mark(self, name: str) -> str | None:
        """Return a mark's value, None if it was never set."""
        with self._on_disk():
            row = self._db.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put_marks(self, marks: Mapping[str, str]) -> None:
        """Set marks, on disk when this returns."""
        with self._transaction():
            self._put_marks(marks)

    def _put_marks(self, marks: Mapping[str, str]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)", list(marks.items()))
