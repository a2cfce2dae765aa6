"""What the live board shows: a country of provinces, a province of communes, a commune of hamlets, this month and now.

Figures come from the ledger's rollups, states of probes from `ProbeWatch`: the same as on every other page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from collector.core.sample import HamletCounts
from collector.core.view import sort_key
from collector.core.view_board import Figure, coarse
from collector.core.view_service import Service
from collector.probe_watch import Watched
from collector.registry_rows import CommuneEntry, HamletEntry, ProvinceEntry
from collector.web.fleet_view import GOOD, Fleet
from collector.web.present import NO_COUNTS, HamletRow, Pages

Level = Literal["country", "province", "commune"]


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A unit on the board. `service` is a hamlet's state now, None above; positions None: not known."""

    code: str
    name: str
    lat_e7: int | None
    lon_e7: int | None
    figure: Figure
    evidence: int
    registered: int
    counted: int
    probes: int
    ill: int
    service: Service | None = None
    last_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """One unit's page; `province`, `commune` name the way down to it."""

    level: Level
    rows: tuple[BoardRow, ...]
    province: ProvinceEntry | None = None
    commune: CommuneEntry | None = None

    @property
    def code(self) -> str:
        """Code of the unit, "" for the country."""
        found = self.commune or self.province
        return found.code if found else ""


@dataclass(slots=True)
class _Sum:
    registered: int = 0
    evidence: int = 0
    counted: int = 0
    probes: int = 0
    ill: int = 0
    n: int = 0
    bps: int = 0

    def row(self, unit: ProvinceEntry | CommuneEntry, place: tuple[int | None, int | None]) -> BoardRow:
        figure = Figure(self.bps / self.n if self.n else None, self.n, is_median=False)
        counts = (self.evidence, self.registered, self.counted, self.probes, self.ill)
        return BoardRow(unit.code, unit.name, *place, figure, *counts)


class BoardView:
    """Gathers the board; `fleet` knows how probes are now."""

    def __init__(self, pages: Pages, fleet: Fleet) -> None:
        self._pages, self._fleet = pages, fleet

    def board(self, code: str, exact: bool) -> Board | None:
        """The page of a unit ("": the country); None if no province or commune has this code.

        `exact`: whether the reader may know where hamlets stand to the metre.
        """
        registry = self._pages.registry
        commune = registry.commune(code) if code else None
        province = registry.province(commune.province if commune else code) if code else None
        if commune is not None:
            return Board("commune", tuple(self._hamlets(commune, exact)), province, commune)
        if province is not None:
            return Board("province", tuple(self._communes(province)), province)
        return None if code else Board("country", tuple(self._provinces()))

    def _hamlets(self, commune: CommuneEntry, exact: bool) -> Iterable[BoardRow]:
        ended = self._pages.registry.dated.ended()
        inside = [h for h in self._pages.hamlets_in(commune.code) if h.code not in ended]
        sites = {site.hamlet: site for site in self._pages.registry.sites()}
        watched = _by(self._fleet.watched(), "hamlet")
        for row in self._pages.rows_of(inside):
            spot = row.hamlet if row.hamlet.lat_e7 is not None else sites.get(row.hamlet.code, row.hamlet)
            place = coarse(spot.lat_e7, exact), coarse(spot.lon_e7, exact)
            yield _hamlet_row(row, place, watched.get(row.hamlet.code, []))

    def _communes(self, province: ProvinceEntry) -> Iterable[BoardRow]:
        sums = self._sums(by_province=False)
        inside = [c for c in self._pages.registry.communes() if c.province == province.code and c.code in sums]
        for commune in sorted(inside, key=lambda c: sort_key(c.name)):
            yield sums[commune.code].row(commune, (commune.lat_e7, commune.lon_e7))

    def _provinces(self) -> Iterable[BoardRow]:
        sums = self._sums(by_province=True)
        communes = self._pages.registry.communes()
        for province in sorted(self._pages.registry.provinces(), key=lambda p: sort_key(p.name)):
            if province.code in sums:
                yield sums[province.code].row(province, _middle(c for c in communes if c.province == province.code))

    def _sums(self, *, by_province: bool) -> dict[str, _Sum]:
        """Sums of this month by commune or province, of those in which a hamlet is registered."""
        pages = self._pages
        this = pages.month()
        province_of = {c.code: c.province for c in pages.registry.communes()}
        held = pages.reader.hamlet_counts(this.start_ms, this.end_ms)
        ended = pages.registry.dated.ended()
        found: dict[str, _Sum] = {}
        for hamlet in pages.registry.hamlets():
            key = province_of.get(hamlet.commune, "") if by_province else hamlet.commune
            _add(found.setdefault(key, _Sum()), hamlet, held, ended)
        for total in pages.reader.commune_totals(this.start_ms, this.end_ms):
            one = found.get(total.province if by_province else total.commune)
            if one is not None:
                one.n, one.bps = one.n + total.downlink.n, one.bps + total.downlink.sum
        for code, probes in _by(self._fleet.watched(), "province" if by_province else "commune").items():
            if code in found:
                found[code].probes, found[code].ill = len(probes), _ill(probes)
        return found


def _add(one: _Sum, hamlet: HamletEntry, held: Mapping[str, HamletCounts], ended: Mapping[str, int]) -> None:
    counted = held.get(hamlet.code, NO_COUNTS).counted
    one.counted += counted
    if hamlet.code not in ended:
        one.registered += 1
        one.evidence += counted > 0


def _hamlet_row(row: HamletRow, place: tuple[int | None, int | None], probes: list[Watched]) -> BoardRow:
    stat = row.figures.downlink
    counted = row.counts.counted
    counts = (int(counted > 0), 1, counted, len(probes), _ill(probes))
    figure = Figure(stat.median, stat.n, is_median=True)
    return BoardRow(row.hamlet.code, row.hamlet.label, *place, figure, *counts, row.service, row.last_ms)


def _by(watched: Iterable[Watched], level: str) -> dict[str, list[Watched]]:
    found: dict[str, list[Watched]] = {}
    for one in watched:
        if one.place is not None and one.entry.state != "revoked":
            found.setdefault(getattr(one.place, level), []).append(one)
    return found


def _ill(probes: Iterable[Watched]) -> int:
    return sum(n for state, n in Counter(one.state for one in probes).items() if state not in GOOD and int(state) != 1)


def _middle(communes: Iterable[CommuneEntry]) -> tuple[int | None, int | None]:
    """The middle of some communes; None if none of them is placed."""
    spots = [(c.lat_e7, c.lon_e7) for c in communes if c.lat_e7 is not None and c.lon_e7 is not None]
    if not spots:
        return None, None
    return sum(s[0] for s in spots) // len(spots), sum(s[1] for s in spots) // len(spots)
