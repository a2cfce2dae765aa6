"""Gathers what a page shows: asks ledger and registry, lets `collector.core.view_*` compute, gives values to templates.

Source: design §7 (web, counts), §8.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from collector.core.clock import DAY_MS, day_of
from collector.core.sample import HamletCounts, Sample
from collector.core.view import Month, month_before, month_of, short_code, sort_key
from collector.core.view_chart import Chart, Spot, plain_map, rate_by_rsrp, rate_by_sinr, rates_over_time
from collector.core.view_figures import Figures, Pace, by_operator, figures, tests_of
from collector.core.view_hamlet import BAND_DAYS, Band, HoursOfDay, Strip, band, hours_of_day, strips
from collector.core.view_probe import Checkup, checkup
from collector.core.view_service import CoverageSum, Service, State, Window, coverage_sum, service, windows
from collector.core.witness import DIRECTIONS, Witness, is_worth_showing, judge
from collector.registry_rows import CommuneEntry, HamletEntry, ProbeEntry, ProvinceEntry, Quota, SiteEntry
from collector.scopes import Scopes
from collector.web import sheet
from collector.web.months import MonthTests
from collector.web.ports import Reader, Registry
from wire.errors import Unavailable
from wire.records import TestRecord

FEED_ROWS = 25
LAST_TESTS = 20
CHART_TESTS = 120
STRIP_WINDOWS = 12
RECENT = 24
PAGE_HAMLETS = 50
OFF_PATH_TESTS = 8
NO_COUNTS = HamletCounts()


@dataclass(frozen=True, slots=True)
class HamletRow:
    """A hamlet on a list or map. `figures` cover the month so far, `service` is now."""

    hamlet: HamletEntry
    commune: CommuneEntry | None
    service: Service
    last_ms: int | None
    counts: HamletCounts
    figures: Figures
    operators: tuple[str, ...]
    probes: int


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A new sample and the hamlet that it comes from (None: its probe stood nowhere)."""

    sample: Sample
    hamlet: HamletEntry | None


@dataclass(frozen=True, slots=True)
class HamletPage:
    """Everything that a hamlet's page shows."""

    row: HamletRow
    province: ProvinceEntry | None
    operators: tuple[Figures, ...]
    rates: Chart | None
    by_signal: Chart | None
    by_sinr: Chart | None
    bands: tuple[tuple[str, Band], ...]
    hours: tuple[HoursOfDay, ...]
    strips: tuple[Strip, ...]
    windows: tuple[Window, ...]
    coverage: CoverageSum
    tests: Sequence[Sample]
    chart_tests: int
    last_n: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A probe at its site, for technician and operator. `code`: short code of its newest test, None without one."""

    probe: ProbeEntry
    site: SiteEntry | None
    hamlet: HamletEntry | None
    checkup: Checkup
    last_ms: int | None
    code: str | None


@dataclass(frozen=True, slots=True)
class CommuneRow:
    """A commune on the official's sheet. `evidence`: hamlets with at least one counted sample, of `registered`."""

    commune: CommuneEntry
    province: ProvinceEntry | None
    quota: Quota | None
    pace: Pace
    tests: int
    figures: Figures
    evidence: int
    registered: int


