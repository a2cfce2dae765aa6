"""Reading the ledger: short read-only transactions, for forward, web and the command line.

A long read would keep the write-ahead log from being folded back, so every call takes what it needs at once.
Source: design §7, ledger; facts note 04 §4.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from collector.core.accept import leaf_bytes
from collector.core.rollup import DayKey, Hour
from collector.core.rollup_view import CommuneTotal
from collector.core.sample import Deliveries, HamletCounts, ProbeState, Refusal, Sample
from collector.core.witness import Direction, Named, named_by
from collector.ledger_bytes import BlockReader
from collector.ledger_engine import open_database
from collector.ledger_place import Database, LedgerPlace
from collector.ledger_time import THIRD, THIRD_MS
from collector.pack import Packer
from collector.rollups import Rollups
from wire import codec
from wire.errors import Refused, Unavailable
from wire.notes import Receipt
from wire.records import TestRecord


class LedgerReader:
    """Read-only view of `ledger.db`. Safe for several threads. Every call raises Unavailable while it cannot be read.

    The file need not exist yet when the reader is made: `receive` creates it.
    """

    def __init__(self, path: LedgerPlace) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: Database | None = None
        self._packer: Packer | None = None
        self._blocks: BlockReader | None = None

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._packer = None

    def samples(
        self,
        *,
        hamlet: str | None = None,
        commune: str | None = None,
        probe: str | None = None,
        kind: str | None = None,
        part: int | None = None,
        parts: Collection[int] | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        after_n: int | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> list[Sample]:
        """Records in order of receipt. `since_ms` <= t_ms < `until_ms` leaves out undated ones; n > `after_n`."""
        wanted: list[tuple[str, Any]] = [
            ("hamlet = ?", hamlet),
            ("commune = ?", commune),
            ("probe = ?", probe),
            ("kind = ?", kind),
            ("part = ?", part),
            (f"{THIRD} >= ?", None if since_ms is None else since_ms // THIRD_MS),
            (f"{THIRD} <= ?", None if until_ms is None else (until_ms - 1) // THIRD_MS),
            ("t_ms >= ?", since_ms),
            ("t_ms < ?", until_ms),
            ("n > ?", after_n),
        ]
        given = [(text, value) for text, value in wanted if value is not None]
        if parts is not None:
            given.append((_of_parts(parts), None))
        where = f"WHERE {' AND '.join(text for text, _ in given)}" if given else ""
        order = "DESC" if newest_first else "ASC"
        values = tuple(value for _, value in given if value is not None)
        rows = self.rows(f"SELECT * FROM record {where} ORDER BY n {order} LIMIT ?", *values, limit)  # noqa: S608
        return self._samples(rows)

    def sample(self, probe: str, epoch: int, seq: int) -> Sample | None:
        """The record with this identity (of a fork: the first); None if it is not held."""
        rows = self.rows(
            "SELECT * FROM record WHERE probe = ? AND epoch = ? AND seq = ? AND standing = 0", probe, epoch, seq
        )
        return next(iter(self._samples(rows)), None)

    def numbered(self, n: int) -> Sample | None:
        """The record with number `n`; None if there is none."""
        rows = self.rows("SELECT * FROM record WHERE n = ?", n)
        return next(iter(self._samples(rows)), None)

    def many(self, numbers: Sequence[int]) -> list[Sample]:
        """The records with these numbers, lowest first; one that is not held is left out."""
        found: list[Sample] = []
        for at in range(0, len(numbers), 500):
            some = numbers[at : at + 500]
            marks = ", ".join("?" * len(some))
            rows = self.rows(f"SELECT * FROM record WHERE n IN ({marks}) ORDER BY n", *some)  # noqa: S608 (marks)
            found += self._samples(rows)
        return found

    def receipts(self, sample: Sample) -> dict[Direction, Named]:
        """The receipts that a record names, by direction; empty for one that names none."""
        if not isinstance(sample.record, TestRecord):
            return {}
        return {way: self._named(sample.n, leaf) for way, leaf in named_by(sample.record)}

    def receipt_bytes(self, sample: Sample) -> list[bytes]:
        """The raw notes of the receipts that a record names and that are held."""
        if not isinstance(sample.record, TestRecord):
            return []
        found = (self._receipt_raw(leaf) for _, leaf in named_by(sample.record))
        return [raw for raw in found if raw is not None]

    def _named(self, n: int, leaf: str) -> Named:
        raw = self._receipt_raw(leaf)
        before = self.rows("SELECT 1 FROM witness WHERE leaf = ? AND record < ? LIMIT 1", leaf_bytes(leaf), n)
        held = None if raw is None else msgspec.json.decode(codec.body_of(raw), type=Receipt)
        return Named(leaf, held, is_shown_before=bool(before))

    def _receipt_raw(self, leaf: str) -> bytes | None:
        rows = self.rows("SELECT raw FROM receipt WHERE leaf = ?", leaf_bytes(leaf))
        if not rows or self._packer is None:
            return None
        with self._lock:
            return self._packer.unpack(rows[0]["raw"])

    def last_n(self) -> int:
        """Number of the newest record; 0 in an empty ledger."""
        return int(self.rows("SELECT coalesce(max(n), 0) FROM entry")[0][0])

    def last_redo(self) -> int:
        """Number of the newest entry in the list of records that changed after they were stored."""
        return int(self.rows("SELECT coalesce(max(n), 0) FROM redo")[0][0])

    def redone(self, after: int, limit: int, parts: Collection[int] | None = None) -> list[tuple[int, Sample]]:
        """Records that changed after they were stored (dated, found out of chain), with the number of the change."""
        of_parts = "" if parts is None else f" AND {_of_parts(parts)}"
        rows = self.rows(f"SELECT n, record FROM redo WHERE n > ?{of_parts} ORDER BY n LIMIT ?", after, limit)  # noqa: S608
        found = ((int(row["n"]), self.numbered(int(row["record"]))) for row in rows)
        return [(n, sample) for n, sample in found if sample is not None]

    def places_before(self, after: int, upto: int) -> dict[int, str]:
        """Of changes `after` < n <= `upto` that moved a record: "province commune hamlet" that it was under before."""
        rows = self.rows("SELECT n, was FROM redo WHERE n > ? AND n <= ? AND was IS NOT NULL", after, upto)
        return {int(row["n"]): str(row["was"]) for row in rows}

    def parts(self) -> list[int]:
        """Partitions that have records."""
        return [int(row[0]) for row in self.rows("SELECT DISTINCT part FROM entry ORDER BY part")]

    def hamlet_counts(self, since_ms: int | None = None, until_ms: int | None = None) -> dict[str, HamletCounts]:
        """Sums by hamlet over `since_ms` <= t_ms < `until_ms`: whole hours from rollups, the edges from records.

        Undated records belong to no time and are left out. Probes that stand nowhere are under "".
        """
        return Rollups(self).hamlet_counts(since_ms, until_ms)

    def commune_totals(self, since_ms: int, until_ms: int) -> list[CommuneTotal]:
        """Sums by commune and operator over `since_ms` <= t_ms < `until_ms`."""
        return Rollups(self).totals(since_ms, until_ms)

    def hamlet_days(
        self, hamlet: str, commune: str, since_ms: int, until_ms: int
    ) -> list[tuple[DayKey, dict[int, Hour]]]:
        """A hamlet's hours by operator and local day, over `since_ms` <= t_ms < `until_ms`."""
        return list(Rollups(self).days(since_ms, until_ms, commune, hamlet))

    def refusals(self, limit: int = 100) -> list[Refusal]:
        """What was refused, newest first."""
        rows = self.rows(
            "SELECT n, received_ms, topic, probe, reason, detail, size FROM refusal ORDER BY n DESC LIMIT ?", limit
        )
        return [Refusal(*row) for row in rows]

    def refused_bytes(self, n: int) -> bytes | None:
        """The bytes of refusal `n`, at most 64 KiB; None if it is unknown or so old that they were let go."""
        rows = self.rows("SELECT raw FROM refusal WHERE n = ?", n)
        if not rows or rows[0]["raw"] is None or self._packer is None:
            return None
        with self._lock:
            return self._packer.unpack(rows[0]["raw"])

    def deliveries(self) -> Deliveries:
        """What became of all records that ever reached the collector."""
        held = {row["key"]: int(row["value"]) for row in self.rows("SELECT key, value FROM total")}
        names = ("accepted", "duplicate", "refused", "let_go")
        return Deliveries(*(held.get(name, 0) for name in names))

    def probe_states(self) -> list[ProbeState]:
        """Every probe that ever sent a record or a status, by id."""
        rows = self.rows(
            "SELECT id, epoch, upto, max_seq, records, last_received_ms, last_t_ms, last_kind, status, status_ms"
            " FROM probe LEFT JOIN chain ON chain.probe = id"
            " AND epoch = (SELECT max(epoch) FROM chain c WHERE c.probe = id) ORDER BY id"
        )
        return [ProbeState(*row) for row in rows]

    def kind_counts(self) -> dict[tuple[str, str], int]:
        """By probe and kind: how many dated, readable records in the chain (what InfluxDB must hold)."""
        rows = self.rows(
            "SELECT probe, kind, count(*) FROM record WHERE t_ms IS NOT NULL AND kind IS NOT NULL AND standing = 0"
            " GROUP BY probe, kind"
        )
        return {(row[0], row[1]): int(row[2]) for row in rows}

    def step_counts(self) -> dict[str, int]:
        """By probe: how many steps the dated coverage records have."""
        rows = self.rows(
            "SELECT probe, sum(covered + degraded + no_service + unknown) FROM record"
            " WHERE t_ms IS NOT NULL AND kind = 'coverage' AND standing = 0 GROUP BY probe"
        )
        return {row[0]: int(row[1]) for row in rows}

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Answer one statement: all of its rows at once, in one short read. Raises Unavailable."""
        with self._lock:
            try:
                found: list[Any] = self._open().execute(sql, values).fetchall()
                return found
            except sqlite3.Error as error:
                self._connection = None
                raise Unavailable(f"cannot read {self.path}: {error}") from error

    def _open(self) -> Database:
        if self._connection is None:
            connection = open_database(self.path)
            held = connection.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()
            if held is None:
                raise Unavailable(f"{self.path} is still being created")
            self._packer = Packer(held[0])
            self._blocks = BlockReader(connection, held[0])
            self._connection = connection
        return self._connection

    def _samples(self, rows: Sequence[Any]) -> list[Sample]:
        """Rows of the view `record`, with the bytes of each."""
        if not rows:
            return []
        with self._lock:
            if self._connection is None or self._blocks is None:
                raise Unavailable(f"{self.path} was closed")
            try:
                raws = self._blocks.raws(row["n"] for row in rows)
            except sqlite3.Error as error:
                self._connection = None
                raise Unavailable(f"cannot read {self.path}: {error}") from error
        return [self._sample(row, raws.get(row["n"])) for row in rows]

    def _sample(self, row: Any, raw: bytes | None) -> Sample:
        if raw is None:
            raise Unavailable(f"{self.path}: record {row['n']} no longer reads: its block was changed")
        record = None
        if row["kind"] is not None:
            try:
                record = codec.reread(raw)
            except Refused as error:
                raise Unavailable(f"{self.path}: record {row['n']} no longer reads: {error}") from error
        # By place, in the order of the view: made for every record, names would cost as much as all the rest.
        n, part, probe, epoch, seq, standing, leaf, received_ms, kind, _, t_ms, fault, detail = tuple(row)[:13]
        province, commune, hamlet = tuple(row)[13:16]
        own = (n, part, probe, epoch, seq, received_ms, t_ms, kind, record, raw, leaf, fault, detail, standing == 0)
        reasons = row["not_counted"]
        counted = bool(row["counted"]), tuple(reasons.split()) if reasons else ()
        return Sample(*own, province, commune, hamlet, *counted)


def _of_parts(parts: Collection[int]) -> str:
    """Condition on the column `part`: in these partitions."""
    return f"part IN ({', '.join(str(int(one)) for one in sorted(parts)) or '-1'})"
