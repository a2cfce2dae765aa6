"""Keeping the rollups beside the records: gathered in memory during a transaction, each touched day written once.

A part of `SqliteLedger`, on its connection: what `flush` writes commits with the records or not at all.
Source: design §7, rollups and order; decision note on packed days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import add

from collector.core.accept import Standing
from collector.core.clock import HOUR_MS, day_of, month_of
from collector.core.rollup import COUNTS, Change, DayKey, Fact, Hour, merged
from collector.core.row import Row, is_coverage, is_test, plmn_of
from collector.ledger_place import Database
from collector.ledger_records import RecordWriter
from collector.ledger_time import IN_SPAN, in_span
from collector.rollup_pack import pack_hours, unpack_hours

VERSION = 2
"""Of what rollups hold; a ledger whose rollups are older makes them again when it is opened."""
FLUSH_EVERY = 20_000
PAGE = 1024
_KEY = ("day_ms", "province", "commune", "hamlet", "plmn")
_MEANS = (("downlink", 0), ("uplink", 1), ("rtt", 2))
_MEAN_NAMES = tuple(f"{name}_{what}" for name, _ in _MEANS for what in ("n", "sum"))
_TOTAL_KEY = ("span", "start_ms", "province", "commune", "plmn")
_TOTAL_SUMS = (*COUNTS, *_MEAN_NAMES)
_DAY_COLUMNS = (*_KEY, *COUNTS, "last_received_ms", "last_t_ms", "hours")
_WHERE_DAY = " AND ".join(f"{name} = ?" for name in _KEY)
_READ_DAY = f"SELECT hours FROM rollup_day WHERE {_WHERE_DAY}"  # noqa: S608 (fixed names, here and below)
_DROP_DAY = f"DELETE FROM rollup_day WHERE {_WHERE_DAY}"  # noqa: S608
_PUT_DAY = (
    f"INSERT INTO rollup_day ({', '.join(_DAY_COLUMNS)}) VALUES ({', '.join('?' * len(_DAY_COLUMNS))})"  # noqa: S608
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET"
    f" {', '.join(f'{name} = excluded.{name}' for name in _DAY_COLUMNS[len(_KEY) :])}"
)
_ADD_TOTAL = (
    f"INSERT INTO rollup_total ({', '.join((*_TOTAL_KEY, *_TOTAL_SUMS))})"  # noqa: S608
    f" VALUES ({', '.join('?' * (len(_TOTAL_KEY) + len(_TOTAL_SUMS)))}) ON CONFLICT ({', '.join(_TOTAL_KEY)})"
    f" DO UPDATE SET {', '.join(f'{name} = rollup_total.{name} + excluded.{name}' for name in _TOTAL_SUMS)}"
)
_LAST = (
    "SELECT max(t_ms), max(received_ms) FROM record"  # noqa: S608
    " WHERE +hamlet = ? AND +province = ? AND +commune = ? AND +plmn = ?"
    f" AND {IN_SPAN} AND standing = 0 AND kind IN ('test', 'coverage')"
)
_RECORDS = (
    "SELECT n, province, commune, hamlet, t_ms, received_ms, not_counted FROM record"
    " WHERE n > ? AND standing = 0 AND t_ms IS NOT NULL AND kind IN ('test', 'coverage') ORDER BY n LIMIT ?"
)
_month = lru_cache(maxsize=64)(month_of)
"""Of days: a group has few, again and again."""


class RollupWriter:
    """Rollups of one ledger. `add`, `move` and `flush` are called inside its transaction."""

    def __init__(self, db: Database, records: RecordWriter) -> None:
        self._db = db
        self._records = records
        self._pending: dict[DayKey, dict[int, Change]] = {}
        self._held: dict[DayKey, bytes | None] = {}
        """Packed hours of days in `_pending`, as far as they were asked for; None: nothing is held."""
        self.read_days: Callable[[Sequence[DayKey]], dict[DayKey, bytes]] = self._read_days
        """Packed hours of those of these days that are held; a ledger over a network asks for all at once."""

    def catch_up(self, be_alone: Callable[[], None]) -> None:
        """Make the rollups again if an older program wrote this ledger. Raises sqlite3.Error; then nothing changed.

        `be_alone`: called in the transaction; until it ends nobody else writes.
        """
        if self._is_old():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                be_alone()
                if self._is_old():
                    self.rebuild()
                self._db.execute(
                    "INSERT INTO meta VALUES ('rollup', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (VERSION,),
                )
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _is_old(self) -> bool:
        held = self._db.execute("SELECT value FROM meta WHERE key = 'rollup'").fetchone()
        return held is None or held[0] < VERSION

    def add(self, rows: Sequence[Row]) -> None:
        """Records of one probe were stored."""
        change, hour_ms = Change(), -HOUR_MS
        last_plmn, last_place = "", None
        for row in rows:
            t_ms, record = row.t_ms, row.record
            if t_ms is None or row.standing is not Standing.IN_CHAIN or record is None:
                continue
            if not is_test(record) and not is_coverage(record):
                continue
            plmn, place = plmn_of(record), row.place
            if not 0 <= t_ms - hour_ms < HOUR_MS or plmn != last_plmn or place is not last_place:
                last_plmn, last_place = plmn, place
                day_ms, hour_ms = day_of(t_ms)[0], t_ms - t_ms % HOUR_MS
                codes = (place.province, place.commune, place.hamlet) if place else ("", "", "")
                change = self._change_of(DayKey(day_ms, *codes, plmn), (t_ms - day_ms) // HOUR_MS)
            if is_test(record):
                change.test(record, row.not_counted, 1)
            elif is_coverage(record):
                change.coverage(record, 1)
            change.see(t_ms, row.received_ms, hour_ms)

    def move(self, was: Row, now: Row) -> None:
        """A stored record was judged again: it was in the rollups as `was`, and is as `now` from here on."""
        old, new = fact_of(was), fact_of(now)
        if old is not None and new is not None and old.place == new.place and old.t_ms == new.t_ms:
            change = self._change(old)
            change.apply(old.record, old.not_counted, -1)
            change.apply(new.record, new.not_counted, 1)
            return
        if old is not None:
            change = self._change(old)
            change.apply(old.record, old.not_counted, -1)
            change.stale = True
        if new is not None:
            self._put(new)

    def fetch(self) -> None:
        """Ask now for the days that `flush` will change: what is sent behind it is then worked on meanwhile."""
        asked = [key for key in self._pending if key not in self._held]
        if asked:
            found = self.read_days(asked)
            self._held.update((key, found.get(key)) for key in asked)

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._pending.clear()
        self._held.clear()

    def flush(self) -> None:
        """Write every touched day and the totals over it."""
        self.fetch()
        pending, self._pending = self._pending, {}
        held, self._held = self._held, {}
        totals: dict[tuple[str, int, str, str, str], list[int]] = {}
        written: list[tuple[object, ...]] = []
        for key, changes in pending.items():
            written += self._day(key, changes, held.get(key))
            sums = _sums(changes.values())
            _, province, commune, _, plmn = key
            for span, start_ms in (("day", key.day_ms), ("month", _month(key.day_ms)[0])):
                total = totals.setdefault((span, start_ms, province, commune, plmn), [0] * len(sums))
                total[:] = map(add, total, sums)
        self._db.executemany(_PUT_DAY, written)
        self._db.executemany(_ADD_TOTAL, ((*named, *total) for named, total in totals.items()))
        for named, total in totals.items():
            if min(total) < 0:
                where = " AND ".join(f"{name} = ?" for name in _TOTAL_KEY)
                self._db.execute(f"DELETE FROM rollup_total WHERE {where} AND tests = 0 AND coverages = 0", named)  # noqa: S608

    def rebuild(self) -> int:
        """Make every rollup again from the stored bytes; return how many records are in them."""
        self.forget()
        self._db.execute("DELETE FROM rollup_day")
        self._db.execute("DELETE FROM rollup_total")
        number = 0
        for number, fact in enumerate(self._facts(), 1):
            self._put(fact)
            if number % FLUSH_EVERY == 0:
                self.flush()
        self.flush()
        return number

    def _facts(self) -> Iterator[Fact]:
        after_n = 0
        while rows := self._db.execute(_RECORDS, (after_n, PAGE)).fetchall():
            records = self._records.records([row[0] for row in rows])
            for n, province, commune, hamlet, t_ms, received_ms, reasons in rows:
                record = records[n]
                yield Fact(province, commune, hamlet, plmn_of(record), t_ms, received_ms, record, reasons.split())
            after_n = rows[-1][0]

    def _change(self, fact: Fact) -> Change:
        return self._change_of(*fact.place)

    def _change_of(self, key: DayKey, number: int) -> Change:
        hours = self._pending.get(key)
        if hours is None:
            hours = self._pending[key] = {}
        change = hours.get(number)
        if change is None:
            change = hours[number] = Change()
        return change

    def _put(self, fact: Fact) -> None:
        key, number = fact.place
        change = self._change_of(key, number)
        change.apply(fact.record, fact.not_counted, 1)
        change.see(fact.t_ms, fact.received_ms, key.day_ms + number * HOUR_MS)

    def _read_days(self, keys: Sequence[DayKey]) -> dict[DayKey, bytes]:
        found = ((key, self._db.execute(_READ_DAY, key).fetchone()) for key in keys)
        return {key: row[0] for key, row in found if row is not None}

    def _day(self, key: DayKey, changes: dict[int, Change], held: bytes | None) -> Iterator[tuple[object, ...]]:
        """The row of a day as it is after these changes; one that holds nothing any more is dropped."""
        hours = unpack_hours(held) if held else {}
        for number, change in changes.items():
            hour = merged(hours.get(number), change)
            if hour is None:
                hours.pop(number, None)
            else:
                hours[number] = self._with_last(key, number, hour) if change.stale else hour
        if hours:
            yield day_row(key, hours)
        else:
            self._db.execute(_DROP_DAY, key)

    def _with_last(self, key: DayKey, number: int, hour: Hour) -> Hour:
        """The hour with its last times looked up: a record was taken from it, perhaps the last one."""
        start_ms = key.day_ms + number * HOUR_MS
        asked = (key.hamlet, key.province, key.commune, key.plmn, *in_span(start_ms, start_ms + HOUR_MS))
        t_ms, received_ms = self._db.execute(_LAST, asked).fetchone()
        return hour._replace(last_t=t_ms - start_ms, last_received=received_ms - start_ms)


def fact_of(row: Row) -> Fact | None:
    """What a row is to the rollups; None if it has no part in them: undated, beside the chain, no test or coverage."""
    if row.t_ms is None or row.standing is not Standing.IN_CHAIN or row.kind not in {"test", "coverage"}:
        return None
    place = row.place
    codes = (place.province, place.commune, place.hamlet) if place else ("", "", "")
    return Fact(*codes, plmn_of(row.record), row.t_ms, row.received_ms, row.record, row.not_counted)


def day_row(key: DayKey, hours: dict[int, Hour]) -> tuple[object, ...]:
    """The row of `rollup_day` that holds these hours."""
    columns = [sum(column) for column in zip(*(hour.counts for hour in hours.values()), strict=True)]
    starts = {number: key.day_ms + number * HOUR_MS for number in hours}
    received_ms = max(starts[number] + hour.last_received for number, hour in hours.items())
    t_ms = max(starts[number] + hour.last_t for number, hour in hours.items())
    return (*key, *columns, received_ms, t_ms, pack_hours(hours))


def _sums(changes: Iterable[Change]) -> list[int]:
    """What some changes add to a total: COUNTS, then number and sum of the values that have a mean."""
    held = list(changes)
    means = [0] * len(_MEAN_NAMES)
    for change in held:
        for place, (_, metric) in enumerate(_MEANS):
            plus, minus = change.plus[metric], change.minus[metric]
            if plus or minus:
                means[2 * place] += len(plus) - len(minus)
                means[2 * place + 1] += sum(plus) - sum(minus)
    return list(map(sum, zip(*(change.counts for change in held), strict=True))) + means
