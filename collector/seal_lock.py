"""One sealer for one ledger, on whichever machine: an advisory lock in its database, held as long as its connection."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from collector.ledger_place import LedgerPlace, Remote
from wire.errors import Unavailable

if TYPE_CHECKING:
    from collector.pg import PgDatabase

LOCK = 0x7365616C
"""Advisory lock of whoever seals ("seal")."""


class SealLock:
    """The right to seal a ledger. Of a file on this machine it is the lock of `seal.db`, so there is nothing to do."""

    def __init__(self, place: LedgerPlace) -> None:
        self._place = place
        self._db: PgDatabase | None = None

    def take(self) -> None:
        """Have it, or find that we still have it. Raises Unavailable while another sealer does."""
        if not isinstance(self._place, Remote):
            return
        from collector.pg import PgDatabase  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

        if self._is_held():
            return
        try:
            db = PgDatabase(self._place)
            if not db.execute("SELECT pg_try_advisory_lock(?)", (LOCK,)).fetchone()[0]:
                db.close()
                raise Unavailable("another sealer seals this ledger; this one waits, and goes on when that one ends")
            self._db = db
        except sqlite3.Error as error:
            self.close()
            raise Unavailable(f"the ledger's database was lost: {error}") from error

    def _is_held(self) -> bool:
        """Whether the connection that holds it still stands; one that was lost is given up, and the lock with it."""
        try:
            if self._db is not None:
                self._db.execute("SELECT 1")
        except sqlite3.Error:
            self.close()
        return self._db is not None

    def close(self) -> None:
        """Give it up."""
        if self._db is not None:
            self._db.close()
        self._db = None
