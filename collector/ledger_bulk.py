"""Reading the ledger page by page for the API: keyset cursors, bounded work a page, whole or not at all.

A page is one short read transaction. Without a place to go by, a page looks at no more than SPAN numbers: it may be
short or empty and still name the next one, so that a rare question never holds the file for long.
Source: issue 5 (stable paging); design §7, ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector.core.rollup import DayKey, Hour
from collector.core.sample import Sample
from collector.ledger import LedgerReader
from collector.rollup_pack import unpack_hours

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
        rows = self.rows(f"SELECT * FROM record WHERE {where} ORDER BY n {order} LIMIT ?", *values)  # noqa: S608
        return self._samples(rows)

    def days(
        self, since_ms: int, after: DayKey, limit: int, *, including: bool = False
    ) -> list[tuple[DayKey, dict[int, Hour]]]:
        """Rollups of the days from `since_ms` on behind `after` (or from it on), by key: the hours that have sums."""
        beyond = ">=" if including else ">"
        found = self.rows(
            "SELECT day_ms, province, commune, hamlet, plmn, hours FROM rollup_day WHERE day_ms >= ?"  # noqa: S608
            f" AND (day_ms, province, commune, hamlet, plmn) {beyond} (?, ?, ?, ?, ?)"
            " ORDER BY day_ms, province, commune, hamlet, plmn LIMIT ?",
            *(max(since_ms, after.day_ms), *after, limit),
        )
        return [(DayKey(*tuple(row)[:5]), unpack_hours(row["hours"])) for row in found]
