"""`seal.db`: which record stands at which index of which log, and every checkpoint that was ever signed.

Only `seal` writes it. Whoever answers with a proof reads it.
Source: design §7, seal; facts note 08 §3.2.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from collector.core.sealing import Stretch
from collector.sqlite import Ownership, open_reader, open_writer
from wire.cosign import Cosigned
from wire.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Shard:
    """One log: `name` is its origin. `first_leaf` is its entry 0: the last checkpoint of the shard before, or ""."""

    n: int
    name: str
    year: int
    gen: int
    first_leaf: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """One signed checkpoint of a shard."""

    size: int
    root: bytes
    signed_ms: int
    note: bytes


class SealReader:
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

    def shards(self) -> list[Shard]:
        """All logs, oldest first."""
        return [Shard(*row) for row in self._rows("SELECT n, name, year, gen, first_leaf FROM shard ORDER BY n")]

    def runs(self, shard: int, since: int = 0) -> list[Stretch]:
        """What stands in a log from index `since` on (whole runs), in order."""
        sql = "SELECT first_index, count, source, first_n FROM run WHERE shard = ? AND first_index + count > ?"
        return [Stretch(*row) for row in self._rows(f"{sql} ORDER BY first_index", shard, since)]

    def last_checkpoint(self, shard: int) -> Signed | None:
        """The newest checkpoint; None before the first."""
        found = self._checkpoints(shard, "ORDER BY size DESC LIMIT 1")
        return found[0] if found else None

    def first_checkpoint(self, shard: int) -> Signed | None:
        """The oldest checkpoint; None before it."""
        found = self._checkpoints(shard, "ORDER BY size LIMIT 1")
        return found[0] if found else None

    def checkpoint(self, shard: int, size: int) -> Signed | None:
        """The checkpoint over `size` leaves; None if none was signed at that size."""
        found = self._checkpoints(shard, "AND size = ?", size)
        return found[0] if found else None

    def checkpoints(self, shard: int, after: int, upto: int) -> list[Signed]:
        """Checkpoints with after < size <= upto, smallest first."""
        return self._checkpoints(shard, "AND size > ? AND size <= ? ORDER BY size", after, upto)

    def signed_n(self, source: str, gen: int, shard: int, size: int) -> int | None:
        """The highest row of `source` below index `size` of a log, or in an older log of generation `gen`."""
        rows = self._rows(
            "SELECT max(first_n + count - 1) FROM run JOIN shard ON shard.n = shard WHERE source = ? AND gen = ?"
            " AND (shard < ? OR (shard = ? AND first_index < ?))",
            *(source, gen, shard, shard, size),
        )
        return None if rows[0][0] is None else int(rows[0][0])

    def last_n(self, source: str, gen: int) -> int | None:
        """The highest row of `source` that has an index in a log of generation `gen`; None if none has."""
        rows = self._rows(
            "SELECT max(first_n + count - 1) FROM run JOIN shard ON shard.n = shard WHERE source = ? AND gen = ?",
            *(source, gen),
        )
        return None if rows[0][0] is None else int(rows[0][0])

    def base(self, source: str, gen: int) -> int | None:
        """Up to which row of `source` the logs before generation `gen` are its own; None if it was never asked."""
        rows = self._rows(
            "SELECT base.n FROM base JOIN shard ON shard.n = shard WHERE source = ? AND gen = ?", source, gen
        )
        return int(rows[0][0]) if rows else None

    def place(self, source: str, n: int) -> tuple[Shard, int] | None:
        """In which log and at which index a row stands; None if it is not sealed yet."""
        rows = self._rows(
            "SELECT shard, first_index + ? - first_n FROM run WHERE source = ? AND first_n <= ?"
            " AND ? < first_n + count ORDER BY shard DESC LIMIT 1",
            *(n, source, n, n),
        )
        if not rows:
            return None
        return next(shard for shard in self.shards() if shard.n == rows[0][0]), int(rows[0][1])

    def cosigners(self, shard: int, size: int) -> list[str]:
        """Names of the witnesses that cosigned a checkpoint."""
        sql = "SELECT witness FROM cosignature WHERE shard = ? AND size = ? ORDER BY witness"
        return [row[0] for row in self._rows(sql, shard, size)]

    def unsigned(self, after: int = 0) -> list[tuple[int, int, bytes]]:
        """Records whose own signature fails: number of the finding, number and leaf of the record; oldest first."""
        rows = self._rows("SELECT id, n, leaf FROM unsigned WHERE id > ? ORDER BY id", after)
        return [(int(row[0]), int(row[1]), bytes(row[2])) for row in rows]

    def audited(self, gen: int) -> int:
        """Up to which record of this generation of the ledger the signatures were checked."""
        rows = self._rows("SELECT n FROM audited WHERE gen = ?", gen)
        return int(rows[0][0]) if rows else 0

    def watched(self, view: str, gen: int, after_n: int, limit: int) -> list[tuple[int, int, bytes]]:
        """Stretches of a table that is no part of a log, as they were first seen: first and last row, digest.

        Those of which the collector's own rules may have let go a row are left out.
        """
        sql = "SELECT first_n, last_n, digest FROM watch WHERE view = ? AND gen = ? AND first_n > ? AND let_go = 0"
        return [
            (row[0], row[1], row[2]) for row in self._rows(f"{sql} ORDER BY first_n LIMIT ?", view, gen, after_n, limit)
        ]

    def watched_n(self, view: str, gen: int) -> int:
        """Up to which row a table was seen."""
        return int(self._rows("SELECT coalesce(max(last_n), 0) FROM watch WHERE view = ? AND gen = ?", view, gen)[0][0])

    def _checkpoints(self, shard: int, rest: str, *values: object) -> list[Signed]:
        """Checkpoints with their cosignatures beneath them, as they are published."""
        sql = f"SELECT size, root, signed_ms, note FROM checkpoint WHERE shard = ? {rest}"  # noqa: S608 (fixed texts)
        return [self._with_lines(shard, Signed(*row)) for row in self._rows(sql, shard, *values)]

    def _with_lines(self, shard: int, signed: Signed) -> Signed:
        sql = "SELECT line FROM cosignature WHERE shard = ? AND size = ? ORDER BY witness"
        lines = b"".join(row[0] for row in self._rows(sql, shard, signed.size))
        return replace(signed, note=signed.note + lines)

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
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


class SealStore(SealReader):
    """The writing side. Raises Misconfigured if another process writes it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._ownership = Ownership(path)
        self._db = open_writer(path, "seal")

    def close(self) -> None:
        """Close the file and give up the right to write it."""
        super().close()
        self._ownership.release()

    def open_shard(self, name: str, year: int, gen: int, first_leaf: bytes, bases: Mapping[str, int]) -> Shard:
        """Begin a new log. `bases`: up to which row of each table earlier logs hold it (only after a restore)."""
        with self._transaction() as db:
            number = db.execute(
                "INSERT INTO shard (name, year, gen, first_leaf) VALUES (?, ?, ?, ?)", (name, year, gen, first_leaf)
            ).lastrowid
            db.executemany("INSERT INTO base VALUES (?, ?, ?)", [(number, *one) for one in bases.items()])
            if first_leaf:
                db.execute("INSERT INTO run VALUES (?, 0, 1, 'note', ?)", (number, number))
        return Shard(int(number or 0), name, year, gen, first_leaf)

    def assign(self, shard: int, runs: Sequence[Stretch]) -> None:
        """Give rows their indices, for ever."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO run VALUES (?, ?, ?, ?, ?)",
                [(shard, run.first_index, run.count, run.source, run.first_n) for run in runs],
            )

    def keep(self, shard: int, signed: Signed) -> None:
        """Persist a checkpoint before anybody sees it. A second root for one size cannot be kept: Unavailable."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?)",
                (shard, signed.size, signed.root, signed.signed_ms, signed.note),
            )

    def keep_cosignature(self, shard: int, size: int, cosigned: Cosigned) -> None:
        """Persist what a witness signed; a later one of the same witness takes the earlier one's place."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO cosignature VALUES (?, ?, ?, ?, ?)",
                (shard, size, cosigned.name, cosigned.time_s, cosigned.line),
            )

    def keep_audit(self, gen: int, n: int, bad: Sequence[tuple[int, bytes]], now_ms: int) -> None:
        """The signatures up to record `n` were checked; these records (number, leaf) bear none that is good."""
        with self._transaction() as db:
            found = [(number, leaf, now_ms) for number, leaf in bad]
            db.executemany("INSERT OR IGNORE INTO unsigned (n, leaf, found_ms) VALUES (?, ?, ?)", found)
            db.execute("INSERT OR REPLACE INTO audited VALUES (1, ?, ?)", (gen, n))

    def watch(self, gen: int, seen: Sequence[tuple[str, int, int, bytes, int | None]]) -> None:
        """Remember stretches that are new: view, first and last row, digest, when its oldest row came that may go."""
        with self._transaction() as db:
            sql = "INSERT INTO watch (gen, view, first_n, last_n, digest, oldest_ms) VALUES (?, ?, ?, ?, ?, ?)"
            db.executemany(sql, [(gen, *one) for one in seen])

    def let_go(self, view: str, gen: int, upto_n: int, before_ms: int | None) -> None:
        """Rows up to `upto_n`, and rows that came before a moment, may go: compare their stretches no more."""
        where = "view = ? AND gen = ? AND let_go = 0 AND (first_n <= ? OR oldest_ms < ?)"
        values = (view, gen, upto_n, before_ms)
        if self._rows(f"SELECT 1 FROM watch WHERE {where} LIMIT 1", *values):  # noqa: S608 (fixed texts)
            with self._transaction() as db:
                db.execute(f"UPDATE watch SET let_go = 1 WHERE {where}", values)  # noqa: S608 (fixed texts)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
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
