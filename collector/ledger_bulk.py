"""Reading the ledger page by page for the API: keyset cursors, bounded work a page, whole or not at all.

A page is one short read transaction. Without a place to go by, a page looks at no more than SPAN numbers: it may be
short or empty and still name the next one, so that a rare question never holds the file for long.
Source: issue 5 (stable paging); design §7, ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector.core.sample import Sample
from collector.ledger import LedgerReader

SPAN = 20_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: None asks for nothing. `since_ms` <= t_ms < `until_ms` leaves out undated ones."""

    province: str | None = None
    commune: str | None = None
    hamlet: str | None = None
    probe: str | None = None
    kind: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def has_place(self) -> bool:
        """Whether an index leads straight to the rows."""
        return self.hamlet is not None or self.commune is not None


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Records in order, and the number to go on from (None: there are no more)."""

    samples: list[Sample]
    next_n: int | None


@dataclass(frozen=True, slots=True)
class HourRow:
    """Sums of one hour, hamlet and operator; the columns of table `hour`."""

    hour_ms: int
    plmn: str
    hamlet: str
    sums: dict[str, int]


HOUR_SUMS = (
    "tests", "ok", "partial", "failed", "skipped", "counted", "invalid_path",
    "covered", "degraded", "no_service", "unknown", "last_received_ms", "last_t_ms",
)  # fmt: skip


class BulkReader(LedgerReader):
    """The ledger for the API. Safe for several threads; every call raises Unavailable while it cannot be read."""

    def after(self, wanted: Wanted, n: int, limit: int, stop_n: int) -> RecordPage:
        """Records with numbers above `n` and up to `stop_n`, oldest first."""
        last = stop_n if wanted.has_place else min(stop_n, n + SPAN)
        found = self._numbered(wanted, n, last, limit, "ASC")
        if len(found) == limit:
            return RecordPage(found, found[-1].n if found[-1].n < stop_n else None)
        return RecordPage(found, last if last < stop_n else None)

    def before(self, wanted: Wanted, n: int, limit: int) -> RecordPage:
        """Records with numbers below `n`, newest first."""
        low = 0 if wanted.has_place else max(0, n - 1 - SPAN)
        found = self._numbered(wanted, low, n - 1, limit, "DESC")
        if len(found) == limit:
            return RecordPage(found, found[-1].n if found[-1].n > 1 else None)
        return RecordPage(found, low + 1 if low > 0 else None)

    def _numbered(self, wanted: Wanted, above: int, upto: int, limit: int, order: str) -> list[Sample]:
        # The plus signs keep the planner from other indexes than the one that yields rows in order of their numbers.
        asked: list[tuple[str, Any]] = [
            ("hamlet = ?", wanted.hamlet),
            ("commune = ?" if wanted.hamlet is None else "+commune = ?", wanted.commune),
            ("+province = ?", wanted.province),
            ("+probe = ?", wanted.probe),
            ("+kind = ?", wanted.kind),
            ("+t_ms >= ?", wanted.since_ms),
            ("+t_ms < ?", wanted.until_ms),
        ]
        given = [(text, value) for text, value in asked if value is not None]
        where = " AND ".join(["n > ?", "n <= ?", *(text for text, _ in given)])
        values = [above, upto, *(value for _, value in given), limit]
        rows = self._rows(f"SELECT * FROM record WHERE {where} ORDER BY n {order} LIMIT ?", *values)  # noqa: S608
        return [self._sample(row) for row in rows]

    def hours(
        self, since_ms: int, until_ms: int, after: tuple[int, str, str], limit: int, hamlet: str | None = None
    ) -> list[HourRow]:
        """Sums of the hours that begin in the span, behind (hour_ms, hamlet, plmn) `after`, in that order."""
        one, values = ("", ()) if hamlet is None else (" AND hamlet = ?", (hamlet,))
        names = ", ".join(HOUR_SUMS)
        rows = self._rows(
            f"SELECT hour_ms, plmn, hamlet, {names} FROM hour WHERE hour_ms >= ? AND hour_ms < ?"  # noqa: S608
            f" AND (hour_ms, hamlet, plmn) > (?, ?, ?){one} ORDER BY hour_ms, hamlet, plmn LIMIT ?",
            *(max(since_ms, after[0]), until_ms, *after, *values, limit),
        )
        return [HourRow(row[0], row[1], row[2], {name: row[name] for name in HOUR_SUMS}) for row in rows]
