"""Campaigns as they stand: each line of each campaign over the units of a scope, and the reports that are due next.

Joins the registry's dated campaigns with three counters: our own from the rollups, the Portal's and people's from what
was entered. Nothing is summed over counters. Source: `collector.core.quota`, `.period`; design §7, counts.
"""

from __future__ import annotations

from collections import Counter as Tallies
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from collector.core.clock import DAY_MS, month_of
from collector.core.period import Deadline, Period, PeriodKind, ReportRule, deadlines, period_of, working_day_before
from collector.core.quota import (
    Count,
    Counter,
    Hamlets,
    Level,
    Pace,
    Projection,
    QuotaLine,
    Share,
    Standing,
    Tries,
    counter_of,
    hamlets,
    pace,
    project_days,
    project_slots,
    share,
    standing,
)
from collector.core.rollup_view import CommuneTotal
from collector.core.sample import HamletCounts
from collector.registry_dated import CampaignQuotaRow, CampaignReportRow, CampaignRow, EnteredCountRow, HolidayRow
from collector.registry_read import Dated
from collector.registry_rows import CommuneEntry, HamletEntry, ProvinceEntry

AHEAD_MS = 45 * DAY_MS
"""Deadlines are listed so far ahead."""
COUNTRY = "VN"
_OPEN_END_MS = 32_503_680_000_000
"""Year 3000: a campaign without an end."""


class Registry(Protocol):
    """The part of `collector.registry.Registry` that is needed here."""

    @property
    def dated(self) -> Dated:
        """The dated lists."""
        ...

    def campaigns(self) -> Sequence[CampaignRow]:
        """All campaigns."""
        ...

    def provinces(self) -> Sequence[ProvinceEntry]:
        """All provinces."""
        ...

    def communes(self) -> Sequence[CommuneEntry]:
        """All communes."""
        ...

    def hamlets(self) -> Sequence[HamletEntry]:
        """All hamlets."""
        ...


class Reader(Protocol):
    """The part of `collector.ledger.LedgerReader` that is needed here."""

    def commune_totals(self, since_ms: int, until_ms: int, /) -> Sequence[CommuneTotal]:
        """Sums by commune and operator."""
        ...

    def hamlet_counts(self, since_ms: int, until_ms: int, /) -> Mapping[str, HamletCounts]:
        """Sums by hamlet."""
        ...


