"""What is derived of records must still be what the records give, before a checkpoint is signed: the rollups.

Rollups are no evidence and anybody can compute them again; but pages and quotas are read from them, so a figure that
was edited behind our back stops the signing like an edited record, and the health page says so. Each round compares
the next days: every hour of each hamlet and operator made again from the signed bytes, and the sums over days and
months. A small ledger is compared whole each time. Source: design §7, rollups; facts note 08 §7.2 (row 11).
"""

from __future__ import annotations

from datetime import UTC, datetime

from collector.core.clock import DAY_MS, day_of, month_of
from collector.core.rollup import COUNTS, together
from collector.ledger import LedgerReader
from collector.ledger_place import LedgerPlace
from collector.ledger_time import IN_SPAN, THIRD, THIRD_MS, in_span
from collector.rollups import Rollups
from collector.seal_audit import Broken

RECORDS_A_ROUND = 10_000
_SUMS = ", ".join(f"sum({name})" for name in COUNTS)
_NAMES = ", ".join(COUNTS)
_KEY = "province, commune, plmn"
_BUSY = f"SELECT count(*) FROM entry WHERE {IN_SPAN} AND standing = 0"  # noqa: S608
_DAY_ROWS = f"SELECT hamlet, {_KEY}, {_NAMES} FROM rollup_day WHERE day_ms = ?"  # noqa: S608 (fixed names, as below)
_OF_DAYS = f"SELECT {_KEY}, {_SUMS} FROM rollup_day WHERE day_ms >= ? AND day_ms < ? GROUP BY {_KEY}"  # noqa: S608
_TOTAL = f"SELECT {_KEY}, {_NAMES} FROM rollup_total WHERE span = ? AND start_ms = ?"  # noqa: S608
_FIRST = (
    "SELECT min(day_ms), max(day_ms) FROM (SELECT day_ms FROM rollup_day UNION ALL SELECT start_ms FROM rollup_total"
    " WHERE span = 'day') AS days"
)
_SPAN = (
    f"SELECT (SELECT min({THIRD}) FROM entry) * {THIRD_MS}, (SELECT max({THIRD}) FROM entry) * {THIRD_MS}"  # noqa: S608
    f" + {THIRD_MS - 1}"
)
"""Bounds of the times of all records, as near as their index has them."""


class DerivedCheck:
    """Compares rollups with records, some days a call."""

    def __init__(self, ledger: LedgerPlace) -> None:
        self._reader = LedgerReader(ledger)
        self._next_ms: int | None = None

    def close(self) -> None:
        """End the connection; the next call makes another one."""
        self._reader.close()

    def __call__(self) -> None:
        """Compare the next days, in one moment of the ledger. Raises Broken, Unavailable."""
        self._reader.rows("BEGIN")
        try:
            left = RECORDS_A_ROUND
            for day_ms in self._days():
                if left <= 0:
                    self._next_ms = day_ms
                    return
                left -= self._compare(day_ms)
            self._next_ms = None
        finally:
            self._reader.rows("ROLLBACK")

    def _days(self) -> range:
        """Local days from where the last round stopped, up to the last one of which anything is known."""
        first, last = tuple(self._reader.rows(_FIRST)[0])
        begun, ended = tuple(self._reader.rows(_SPAN)[0])
        low = [ms for ms in (first, None if begun is None else day_of(begun)[0]) if ms is not None]
        high = [ms for ms in (last, None if ended is None else day_of(ended)[0]) if ms is not None]
        if not low or not high:
            return range(0)
        return range(min(low) if self._next_ms is None else self._next_ms, max(high) + 1, DAY_MS)

    def _compare(self, day_ms: int) -> int:
        """One day; returns how many records it has (a day of very many is compared by its sums alone)."""
        count = int(self._reader.rows(_BUSY, *in_span(day_ms, day_ms + DAY_MS))[0][0])
        if count <= RECORDS_A_ROUND:
            self._compare_hours(day_ms)
        else:
            self._compare_raw_sums(day_ms)
        self._compare_totals("day", day_ms, day_ms + DAY_MS)
        start_ms, end_ms = month_of(day_ms)
        if day_ms == start_ms or self._next_ms is None:
            self._compare_totals("month", start_ms, end_ms)
        return count + 1

    def _compare_hours(self, day_ms: int) -> None:
        rollups = Rollups(self._reader)
        made = rollups.made_day(day_ms)
        if made != rollups.kept_day(day_ms):
            raise _differ(day_ms)
        sums = {(k.hamlet, k.province, k.commune, k.plmn): together(hours.values()) for k, hours in made.items()}
        rows = {tuple(row)[:4]: tuple(row)[4:] for row in self._reader.rows(_DAY_ROWS, day_ms)}
        if rows != {key: tuple(hour.counts) for key, hour in sums.items()}:
            raise _differ(day_ms)

    def _compare_raw_sums(self, day_ms: int) -> None:
        rollups = Rollups(self._reader)
        if rollups.hamlet_counts(day_ms, day_ms + DAY_MS) != rollups.raw_counts(day_ms, day_ms + DAY_MS):
            raise _differ(day_ms)

    def _compare_totals(self, span: str, start_ms: int, end_ms: int) -> None:
        rows = {tuple(row)[:3]: tuple(row)[3:] for row in self._reader.rows(_OF_DAYS, start_ms, end_ms)}
        totals = {tuple(row)[:3]: tuple(row)[3:] for row in self._reader.rows(_TOTAL, span, start_ms)}
        if {k: v for k, v in rows.items() if any(v)} != {k: v for k, v in totals.items() if any(v)}:
            raise _differ(start_ms)


def _differ(day_ms: int) -> Broken:
    day = datetime.fromtimestamp((day_ms + DAY_MS // 2) / 1000, UTC).date()
    return Broken(
        f"the rollups of {day} are not what the records give: they were changed; make them again with"
        " dosong-collector rebuild rollups"
    )
