"""Points of whole units and whole days, computed in the ledger: which are due, and their lines.

Days of units follow the rollup points within two minutes, what only single tests say within ten, months within the
hour, all sooner just after a start, when somebody waits for a first figure. What is due stands in `forward.db`, put
down with the rollup points, and is taken off when it is written. Where records were taken away (a probe moved, a
hamlet was merged) a province's points of that day and month are deleted first: a commune that has none left must not
keep its old ones. Source: `collector.core.unit_points`, `collector.day_lines`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Protocol

from collector.core.clock import DAY_MS, day_of, month_of
from collector.core.points import Field
from collector.core.rollup import DayKey
from collector.core.unit_points import UNIT_CAUSES, UNIT_DAY, UNIT_MONTH, Gathered, Unit, gather, unit_lines
from collector.day_lines import FLEET, REFERRALS, lines_of_day
from collector.forward_memory import Due
from collector.ledger import LedgerReader
from collector.place_lines import position
from collector.registry import Registry
from collector.rollups import Rollups

EVERY_MS: Mapping[str, int] = {"day": 120_000, "tests": 600_000, "month": 3_600_000}
FIRST_MS = 10_000
"""After a start everything is due again so soon; each time twice as long, up to the above."""
ANEW_AT_START_DAYS = 3
BATCH, AT_MOST_S = 500, 5.0
"""So many of a span are looked at in one round, and no new one is begun after so long."""
_AT_ONCE_MS = 1
HELD: Mapping[str, tuple[str, ...]] = {
    "day": (UNIT_DAY, UNIT_CAUSES),
    "month": (UNIT_MONTH,),
    "tests": (REFERRALS, FLEET),
}
"""Span to the measurements that are written of it."""
Known = Callable[[Unit], Mapping[str, Field]]
Forget = Callable[[str, str, str, int, int], None]
"""Deletes points: measurement, tag, code, since, until (UTC ms). May not raise Refused."""


class DueStore(Protocol):
    """Keeps what is due."""

    def due(self, span: str, limit: int) -> dict[Due, bool]: ...

    def settle(self, done: Mapping[DayKey, int], due: Mapping[str, Mapping[Due, bool]]) -> None: ...

    def written(self, span: str, keys: Iterable[Due]) -> None: ...


class UnitLines:
    """Gives the points that are due; `written` takes off what was given last."""

    def __init__(self, reader: LedgerReader, registry: Registry, store: DueStore, forget: Forget) -> None:
        self._reader, self._rollups, self._registry = reader, Rollups(reader), registry
        self._store, self._forget = store, forget
        self._next_ms = dict.fromkeys(EVERY_MS, 0)
        self._wait_ms = dict.fromkeys(EVERY_MS, FIRST_MS)
        self._given: dict[str, list[Due]] = {}

    def lines(self, at_ms: int) -> Iterator[str]:
        """Points of the spans whose time has come; a month at once if something was taken away from it."""
        self._given = {}
        known = register(self._registry)
        ends_s = time.monotonic() + AT_MOST_S
        for span in EVERY_MS:
            if not self._next_ms[span]:
                self._store.settle({}, {span: self._at_start(span, at_ms)})
            due = self._store.due(span, BATCH)
            if at_ms >= self._next_ms[span] or any(due.values()):
                self._next_ms[span] = at_ms + self._wait_ms[span]
                self._wait_ms[span] = min(2 * self._wait_ms[span], EVERY_MS[span])
                yield from self._span(span, due, known, ends_s)

    def written(self) -> None:
        """What `lines` gave last is in the database."""
        for span, keys in self._given.items():
            self._store.written(span, keys)
        self._given = {}

    def _span(self, span: str, due: Mapping[Due, bool], known: Known, ends_s: float) -> Iterator[str]:
        given = self._given.setdefault(span, [])
        for (start_ms, province), anew in due.items():
            if given and time.monotonic() >= ends_s:
                self._next_ms[span] = _AT_ONCE_MS
                break
            made = list(self._made(span, start_ms, province, known))
            if anew:
                until_ms = start_ms + (DAY_MS if span != "month" else 1)
                for measurement in HELD[span]:
                    self._forget(measurement, "province", province, start_ms, until_ms)
            yield from made
            given.append((start_ms, province))

    def _made(self, span: str, start_ms: int, province: str, known: Known) -> Iterator[str]:
        if span == "day":
            return day_lines(self._rollups, start_ms, province, known)
        if span == "month":
            return month_lines(self._rollups, start_ms, province, known)
        return lines_of_day(self._reader, start_ms, province)

    def _at_start(self, span: str, at_ms: int) -> dict[Due, bool]:
        """The last days and both last months, so that a database that lost its newest points has them again."""
        provinces = [one.code for one in self._registry.provinces()]
        days = [day_of(at_ms - back * DAY_MS)[0] for back in range(ANEW_AT_START_DAYS)]
        month_ms = month_of(at_ms)[0]
        starts = [month_ms, month_of(month_ms - 1)[0]] if span == "month" else days
        return {(start_ms, province): False for start_ms in starts for province in provinces}


def day_lines(rollups: Rollups, day_ms: int, province: str, known: Known) -> Iterator[str]:
    """Points of one local day of one province and its communes."""
    units = gather(rollups.province_day(day_ms, province), hamlets=False)
    return _lines(UNIT_DAY, units, day_ms, known)


def month_lines(rollups: Rollups, month_ms: int, province: str, known: Known) -> Iterator[str]:
    """Points of one month of one province, its communes and its hamlets."""
    days = range(month_ms, month_of(month_ms)[1], DAY_MS)
    units = gather(chain.from_iterable(rollups.province_day(day, province) for day in days), hamlets=True)
    return _lines(UNIT_MONTH, units, month_ms, known)


def every_unit(
    rollups: Rollups, registry: Registry, at_ms: int, mine: Callable[[int], bool] = lambda _: True
) -> Iterator[list[str]]:
    """All points of units that the ledger gives, a province's day or month at a time: for a database made anew.

    `mine`: whether a day or month that begins at a moment (UTC ms) is wanted."""
    known = register(registry)
    provinces = [one.code for one in registry.provinces()]
    day_ms = rollups.day_before(at_ms)
    months: set[int] = set()
    while day_ms is not None:
        months.add(month_of(day_ms)[0])
        for province in provinces if mine(day_ms) else ():
            yield list(day_lines(rollups, day_ms, province, known))
        day_ms = rollups.day_before(day_ms)
    for month_ms in filter(mine, sorted(months)):
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
