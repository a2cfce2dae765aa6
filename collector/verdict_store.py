"""`verdict.db`: the verdict on every record with the rules that applied, and which months must be judged again.

Only `judge` writes it. All of it is derived: whoever loses it runs `dosong-collector rebuild verdicts`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.core.verdict import Hit, Judgement, Verdict
from collector.core.verdict_judge import Empty
from collector.sqlite import Ownership, open_reader, open_writer
from wire.errors import Unavailable

NO_TIME = ""
"""Month of records that have no time yet."""


@dataclass(frozen=True, slots=True)
class Due:
    """A probe's month that must be judged; `since_ms`: when the first reason for it came."""

    probe: str
    month: str
    since_ms: int


class VerdictReader:
    """Read-only view, safe for several threads. Every call raises Unavailable while the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def of(self, numbers: Sequence[int]) -> dict[int, Judgement]:
        """The judgement on records by number; one that was not judged yet is left out."""
        marks = ", ".join("?" * len(numbers))
        sql = f"SELECT n, verdict, hits FROM record WHERE verdict IS NOT NULL AND n IN ({marks})"  # noqa: S608 (marks)
        return {row[0]: _judgement(row[1], row[2]) for row in self.rows(sql, *numbers)}

    def counts(self, probe: str | None = None, month: str | None = None) -> dict[str, int]:
        """How many records have each verdict."""
        sql = "SELECT verdict, count(*) FROM record WHERE verdict IS NOT NULL"
        sql += " AND probe = ?1" if probe is not None else " AND ?1 IS NULL"
        sql += " AND month = ?2" if month is not None else " AND ?2 IS NULL"
        return {row[0]: int(row[1]) for row in self.rows(f"{sql} GROUP BY verdict ORDER BY verdict", probe, month)}

    def hits(self, probe: str | None = None, month: str | None = None) -> dict[str, int]:
        """How many records each rule applies to."""
        sql = "SELECT json_extract(value, '$[0]'), count(*) FROM record, json_each(record.hits)"
        sql += " WHERE (?1 IS NULL OR probe = ?1) AND (?2 IS NULL OR month = ?2) GROUP BY 1 ORDER BY 2 DESC, 1"
        return {row[0]: int(row[1]) for row in self.rows(sql, probe, month)}

    def empty_slots(self, probe: str | None = None, month: str | None = None) -> list[tuple[str, Empty]]:
        """Slots without a record, oldest first, with their probe."""
        sql = "SELECT probe, modem, slot_ms, length_ms, why FROM empty_slot WHERE (?1 IS NULL OR probe = ?1)"
        sql += " AND (?2 IS NULL OR month = ?2) ORDER BY slot_ms, probe"
        return [(row[0], Empty(*row[1:])) for row in self.rows(sql, probe, month)]

    def due_count(self) -> int:
        """How many months of probes wait to be judged."""
        return int(self.rows("SELECT count(*) FROM due")[0][0])

    def value(self, key: str) -> Any:
        """A value of table `meta`; None if it is not there."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", key)
        return rows[0][0] if rows else None

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query gives."""
        try:
            with self._lock:
                return [tuple(row) for row in self._open().execute(sql, values)]
        except sqlite3.Error as error:
            self._db = None
            raise Unavailable(f"cannot read {self.path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_reader(self.path)
        return self._db


class VerdictStore(VerdictReader):
    """The writing side. Raises Misconfigured if another process writes it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._ownership = Ownership(path)
        self._db = open_writer(path, "verdict")

    def close(self) -> None:
        """Close the file and give up the right to write it."""
        super().close()
        self._ownership.release()

    def clear(self) -> None:
        """Forget everything, so that it is derived again."""
        with self.transaction() as db:
            for table in ("meta", "record", "due", "trace_cell", "trace_series", "trace_trouble", "empty_slot"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 (names of ours)

    def take(self, rows: Sequence[tuple[int, str, str, int | None]], cursors: Mapping[str, int], now_ms: int) -> None:
        """Note records (n, probe, month, t_ms) as to be judged, and how far the ledger was read."""
        with self.transaction() as db:
            old = [db.execute("SELECT probe, month FROM record WHERE n = ?", (row[0],)).fetchone() for row in rows]
            db.executemany(
                "INSERT INTO record (n, probe, month, t_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " month = excluded.month, t_ms = excluded.t_ms",
                rows,
            )
            months = {(row[1], row[2]) for row in rows} | {tuple(row) for row in old if row is not None}
            db.executemany("INSERT OR IGNORE INTO due VALUES (?, ?, ?)", [(*one, now_ms) for one in sorted(months)])
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(cursors.items()))

    def next_due(self, before_ms: int) -> Due | None:
        """The month that waits longest, of those that wait since `before_ms` or longer."""
        rows = self.rows(
            "SELECT probe, month, since_ms FROM due WHERE since_ms <= ? ORDER BY since_ms LIMIT 1", before_ms
        )
        return Due(*rows[0]) if rows else None

    def numbers(self, probe: str, month: str, since_ms: int, until_ms: int) -> list[int]:
        """Records of a probe's month and of the days before it; of month "" the undated ones."""
        if month == NO_TIME:
            return [row[0] for row in self.rows("SELECT n FROM record WHERE probe = ? AND t_ms IS NULL", probe)]
        sql = "SELECT n FROM record WHERE probe = ? AND t_ms >= ? AND t_ms < ? ORDER BY n"
        return [row[0] for row in self.rows(sql, probe, since_ms, until_ms)]

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable step. Raises Unavailable if the disk refuses; then nothing of it is held."""
        db = self._open()
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise Unavailable(f"cannot write {self.path}: {error}; free or repair the disk") from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    @staticmethod
    def keep(db: sqlite3.Connection, judged: Mapping[int, Judgement]) -> None:
        """Replace the verdicts on some records, inside a transaction."""
        rows = [(j.verdict, json.dumps([[h.rule, dict(h.figures)] for h in j.hits]), n) for n, j in judged.items()]
        db.executemany("UPDATE record SET verdict = ?, hits = ? WHERE n = ?", rows)


def _judgement(verdict: str, hits: str) -> Judgement:
    return Judgement(Verdict(verdict), tuple(Hit(rule, figures) for rule, figures in json.loads(hits)))
