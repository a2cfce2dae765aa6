"""Points of the register: what hamlets are called and where they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from collector.core import points
from collector.registry import Registry
from collector.registry_rows import HamletEntry, SiteEntry


def site_lines(registry: Registry, day_ms: int) -> Iterator[str]:
    """One point a hamlet that has a site; time is `day_ms` (UTC midnight), so that a day has one."""
    communes = {entry.code: entry for entry in registry.communes()}
    provinces = {entry.code: entry.name for entry in registry.provinces()}
    hamlet_of = {site.code: site.hamlet for site in registry.sites()}
    probes = [probe for probe in registry.probes() if probe.state != "revoked" and probe.site in hamlet_of]
    count = Counter(hamlet_of[probe.site or ""] for probe in probes)
    simulated = {hamlet_of[probe.site or ""] for probe in probes if probe.simulated}
    sites = {site.hamlet: site for site in registry.sites()}
    for hamlet in registry.hamlets():
        if hamlet.code not in sites:
            continue
        commune = communes[hamlet.commune]
        lat, lon = position(hamlet, sites[hamlet.code])
        fields: dict[str, points.Field] = {
            "lat": lat,
            "lon": lon,
            "probes": count[hamlet.code],
            "simulated": int(hamlet.code in simulated),
        }
        names = (provinces[commune.province], commune.name, hamlet.label)
        yield points.site_line((commune.province, commune.code, hamlet.code), names, fields, day_ms)


def position(hamlet: HamletEntry, site: SiteEntry | None) -> tuple[float | None, float | None]:
    """Degrees of the hamlet, else of its site; None if neither is known."""
    for entry in (hamlet, site):
        if entry is not None and entry.lat_e7 is not None and entry.lon_e7 is not None:
            return entry.lat_e7 / 1e7, entry.lon_e7 / 1e7
    return None, None
