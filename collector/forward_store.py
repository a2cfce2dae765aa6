"""What forward remembers: how far InfluxDB has taken the ledger, and the lines that it will never take."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from collector.core.rollup import DayKey
from collector.forward_memory import Alone, Due, Memory
from collector.ledger_place import Remote
from collector.settings import Settings
from collector.sqlite import Ownership, open_writer
from wire.errors import Unavailable

_DUE = "INSERT INTO due VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET anew = max(anew, excluded.anew)"
_TOUCH = "INSERT INTO touched VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET hours = hours | excluded.hours"


def _rows(touched: Mapping[DayKey, int]) -> Iterable[tuple[Any, ...]]:
    return ((*key, hours) for key, hours in touched.items())


class ForwardStore(Alone):
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

    def move(self, taken: Mapping[int, int], touched: Mapping[DayKey, int]) -> None:
        """Set the cursor of each partition (partition to record number) and note which hours were touched (bits of
        the day), all in one durable step."""
        sql = "INSERT INTO cursor VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET n = max(n, excluded.n)"
        self._write((sql, taken.items()), (_TOUCH, _rows(touched)))

    def move_redo(self, taken: Mapping[int, int], touched: Mapping[DayKey, int]) -> None:
        """Set the cursor over changes of each partition, and note which hours they touched."""
        sql = "INSERT INTO cursor VALUES (?, 0, ?) ON CONFLICT DO UPDATE SET redo = max(redo, excluded.redo)"
        self._write((sql, taken.items()), (_TOUCH, _rows(touched)))

    def touched(self, limit: int) -> dict[DayKey, int]:
        """Days with hours whose rollup points are to be written again, and those hours as bits."""
        return {DayKey(*row[:5]): row[5] for row in self._rows("SELECT * FROM touched LIMIT ?", limit)}

    def settle(self, done: Mapping[DayKey, int], due: Mapping[str, Mapping[Due, bool]]) -> None:
        """These rollup points are written; what hangs on them is due (by span; True: to be deleted first)."""
        self._write(
            ("DELETE FROM touched WHERE (day_ms, province, commune, hamlet, plmn, hours) = (?,?,?,?,?,?)", _rows(done)),
            (_DUE, ((span, *key, int(anew)) for span, keys in due.items() for key, anew in keys.items())),
        )

    def due(self, span: str, limit: int) -> dict[Due, bool]:
        """What is due of a span, newest first; True: to be deleted before it is written."""
        sql = "SELECT start_ms, province, anew FROM due WHERE span = ? ORDER BY anew DESC, start_ms DESC LIMIT ?"
        return {(row[0], row[1]): bool(row[2]) for row in self._rows(sql, span, limit)}

    def written(self, span: str, keys: Iterable[Due]) -> None:
        """These points of a span are written."""
        self._write(("DELETE FROM due WHERE (span, start_ms, province) = (?, ?, ?)", ((span, *key) for key in keys)))

    def noted(self, key: str) -> int | None:
        """A number kept under a name; None if there is none."""
        rows = self._rows("SELECT value FROM note WHERE key = ?", key)
        return int(rows[0][0]) if rows else None

    def note(self, key: str, value: int) -> None:
        """Keep a number under a name."""
        self._run("INSERT OR REPLACE INTO note VALUES (?, ?)", key, value)

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
        return int(self._rows(sql)[0][0])

    def _rows(self, sql: str, *values: object) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"cannot read {self.path}: {error}") from error

    def _write(self, *steps: tuple[str, Iterable[Any]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for sql, rows in steps:
                self._db.executemany(sql, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise Unavailable(f"cannot write {self.path}: {error}; free or repair the disk") from error


def forward_memory(settings: Settings) -> Memory:
    """What this machine's `forward` remembers with. Raises Misconfigured if another one is this one, Unavailable."""
    place = settings.ledger
    if not isinstance(place, Remote):
        return ForwardStore(settings.forward)
    from collector.forward_shared import shared_store  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

    return shared_store(settings, place)
