"""People's counts: how many installed i-Speed and how many samples they took, by hamlet and day. Totals only, no names.

A hamlet's head enters them by a sheet, an official for one who telephones, or a table. Each is a row of the registry's
list `counts` for its day; a later one corrects it and both stay. From the days follow readings of the running periods
of every campaign that counts people, for the hamlet, its commune and province, so that quotas and the report at 17:00
have them; a figure that a person typed for a whole period stands, whatever the days add up to.
Source: issue 8, people's counts; design §7, counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, Protocol

from collector.core.clock import DAY_MS
from collector.core.period import Period, date_of, period_of, start_of
from collector.registry_dated import CampaignQuotaRow, CampaignRow, EnteredCountRow
from collector.registry_rows import HamletEntry
from collector.scopes import Scopes, Units

PersonCounter = Literal["people", "people_samples"]
COUNTERS: tuple[PersonCounter, ...] = ("people", "people_samples")
SUM = "sum of days"
"""Source of a reading that was added up here."""
BACK_DAYS = 7
"""So many days back a hamlet's head may still correct."""
MOST = 9_999
_OPEN_END_MS = 32_503_680_000_000


class Registry(Units, Protocol):
    """The part of `collector.registry.Registry` that is needed here."""

    def campaigns(self) -> Sequence[CampaignRow]:
        """All campaigns."""
        ...

    def load(self, document: Mapping[str, Any], now_ms: int | None = None, /) -> object:
        """Append; all of it or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody says of a unit's day; None: said nothing of that."""

    unit: str
    day: date
    people: int | None
    samples: int | None

    def values(self) -> Iterator[tuple[PersonCounter, int]]:
        """What was said, by counter."""
        for counter, value in zip(COUNTERS, (self.people, self.samples), strict=True):
            if value is not None:
                yield counter, value


@dataclass(frozen=True, slots=True)
class Held:
    """One stored figure: who said it when (UTC ms), and what stood there before, oldest first."""

    value: int
    at_ms: int
    source: str
    before: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A hamlet on the list of a day. None: nothing was entered. `sums`: the days of the period so far."""

    hamlet: HamletEntry
    day: Mapping[PersonCounter, Held]
    sums: Mapping[PersonCounter, int]


class People:
    """Reads and enters; asks the registry at every call."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def enter(self, entries: Sequence[Entry], source: str, now_ms: int) -> int:
        """Store what differs from what is held, all of it or nothing; how many figures that were. Raises Refused."""
        rows = [row for one in entries for row in self._new(one, source, now_ms)]
        if rows:
            days = _Days(self._registry, rows)
            touched = {(str(row["counter"]), str(row["unit"]), int(row["starts_ms"])) for row in rows}
            rows += [row for at in sorted(touched) for row in self._sums(days, *at, now_ms)]
            unique = {(r["counter"], r["unit"], r["starts_ms"], r["ends_ms"]): r for r in rows}
            self._registry.load({"counts": list(unique.values())}, now_ms)
        return sum(row["source"] != SUM for row in rows)

    def _new(self, entry: Entry, source: str, now_ms: int) -> Iterator[dict[str, Any]]:
        start_ms = start_of(entry.day)
        for counter, value in entry.values():
            held = self.held(counter, entry.unit, entry.day)
            if held is None or held.value != value:
                yield _row(counter, entry.unit, Period(start_ms, start_ms + DAY_MS), value, source, now_ms)

    def _sums(self, days: _Days, counter: str, unit: str, day_ms: int, now_ms: int) -> Iterator[dict[str, Any]]:
        """Readings of the periods that hold a day, for the unit and what it belongs to."""
        for above in days.above(unit):
            for period in self._periods(day_ms, above):
                newest = self._reading(counter, above, period)
                total = days.total(counter, above, period)
                if total is not None and (newest is None or newest.source == SUM):
                    yield _row(counter, above, period, total, SUM, now_ms)

    def _periods(self, day_ms: int, unit: str) -> list[Period]:
        """The periods of people's quotas that hold a day; a quota by the day has the entry itself."""
        found: dict[tuple[int, int], Period] = {}
        for row in self._registry.campaigns():
            whole = Period(row.starts_ms, row.ends_ms or _OPEN_END_MS)
            for quota in self._registry.dated.holding(CampaignQuotaRow, day_ms, campaign=row.code):
                counts_people = quota.what == "people" or row.counter == "people"
                if counts_people and whole.holds(day_ms) and quota.unit in (None, unit) and quota.period != "day":
                    period = period_of(quota.period, day_ms, whole).met_by(whole) or whole
                    for one in (period, whole) if row.ends_ms is not None else (period,):
                        found[one.start_ms, one.end_ms] = one
        return list(found.values())

    def _reading(self, counter: str, unit: str, period: Period) -> EnteredCountRow | None:
        rows = self._registry.dated.holding(EnteredCountRow, None, counter=counter, unit=unit)
        return next((one for one in rows if (one.starts_ms, one.ends_ms) == (period.start_ms, period.end_ms)), None)

    def held(self, counter: PersonCounter, unit: str, day: date) -> Held | None:
        """What is stored of a unit's day, with what it replaced."""
        start_ms = start_of(day)
        rows = [
            row
            for row in self._registry.dated.history(EnteredCountRow, counter=counter, unit=unit)
            if (row.starts_ms, row.ends_ms) == (start_ms, start_ms + DAY_MS)
        ]
        if not rows:
            return None
        before = tuple(row.value for row in rows[:-1])
        return Held(rows[-1].value, rows[-1].valid_from_ms, rows[-1].source or "", before)

    def week(self, unit: str, now_ms: int) -> list[tuple[date, dict[PersonCounter, Held]]]:
        """The last days of a unit, newest first, with what is stored of each."""
        today = date_of(now_ms)
        days = [today - timedelta(days=back) for back in range(BACK_DAYS)]
        return [(day, self._of_day(unit, day)) for day in days]

    def _of_day(self, unit: str, day: date) -> dict[PersonCounter, Held]:
        found = {counter: self.held(counter, unit, day) for counter in COUNTERS}
        return {counter: held for counter, held in found.items() if held is not None}

    def lines(self, scope: str, day: date, period: Period) -> list[Line]:
        """Hamlets of a scope that still are, with a day's figures and the period's sums up to the end of that day."""
        ended, days = self._registry.dated.ended(), _Days(self._registry, ())
        until = Period(period.start_ms, min(period.end_ms, start_of(day) + DAY_MS))
        found = []
        for hamlet in (one for one in Scopes(self._registry).hamlets(scope) if one.code not in ended):
            sums = {counter: days.total(counter, hamlet.code, until) for counter in COUNTERS}
            known = {counter: value for counter, value in sums.items() if value is not None}
            day_found = self._of_day(hamlet.code, day) if days.has(hamlet.code, start_of(day)) else {}
            found.append(Line(hamlet, day_found, known))
        return found


