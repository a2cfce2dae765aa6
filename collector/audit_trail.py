"""The audit trail in `registry.db`: every login and privileged deed is a row, whose bytes `receive` takes into the log.

A row is written before its deed is done, so no deed is without one. Source: issue 6, accounts; facts note 08 §5.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from pathlib import Path
from typing import Any

from collector.core.audit import Deed, leaf_bytes, plain_target
from collector.sqlite import open_writer
from wire.errors import Unavailable

_COLUMNS = "n, at_ms, actor, role, what, target, number"
_LONG_NUMBER = re.compile(r"[0-9]{8,}")
"""What may be a telephone number has no place in a log that stays for ever."""


class AuditTrail:
    """Appends and reads. Safe for several threads and processes. Raises Unavailable while the file cannot be used."""

    def __init__(self, path: Path, origin: str) -> None:
        self.path = path
        self._origin = origin
        self._lock = threading.Lock()
        self._db = open_writer(path, "registry", wal=False)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def write(self, actor: str, role: str, what: str, target: str, now_ms: int, number: int | None = None) -> int:
        """Append one line, on disk when this returns; its number. Raises Refused for what no line may hold."""
        named = _LONG_NUMBER.sub("number", actor)
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    n = int(self._db.execute("SELECT coalesce(max(n), 0) + 1 FROM audit").fetchone()[0])
                    deed = Deed(n, now_ms, named, role, what, plain_target(target), number)
                    values = (n, now_ms, named, role, what, deed.target, number, leaf_bytes(self._origin, deed))
                    self._db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
                    self._db.execute("COMMIT")
                finally:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise Unavailable(f"cannot write {self.path}: {error}; free or repair the disk") from error
        return n

    def read(self, limit: int, actor: str | None = None) -> list[Deed]:
        """The newest lines, newest first (of one actor)."""
        where, values = ("WHERE actor = ?", (actor, limit)) if actor else ("", (limit,))
        sql = f"SELECT {_COLUMNS} FROM audit {where} ORDER BY n DESC LIMIT ?"  # noqa: S608 (our own words)
        return [Deed(*row) for row in self._rows(sql, *values)]

    def leaves(self, after_n: int, limit: int) -> list[tuple[int, bytes]]:
        """Lines with n > `after_n` as the bytes that the log holds, oldest first."""
        found = self._rows("SELECT n, raw FROM audit WHERE n > ? ORDER BY n LIMIT ?", after_n, limit)
        return [(int(row[0]), bytes(row[1])) for row in found]

    def _rows(self, sql: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"cannot read {self.path}: {error}") from error
