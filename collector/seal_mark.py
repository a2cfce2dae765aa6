"""How far the log of a ledger was signed, kept in the ledger's own database.

`seal.db` and the log folder lie on the sealer's machine, a ledger in PostgreSQL on others: the one may be lost and the
other not. A sealer that began anew would sign another root for a size that everybody knows. What is noted here, before
a checkpoint is published, keeps it from that. Of a ledger in a file, all of it lies in one folder, and only `receive`
may write it (`collector.sqlite`): there nothing is noted.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from collector.ledger_place import LedgerPlace, Remote
from wire.errors import Unavailable

if TYPE_CHECKING:
    from collector.pg import PgDatabase

OPTIONS = ("synchronous_commit=local",)
"""A standby that is away keeps no checkpoint back; it gets this before anything of the next round is signed."""
_KEY = "sealed.{gen}.{year}"
_HELD = "SELECT value FROM meta WHERE key = ?"
_KEEP = (
    "INSERT INTO meta (key, value) VALUES (?, ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE meta.value < excluded.value"
)


class SealMark:
    """Sizes of the newest checkpoints, by generation and year of their log."""

    def __init__(self, place: LedgerPlace) -> None:
        self._place = place
        self._db: PgDatabase | None = None

    def size(self, gen: int, year: int) -> int:
        """How many leaves of a log were signed, as far as it is known here; 0 if none. Raises Unavailable."""
        if not isinstance(self._place, Remote):
            return 0
        try:
            held = self._open(self._place).execute(_HELD, (_KEY.format(gen=gen, year=year),)).fetchone()
        except sqlite3.Error as error:
            raise self._lost(error) from error
        return 0 if held is None else int(held[0])

    def keep(self, gen: int, year: int, size: int) -> None:
        """Note that so many are signed; on the primary's disk when it returns. Raises Unavailable."""
        if not isinstance(self._place, Remote):
            return
        try:
            self._open(self._place).execute(_KEEP, (_KEY.format(gen=gen, year=year), size))
        except sqlite3.Error as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """End the connection; the next call makes another."""
        if self._db is not None:
            self._db.close()
        self._db = None

    def _open(self, place: Remote) -> PgDatabase:
        from collector.pg import PgDatabase  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

        if self._db is None:
            self._db = PgDatabase(place, OPTIONS)
        return self._db

    def _lost(self, error: sqlite3.Error) -> Unavailable:
        self.close()
        return Unavailable(f"the ledger's database was lost: {error}")
