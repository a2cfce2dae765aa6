"""Rows into one table of PostgreSQL by `COPY ... FROM STDIN`, sent while later ones are still being made.

An INSERT of many rows looks into every unique index before it writes, and waits until all of them are there; COPY does
neither. A row that lies there already fails the transaction, as it must.
Source: PostgreSQL 15 documentation, COPY (text format); psycopg 3 documentation, copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from collector.pg import CopyIn, PgDatabase

SEND_ROWS = 40
"""So many wait for each other: a statement of its own for a few rows would cost more than they do. What is sent soon is
worked on while the next rows are made: with 200 the whole insert takes a tenth longer."""
_SPECIAL = re.compile(r"[\\,\n\r]")
_SPELT = {"\\": "\\\\", ",": "\\,", "\n": "\\n", "\r": "\\r"}
_NULL = " None"
"""As it stands in the text of a tuple, behind a comma; so does a number with a blank before it, which is allowed."""


class RowStream:
    """Rows on their way into `table`. While some are being sent the connection takes no other statement: `pause`."""

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN WITH (DELIMITER ',', NULL '{_NULL}')"
        self._waiting: list[str] = []
        self._copy: CopyIn | None = None

    def add(self, db: PgDatabase, rows: Iterable[str]) -> None:
        """Take rows, their values spelt and with commas between; send what waits once it is much. Raises PgError."""
        self._waiting += rows
        if len(self._waiting) >= SEND_ROWS:
            self._send(db)

    def pause(self) -> None:
        """Let the server finish what was sent: behind it other statements may come. Raises PgError."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.end()

    def end(self, db: PgDatabase) -> None:
        """Send all that waits, and let the server finish it. Raises PgError if any row lies there already."""
        if self._waiting:
            self._send(db)
        self.pause()

    def abandon(self) -> None:
        """Forget what waits and break off what was sent; the transaction is to be rolled back."""
        self._waiting.clear()
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.abandon()

    def _send(self, db: PgDatabase) -> None:
        if self._copy is None:
            self._copy = db.copy_in(self._sql)
        text = "\n".join(self._waiting)
        self._waiting.clear()
        self._copy.write(f"{text}\n")


def spelt(value: int | str | bytes | None) -> str:
    """One value in COPY's text format."""
    if type(value) is bytes:
        return f"\\\\x{value.hex()}"
    if type(value) is not str:
        return _NULL if value is None else str(value)
    clean = _SPECIAL.sub(lambda found: _SPELT[found[0]], value.replace("\0", "\ufffd"))
    return clean if clean != _NULL else f"\\{_NULL}"


def numbers(values: tuple[int | None, ...]) -> str:
    """Two or more whole numbers, of which the first is not None: all at once, in a tenth of the time."""
    return str(values)[1:-1]
