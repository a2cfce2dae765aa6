"""What lies in the state folder: the spool's tables, the last epoch's number, a reserve, damaged spools set aside."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, raw BLOB, leaf BLOB NOT NULL,
    place INTEGER NOT NULL, acked_ms INTEGER, receipts BLOB, PRIMARY KEY (epoch, seq)
);
CREATE INDEX IF NOT EXISTS record_place ON record (place, epoch, seq);
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
RESERVE_BYTES = 1_310_720
"""A file that is lent when the disk is full: freeing space inside the spool needs some first, as much as its log."""
KEPT_DAMAGED = 4
"""Damaged files that are kept: the first, and the newest ones. A card that rots must not fill up with them."""


def read_epoch(folder: Path) -> int:
    """Return the last epoch that was begun here; 0 if none is known."""
    try:
        return int((folder / "epoch").read_text())
    except (OSError, ValueError):
        return 0


def write_epoch(folder: Path, epoch: int) -> None:
    """Note an epoch before it begins, on disk when this returns. Raises OSError."""
    write_whole(folder / "epoch", f"{epoch}\n".encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all, on disk when this returns. Raises OSError."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)


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


def put_reserve(folder: Path, *, at_any_price: bool = False) -> None:
    """Set the reserve aside if the disk has four times its size, or at any price. Quiet if the disk refuses."""
    path = folder / "reserve"
    with contextlib.suppress(OSError):
        room = os.statvfs(folder)
        if path.exists() or (not at_any_price and room.f_bavail * room.f_frsize < 4 * RESERVE_BYTES):
            return
        with path.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
            except OSError:
                path.unlink()


def drop_reserve(folder: Path) -> None:
    """Give the reserve up. Quiet if there is none, or the disk is read-only."""
    with contextlib.suppress(OSError):
        (folder / "reserve").unlink()
