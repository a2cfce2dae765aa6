"""The probe's durable queue: every record is on disk before anything may send it, and stays until the ledger has it.

SQLite, WAL, synchronous=FULL: a commit is on disk when it returns (NORMAL lost acknowledged rows in 14 of 35 power
cuts). Only `release`, called for a signed ACK, ends the wait of a record; a PUBACK has no way in here. Released
records are kept for days, for a ledger that was restored. When the space runs out, acknowledged records go first, the
oldest first; dropping an unacknowledged one is itself a signed `gap` record that is sent before all others.

A damaged file is set aside and a new epoch begins. Raises Unavailable for a full or broken disk.
Source: design §5 (Spool); facts note 08 §2, §3.1 (write-ahead rule), §7.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from probe.core.parcel import pack_receipts, unpack_receipts
from probe.spool_files import connect, read_epoch, set_aside, write_epoch
from wire.codec import leaf_hash, leaf_text
from wire.errors import Unavailable

WAITING, ACKED, DISPUTED, DROPPED = 0, 1, 2, 3
"""Where a record stands: to be sent; released; of an epoch that the ledger knows otherwise; dropped for room."""

_DAY_MS = 86_400_000
_SPARE_BYTES = 16_384
_SIZE = "coalesce(length(raw), 0) + coalesce(length(receipts), 0)"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next record stands in the chain: `prev` is the base64 leaf hash of the one before, "" at seq 0."""

    epoch: int
    seq: int
    prev: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it lies on disk; `receipts`: the measurement point's notes that it names, to be sent before it."""

    epoch: int
    seq: int
    kind: str
    raw: bytes
    receipts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """A run of records of one epoch that were dropped before they were acknowledged."""

    epoch: int
    from_seq: int
    to_seq: int
    last_leaf: str


