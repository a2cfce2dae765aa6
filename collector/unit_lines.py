"""Points of whole units, computed in the ledger: which days and months are due, and their lines.

Days of units follow the rollup points within two minutes, months within the hour, both sooner just after a start, when
somebody waits for a first figure. At a start the last days and both last months are written anew, so that nothing
depends on what a process remembered.
Source: `collector.core.unit_points`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from collector.core.clock import DAY_MS, day_of, month_of
from collector.core.points import Field
from collector.core.unit_points import UNIT_DAY, UNIT_MONTH, Gathered, Unit, gather, unit_lines
from collector.place_lines import position
from collector.registry import Registry
from collector.rollups import Rollups

DAYS_EVERY_MS, MONTHS_EVERY_MS = 120_000, 3_600_000
FIRST_MS = 10_000
"""After a start days are due again so soon, months too; each time twice as long, up to the above."""
ANEW_AT_START_DAYS = 3
Known = Callable[[Unit], Mapping[str, Field]]


class UnitLines:
    """Gives the points of `unit_1d` and `unit_1mo` that are due."""

    def __init__(self, rollups: Rollups, registry: Registry) -> None:
        self._rollups = rollups
        self._registry = registry
        self._days: set[tuple[int, str]] = set()
        self._months: set[tuple[int, str]] = set()
        self._days_due_ms = self._months_due_ms = 0
        self._days_wait_ms = self._months_wait_ms = FIRST_MS

    def lines(self, seen: set[tuple[int, str]], at_ms: int) -> Iterator[str]:
        """Points of days (local day, province) that were touched, taken out of `seen`; of their months, each hour."""
        if self._days_due_ms == 0:
            self._at_start(at_ms)
        self._days |= seen
        self._months |= {(month_of(day_ms)[0], province) for day_ms, province in seen}
        seen.clear()
        known = register(self._registry)
        if at_ms >= self._days_due_ms:
            self._days_due_ms = at_ms + self._days_wait_ms
            self._days_wait_ms = min(2 * self._days_wait_ms, DAYS_EVERY_MS)
            for day_ms, province in sorted(self._days):
                yield from day_lines(self._rollups, day_ms, province, known)
            self._days.clear()
        if at_ms >= self._months_due_ms:
            self._months_due_ms = at_ms + self._months_wait_ms
            self._months_wait_ms = min(2 * self._months_wait_ms, MONTHS_EVERY_MS)
            for month_ms, province in sorted(self._months):
                yield from month_lines(self._rollups, month_ms, province, known)
            self._months.clear()

    def _at_start(self, at_ms: int) -> None:
        provinces = [one.code for one in self._registry.provinces()]
        days = [day_of(at_ms - back * DAY_MS)[0] for back in range(ANEW_AT_START_DAYS)]
        month_ms = month_of(at_ms)[0]
        months = (month_ms, month_of(month_ms - 1)[0])
        self._days |= {(day_ms, province) for day_ms in days for province in provinces}
        self._months |= {(one, province) for one in months for province in provinces}


def day_lines(rollups: Rollups, day_ms: int, province: str, known: Known) -> Iterator[str]:
    """Points of one local day of one province and its communes."""
    units = gather(rollups.province_day(day_ms, province), hamlets=False)
    return _lines(UNIT_DAY, units, day_ms, known)


def month_lines(rollups: Rollups, month_ms: int, province: str, known: Known) -> Iterator[str]:
    """Points of one month of one province, its communes and its hamlets."""
    days = range(month_ms, month_of(month_ms)[1], DAY_MS)
    units = gather(chain.from_iterable(rollups.province_day(day, province) for day in days), hamlets=True)
    return _lines(UNIT_MONTH, units, month_ms, known)


def every_unit(rollups: Rollups, registry: Registry, at_ms: int) -> Iterator[list[str]]:
    """All points of units that the ledger gives, a province's day or month at a time: for a database made anew."""
    known = register(registry)
    provinces = [one.code for one in registry.provinces()]
    day_ms = rollups.day_before(at_ms)
    months: set[int] = set()
    while day_ms is not None:
        months.add(month_of(day_ms)[0])
        for province in provinces:
            yield list(day_lines(rollups, day_ms, province, known))
        day_ms = rollups.day_before(day_ms)
    for month_ms in sorted(months):
        for province in provinces:
            yield list(month_lines(rollups, month_ms, province, known))


def _lines(measurement: str, units: Mapping[Unit, Gathered], at_ms: int, known: Known) -> Iterator[str]:
    yield from unit_lines(measurement, units, at_ms, known)


def register(registry: Registry) -> Known:
    """What the register says of any unit: its name, a hamlet's place, how many hamlets of a commune have a site."""
    names = {one.code: one.name for one in registry.provinces()}
    names |= {one.code: one.name for one in registry.communes()}
    ended = registry.dated.ended()
    sites = {site.hamlet: site for site in registry.sites()}
    hamlets = {one.code: one for one in registry.hamlets()}
    with_site = Counter(one.commune for one in hamlets.values() if one.code in sites and one.code not in ended)

    def about(unit: Unit) -> dict[str, Field]:
        province, commune, hamlet, _ = unit
        if hamlet in hamlets:
            lat, lon = position(hamlets[hamlet], sites.get(hamlet))
            return {"name": hamlets[hamlet].label, "lat": lat, "lon": lon}
        named: dict[str, Field] = {"name": hamlet or names.get(commune or province, commune or province)}
        return named | ({"registered": with_site[commune]} if commune and not hamlet else {})

    return about
