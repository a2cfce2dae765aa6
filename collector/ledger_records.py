"""Writing records into the ledger: rows into `entry`, their bytes into blocks, both in the caller's transaction.

Bytes of a transaction gather in memory until a block is full; the last one is written before COMMIT, as short as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from collector.blocks import MAX_RECORDS, Block, BlockPacker
from collector.core.row import Row
from collector.ledger_bytes import BlockReader
from collector.ledger_place import Database
from collector.ledger_port import PackedRun
from collector.ledger_rows import INSERT, values
from collector.ledger_words import Words
from wire import codec
from wire.records import AnyRecord

PUT_BLOCK = "INSERT INTO block (first_n, packed, signatures) VALUES (?, ?, ?)"


class RecordWriter:
    """Rows and bytes of records, on the writer's connection. `words` are those of its rows."""

    def __init__(self, db: Database, dictionary: bytes) -> None:
        self._db = db
        self.words = Words(db)
        self._packer = BlockPacker(dictionary)
        self._reader = BlockReader(db, dictionary)
        self._last: int | None = None
        self._open: list[tuple[bytes, bytes]] = []
        """Bytes and leaves of the newest records, those that no block holds yet."""
        self._offered: dict[bytes, PackedRun] = {}
        self._expected: PackedRun | None = None
        """The block whose records `_open` begins with, as far as they came."""

    def last(self) -> int:
        """Number of the newest record; 0 if there is none."""
        if self._last is None:
            self._last = int(self._db.execute("SELECT coalesce(max(n), 0) FROM entry").fetchone()[0])
        return self._last

    def renumber(self) -> None:
        """Another process may have stored records since: numbers go on behind what is held now."""
        self._last = None

    def append(self, rows: Sequence[Row]) -> int:
        """Store records of one probe under consecutive numbers; return the first one's."""
        first = self.last() + 1
        self._db.executemany(INSERT, values(first, rows, self.words))
        self._last = first + len(rows) - 1
        self._gather(first, [row.raw for row in rows], [row.leaf for row in rows])
        return first

    def offer(self, runs: Sequence[PackedRun]) -> None:
        """Blocks that were packed beforehand; one is written where its records come one after the other."""
        self._offered.update((run.leaves[0], run) for run in runs)

    def flush(self) -> None:
        """Write what no block holds yet: before COMMIT, for then its bytes must be there."""
        self._write(self.last())
        self._offered.clear()

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._open.clear()
        self._offered.clear()
        self._expected = self._last = None
        self.words.forget()

    def _gather(self, first: int, raws: list[bytes], leaves: list[bytes]) -> None:
        """Gather records numbered from `first` on; a block that is offered of some in a row is written as it is."""
        at = 0
        while at < len(raws):
            if leaves[at] in self._offered:
                self._write(first + at - 1)
                self._expected = self._offered.pop(leaves[at])
            held, expected = len(self._open), self._expected
            some = [] if expected is None else leaves[at : at + len(expected.leaves) - held]
            if expected is not None and some and expected.leaves[held : held + len(some)] == tuple(some):
                self._open += zip(raws[at : at + len(some)], some, strict=True)
                at += len(some)
                if len(self._open) == len(expected.leaves):
                    self._write(first + at - 1)
            else:
                self._take(first + at, raws[at], leaves[at])
                at += 1

    def _take(self, n: int, raw: bytes, leaf: bytes) -> None:
        """Gather record `n`, and write a block that is full with it."""
        self._open.append((raw, leaf))
        full = MAX_RECORDS if self._expected is None else len(self._expected.leaves)
        if len(self._open) == full:
            self._write(n)

    def _write(self, last_n: int) -> None:
        """Write the records up to `last_n` that no block holds yet as one block, the offered one if it is of them."""
        expected, self._expected = self._expected, None
        if not self._open:
            return
        raws, leaves = zip(*self._open, strict=True)
        block: Block | PackedRun
        block = expected if expected is not None and expected.leaves == leaves else self._packer.pack(raws, leaves)
        self._db.execute(PUT_BLOCK, (last_n - len(self._open) + 1, block.packed, block.signatures))
        self._open.clear()

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
