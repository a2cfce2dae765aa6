"""Reading a spool beside the program that owns it: never written to, never held for longer than a page of records."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from probe.core.parcel import unpack_receipts
from probe.spool_rows import DROPPED, Kept
from wire.errors import Unavailable

PAGE = 200
FIRST, LAST = (0, 0), (9_999_999, 999_999_999_999)
"""Places before and behind every record."""
_UNACKNOWLEDGED = "place IN (0, 2)"
_RECEIPTS = "SELECT count(*) FROM pragma_table_info('record') WHERE name = 'receipts'"


def records(
    folder: Path, first: tuple[int, int] = FIRST, last: tuple[int, int] = LAST, *, with_acknowledged: bool = False
) -> Iterator[Kept]:
    """Yield records from place `first` to `last` (epoch, seq), gaps first: the order in which they are to be sent.

    Each page is a look of its own, so a long export holds nothing up; what comes meanwhile is part of it. Raises
    Unavailable if there is no spool.
    """
    for kind in ("kind = 'gap'", "kind != 'gap'"):
        after = (first[0], first[1] - 1)
        while page := _page(folder, kind if with_acknowledged else f"{kind} AND {_UNACKNOWLEDGED}", after, last):
            yield from page
            after = (page[-1].epoch, page[-1].seq)


def mark(folder: Path, name: str) -> str | None:
    """A mark beside the records; None if it was never set. Raises Unavailable if there is no spool."""
    with _opened(folder) as db:
        row = db.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _page(folder: Path, which: str, after: tuple[int, int], last: tuple[int, int]) -> list[Kept]:
    with _opened(folder) as db:
        (has_receipts,) = db.execute(_RECEIPTS).fetchone()
        receipts = "receipts" if has_receipts else "NULL"
        query = (
            f"SELECT epoch, seq, kind, raw, {receipts} FROM record WHERE {which} AND raw IS NOT NULL AND place != ?"  # noqa: S608
            " AND (epoch, seq) > (?, ?) AND (epoch, seq) <= (?, ?) ORDER BY epoch, seq LIMIT ?"
        )
        rows = db.execute(query, (DROPPED, *after, *last, PAGE)).fetchall()
    return [Kept(epoch, seq, kind, raw, unpack_receipts(packed)) for epoch, seq, kind, raw, packed in rows]


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / "spool.db"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as db:
            yield db
    except sqlite3.Error as error:
        raise Unavailable(f"cannot read {path} ({error}); has dosong-probe run here yet?") from error