class Pages:
    """The pages' one way to ledger and registry. `now_ms` is the wall clock (UTC ms)."""

    def __init__(self, reader: Reader, registry: Registry, now_ms: Callable[[], int]) -> None:
        self.reader = reader
        self.registry = registry
        self.now_ms = now_ms
        self.tests = MonthTests(reader)

    def month(self) -> Month:
        """The month of now, in Vietnam."""
        return month_of(self.now_ms())

    def hamlets_in(self, scope: str) -> list[HamletEntry]:
        """Hamlets inside a unit code of any level, "" for all; by commune and name."""
        return sorted(Scopes(self.registry).hamlets(scope), key=lambda h: (h.commune, sort_key(h.name)))

    def hamlet_rows(self, scope: str = "", page: int = 0) -> list[HamletRow]:
        """One page of the list of hamlets, at most PAGE_HAMLETS."""
        return self.rows_of(self.hamlets_in(scope)[page * PAGE_HAMLETS : (page + 1) * PAGE_HAMLETS])

    def rows_of(self, chosen: Sequence[HamletEntry]) -> list[HamletRow]:
        """These hamlets as on the list."""
        this = self.month()
        counts = self.reader.hamlet_counts(this.start_ms, this.end_ms)
        standing = self._probes_by_hamlet()
        names = self.registry.operators()
        return [self._row(h, this, counts.get(h.code, NO_COUNTS), len(standing.get(h.code, ())), names) for h in chosen]

    def hamlet_row(self, hamlet: HamletEntry) -> HamletRow:
        """One hamlet as on the list."""
        this = self.month()
        counts = self.reader.hamlet_counts(this.start_ms, this.end_ms)
        probes = len(self._probes_by_hamlet().get(hamlet.code, ()))
        return self._row(hamlet, this, counts.get(hamlet.code, NO_COUNTS), probes, self.registry.operators())

    def _row(
        self, hamlet: HamletEntry, this: Month, counts: HamletCounts, probes: int, names: Mapping[str, str]
    ) -> HamletRow:
        recent = self.reader.samples(hamlet=hamlet.code, limit=RECENT)
        tests = self.tests.of(hamlet.code, this)
        plmns = sorted({f.plmn for f in by_operator(tests) if f.plmn is not None})
        return HamletRow(
            hamlet=hamlet,
            commune=self.registry.commune(hamlet.commune),
            service=service(recent, self.now_ms()) if recent or probes else Service(State.NONE, "no_probe"),
            last_ms=recent[0].received_ms if recent else None,
            counts=counts,
            figures=figures(tests),
            operators=tuple(names.get(plmn, plmn) for plmn in plmns),
            probes=probes,
        )

    def feed(self, after: int | None = None, hamlet: str | None = None, limit: int = FEED_ROWS) -> list[FeedRow]:
        """The newest samples, newest first."""
        samples = self.reader.samples(hamlet=hamlet, after_n=after, limit=limit)
        return [FeedRow(s, self.registry.hamlet(s.hamlet) if s.hamlet else None) for s in samples]

    def hamlet_page(self, hamlet: HamletEntry) -> HamletPage:
        """Gather a hamlet's page."""
        this = self.month()
        last_n = self.reader.last_n()
        row = self.hamlet_row(hamlet)
        tests = self.reader.samples(hamlet=hamlet.code, kind="test", limit=CHART_TESTS)
        windowed = windows(self.reader.samples(hamlet=hamlet.code, kind="coverage", limit=STRIP_WINDOWS))
        end_ms = day_of(self.now_ms())[0] + DAY_MS
        days = self.reader.hamlet_days(hamlet.code, hamlet.commune, end_ms - BAND_DAYS * DAY_MS, end_ms)
        drawn = [(name, band(days, end_ms, f"{name}_bps")) for name in ("downlink", "uplink")]
        return HamletPage(
            row=row,
            province=self.registry.province(row.commune.province) if row.commune else None,
            operators=by_operator(self.tests.of(hamlet.code, this)),
            rates=rates_over_time(tests),
            by_signal=rate_by_rsrp(tests),
            by_sinr=rate_by_sinr(tests),
            bands=tuple((name, found) for name, found in drawn if found is not None),
            hours=hours_of_day(days),
            strips=strips(days, end_ms),
            windows=tuple(reversed(windowed)),
            coverage=coverage_sum(windowed),
            tests=tests[:LAST_TESTS],
            chart_tests=len(tests),
            last_n=last_n,
            simulated=self.simulated(tests),
        )

    @staticmethod
    def simulated(samples: Sequence[Sample]) -> bool:
        """Whether any of these records says that a simulator made it."""
        return any(s.record is not None and s.record.simulated for s in samples)

    def witnesses(self, sample: Sample) -> tuple[Witness, ...]:
        """What the measurement point saw of a test, by direction; empty for a record that could have no receipt."""
        record = sample.record
        if not isinstance(record, TestRecord) or not is_worth_showing(record):
            return ()
        named = self.reader.receipts(sample)
        return tuple(judge(record, way, named.get(way)) for way in DIRECTIONS)

    def any_simulated(self) -> bool:
        """Whether a registered probe is a simulated one: then every sheet may hold its figures and says so."""
        return any(p.simulated for p in self.registry.probes())

    def off_path(self) -> bool:
        """Whether the newest test of each probe that measured lately went another way, so that nothing is counted."""
        try:
            tests = self.reader.samples(kind="test", limit=OFF_PATH_TESTS)
        except Unavailable:
            # Login and health page work without a ledger; the pages that need it say so themselves.
            return False
        newest = {s.probe: s for s in reversed(tests)}
        return bool(newest) and all(_off_path(s) for s in newest.values())

    def spots(self, rows: Sequence[HamletRow], width: int, height: int) -> list[tuple[Spot, HamletRow]]:
        """Where the hamlets stand on the plain map."""
        by_code = {r.hamlet.code: r for r in rows}
        places = [
            (h.code, h.lat_e7, h.lon_e7)
            for h in (r.hamlet for r in rows)
            if h.lat_e7 is not None and h.lon_e7 is not None
        ]
        return [(spot, by_code[spot.code]) for spot in plain_map(places, width, height, 70)]

    def site_rows(self, scope: str = "") -> list[SiteRow]:
        """Every probe inside a unit, ill ones first."""
        inside = {h.code for h in self.hamlets_in(scope)}
        ids = [probe.id for probe, hamlet in self.standing() if hamlet in inside or not scope]
        return sorted(self.rows_of_probes(ids), key=lambda r: (r.checkup.illness is None, r.probe.id))

    def standing(self) -> list[tuple[ProbeEntry, str | None]]:
        """Every probe and the code of the hamlet where it stands (None: nowhere)."""
        at = {site.code: site.hamlet for site in self.registry.sites()}
        return [(probe, at.get(probe.site) if probe.site else None) for probe in self.registry.probes()]

    def rows_of_probes(self, ids: Sequence[str]) -> list[SiteRow]:
        """These probes as the technician sees them, in the given order; unknown ids are left out."""
        states = {s.probe: s for s in self.reader.probe_states()}
        rows: list[SiteRow] = []
        for probe in (found for found in map(self.registry.probe, ids) if found is not None):
            site = self.registry.site(probe.site) if probe.site else None
            hamlet = self.registry.hamlet(site.hamlet) if site else None
            state = states.get(probe.id)
            recent = self.reader.samples(probe=probe.id, limit=RECENT) if state else ()
            found = checkup(probe.state, state, recent, self.now_ms())
            code = next((short_code(s.leaf) for s, _ in tests_of(recent)), None)
            rows.append(SiteRow(probe, site, hamlet, found, state.last_received_ms if state else None, code))
        return rows

    def commune_rows(self, scope: str, this: Month, codes: Collection[str] | None = None) -> list[CommuneRow]:
        """The official's sheet of a month, by code (of `codes`, or all)."""
        return sheet.commune_rows(self, scope, this, codes)

    def months(self) -> tuple[Month, Month]:
        """The two months that a sheet is usually asked for: this one and the one before."""
        this = self.month()
        return this, month_before(this)

    def _probes_by_hamlet(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for probe in self.registry.probes():
            site = self.registry.site(probe.site) if probe.site else None
            if site is not None:
                found.setdefault(site.hamlet, []).append(probe.id)
        return found


def _off_path(sample: Sample) -> bool:
    path = getattr(sample.record, "path", None)
    return path is not None and path.verdict != "ok"
