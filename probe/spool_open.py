"""Opening the spool's file: checked before it is written, read beside a running program, or stood in for.

A card that is full or read-only must not end the probe. Then a stand-in takes the file's place in memory: it knows the
marks, as far as they can be read, and holds no record, so that nothing is signed that the disk might forget.

Unavailable
├── DiskFull   no space is left; it may come back
└── DiskBroken the disk reports errors or is read-only

Source: design §5 (Spool); facts note 08 §2 (a full disk, EIO, a read-only file system).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from probe.spool_files import SCHEMA
from probe.spool_rows import ACKED, SIZE, Depth, Place, Standing
from wire.errors import Unavailable

_SIDE_FILE_BYTES = 32_768
LIFE_MARK = "life_ms"
"""The spool's mark of how long the probe has run in all, milliseconds, as of the last purge."""


class DiskFull(Unavailable):
    """No space is left on the disk."""


class DiskBroken(Unavailable):
    """The disk reports errors, or takes no writes."""


def forget_acked(db: sqlite3.Connection, life_ms: int, before_ms: int) -> int:
    """Delete what was acknowledged before a moment of the probe's life; return how much. Inside a transaction.

    What a program of before noted by the wall clock lies far ahead of `life_ms`: it ages from now on.
    """
    ahead = "UPDATE record SET acked_ms = ? WHERE place = ? AND acked_ms > ?"
    db.execute(ahead, (life_ms, ACKED, life_ms))
    return db.execute("DELETE FROM record WHERE place = ? AND acked_ms < ?", (ACKED, before_ms)).rowcount


def depth_of(db: sqlite3.Connection) -> Depth:
    """Count what a spool holds, over any connection to it."""
    query = f"SELECT count(raw), coalesce(sum(place = 0), 0), coalesce(sum(place = 2), 0), coalesce(sum({SIZE}), 0)"
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


def connect(path: Path) -> sqlite3.Connection:
    """Open, check and prepare the file. Raises sqlite3.DatabaseError if it is damaged."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -512")
        db.execute("PRAGMA wal_autocheckpoint = 250")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            damaged = sqlite3.DatabaseError(verdict)
            damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damaged
        db.executescript(SCHEMA)
        if "receipts" not in {row[1] for row in db.execute("PRAGMA table_info(record)")}:
            db.execute("ALTER TABLE record ADD COLUMN receipts BLOB")  # a spool of before receipts were kept
    except BaseException:
        db.close()
        raise
    return db


def stand_in(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Return a spool in memory with the file's marks and none of its records, and whether the marks are known.

    A file that was never begun has no marks, which is to know them.
    """
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.executescript(SCHEMA)
    marks = _read_marks(path)
    db.executemany("INSERT INTO mark (name, value) VALUES (?, ?)", list((marks or {}).items()))
    return db, marks is not None


def _read_marks(path: Path) -> dict[str, str] | None:
    """Read the marks of a file that cannot be opened for writing; None if that fails too."""
    with contextlib.suppress(OSError):
        if not path.exists() or path.stat().st_size == 0:
            return {}
    log = path.with_name(path.name + "-wal")
    ways = ["mode=ro"]
    with contextlib.suppress(OSError):
        if not log.exists() or log.stat().st_size == 0:
            ways.append("immutable=1")  # with a log beside it, the file alone would be of yesterday
    for way in ways:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_reader(path, way)) as db:
            return dict(db.execute("SELECT name, value FROM mark"))
    return None


def _reader(path: Path, way: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?{way}", uri=True, timeout=5.0)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn errors of disk and database into Unavailable, in one sentence that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = primary_code(error)
        if code == sqlite3.SQLITE_IOERR and _is_full(path.parent):
            code = sqlite3.SQLITE_FULL  # what could not be made is a side file, and the code does not say why
        family = _FAMILY.get(code, Unavailable)
        raise family(f"the spool {path} {_REMEDY.get(code, f'failed ({error}); restart dosong-probe')}") from error
    except OSError as error:
        family = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else DiskBroken
        raise family(f"the spool in {path.parent} cannot be written: {error.strerror}; mend that folder") from error


def _is_full(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        room = os.statvfs(folder)
        return room.f_bavail * room.f_frsize < _SIDE_FILE_BYTES
    return False


def primary_code(error: BaseException) -> int:
    """Return SQLite's primary result code; 0 if the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""The file itself is damaged: it is set aside."""
BREAKING = DAMAGED | {sqlite3.SQLITE_IOERR}
"""What is held of the file is no longer sure: it must be opened anew."""
_FAMILY: dict[int, type[Unavailable]] = {
    sqlite3.SQLITE_FULL: DiskFull,
    sqlite3.SQLITE_IOERR: DiskBroken,
    sqlite3.SQLITE_READONLY: DiskBroken,
    sqlite3.SQLITE_CANTOPEN: DiskBroken,
}
_REMEDY = {
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; free space beside it",
    sqlite3.SQLITE_IOERR: "cannot be written, the disk reports errors; replace the card",
    sqlite3.SQLITE_READONLY: "is on a disk that is read-only; check the card and mount it for writing",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder is writable by this user",
    sqlite3.SQLITE_CORRUPT: "is damaged; restart dosong-probe, which sets it aside and begins a new epoch",
    sqlite3.SQLITE_NOTADB: "is damaged; restart dosong-probe, which sets it aside and begins a new epoch",
    sqlite3.SQLITE_BUSY: "is held by another program; stop that one",
}
