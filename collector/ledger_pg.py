"""Writing the ledger in PostgreSQL: the same statements, one order of commits, ownership by leases.

Numbers rise in the order of commits, for every cursor behind the ledger goes by them: whoever writes holds one advisory
lock from its first statement to COMMIT. synchronous_commit stays on: with a synchronous standby, COMMIT answers when
both have it. Source: design §7, §9; decision note on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collector.ledger_place import Remote
from collector.ledger_rows import FOLLOWS
from collector.ledger_write import SqlLedger
from collector.pg import PgDatabase, PgError
from collector.pg_schema import check_version

WRITE_LOCK = 0x646F736F6E67
"""Advisory lock of whoever writes ("dosong")."""
OPTIONS = ("idle_in_transaction_session_timeout=5000", "lock_timeout=10000", "synchronous_commit=on")
"""A worker that stands still in a transaction loses it, so that the others go on."""
_LEAF, _TEXT = b"\1", b"\2"


class _Writer(PgDatabase):
    """The writing connection: how `prev` is kept here, and how many rows of records must have gone in."""

    def executemany(self, sql: str, rows: Any, /) -> Any:
        """As `PgDatabase.executemany`; records go in by ON CONFLICT DO NOTHING, all or none."""
        if not sql.startswith("INSERT INTO entry "):
            return super().executemany(sql, rows)
        given = [(*row[:7], kept(row[7]), *row[8:]) for row in rows]
        found = super().executemany(f"{sql} ON CONFLICT DO NOTHING", given)
        if found is not None and found.rowcount != len(given):
            raise PgError(f"{len(given) - found.rowcount} of {len(given)} records lie there already")
        return found


def kept(prev: int | bytes | str | None) -> bytes | None:
    """`prev` as column `prev` has it: see postgres_v1.sql."""
    if prev is None:
        return None
    if prev == FOLLOWS:
        return b""
    return _LEAF + prev if isinstance(prev, bytes) else _TEXT + str(prev).encode()


def unkept(prev: bytes | None) -> int | bytes | str | None:
    """The other way round."""
    if prev is None:
        return None
    if not prev:
        return FOLLOWS
    return prev[1:] if prev[:1] == _LEAF else prev[1:].decode()


class PostgresLedger(SqlLedger):
    """A ledger in PostgreSQL. Not safe for several threads; several processes may each have one."""

    begin = "BEGIN"

    def __init__(self, place: Remote) -> None:
        """Connect. Raises Misconfigured for a database that was not prepared, Unavailable for one that is not there."""
        db = _Writer(place, OPTIONS)
        try:
            check_version(db, place)
            super().__init__(place, db, db.execute("SELECT value FROM dictionary").fetchone()[0])
        except BaseException:
            db.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable transaction, alone among all writers. Raises Unavailable; then nothing of it is held."""
        with super().transaction():
            self._db.execute("SELECT pg_advisory_xact_lock(?)", (WRITE_LOCK,))
            self._records.renumber()
            yield

    def _prev(self, probe: str, epoch: int | None, seq: int | None, kept: int | bytes | str | None) -> str | None:
        return super()._prev(probe, epoch, seq, unkept(kept) if isinstance(kept, bytes) else kept)
