"""Reading raw bytes of records out of the ledger by their numbers."""

from __future__ import annotations

from collections.abc import Iterable

from collector.blocks import Block, BlockPacker
from collector.ledger_place import Database


class BlockReader:
    """Raw bytes by number, over one connection. Keeps nothing between calls: what is read is what lies there now."""

    def __init__(self, db: Database, dictionary: bytes) -> None:
        self._db = db
        self._packer = BlockPacker(dictionary)

    def raws(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Bytes of these records; those that no longer read are left out. Raises sqlite3.Error."""
        found: dict[int, bytes] = {}
        first, held = 0, list[bytes]()
        for n in sorted(numbers):
            if not first <= n < first + len(held):
                first, held = self._block(n)
            if first <= n < first + len(held):
                found[n] = held[n - first]
        return found

    def _block(self, n: int) -> tuple[int, list[bytes]]:
        """The block that should hold record `n`: number of its first record, and what reads of it."""
        sql = "SELECT first_n, packed, signatures FROM block WHERE first_n <= ? ORDER BY first_n DESC LIMIT 1"
        row = self._db.execute(sql, (n,)).fetchone()
        if row is None:
            return 0, []
        return int(row[0]), self._packer.unpack(Block(row[1], row[2])) or []
