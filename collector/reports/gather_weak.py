"""Gathers the list of weak spots of a commune or province: which hamlets by which operator, and what else is known."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

from collector.core.report_weak import Neighbour, WeakReport, WeakSpot, reasons
from collector.core.rollup import Hour
from collector.core.rollup_view import Summary, summary
from collector.core.view import local
from collector.core.view_figures import N_MIN, percentile
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.registry_dated import PhotoRow
from collector.registry_identity import Identities
from collector.registry_rows import CommuneEntry, SiteEntry
from collector.reports.gather import Asked
from collector.rollups import Rollups
from wire.errors import Refused
from wire.records import TestRecord

SHOWN_CELLS = 3
SHOWN_HOURS = 3
MOST_NEIGHBOURS = 4
MOST_TESTS = 5_000
Pairs = Mapping[tuple[str, str], Summary]


def weak_report(reader: LedgerReader, registry: Registry, asked: Asked, lte_category: int) -> WeakReport:
    """Gather the list. Raises Refused for a unit that is neither commune nor province."""
    communes = [one for one in registry.communes() if asked.unit in (one.code, one.province)]
    unit = registry.commune(asked.unit) or registry.province(asked.unit)
    if unit is None:
        raise Refused("unit", f"{asked.unit} is no commune and no province that the registry knows; correct the code")
    spots: list[WeakSpot] = []
    looked_at = 0
    for commune in communes:
        pairs = _pairs(reader, asked, commune.code)
        looked_at += len(pairs)
        for (hamlet, plmn), found in pairs.items():
            why = reasons(found)
            if why:
                spots.append(_spot(reader, registry, asked, commune, hamlet, plmn, why, pairs, lte_category))
    spots.sort(key=lambda one: (one.commune, one.hamlet, one.plmn))
    is_simulated = any(one.simulated for one in registry.probes())
    return WeakReport(unit.code, unit.name, asked.period, asked.as_of_ms, tuple(spots), looked_at, is_simulated)


def _pairs(reader: LedgerReader, asked: Asked, commune: str) -> Pairs:
    hours: dict[tuple[str, str], list[Hour]] = defaultdict(list)
    for key, found in Rollups(reader).days(asked.period.start_ms, asked.period.end_ms, commune):
        hours[key.hamlet, key.plmn].extend(found.values())
    return {pair: summary(found, *pair) for pair, found in sorted(hours.items()) if pair[0] and pair[1]}


def _spot(
    reader: LedgerReader, registry: Registry, asked: Asked, commune: CommuneEntry, hamlet: str, plmn: str,
    why: tuple[str, ...], pairs: Pairs, lte_category: int,
) -> WeakSpot:  # fmt: skip
    tests = _tests(reader, asked, hamlet, plmn)
    entry, site = registry.hamlet(hamlet), _site(registry, hamlet)
    photos = [] if site is None else registry.dated.holding(PhotoRow, asked.as_of_ms, site=site.code)
    return WeakSpot(
        code=hamlet, hamlet=entry.label if entry else hamlet, commune=commune.name, site=site.name if site else "",
        lat_e7=site.lat_e7 if site else None, lon_e7=site.lon_e7 if site else None, plmn=plmn,
        operator=registry.operators().get(plmn, plmn), why=why, summary=pairs[hamlet, plmn], cells=_cells(tests),
        hours=_worst(tests), lte_category=lte_category, antenna=_antenna(registry, hamlet),
        photo=photos[-1].sha256 if photos else None,
        neighbours=tuple(_around(registry, hamlet, plmn, pairs)),
    )  # fmt: skip


def _antenna(registry: Registry, hamlet: str) -> str | None:
    """Side and antenna of the newest signed acceptance of a probe of this hamlet ("outdoor roof"); None without one."""
    with closing(Identities(registry.path)) as identities:
        accepted = identities.accepted()
    for probe in registry.stood_in(hamlet):
        if probe in accepted:
            sheet = json.loads(accepted[probe].body)
            return f"{sheet['side']} {sheet['antenna']}"
    return None


def _tests(reader: LedgerReader, asked: Asked, hamlet: str, plmn: str) -> list[tuple[int, TestRecord]]:
    period = asked.period
    found = reader.samples(
        hamlet=hamlet, kind="test", since_ms=period.start_ms, until_ms=period.end_ms, limit=MOST_TESTS
    )
    rows = ((s.t_ms, s.record) for s in found if s.in_chain and s.fault is None)
    return [(t, r) for t, r in rows if t is not None and isinstance(r, TestRecord) and r.plmn == plmn]


def _site(registry: Registry, hamlet: str) -> SiteEntry | None:
    return next((one for one in registry.sites() if one.hamlet == hamlet), None)


def _cells(tests: Iterable[tuple[int, TestRecord]]) -> tuple[str, ...]:
    """The serving cells that were seen most before tests."""
    seen: Counter[str] = Counter()
    for _, test in tests:
        before = test.radio.before if test.radio else None
        if before is None or before.eci is None:
            continue
        parts = [f"eNB {before.eci >> 8} cell {before.eci & 255}"]
        parts += [
            f"{name} {value}" for name, value in (("PCI", before.pci), ("band", before.band)) if value is not None
        ]
        seen[", ".join(parts)] += 1
    return tuple(name for name, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_CELLS])


def _worst(tests: Iterable[tuple[int, TestRecord]]) -> tuple[int, ...]:
    """Hours of the day with the lowest median downlink, a failed test being the lowest; of those with enough tests."""
    rates: dict[int, list[int]] = defaultdict(list)
    for t_ms, test in tests:
        if test.outcome != "skipped":
            rates[local(t_ms).hour].append(test.downlink_bps or 0)
    ranked = sorted((percentile(found, 50) or 0, hour) for hour, found in rates.items() if len(found) >= N_MIN)
    return tuple(sorted(hour for _, hour in ranked[:SHOWN_HOURS]))


def _around(registry: Registry, hamlet: str, plmn: str, pairs: Pairs) -> Sequence[Neighbour]:
    found = []
    for (other, network), one in pairs.items():
        entry = registry.hamlet(other)
        if other != hamlet and network == plmn and entry is not None:
            found.append(Neighbour(entry.label, one))
    return found[:MOST_NEIGHBOURS]