class _Days:
    """All figures of single days, with what is just being entered, and the units above each."""

    def __init__(self, registry: Registry, new: Sequence[Mapping[str, Any]]) -> None:
        self._communes = {one.code: one.province for one in registry.communes()}
        self._hamlets = {one.code: one.commune for one in registry.hamlets()}
        self._values: dict[tuple[str, str], dict[int, int]] = {}
        for counter in COUNTERS:
            for row in registry.dated.holding(EnteredCountRow, None, counter=counter):
                if row.ends_ms - row.starts_ms == DAY_MS:
                    self._values.setdefault((counter, row.unit), {})[row.starts_ms] = row.value
        for one in new:
            self._values.setdefault((one["counter"], one["unit"]), {})[one["starts_ms"]] = one["value"]

    def above(self, unit: str) -> list[str]:
        """The unit, its commune and province."""
        commune = self._hamlets.get(unit, unit)
        return list(dict.fromkeys(one for one in (unit, commune, self._communes.get(commune)) if one is not None))

    def has(self, unit: str, day_ms: int) -> bool:
        """Whether anything is stored of a unit's day."""
        return any(day_ms in self._values.get((counter, unit), {}) for counter in COUNTERS)

    def total(self, counter: str, unit: str, period: Period) -> int | None:
        """The sum of the days of a period; None if nothing is known of any. A unit's own figure of a day stands for it,
        otherwise those of its parts are added up."""
        found = list(self._by_day(counter, unit, period).values())
        return sum(found) if found else None

    def _by_day(self, counter: str, unit: str, period: Period) -> dict[int, int]:
        parts = [code for code, above in self._hamlets.items() if above == unit]
        parts += [code for code, above in self._communes.items() if above == unit]
        added: dict[int, int] = {}
        for part in parts:
            for day_ms, value in self._by_day(counter, part, period).items():
                added[day_ms] = added.get(day_ms, 0) + value
        own = {at: v for at, v in self._values.get((counter, unit), {}).items() if period.holds(at)}
        return {**added, **own}


def _row(counter: str, unit: str, period: Period, value: int, source: str, now_ms: int) -> dict[str, Any]:
    return {
        "counter": counter, "unit": unit, "starts_ms": period.start_ms, "ends_ms": period.end_ms, "value": value,
        "valid_from_ms": now_ms, "source": source,
    }  # fmt: skip
