"""What the registry's pages show: a unit, a hamlet, a probe, a code, each with its history, within a login's scope."""

from __future__ import annotations

from dataclasses import dataclass

from collector.registry_dated import (
    AssignmentRow,
    Change,
    Found,
    HamletEndRow,
    PhotoRow,
    ReferralRow,
    SimModemRow,
    SimPlanRow,
    SurveyRow,
    UnitNameRow,
)
from collector.registry_rows import CommuneEntry, HamletEntry, ProbeEntry, ProvinceEntry, Quota, SiteEntry
from collector.scopes import Scopes
from collector.web.ports import Registry

FOUND = 20
RECENT_CHANGES = 15


@dataclass(frozen=True, slots=True)
class HamletLine:
    """A hamlet in its commune's list; `ended_ms` None while it is one."""

    hamlet: HamletEntry
    ended_ms: int | None
    sites: tuple[SiteEntry, ...]
    probes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommuneView:
    """A commune: its names, what it was made of, its hamlets, codes and quota."""

    commune: CommuneEntry
    province: ProvinceEntry | None
    names: tuple[UnitNameRow, ...]
    came_from: tuple[tuple[str, str], ...]
    hamlets: tuple[HamletLine, ...]
    referrals: tuple[ReferralRow, ...]
    quota: Quota | None


@dataclass(frozen=True, slots=True)
class HamletView:
    """A hamlet: its versions, its end, its sites with surveys, its codes; `others` it may be merged into."""

    line: HamletLine
    commune: CommuneEntry | None
    versions: tuple[dict[str, object], ...]
    ends: tuple[HamletEndRow, ...]
    surveys: tuple[SurveyRow, ...]
    photos: tuple[PhotoRow, ...]
    referrals: tuple[ReferralRow, ...]
    others: tuple[HamletEntry, ...]


@dataclass(frozen=True, slots=True)
class ProbeView:
    """A probe: where it stood when, and its SIMs; `entry` None for one that is planned and has no key yet."""

    probe: str
    entry: ProbeEntry | None
    history: tuple[AssignmentRow, ...]
    sims: tuple[tuple[SimModemRow, SimPlanRow | None, str | None], ...]
    sites: tuple[SiteEntry, ...]


class RegistryView:
    """Reads the registry for one page; every unit is asked for within a scope ("" for all)."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._dated = registry.dated
        self._scopes = Scopes(registry)

    def allows(self, scope: str, hamlet: str | None = None, commune: str | None = None) -> bool:
        """Whether a scope covers this hamlet, or this commune."""
        return self._scopes.covers(scope, hamlet if hamlet is not None else commune)

    def allows_site(self, scope: str, site: str | None) -> bool:
        """Whether a scope covers the hamlet of a site; a site that is none belongs to nobody's scope but all."""
        return self._scopes.covers_site(scope, site)

    def find(self, text: str, scope: str) -> list[Found]:
        """Units by any name they ever had; hamlets and communes of others are left out for a scoped login."""
        return [one for one in self._dated.find(text, FOUND) if self._is_shown(one, scope)]

    def _is_shown(self, one: Found, scope: str) -> bool:
        if one.level == "hamlet":
            return self.allows(scope, hamlet=one.code)
        return one.level in ("old", "province") or self.allows(scope, commune=one.code)

    def probes(self, text: str, scope: str) -> list[str]:
        """Probes whose id holds `text`, planned ones included."""
        known = [p.id for p in self._registry.probes()] + self._dated.planned()
        wanted = text.strip().lower()
        return [id_ for id_ in sorted(set(known)) if wanted and wanted in id_ and self.allows_probe(scope, id_)][:FOUND]

    def allows_probe(self, scope: str, probe: str) -> bool:
        """Whether a scope covers where a probe stands now."""
        return self._scopes.covers_probe(scope, probe)

    def changes(self) -> list[Change]:
        """The newest lines of the change list, newest first."""
        return self._dated.changes(max(0, self._dated.last_change() - RECENT_CHANGES))[::-1]

    def communes_of(self, province: str) -> list[CommuneEntry]:
        """The communes of a province."""
        return [one for one in self._registry.communes() if one.province == province]

    def commune(self, code: str) -> CommuneView | None:
        """A commune's page; None if there is none."""
        entry = self._registry.commune(code)
        if entry is None:
            return None
        inside = [one for one in self._registry.hamlets() if one.commune == code]
        units = {code, *(one.code for one in inside)}
        held = [row for row in self._dated.holding(ReferralRow) if row.unit in units]
        return CommuneView(
            commune=entry,
            province=self._registry.province(entry.province),
            names=tuple(self._dated.history(UnitNameRow, code=code)),
            came_from=self._dated.came_from(code),
            hamlets=tuple(self._lines(inside)),
            referrals=tuple(held),
            quota=self._registry.quota(code),
        )

    def _lines(self, hamlets: list[HamletEntry]) -> list[HamletLine]:
        ended = self._dated.ended()
        sites = self._registry.sites()
        standing = [(row.site, row.probe) for row in self._dated.holding(AssignmentRow)]
        lines = []
        for hamlet in hamlets:
            own = tuple(site for site in sites if site.hamlet == hamlet.code)
            codes = {site.code for site in own}
            probes = tuple(probe for site, probe in standing if site in codes)
            lines.append(HamletLine(hamlet, ended.get(hamlet.code), own, probes))
        return lines

    def hamlet(self, code: str) -> HamletView | None:
        """A hamlet's page; None if there is none."""
        entry = self._registry.hamlet(code)
        if entry is None:
            return None
        line = self._lines([entry])[0]
        ended = self._dated.ended()
        near = [one for one in self._registry.hamlets() if one.commune == entry.commune and one.code not in ended]
        return HamletView(
            line=line,
            commune=self._registry.commune(entry.commune),
            versions=tuple(self._dated.versions(code)),
            ends=tuple(self._dated.history(HamletEndRow, hamlet=code)),
            surveys=tuple(row for site in line.sites for row in self._dated.history(SurveyRow, site=site.code)),
            photos=tuple(row for site in line.sites for row in self._dated.holding(PhotoRow, site=site.code)),
            referrals=tuple(row for row in self._dated.holding(ReferralRow) if row.unit == code),
            others=tuple(one for one in near if one.code != code),
        )

    def probe(self, probe: str, scope: str) -> ProbeView | None:
        """A probe's page; None if nobody ever registered or planned it."""
        entry, history = self._registry.probe(probe), self._dated.history(AssignmentRow, probe=probe)
        if entry is None and not history:
            return None
        last4 = {row["code"]: row.get("iccid_last4") for row in self._dated.dump("sims")}
        plans = {row.sim: row for row in self._dated.holding(SimPlanRow)}
        inside = [row for row in self._dated.holding(SimModemRow) if row.probe == probe]
        return ProbeView(
            probe=probe,
            entry=entry,
            history=tuple(history),
            sims=tuple((row, plans.get(row.sim), last4.get(row.sim)) for row in inside),
            sites=tuple(site for site in self._registry.sites() if self.allows(scope, hamlet=site.hamlet)),
        )

    def referral(self, code: str) -> list[ReferralRow]:
        """All assignments of a referral code; empty if nobody knows it."""
        return self._dated.history(ReferralRow, code=code)