@dataclass(frozen=True, slots=True)
class UnitStanding:
    """One unit on one line. `projection` and `pace` are None while the deciding counter is not known."""

    code: str
    name: str
    standing: Standing
    pace: Pace | None
    projection: Projection | None
    hamlets: Hamlets | None


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of a campaign in the period of now, over its units: those that miss most come first."""

    line: QuotaLine
    period: Period
    source: str | None
    units: tuple[UnitStanding, ...]
    share: Share


@dataclass(frozen=True, slots=True)
class Due:
    """A report that is due: `remind_on` is the last working day before it."""

    deadline: Deadline
    level: Level
    recipients: str
    remind_on: date


@dataclass(frozen=True, slots=True)
class CampaignView:
    """One campaign that runs, or whose last report is still due."""

    row: CampaignRow
    lines: tuple[LineView, ...]
    due: tuple[Due, ...]


def soonest(views: Iterable[CampaignView]) -> list[tuple[Due, CampaignView]]:
    """What is due, first first; of a daily report the next one only, for forty of them would hide the monthly ones."""
    found: list[tuple[Due, CampaignView]] = []
    seen: set[tuple[str, str, str]] = set()
    due = [(one, campaign) for campaign in views for one in campaign.due]
    for one, view in sorted(due, key=lambda pair: (pair[0].deadline, pair[1].row.code)):
        daily = (view.row.code, one.level, one.recipients)
        is_daily = one.deadline.covers.end_ms - one.deadline.covers.start_ms <= DAY_MS
        if not is_daily or daily not in seen:
            found.append((one, view))
        if is_daily:
            seen.add(daily)
    return found


@dataclass(frozen=True, slots=True)
class _Unit:
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class _Ours:
    counted: int
    tests: int


class Campaigns:
    """Asks registry and ledger; `scope` is a unit code of any level, "" for the country."""

    def __init__(
        self, reader: Reader, registry: Registry, slots_left: Callable[[int], Mapping[str, int] | None] | None = None
    ) -> None:
        """`slots_left`: at a moment, slots of the signed grids that are still to come this month, by hamlet (None: not
        known of every station; then they are taken to come as often as until now)."""
        self._reader = reader
        self._registry = registry
        self._slots_left = slots_left

    def at(self, now_ms: int, scope: str = "") -> list[CampaignView]:
        """Return the campaigns that run at `now_ms`, or have a report due within 45 days; by code."""
        found = (self._view(row, now_ms, scope) for row in self._registry.campaigns())
        return [one for one in found if one.lines or one.due]

    def dues(self, now_ms: int) -> Iterator[tuple[CampaignRow, PeriodKind, Due]]:
        """The reports that are due within 45 days, campaign by campaign, with the kind of period they are over."""
        for row in self._registry.campaigns():
            whole = Period(row.starts_ms, row.ends_ms or _OPEN_END_MS)
            for period, one in self._dues(row, whole, now_ms):
                yield row, period, one

    def _view(self, row: CampaignRow, now_ms: int, scope: str) -> CampaignView:
        whole = Period(row.starts_ms, row.ends_ms or _OPEN_END_MS)
        quotas = self._registry.dated.holding(CampaignQuotaRow, now_ms, campaign=row.code)
        lines = [self._line(row, one, whole, now_ms, scope) for one in quotas] if whole.holds(now_ms) else []
        return CampaignView(row, tuple(lines), tuple(self._due(row, whole, now_ms)))

    def _line(self, row: CampaignRow, quota: CampaignQuotaRow, whole: Period, now_ms: int, scope: str) -> LineView:
        counter: Counter = counter_of(quota.what, row.counter)
        line = QuotaLine(quota.line, quota.level, counter, quota.minimum, quota.relation, quota.period)
        period = period_of(quota.period, now_ms, whole).met_by(whole) or whole
        units = [one for one in self._units(quota.level, scope) if quota.unit in (None, one.code)]
        ours = self._ours(quota.level, period)
        read = {name: self._entered(name, period) for name in ("portal", "people", "people_samples")}
        registered = self._hamlet_codes(quota.level)
        samples = {code: c.counted for code, c in self._reader.hamlet_counts(period.start_ms, period.end_ms).items()}
        grid = self._grid(quota.level, period, now_ms) if counter == "ours" else None
        rows = []
        for unit in units:
            mine = ours.get(unit.code, _Ours(0, 0))
            counts = {"ours": Count(mine.counted), **{name: read[name].get(unit.code) for name in read}}
            evidence = hamlets(registered[unit.code], samples) if unit.code in registered else None
            left = None if grid is None else grid.get(unit.code, 0)
            found = standing(line, counts)  # type: ignore[arg-type]
            rows.append(_unit(unit, found, mine, period, now_ms, evidence, left))
        rows.sort(key=_missing_first)
        return LineView(line, period, quota.source, tuple(rows), share(one.standing for one in rows))

    def _units(self, level: Level, scope: str) -> list[_Unit]:
        communes = {one.code: one for one in self._registry.communes()}
        if level in ("country", "bodies"):
            return [_Unit(COUNTRY if level == "country" else "bodies", "")] if scope == "" else []
        if level == "province":
            return [_Unit(one.code, one.name) for one in self._registry.provinces() if scope in ("", one.code)]
        if level == "commune":
            return [_Unit(c.code, c.name) for c in communes.values() if scope in ("", c.code, c.province)]
        ended = self._registry.dated.ended()
        return [
            _Unit(one.code, one.label)
            for one in self._registry.hamlets()
            if one.code not in ended and scope in ("", one.code, one.commune, _province(communes, one.commune))
        ]

    def _ours(self, level: Level, period: Period) -> dict[str, _Ours]:
        if level == "hamlet":
            found = self._reader.hamlet_counts(period.start_ms, period.end_ms)
            return {code: _Ours(one.counted, one.tests) for code, one in found.items()}
        counted: Tallies[str] = Tallies()
        tests: Tallies[str] = Tallies()
        for total in self._reader.commune_totals(period.start_ms, period.end_ms):
            code = {"commune": total.commune, "province": total.province}.get(level, COUNTRY)
            counted[code] += total.counts.counted
            tests[code] += total.counts.tests
        return {code: _Ours(counted[code], tests[code]) for code in tests}

    def _grid(self, level: Level, period: Period, now_ms: int) -> Mapping[str, int] | None:
        """Slots that are still to come by unit of a level; only for a period that ends with the month of now."""
        found = None if self._slots_left is None or period != Period(*month_of(now_ms)) else self._slots_left(now_ms)
        if found is None or level == "hamlet":
            return found
        communes = {one.code: one for one in self._registry.communes()}
        sums: Tallies[str] = Tallies()
        for one in self._registry.hamlets():
            code = {"commune": one.commune, "province": _province(communes, one.commune)}.get(level, COUNTRY)
            sums[code or ""] += found.get(one.code, 0)
        return sums

    def _entered(self, counter: str, period: Period) -> dict[str, Count]:
        rows = self._registry.dated.holding(EnteredCountRow, None, counter=counter)
        return {
            row.unit: Count(row.value, row.valid_from_ms)
            for row in rows
            if (row.starts_ms, row.ends_ms) == (period.start_ms, period.end_ms)
        }

    def _hamlet_codes(self, level: Level) -> dict[str, list[str]]:
        """Hamlets that are, by commune; only lines of communes ask for each of them."""
        if level != "commune":
            return {}
        ended, found = self._registry.dated.ended(), {one.code: [] for one in self._registry.communes()}  # type: ignore[var-annotated]
        for one in self._registry.hamlets():
            if one.code not in ended:
                found.setdefault(one.commune, []).append(one.code)
        return found

    def _due(self, row: CampaignRow, whole: Period, now_ms: int) -> Iterator[Due]:
        yield from (one for _, one in self._dues(row, whole, now_ms))

    def _dues(self, row: CampaignRow, whole: Period, now_ms: int) -> Iterator[tuple[PeriodKind, Due]]:
        days = self._registry.dated.holding(HolidayRow)
        closed, worked = (
            {date.fromisoformat(one.day) for one in days if bool(one.is_off) is off} for off in (True, False)
        )
        listed: list[tuple[PeriodKind, Due]] = []
        for report in self._registry.dated.holding(CampaignReportRow, now_ms, campaign=row.code):
            rule = ReportRule(report.period, report.due_day, report.due_minute, report.relation)
            for one in deadlines(rule, whole, Period(now_ms, now_ms + AHEAD_MS)):
                remind_on = working_day_before(one.due_ms, closed, worked)
                listed.append((report.period, Due(one, report.level, report.recipients, remind_on)))
        yield from sorted(listed, key=lambda one: one[1].deadline)


def _unit(
    unit: _Unit, found: Standing, mine: _Ours, period: Period, now_ms: int, evidence: Hamlets | None, left: int | None
) -> UnitStanding:
    if found.counted is None:
        return UnitStanding(unit.code, unit.name, found, None, None, evidence)
    needed, value = found.line.needed, found.counted.value
    # A figure of the Portal stands for the day on which it was read, not for today.
    as_of_ms = now_ms if found.counted.as_of_ms is None else min(found.counted.as_of_ms, now_ms)
    if found.line.counter == "ours":
        projection = _project_ours(needed, mine, period, now_ms, left)
    else:
        projection = project_days(needed, value, period, as_of_ms)
    return UnitStanding(unit.code, unit.name, found, pace(needed, value, period, as_of_ms), projection, evidence)


def _project_ours(needed: int, mine: _Ours, period: Period, now_ms: int, slots_left: int | None) -> Projection:
    """The slots that are left are those of the signed grids; where these are not known, as many as until now."""
    if slots_left is not None and period.holds(now_ms):
        tries = Tries(max(mine.tests, mine.counted), mine.counted, min(slots_left, 50_000))
        return project_slots(needed, tries, mine.counted)
    gone = min(max(now_ms - period.start_ms, 0), period.end_ms - period.start_ms)
    left = period.end_ms - period.start_ms - gone
    if gone == 0 or (mine.tests == 0 and left):
        return project_days(needed, mine.counted, period, now_ms)
    tries = Tries(mine.tests, min(mine.counted, mine.tests), min(-(-mine.tests * left // gone), 50_000))
    return project_slots(needed, tries, mine.counted)


def _missing_first(one: UnitStanding) -> tuple[bool, int, str]:
    return one.standing.missing is not None, -(one.standing.missing or 0), one.code


def _province(communes: Mapping[str, CommuneEntry], code: str) -> str | None:
    return communes[code].province if code in communes else None
