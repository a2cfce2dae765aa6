"""Opens a ledger wherever it lies: a file of SQLite, or a database of PostgreSQL, whose driver is loaded only then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from collector.ledger_place import Database, LedgerPlace
from collector.sqlite import open_reader
from wire.errors import Misconfigured

if TYPE_CHECKING:
    from collector.ledger_write import SqlLedger


def open_ledger(place: LedgerPlace) -> SqlLedger:
    """The one that writes. Raises Misconfigured, Unavailable."""
    from collector.ledger_write import SqliteLedger  # noqa: PLC0415 (readers need nothing of it)

    if isinstance(place, Path):
        return SqliteLedger(place)
    try:
        from collector.ledger_pg import PostgresLedger  # noqa: PLC0415 (only who uses PostgreSQL has its driver)
    except ImportError as error:
        raise _no_driver(error) from error
    return PostgresLedger(place)


def open_database(place: LedgerPlace) -> Database:
    """A connection that only reads. Raises Unavailable while there is nothing to read, Misconfigured."""
    if isinstance(place, Path):
        return open_reader(place)
    try:
        from collector.pg_schema import reading  # noqa: PLC0415 (as above)
    except ImportError as error:
        raise _no_driver(error) from error
    return reading(place)


def _no_driver(error: ImportError) -> Misconfigured:
    return Misconfigured(f"ledger.url needs the driver of PostgreSQL ({error}); install dosong[postgres]")
