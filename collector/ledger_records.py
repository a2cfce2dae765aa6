"""Writing records into the ledger: rows into `entry`, their bytes into blocks, both in the caller's transaction.

Bytes of a transaction gather in memory until a block is full; the last one is written before COMMIT, as short as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from collector.blocks import MAX_RECORDS, BlockPacker
from collector.core.row import Row
from collector.ledger_bytes import BlockReader
from collector.ledger_rows import INSERT, values
from collector.ledger_words import Words
from wire import codec
from wire.records import AnyRecord

PUT_BLOCK = "INSERT INTO block (first_n, packed, signatures) VALUES (?, ?, ?)"


class RecordWriter:
    """Rows and bytes of records, on the writer's connection. `words` are those of its rows."""

    def __init__(self, db: sqlite3.Connection, dictionary: bytes) -> None:
        self._db = db
        self.words = Words(db)
        self._packer = BlockPacker(dictionary)
        self._reader = BlockReader(db, dictionary)
        self._last: int | None = None
        self._open: list[tuple[bytes, bytes]] = []
        """Bytes and leaves of the newest records, those that no block holds yet."""

    def last(self) -> int:
        """Number of the newest record; 0 if there is none."""
        if self._last is None:
            self._last = int(self._db.execute("SELECT coalesce(max(n), 0) FROM entry").fetchone()[0])
        return self._last

    def append(self, rows: Sequence[Row]) -> int:
        """Store records of one probe under consecutive numbers; return the first one's."""
        first, number = self.last() + 1, self.words.number
        befores: list[Row | None] = [None, *rows[:-1]]
        given = [values(first + at, row, number, befores[at]) for at, row in enumerate(rows)]
        self._db.executemany(INSERT, given)
        self._last = first + len(rows) - 1
        self._open += [(row.raw, row.leaf) for row in rows]
        while len(self._open) >= MAX_RECORDS:
            self._write(MAX_RECORDS)
        return first

    def flush(self) -> None:
        """Write what no block holds yet: before COMMIT, for then its bytes must be there."""
        if self._open:
            self._write(len(self._open))

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._open.clear()
        self._last = None
        self.words.forget()

    def _write(self, count: int) -> None:
        raws, leaves = zip(*self._open[:count], strict=True)
        block = self._packer.pack(raws, leaves)
        self._db.execute(PUT_BLOCK, (self.last() - len(self._open) + 1, block.packed, block.signatures))
        del self._open[:count]

    def raws(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Bytes of these records, of this very transaction too. Raises sqlite3.Error."""
        wanted = list(numbers)
        first_open = self.last() - len(self._open) + 1
        found = self._reader.raws(n for n in wanted if n < first_open)
        return found | {n: self._open[n - first_open][0] for n in wanted if n >= first_open}

    def records(self, numbers: Iterable[int]) -> dict[int, AnyRecord]:
        """Readable records by number. Raises sqlite3.Error, also for bytes that no longer read."""
        found = self.raws(numbers)
        wanted = set(numbers)
        if len(found) < len(wanted):
            raise sqlite3.DatabaseError(f"record {min(wanted - found.keys())}: its block was changed")
        return {n: codec.decode_body(codec.body_of(raw)) for n, raw in found.items()}
