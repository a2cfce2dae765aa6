"""What lies in the state folder: the spool's tables, the last epoch's number beside it, damaged spools set aside."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, raw BLOB, leaf BLOB NOT NULL,
    place INTEGER NOT NULL, acked_ms INTEGER, receipts BLOB, PRIMARY KEY (epoch, seq)
);
CREATE INDEX IF NOT EXISTS record_place ON record (place, epoch, seq);
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
KEPT_DAMAGED = 4
"""Damaged files that are kept: the first, and the newest ones. A card that rots must not fill up with them."""


def connect(path: Path) -> sqlite3.Connection:
    """Open, check and prepare a spool file. Raises sqlite3.DatabaseError if it is damaged."""
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


def read_epoch(folder: Path) -> int:
    """Return the last epoch that was begun here; 0 if none is known."""
    try:
        return int((folder / "epoch").read_text())
    except (OSError, ValueError):
        return 0


def write_epoch(folder: Path, epoch: int) -> None:
    """Note an epoch before it begins, on disk when this returns. Raises OSError."""
    partial = folder / "epoch.partial"
    with partial.open("w") as file:
        file.write(f"{epoch}\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / "epoch")
    _sync_folder(folder)


def set_aside(path: Path) -> None:
    """Rename a damaged file and its side files, for a technician. Raises OSError."""
    taken = sorted(_number(found) for found in path.parent.glob(f"{path.name}.damaged-*") if _number(found))
    for number in taken[1 : -(KEPT_DAMAGED - 2)]:
        for suffix in ("-wal", "-shm", ""):
            path.with_name(f"{path.name}.damaged-{number}{suffix}").unlink(missing_ok=True)
    number = (taken[-1] if taken else 0) + 1
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(f"{path.name}.damaged-{number}{suffix}"))
    _sync_folder(path.parent)


def _number(path: Path) -> int:
    """Return the number of a file that was set aside; 0 for its side files and for names of others."""
    text = path.name.rpartition("-")[2]
    return int(text) if text.isdecimal() else 0


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
