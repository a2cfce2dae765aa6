"""One sealer for one ledger, on whichever machine: an advisory lock in its database, held as long as its connection.

What a server holds alone (its standby is away, and somebody ended the wait for it, or the server) is seen by readers
all the same. It is not sealed: a standby that is promoted would lack what a checkpoint covers.
"""

from __future__ import annotations

import sqlite3
from threading import Timer
from typing import TYPE_CHECKING, cast

from collector.ledger_place import LedgerPlace, Remote
from wire.errors import Unavailable

if TYPE_CHECKING:
    from collector.pg import PgDatabase

LOCK = 0x7365616C
"""Advisory lock of whoever seals ("seal")."""
STANDBY_S = 10.0


class SealLock:
    """The right to seal a ledger. Of a file on this machine it is the lock of `seal.db`, so there is nothing to do."""

    def __init__(self, place: LedgerPlace) -> None:
        self._place = place
        self._db: PgDatabase | None = None

    def take(self) -> None:
        """Have it, or find that we still have it. Raises Unavailable while another sealer does, a standby is away."""
        if not isinstance(self._place, Remote):
            return
        from collector.pg import PgDatabase  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

        if self._is_held():
            self._settle()
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
        self._settle()

    def _settle(self) -> None:
        """Wait until the standby has all that can be read now. Raises Unavailable."""
        from collector.pg import WRITE  # noqa: PLC0415 (as above)

        db = cast("PgDatabase", self._db)
        late = Timer(STANDBY_S, db.cancel)
        late.start()
        try:
            for sql in ("BEGIN", WRITE, "COMMIT"):
                db.execute(sql)
        except sqlite3.Error as error:
            self.close()
            raise Unavailable(f"nothing is sealed that may be on one server only: {error}") from error
        finally:
            late.cancel()

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
