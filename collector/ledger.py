"""Reading the ledger: short read-only transactions, for forward, web and the command line.

A long read would keep the write-ahead log from being folded back, so every call takes what it needs at once.
Source: design §7, ledger; facts note 04 §4.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from collector.core.accept import leaf_bytes
from collector.core.sample import Deliveries, HamletCounts, ProbeState, Refusal, Sample
from collector.core.witness import Direction, Named, named_by
from collector.pack import Packer
from collector.sqlite import open_reader
from wire import codec
from wire.errors import Refused, Unavailable
from wire.notes import Receipt
from wire.records import TestRecord

HOUR_MS = 3_600_000
_SUMS = (
    "tests",
    "ok",
    "partial",
    "failed",
    "skipped",
    "counted",
    "invalid_path",
    "covered",
    "degraded",
    "no_service",
    "unknown",
)
_RAW_SUMS = (
    "SELECT hamlet, sum(kind = 'test') tests, sum(outcome = 'ok') ok, sum(outcome = 'partial') partial,"
    " sum(outcome = 'failed') failed, sum(outcome = 'skipped') skipped, sum(counted) counted,"
    " sum(invalid_path) invalid_path, sum(covered) covered, sum(degraded) degraded, sum(no_service) no_service,"
    " sum(unknown) unknown, max(received_ms) last_received_ms, max(t_ms) last_t_ms FROM record"
    " WHERE t_ms >= ? AND t_ms < ? AND kind IN ('test', 'coverage') AND standing = 0 GROUP BY hamlet"
)
_HOUR_COLUMNS = ", ".join(f"sum({name}) {name}" for name in _SUMS)
_HOUR_SUMS = (
    f"SELECT hamlet, {_HOUR_COLUMNS},"  # noqa: S608 (fixed names)
    " max(last_received_ms) last_received_ms, max(last_t_ms) last_t_ms"
    " FROM hour WHERE hour_ms >= ? AND hour_ms < ? GROUP BY hamlet"
)
_FOREVER_MS = 2**53


class LedgerReader:
    """Read-only view of `ledger.db`. Safe for several threads. Every call raises Unavailable while it cannot be read.

    The file need not exist yet when the reader is made: `receive` creates it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._packer: Packer | None = None

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
            ("t_ms >= ?", since_ms),
            ("t_ms < ?", until_ms),
            ("n > ?", after_n),
        ]
        given = [(text, value) for text, value in wanted if value is not None]
        where = f"WHERE {' AND '.join(text for text, _ in given)}" if given else ""
        order = "DESC" if newest_first else "ASC"
        values = tuple(value for _, value in given)
        rows = self._rows(f"SELECT * FROM record {where} ORDER BY n {order} LIMIT ?", *values, limit)  # noqa: S608
        return [self._sample(row) for row in rows]

    def sample(self, probe: str, epoch: int, seq: int) -> Sample | None:
        """The record with this identity (of a fork: the first); None if it is not held."""
        rows = self._rows(
            "SELECT * FROM record WHERE probe = ? AND epoch = ? AND seq = ? AND standing = 0", probe, epoch, seq
        )
        return self._sample(rows[0]) if rows else None

    def numbered(self, n: int) -> Sample | None:
        """The record with number `n`; None if there is none."""
        rows = self._rows("SELECT * FROM record WHERE n = ?", n)
        return self._sample(rows[0]) if rows else None

    def many(self, numbers: Sequence[int]) -> list[Sample]:
        """The records with these numbers, lowest first; one that is not held is left out."""
        found: list[Sample] = []
        for at in range(0, len(numbers), 500):
            some = numbers[at : at + 500]
            marks = ", ".join("?" * len(some))
            rows = self._rows(f"SELECT * FROM record WHERE n IN ({marks}) ORDER BY n", *some)  # noqa: S608 (marks)
            found += [self._sample(row) for row in rows]
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
        before = self._rows("SELECT 1 FROM witness WHERE leaf = ? AND record < ? LIMIT 1", leaf_bytes(leaf), n)
        held = None if raw is None else msgspec.json.decode(codec.body_of(raw), type=Receipt)
        return Named(leaf, held, is_shown_before=bool(before))

    def _receipt_raw(self, leaf: str) -> bytes | None:
        rows = self._rows("SELECT raw FROM receipt WHERE leaf = ?", leaf_bytes(leaf))
        if not rows or self._packer is None:
            return None
        with self._lock:
            return self._packer.unpack(rows[0]["raw"])

    def last_n(self) -> int:
        """Number of the newest record; 0 in an empty ledger."""
        return int(self._rows("SELECT coalesce(max(n), 0) FROM record")[0][0])

    def last_redo(self) -> int:
        """Number of the newest entry in the list of records that changed after they were stored."""
        return int(self._rows("SELECT coalesce(max(n), 0) FROM redo")[0][0])

    def redone(self, after: int, limit: int) -> list[tuple[int, Sample]]:
        """Records that changed after they were stored (dated, found out of chain), with the number of the change."""
        rows = self._rows("SELECT n, record FROM redo WHERE n > ? ORDER BY n LIMIT ?", after, limit)
        found = ((int(row["n"]), self.numbered(int(row["record"]))) for row in rows)
        return [(n, sample) for n, sample in found if sample is not None]

    def parts(self) -> list[int]:
        """Partitions that have records."""
        return [int(row[0]) for row in self._rows("SELECT DISTINCT part FROM record ORDER BY part")]

    def hamlet_counts(self, since_ms: int | None = None, until_ms: int | None = None) -> dict[str, HamletCounts]:
        """Sums by hamlet over `since_ms` <= t_ms < `until_ms`: whole hours from rollups, the edges from records.

        Undated records belong to no time and are left out. Probes that stand nowhere are under "".
        """
        since = 0 if since_ms is None else since_ms
        until = _FOREVER_MS if until_ms is None else until_ms
        first = -(-since // HOUR_MS) * HOUR_MS
        last = until // HOUR_MS * HOUR_MS
        if first >= last:
            rows = self._rows(_RAW_SUMS, since, until)
        else:
            rows = self._rows(_HOUR_SUMS, first, last)
            rows += self._rows(_RAW_SUMS, since, first) if since < first else []
            rows += self._rows(_RAW_SUMS, last, until) if last < until else []
        counts: dict[str, HamletCounts] = {}
        for row in rows:
            counts[row["hamlet"]] = _add(counts.get(row["hamlet"], HamletCounts()), row)
        return counts

    def refusals(self, limit: int = 100) -> list[Refusal]:
        """What was refused, newest first."""
        rows = self._rows(
            "SELECT n, received_ms, topic, probe, reason, detail, size FROM refusal ORDER BY n DESC LIMIT ?", limit
        )
        return [Refusal(*row) for row in rows]

    def refused_bytes(self, n: int) -> bytes | None:
        """The bytes of refusal `n`, at most 64 KiB; None if it is unknown or so old that they were let go."""
        rows = self._rows("SELECT raw FROM refusal WHERE n = ?", n)
        if not rows or rows[0]["raw"] is None or self._packer is None:
            return None
        with self._lock:
            return self._packer.unpack(rows[0]["raw"])

    def deliveries(self) -> Deliveries:
        """What became of all records that ever reached the collector."""
        held = {row["key"]: int(row["value"]) for row in self._rows("SELECT key, value FROM total")}
        names = ("accepted", "duplicate", "refused", "let_go")
        return Deliveries(*(held.get(name, 0) for name in names))

    def probe_states(self) -> list[ProbeState]:
        """Every probe that ever sent a record or a status, by id."""
        rows = self._rows(
            "SELECT id, epoch, upto, max_seq, records, last_received_ms, last_t_ms, last_kind, status, status_ms"
            " FROM probe LEFT JOIN chain ON chain.probe = id"
            " AND epoch = (SELECT max(epoch) FROM chain c WHERE c.probe = id) ORDER BY id"
        )
        return [ProbeState(*row) for row in rows]

    def kind_counts(self) -> dict[tuple[str, str], int]:
        """By probe and kind: how many dated, readable records in the chain (what InfluxDB must hold)."""
        rows = self._rows(
            "SELECT probe, kind, count(*) FROM record WHERE t_ms IS NOT NULL AND kind IS NOT NULL AND standing = 0"
            " GROUP BY probe, kind"
        )
        return {(row[0], row[1]): int(row[2]) for row in rows}

    def step_counts(self) -> dict[str, int]:
        """By probe: how many steps the dated coverage records have."""
        rows = self._rows(
            "SELECT probe, sum(covered + degraded + no_service + unknown) FROM record"
            " WHERE t_ms IS NOT NULL AND kind = 'coverage' AND standing = 0 GROUP BY probe"
        )
        return {row[0]: int(row[1]) for row in rows}

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._open().execute(sql, values).fetchall()
            except sqlite3.Error as error:
                self._connection = None
                raise Unavailable(f"cannot read {self.path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = open_reader(self.path)
            held = connection.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()
            if held is None:
                raise Unavailable(f"{self.path} is still being created")
            self._packer = Packer(held[0])
            self._connection = connection
        return self._connection

    def _sample(self, row: Any) -> Sample:
        if self._packer is None:
            raise Unavailable(f"{self.path} was closed")
        with self._lock:
            raw = self._packer.unpack(row["raw"])
        record = None
        if row["kind"] is not None:
            try:
                record = codec.decode_body(codec.body_of(raw))
            except Refused as error:
                raise Unavailable(f"{self.path}: record {row['n']} no longer reads: {error}") from error
        return Sample(
            n=row["n"],
            part=row["part"],
            probe=row["probe"],
            epoch=row["epoch"],
            seq=row["seq"],
            received_ms=row["received_ms"],
            t_ms=row["t_ms"],
            kind=row["kind"],
            record=record,
            raw=raw,
            leaf=row["leaf"],
            fault=row["fault"],
            fault_detail=row["fault_detail"],
            in_chain=row["standing"] == 0,
            province=row["province"],
            commune=row["commune"],
            hamlet=row["hamlet"],
            counted=bool(row["counted"]),
            not_counted=tuple(row["not_counted"].split()),
        )


def _add(one: HamletCounts, row: Any) -> HamletCounts:
    sums = {name: getattr(one, name) + (row[name] or 0) for name in _SUMS}
    received = max((t for t in (one.last_received_ms, row["last_received_ms"]) if t is not None), default=None)
    began = max((t for t in (one.last_t_ms, row["last_t_ms"]) if t is not None), default=None)
    return HamletCounts(**sums, last_received_ms=received, last_t_ms=began)
