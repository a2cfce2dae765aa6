"""What becomes a leaf of the log, in the order in which the ledger committed it, with the bytes that it hashes."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any, Protocol

from collector.ledger_bytes import BlockReader
from collector.ledger_engine import open_database
from collector.ledger_place import Database, LedgerPlace
from collector.pack import Packer
from wire import tlog
from wire.errors import Unavailable

SOURCES = ("record", "receipt", "signed_note")
"""Tables whose rows are leaves, by their names in `seal.db`."""
RECORDS = "entry"
_TABLES = {"signed_note": "note", "record": RECORDS}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One row: its number, the leaf hash that was stored with it, its bytes as they read now, when it came."""

    n: int
    leaf: bytes
    raw: bytes = field(repr=False)
    received_ms: int

    @property
    def is_intact(self) -> bool:
        """Whether the bytes still have the hash that they were stored with."""
        return tlog.leaf_hash(self.raw) == self.leaf


class LeafSource(Protocol):
    """A table whose rows are leaves, numbered upwards. Every call raises Unavailable while it cannot be read."""

    name: str

    def last_n(self) -> int:
        """Number of the newest row; 0 if there is none."""
        ...

    def rows(self, after_n: int, limit: int) -> list[Leaf]:
        """Return rows with n > `after_n`, lowest first."""
        ...

    def generation(self) -> int:
        """How often the ledger was restored."""
        ...


class LedgerLeaves:
    """Records of `ledger.db`, whose bytes lie in blocks, or a table with the columns n, leaf, raw, received_ms.

    `source` is its name in `seal.db`, where `note` is a log's own first entry: the table of notes has another.
    """

    def __init__(self, path: LedgerPlace, source: str = "record") -> None:
        self.path, self.name = path, source
        self._table = _TABLES.get(source, source)
        self._db: Database | None = None
        self._packer: Packer | None = None
        self._blocks: BlockReader | None = None

    def last_n(self) -> int:
        """Number of the newest row; 0 if there is none."""
        return int(self._rows(f"SELECT coalesce(max(n), 0) FROM {self._table}")[0][0])  # noqa: S608 (a name of ours)

    def rows(self, after_n: int, limit: int) -> list[Leaf]:
        """Return rows with n > `after_n`, lowest first."""
        raw = "" if self._table == RECORDS else ", raw"
        sql = f"SELECT n, leaf, received_ms{raw} FROM {self._table} WHERE n > ? ORDER BY n LIMIT ?"  # noqa: S608 (as above)
        found = self._rows(sql, after_n, limit)
        if not raw:
            return self._with_blocks(found)
        return [Leaf(row[0], row[1], self._bytes(row[3]), row[2]) for row in found]

    def _with_blocks(self, rows: list[Any]) -> list[Leaf]:
        """Records with their bytes; what no longer reads reads as nothing, which no leaf hash fits."""
        try:
            raws = self._blocks.raws(row[0] for row in rows) if self._blocks is not None else {}
        except sqlite3.Error as error:
            raise self._lost(error) from error
        return [Leaf(row[0], row[1], raws.get(row[0], b""), row[2]) for row in rows]

    def generation(self) -> int:
        """How often the ledger was restored."""
        return int(self._rows("SELECT coalesce((SELECT value FROM meta WHERE key = 'gen'), 0)")[0][0])

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _bytes(self, packed: bytes) -> bytes:
        """Unpack a row; what no longer unpacks reads as nothing, which no leaf hash fits."""
        plain = None if self._packer is None else self._packer.read(packed)
        return b"" if plain is None else plain

    def _rows(self, sql: str, *values: int) -> list[Any]:
        try:
            found: list[Any] = self._open().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._lost(error) from error
        return found

    def _lost(self, error: sqlite3.Error) -> Unavailable:
        self.close()
        return Unavailable(f"cannot read {self.path}: {error}")

    def _open(self) -> Database:
        if self._db is None:
            db = open_database(self.path)
            held = db.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()
            if held is None:
                raise Unavailable(f"{self.path} is still being created")
            self._packer = Packer(held[0])
            self._blocks = BlockReader(db, held[0])
            self._db = db
        return self._db