@dataclass(frozen=True, slots=True)
class Depth:
    """How much the spool holds. `waiting`: not acknowledged. `oldest`: (epoch, seq) of the oldest one waiting."""

    records: int
    waiting: int
    disputed: int
    bytes: int
    oldest: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a spool says of its probe. `last_ack`: (epoch, upto, UTC ms of its arrival); None: none yet, as below."""

    place: Place
    depth: Depth
    last_ack: tuple[int, int, int] | None
    last_test: bytes | None


Seal = Callable[[Place], bytes]


class Spool:
    """The open spool. Safe for several threads of one process; a second process may only read.

    `origin_of_file` is "ok", "new" (there was none) or "damaged" (set aside beside it).
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._bytes = 0
        self._lock = threading.RLock()
        self._path = folder / "spool.db"
        self.version = 0
        """Rises with every change, so that a reader need not ask the disk."""
        self.is_broken = False
        """The disk reported an error, or damage was read: what is held of this file is no longer sure. Restart."""
        with _translated(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            self.origin_of_file: Literal["ok", "new", "damaged"] = "ok" if self._path.exists() else "new"
            self._db = self._open()
            self._begin_first_epoch()
            self._bytes = depth_of(self._db).bytes

    def _open(self) -> sqlite3.Connection:
        try:
            return connect(self._path)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
        self.origin_of_file = "damaged"
        set_aside(self._path)
        return connect(self._path)

    def _begin_first_epoch(self) -> None:
        if self.mark("epoch") is None:
            last = read_epoch(self._folder)
            write_epoch(self._folder, last + 1)
            with self._transaction():
                self._place_next(Place(last + 1, 0, ""))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _on_disk(self) -> Iterator[None]:
        """One use of the file: alone, errors translated, and those remembered that only a restart can mend."""
        with self._lock, _translated(self._path):
            try:
                yield
            except sqlite3.Error as error:
                self.is_broken |= _primary_code(error) in _BREAKING
                raise

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """One commit, on disk when this ends; nothing of it if anything raises."""
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
        with self._lock, _translated(self._path):
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
        in the same transaction.
        """
        with self._bytes_kept():
            with self._transaction():
                self._forget((ACKED, DISPUTED))
                dropped = self._drop_waiting(seal_gap) if self._excess() > 0 else None
            self._bytes = self.depth().bytes
        return dropped

    def _excess(self) -> int:
        """Bytes over nine tenths of the limit: room is made in steps, not record by record."""
        return self._bytes + _SPARE_BYTES - self._limit_bytes * 9 // 10

    def _forget(self, places: Sequence[int]) -> None:
        for place in places:
            for epoch, seq, size in self._oldest(place):
                if self._excess() <= 0:
                    return
                self._db.execute("DELETE FROM record WHERE epoch = ? AND seq = ?", (epoch, seq))
                self._bytes -= size

    def _oldest(self, place: int) -> list[tuple[int, int, int]]:
        query = f"SELECT epoch, seq, {_SIZE} FROM record WHERE place = ? AND kind != 'gap' ORDER BY epoch, seq"  # noqa: S608
        return self._db.execute(query, (place,)).fetchall()

    def _drop_waiting(self, seal_gap: Callable[[Dropped, Place], bytes]) -> Dropped | None:
        """Drop a contiguous run, so that one gap says it all; the last one's leaf stays, for its ACK."""
        run: list[tuple[int, int, int]] = []
        for epoch, seq, size in self._oldest(WAITING):
            is_next = not run or (epoch == run[-1][0] and seq == run[-1][1] + 1)
            if not is_next or self._excess() <= 0:
                break
            run.append((epoch, seq, size))
            self._bytes -= size
        if not run:
            return None
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
        query = "SELECT epoch, seq, kind, raw, receipts FROM record WHERE place = ? AND (epoch, seq) > (?, ?)"
        with self._on_disk():
            rows = self._db.execute(f"{query} ORDER BY epoch, seq LIMIT ?", (DISPUTED, *after, limit))
            return [_kept(row) for row in rows]

    def waiting(self, limit: int) -> list[Kept]:
        """Return the oldest records that wait, gaps first: the order in which they are to be sent."""
        query = "SELECT epoch, seq, kind, raw, receipts FROM record WHERE place = ?"
        with self._on_disk():
            rows = self._db.execute(f"{query} ORDER BY kind != 'gap', epoch, seq LIMIT ?", (WAITING, limit))
            return [_kept(row) for row in rows]

    def leaf(self, epoch: int, seq: int | None) -> str | None:
        """Return the leaf hash (base64) of a record of ours; None if we hold none at that place."""
        query = "SELECT leaf FROM record WHERE epoch = ? AND seq = ?"
        with self._on_disk():
            row = self._db.execute(query, (epoch, seq)).fetchone()
        return None if row is None else leaf_text(row[0])

    def release(self, epoch: int, upto: int, now_ms: int) -> int:
        """The ledger holds `epoch` up to `upto`: end their wait. Returns how many. Only a signed ACK calls this."""
        update = "UPDATE record SET place = ?, acked_ms = ? WHERE epoch = ? AND seq <= ? AND place IN (?, ?)"
        with self._transaction():
            done = self._db.execute(update, (ACKED, now_ms, epoch, upto, WAITING, DISPUTED)).rowcount
            # A dropped record's leaf was kept for an ACK that names it; a later one has come.
            self._db.execute("DELETE FROM record WHERE place = ? AND epoch = ? AND seq < ?", (DROPPED, epoch, upto))
            self._put_marks({"acked": f"{epoch} {upto}", "acked_ms": str(now_ms)})
        return done

    def reinstate(self, epoch: int, upto: int | None, gen: int) -> int:
        """The ledger was restored and holds `epoch` up to `upto` (None: nothing): what we hold beyond waits again."""
        update = "UPDATE record SET place = ?, acked_ms = NULL WHERE place = ? AND NOT (epoch = ? AND seq <= ?)"
        with self._transaction():
            again = self._db.execute(update, (WAITING, ACKED, epoch, -1 if upto is None else upto)).rowcount
            self._put_marks({"gen": str(gen)})
        return again

    def purge(self, now_ms: int, keep_days: int) -> int:
        """Forget what was acknowledged more than `keep_days` ago. Returns how many."""
        with self._transaction():
            limit = (ACKED, now_ms - keep_days * _DAY_MS)
            gone = self._db.execute("DELETE FROM record WHERE place = ? AND acked_ms < ?", limit).rowcount
        self._bytes = self.depth().bytes
        return gone

    def depth(self) -> Depth:
        """Count what is held."""
        with self._on_disk():
            return depth_of(self._db)

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


def _kept(row: tuple[int, int, str, bytes, bytes | None]) -> Kept:
    return Kept(*row[:4], unpack_receipts(row[4]))


def depth_of(db: sqlite3.Connection) -> Depth:
    """Count what a spool holds, over any connection to it."""
    query = f"SELECT count(raw), coalesce(sum(place = 0), 0), coalesce(sum(place = 2), 0), coalesce(sum({_SIZE}), 0)"
    records, waiting, disputed, size = db.execute(f"{query} FROM record").fetchone()
    oldest = db.execute("SELECT epoch, seq FROM record WHERE place = 0 ORDER BY epoch, seq LIMIT 1").fetchone()
    return Depth(records, waiting, disputed, size, oldest)


def read_standing(folder: Path) -> Standing:
    """Read a spool beside a running program. Raises Unavailable if there is none."""
    path = folder / "spool.db"
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
        with contextlib.closing(db):
            marks: dict[str, str] = dict(db.execute("SELECT name, value FROM mark"))
            query = (
                "SELECT raw FROM record WHERE kind = 'test' AND raw IS NOT NULL ORDER BY epoch DESC, seq DESC LIMIT 1"
            )
            row, depth = db.execute(query).fetchone(), depth_of(db)
        place = Place(int(marks["epoch"]), int(marks["next_seq"]), marks["prev"])
    except (sqlite3.Error, KeyError) as error:
        raise Unavailable(f"cannot read {path} ({error}); has dosong-probe run here yet?") from error
    acked = marks["acked"].split() if "acked" in marks else None
    last_ack = None if acked is None else (int(acked[0]), int(acked[1]), int(marks["acked_ms"]))
    return Standing(place, depth, last_ack, None if row is None else row[0])


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn errors of disk and database into Unavailable, in one sentence that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = _primary_code(error)
        raise Unavailable(f"the spool {path} {_REMEDY.get(code, f'failed ({error}); restart dosong-probe')}") from error
    except OSError as error:
        raise Unavailable(
            f"the spool in {path.parent} cannot be written: {error.strerror}; mend that folder"
        ) from error


def _primary_code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


_BREAKING = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_REMEDY = {
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; free space beside it",
    sqlite3.SQLITE_IOERR: "cannot be written, the disk reports errors; replace the card",
    sqlite3.SQLITE_READONLY: "is on a disk that is read-only; check the card and mount it for writing",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder is writable by this user",
    sqlite3.SQLITE_CORRUPT: "is damaged; restart dosong-probe, which sets it aside and begins a new epoch",
    sqlite3.SQLITE_NOTADB: "is damaged; restart dosong-probe, which sets it aside and begins a new epoch",
    sqlite3.SQLITE_BUSY: "is held by another program; stop that one",
}
