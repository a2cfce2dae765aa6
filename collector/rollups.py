"""Reading rollups: spans of time as counts, a commune's dossier, the country's quota table; medians exact.

Any span [since, until) is right to the millisecond: whole months and days come from their sums, whole hours from the
packed days, what is left of an hour from the records themselves. Source: design §7, rollups and time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from collector.core.clock import DAY_MS, HOUR_MS, day_of, month_of
from collector.core.rollup import COUNTS, METRICS, Change, DayKey, Fact, Hour, merged, together
from collector.core.rollup_view import CommuneQuota, CommuneTotal, Counts, Dossier, Mean, dossier, national_quota
from collector.core.row import plmn_of
from collector.core.sample import HamletCounts, Sample
from collector.ledger_time import IN_SPAN, in_span
from collector.rollup_pack import unpack_hours
from wire.records import MAX_MS

_SUMS = COUNTS[: COUNTS.index("coverages")]
_RAW_SUMS = (
    "SELECT hamlet, sum(kind = 'test') tests, sum(outcome = 'ok') ok, sum(outcome = 'partial') partial,"  # noqa: S608
    " sum(outcome = 'failed') failed, sum(outcome = 'skipped') skipped, sum(counted) counted,"
    " sum(invalid_path) invalid_path, sum(covered) covered, sum(degraded) degraded, sum(no_service) no_service,"
    " sum(unknown) unknown, max(received_ms) last_received_ms, max(t_ms) last_t_ms FROM record"
    f" WHERE {IN_SPAN} AND kind IN ('test', 'coverage') AND standing = 0 GROUP BY hamlet"
)
_DAY_SUMS = (
    f"SELECT hamlet, {', '.join(f'sum({name}) {name}' for name in _SUMS)},"  # noqa: S608 (fixed names, here and below)
    " max(last_received_ms) last_received_ms, max(last_t_ms) last_t_ms"
    " FROM rollup_day WHERE day_ms >= ? AND day_ms < ? GROUP BY hamlet"
)
_MEAN_SUMS = "downlink_n, downlink_sum, uplink_n, uplink_sum, rtt_n, rtt_sum"
_TOTALS = (
    f"SELECT province, commune, plmn, {', '.join(COUNTS)}, {_MEAN_SUMS}"  # noqa: S608
    " FROM rollup_total WHERE span = ? AND start_ms >= ? AND start_ms < ?"
)
_QUOTA = (
    f"SELECT province, commune, group_concat(plmn || '=' || counted, ' '), {', '.join(f'sum({c})' for c in COUNTS)}"  # noqa: S608
    " FROM rollup_total WHERE span = 'month' AND start_ms = ? GROUP BY province, commune"
)
_HOURS = "SELECT day_ms, province, commune, hamlet, plmn, hours FROM rollup_day WHERE day_ms = ? AND province = ?"
_DAY = "SELECT hours FROM rollup_day WHERE day_ms = ? AND province = ? AND commune = ? AND hamlet = ? AND plmn = ?"
_FOREVER_MS = 2**53


class Source(Protocol):
    """What rollups need of the ledger's reader."""

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Answer one statement. Raises Unavailable."""

    def samples(
        self, *, commune: str | None = None, since_ms: int | None = None, until_ms: int | None = None, limit: int = 100
    ) -> Sequence[Sample]:
        """Records of a span."""


class Rollups:
    """Read side of the rollups. Every call raises Unavailable while the ledger cannot be read."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def national_quota(self, minimums: Mapping[str, int], at_ms: int) -> list[CommuneQuota]:
        """The country's quota table of the month that holds `at_ms`, as it stands; `minimums` by commune."""
        start_ms, end_ms = month_of(at_ms)
        sums = (
            (row[0], row[1], Counts(*row[3:]), {p: int(n) for p, _, n in (w.partition("=") for w in row[2].split(" "))})
            for row in map(tuple, self.source.rows(_QUOTA, start_ms))
        )
        return national_quota(sums, minimums, start_ms, end_ms, at_ms)

    def dossier(self, commune: str, since_ms: int, until_ms: int) -> Dossier:
        """A commune over since <= t < until: counts by cause, coverage, exact medians, by hamlet, operator and day."""
        return dossier(commune, since_ms, until_ms, self.days(since_ms, until_ms, commune))

    def totals(self, since_ms: int, until_ms: int) -> list[CommuneTotal]:
        """Sums of every commune and operator over since <= t < until."""
        found: dict[tuple[str, str, str], CommuneTotal] = {}
        for row in self._total_rows(since_ms, until_ms):
            _gather(found, row)
        return list(found.values())

    def _total_rows(self, since_ms: int, until_ms: int) -> Iterator[CommuneTotal]:
        """Months, then days at both ends, then what is left of a day."""
        first, last = _whole(since_ms, until_ms, month_of)
        yield from self._stored_totals("month", first, last)
        for begin, end in _ends(since_ms, until_ms, first, last):
            day, behind = _whole(begin, end, day_of)
            yield from self._stored_totals("day", day, behind)
            for since, until in _ends(begin, end, day, behind):
                yield from (_total(key, hours) for key, hours in self.days(since, until))

    def _stored_totals(self, span: str, since_ms: int, until_ms: int) -> Iterator[CommuneTotal]:
        n = len(COUNTS)
        for row in map(tuple, self.source.rows(_TOTALS, span, since_ms, until_ms)):
            means = row[3 + n :]
            yield CommuneTotal(
                *(row[0], row[1], row[2], Counts(*row[3 : 3 + n])),
                *(Mean(means[at], means[at + 1]) for at in (0, 2, 4)),
            )

    def days(
        self, since_ms: int, until_ms: int, commune: str | None = None, hamlet: str | None = None
    ) -> Iterator[tuple[DayKey, dict[int, Hour]]]:
        """Hours of since <= t < until by hamlet, operator and local day, whole country or one commune or hamlet."""
        first, last = -(-since_ms // HOUR_MS) * HOUR_MS, until_ms // HOUR_MS * HOUR_MS
        for since, until in _ends(since_ms, until_ms, first, last):
            yield from self._from_records(since, until, commune, hamlet)
        for day_ms in self._days_between(day_of(first)[0], last):
            numbers = range(max(0, (first - day_ms) // HOUR_MS), min(24, (last - day_ms) // HOUR_MS))
            for key, hours in self._stored_day(day_ms, commune, hamlet):
                kept = {number: hour for number, hour in hours.items() if number in numbers}
                if kept and hamlet in {None, key.hamlet}:
                    yield key, kept

    def day(self, key: DayKey) -> dict[int, Hour]:
        """The hours of one hamlet, operator and day; empty if there are none."""
        rows = self.source.rows(_DAY, *key)
        return unpack_hours(rows[0][0]) if rows else {}

    def province_day(self, day_ms: int, province: str) -> Iterator[tuple[DayKey, dict[int, Hour]]]:
        """One local day of one province: its hamlets and operators."""
        for *key, packed in map(tuple, self.source.rows(_HOURS, day_ms, province)):
            yield DayKey(*key), unpack_hours(packed)

    def day_before(self, before_ms: int) -> int | None:
        """The last local day (UTC ms) that begins before a moment and has records; None if none has."""
        sql = "SELECT max(start_ms) FROM rollup_total WHERE span = 'day' AND start_ms < ?"
        found: int | None = self.source.rows(sql, before_ms)[0][0]
        return found

    def _days_between(self, first_ms: int, until_ms: int) -> range:
        """Local days that may have rows."""
        bounds = "SELECT min(start_ms), max(start_ms) FROM rollup_total WHERE span = 'day'"
        low, high = self.source.rows(f"{bounds} AND start_ms >= ? AND start_ms < ?", first_ms, until_ms)[0]
        return range(0) if low is None else range(low, high + 1, DAY_MS)

    def _stored_day(
        self, day_ms: int, commune: str | None, hamlet: str | None = None
    ) -> Iterator[tuple[DayKey, dict[int, Hour]]]:
        """One day's rows, a province at a time: a country's would be much to hold at once."""
        provinces = "SELECT DISTINCT province FROM rollup_total WHERE span = 'day' AND start_ms = ?"
        more = () if commune is None else (commune,)
        wanted = " AND commune = ?" if more else ""
        for (province,) in self.source.rows(f"{provinces}{wanted}", day_ms, *more):
            narrow = () if hamlet is None else (hamlet,)
            text = f"{_HOURS}{wanted}{' AND hamlet = ?' if narrow else ''}"
            for *key, packed in map(tuple, self.source.rows(text, day_ms, province, *more, *narrow)):
                yield DayKey(*key), unpack_hours(packed)

    def _from_records(
        self, since_ms: int, until_ms: int, commune: str | None, hamlet: str | None
    ) -> Iterator[tuple[DayKey, dict[int, Hour]]]:
        """What is left of an hour, from the records themselves."""
        changes: dict[DayKey, dict[int, Change]] = {}
        for sample in self.source.samples(commune=commune, since_ms=since_ms, until_ms=until_ms, limit=_FOREVER_MS):
            fact = fact_of_sample(sample)
            if fact is not None and hamlet in {None, fact.hamlet}:
                key, number = fact.place
                change = changes.setdefault(key, {}).setdefault(number, Change())
                change.apply(fact.record, fact.not_counted, 1)
                change.see(fact.t_ms, fact.received_ms, key.day_ms + number * HOUR_MS)
        for key, numbered in changes.items():
            found = {number: merged(None, change) for number, change in numbered.items()}
            yield key, {number: hour for number, hour in found.items() if hour is not None}

    def kept_day(self, day_ms: int) -> dict[DayKey, dict[int, Hour]]:
        """The hours of one local day as they are kept."""
        return dict(self._stored_day(day_ms, None))

    def made_day(self, day_ms: int) -> dict[DayKey, dict[int, Hour]]:
        """The same made again from the records."""
        return dict(self._from_records(day_ms, day_ms + DAY_MS, None, None))

    def raw_counts(self, since_ms: int, until_ms: int) -> dict[str, HamletCounts]:
        """Sums by hamlet over since <= t < until, from the records alone."""
        rows = self.source.rows(_RAW_SUMS, *in_span(since_ms, until_ms))
        return {row["hamlet"]: _add(HamletCounts(), row) for row in rows}

    def hamlet_counts(self, since_ms: int | None = None, until_ms: int | None = None) -> dict[str, HamletCounts]:
        """Sums by hamlet over since <= t < until (None: without an end); probes that stand nowhere are under ""."""
        since = 0 if since_ms is None else since_ms
        until = _FOREVER_MS if until_ms is None else until_ms
        counts: dict[str, HamletCounts] = {}
        for row in self._hamlet_rows(since, until):
            counts[row["hamlet"]] = _add(counts.get(row["hamlet"], HamletCounts()), row)
        return counts

    def _hamlet_rows(self, since_ms: int, until_ms: int) -> Iterator[Mapping[str, Any]]:
        """Whole days summed by the database, whole hours of the days at both ends, and the edges from records."""
        first, last = _whole(since_ms, until_ms, day_of)
        if first < last:
            yield from self.source.rows(_DAY_SUMS, first, last)
        for begin, end in _ends(since_ms, until_ms, first, last):
            hour, behind = -(-begin // HOUR_MS) * HOUR_MS, end // HOUR_MS * HOUR_MS
            if hour < behind:
                yield from (_hamlet_row(key, hours) for key, hours in self.days(hour, behind))
            for since, until in _ends(begin, end, hour, behind):
                yield from self.source.rows(_RAW_SUMS, *in_span(since, until))


def fact_of_sample(sample: Sample) -> Fact | None:
    """What a stored record is to the rollups; None if it has no part in them."""
    if sample.t_ms is None or not sample.in_chain or sample.kind not in {"test", "coverage"}:
        return None
    codes = (sample.province, sample.commune, sample.hamlet, plmn_of(sample.record))
    return Fact(*codes, sample.t_ms, sample.received_ms, sample.record, sample.not_counted)


def _whole(since_ms: int, until_ms: int, bounds: Any) -> tuple[int, int]:
    """The whole days or months in a span: their first moment and the moment behind them; equal if there is none."""
    start_ms, end_ms = bounds(since_ms)
    first = since_ms if start_ms == since_ms else end_ms
    last = bounds(min(until_ms, _LAST_MS))[0]
    return (first, last) if first < last else (until_ms, until_ms)


_LAST_MS = MAX_MS + 1
"""No record is as late."""


def _ends(since_ms: int, until_ms: int, first_ms: int, last_ms: int) -> Sequence[tuple[int, int]]:
    """What a span has outside [first, last)."""
    if first_ms >= last_ms:
        return ((since_ms, until_ms),) if since_ms < until_ms else ()
    edges = ((since_ms, first_ms), (last_ms, min(until_ms, _LAST_MS)))
    return tuple((since, until) for since, until in edges if since < until)


def _gather(found: dict[tuple[str, str, str], CommuneTotal], row: CommuneTotal) -> None:
    held = found.get((row.province, row.commune, row.plmn))
    if held is not None:
        row = CommuneTotal(
            *(row.province, row.commune, row.plmn, held.counts.plus(row.counts)),
            *(held.downlink.plus(row.downlink), held.uplink.plus(row.uplink), held.rtt.plus(row.rtt)),
        )
    found[row.province, row.commune, row.plmn] = row


def _total(key: DayKey, hours: Mapping[int, Hour]) -> CommuneTotal:
    hour = together(hours.values())
    means = (Mean(len(hour.values[at]), sum(hour.values[at])) for at, _ in enumerate(METRICS[:3]))
    return CommuneTotal(key.province, key.commune, key.plmn, Counts(*hour.counts), *means)


def _hamlet_row(key: DayKey, hours: Mapping[int, Hour]) -> Mapping[str, Any]:
    starts = {number: key.day_ms + number * HOUR_MS for number in hours}
    return {
        "hamlet": key.hamlet,
        **dict(zip(COUNTS, together(hours.values()).counts, strict=True)),
        "last_received_ms": max(starts[number] + hour.last_received for number, hour in hours.items()),
        "last_t_ms": max(starts[number] + hour.last_t for number, hour in hours.items()),
    }


def _add(one: HamletCounts, row: Mapping[str, Any]) -> HamletCounts:
    sums = {name: getattr(one, name) + (row[name] or 0) for name in _SUMS}
    received = max((t for t in (one.last_received_ms, row["last_received_ms"]) if t is not None), default=None)
    began = max((t for t in (one.last_t_ms, row["last_t_ms"]) if t is not None), default=None)
    return HamletCounts(**sums, last_received_ms=received, last_t_ms=began)
