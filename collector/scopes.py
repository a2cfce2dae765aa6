"""What lies inside a scope: the one rule that pages, API and deeds share.

A scope is the code of a province, commune or hamlet, "" for all. A unit is inside if it is the scope, or belongs to it
by the dated registry: at a moment if one is asked about, else now. A hamlet that was merged or split belongs to
what it became, so a scope keeps the history of its land, and a scope that was split covers its parts. A scope never
grows beyond its land: whoever was limited to a hamlet that was merged sees that hamlet's past, until it is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from collector.registry_dated import AssignmentRow, HamletEndRow
from collector.registry_rows import CommuneEntry, HamletEntry, SiteEntry

if TYPE_CHECKING:
    from collector.registry_read import Dated

MOST_STEPS = 8
"""A hamlet that became another that became another: so many times, which ends any circle."""


class Units(Protocol):
    """The part of `collector.registry.Registry` that is needed here."""

    @property
    def dated(self) -> Dated:
        """The dated lists."""
        ...

    def hamlet(self, code: str, /) -> HamletEntry | None:
        """A hamlet by its code."""
        ...

    def commune(self, code: str, /) -> CommuneEntry | None:
        """A commune by its code."""
        ...

    def site(self, code: str, /) -> SiteEntry | None:
        """A site by its code."""
        ...

    def hamlets(self) -> Sequence[HamletEntry]:
        """All hamlets."""
        ...

    def communes(self) -> Sequence[CommuneEntry]:
        """All communes."""
        ...


@dataclass(frozen=True, slots=True)
class Scopes:
    """Asks the registry."""

    units: Units

    def covers(self, scope: str, unit: str | None, at_ms: int | None = None) -> bool:
        """Whether a unit (province, commune, hamlet; None: nowhere) is inside. `at_ms` None: as the registry is now."""
        if scope == "":
            return True
        return unit is not None and scope in self._above(unit, at_ms, MOST_STEPS)

    def covers_site(self, scope: str, site: str | None) -> bool:
        """Whether a site's hamlet is inside; a site that is none belongs to nobody's scope but all."""
        found = None if scope == "" or site is None else self.units.site(site)
        return self.covers(scope, found.hamlet if found else None)

    def covers_probe(self, scope: str, probe: str) -> bool:
        """Whether a probe stands inside now."""
        held = [] if scope == "" else self.units.dated.holding(AssignmentRow, probe=probe)
        return self.covers_site(scope, held[0].site if held else None)

    def covers_record(self, scope: str, places: Sequence[str | None]) -> bool:
        """Whether a record is inside; `places`: the units that the ledger says it was taken in, dated as it is."""
        return scope == "" or scope in places or any(self.covers(scope, place) for place in places[:1])

    def hamlets(self, scope: str) -> list[HamletEntry]:
        """Hamlets inside, in the registry's order; for many at once."""
        everything = list(self.units.hamlets())
        if scope == "":
            return everything
        provinces = {one.code: one.province for one in self.units.communes()}
        inside = {h.code for h in everything if scope in (h.code, h.commune, provinces.get(h.commune))}
        became = self._became()
        parts = {scope}
        for _ in range(MOST_STEPS):  # a scope that was split covers its parts
            parts = {part for old in parts if len(became.get(old, ())) > 1 for part in became[old]}
            inside |= parts
        for _ in range(MOST_STEPS):  # and what became something inside
            inside |= {old for old, new in became.items() if set(new) & inside}
        return [one for one in everything if one.code in inside]

    def _became(self) -> Mapping[str, tuple[str, ...]]:
        return {
            row.hamlet: tuple(row.successors.split())
            for row in self.units.dated.holding(HamletEndRow)
            if row.how in ("merged", "split")
        }

    def _above(self, unit: str, at_ms: int | None, steps: int) -> set[str]:
        """The unit and everything that it belongs to."""
        found = {unit}
        hamlet = self.units.hamlet(unit)
        if hamlet is not None:
            found |= self._commune_and_province(self._commune_at(hamlet, at_ms))
            found |= self._whole_of(unit)
            if steps:
                for successor in self._became_of(unit):
                    found |= self._above(successor, None, steps - 1)
        else:
            found |= self._commune_and_province(unit)
        return found

    def _commune_and_province(self, code: str) -> set[str]:
        commune = self.units.commune(code)
        return {code} if commune is None else {code, commune.province}

    def _commune_at(self, hamlet: HamletEntry, at_ms: int | None) -> str:
        if at_ms is None:
            return hamlet.commune
        held = [one for one in self.units.dated.versions(hamlet.code) if one["valid_from_ms"] <= at_ms]
        return str(held[-1]["commune"]) if held else hamlet.commune

    def _became_of(self, hamlet: str) -> list[str]:
        held = self.units.dated.holding(HamletEndRow, hamlet=hamlet)
        return held[0].successors.split() if held and held[0].how in ("merged", "split") else []

    def _whole_of(self, part: str) -> set[str]:
        """Hamlets that were split into this one, and those before them."""
        splits = {row.hamlet: row.successors.split() for row in self.units.dated.holding(HamletEndRow)
                  if row.how == "split"}  # fmt: skip
        found, sought = set[str](), {part}
        for _ in range(MOST_STEPS):
            sought = {old for old, new in splits.items() if sought & set(new)} - found
            found |= sought
        return found
