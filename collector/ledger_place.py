"""Where a ledger lies, and what our statements need of its database, whichever engine it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

_PASSWORD = re.compile(r"(://[^:/@]*:)[^@]*(?=@)|(\bpassword=)[^&]*")


@dataclass(frozen=True, slots=True)
class Remote:
    """A ledger in PostgreSQL: `postgresql://USER@HOST[,HOST]/DATABASE`, the password apart from it (None: libpq's own
    ways, such as a peer's socket or ~/.pgpass). Printed without the password. `snapshot`: the moment to read, as
    pg_export_snapshot named it; None: each question's own."""

    url: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    snapshot: str | None = None

    def __str__(self) -> str:
        return _PASSWORD.sub(r"\1\2...", self.url)


LedgerPlace = Path | Remote
"""A file of SQLite on this machine, or a database of PostgreSQL."""


class Database(Protocol):
    """A connection that runs our statements: SQLite's own, or `collector.pg.PgDatabase`, which speaks as it does."""

    @property
    def in_transaction(self) -> bool:
        """Whether BEGIN was said and neither COMMIT nor ROLLBACK."""

    def execute(self, sql: str, values: Any = (), /) -> Any:
        """Run one statement with `?` for values. Raises sqlite3.Error."""

    def executemany(self, sql: str, rows: Iterable[Any], /) -> Any:
        """Run one statement for each row of values. Raises sqlite3.Error."""

    def close(self) -> None:
        """End the connection; what was not committed is gone."""
