"""What forward remembers: how far InfluxDB has taken the ledger, and the lines that it will never take."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from collector.sqlite import Ownership, open_writer
from wire.errors import Unavailable


class ForwardStore:
    """`forward.db`. Not safe for several threads. Every call raises Unavailable if the disk refuses."""

    def __init__(self, path: Path) -> None:
        """Open. Raises Misconfigured if another forward has it open."""
        self.path = path
        self._own = Ownership(path)
        self._db = open_writer(path, "forward")

    def close(self) -> None:
        """Close the file and give up the right to write it."""
        self._db.close()
        self._own.release()

    def position(self) -> int:
        """Number of the last record that InfluxDB has taken."""
        return self._number("SELECT coalesce(max(n), 0) FROM cursor")

    def redo_position(self) -> int:
        """Number of the last change to an older record that InfluxDB has taken."""
        return self._number("SELECT coalesce(max(redo), 0) FROM cursor")

    def parked(self) -> int:
        """How many lines are parked."""
        return self._number("SELECT count(*) FROM parked")

    def move(self, taken: Mapping[int, int]) -> None:
        """Set the cursor of each partition (partition to record number), all in one durable step."""
        self._write("INSERT INTO cursor VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET n = max(n, excluded.n)", taken)

    def move_redo(self, taken: Mapping[int, int]) -> None:
        """Set the cursor over changes of each partition."""
        self._write(
            "INSERT INTO cursor VALUES (?, 0, ?) ON CONFLICT DO UPDATE SET redo = max(redo, excluded.redo)", taken
        )

    def start_over(self) -> None:
        """Forget how far InfluxDB has taken the ledger: writing everything again is harmless."""
        self._run("DELETE FROM cursor")

    def park(self, line: str, reason: str, at_ms: int) -> None:
        """Keep a line that InfluxDB will never take, with its reason."""
        self._run("INSERT OR IGNORE INTO parked (parked_ms, reason, line) VALUES (?, ?, ?)", at_ms, reason[:200], line)

    def _run(self, sql: str, *values: object) -> None:
        try:
            self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise Unavailable(f"cannot write {self.path}: {error}; free or repair the disk") from error

    def _number(self, sql: str) -> int:
        try:
            return int(self._db.execute(sql).fetchone()[0])
        except sqlite3.Error as error:
            raise Unavailable(f"cannot read {self.path}: {error}") from error

    def _write(self, sql: str, taken: Mapping[int, int]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(sql, taken.items())
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise Unavailable(f"cannot write {self.path}: {error}; free or repair the disk") from error
