"""What an evidence pack takes from the registry: where probes stood and whose referral codes were, by spans of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from collector.registry import Registry
from collector.registry_dated import AssignmentRow, ReferralRow

Json = dict[str, Any]


def extract(registry: Registry, probes: Sequence[str], codes: Iterable[str]) -> Json:
    """The extract for these probes and referral codes; spans are [from_ms, until_ms), None: still so."""
    sites = {row["code"]: [] for row in registry.dated.dump("sites")}  # type: ignore[var-annotated]
    for row in registry.dated.dump("sites"):
        sites[row["code"]].append(row)
    places = {probe: _places(registry, probe, sites) for probe in sorted(probes)}
    hamlets = sorted({span["hamlet"] for spans in places.values() for span in spans})
    communes = sorted({span["commune"] for spans in places.values() for span in spans})
    return {
        "places": places,
        "referrals": {code: _units(registry, code) for code in sorted(codes)},
        "simulated": sorted(one.id for one in registry.probes() if one.simulated and one.id in places),
        "states": {one.id: one.state for one in registry.probes() if one.id in places},
        "hamlets": {code: found.label for code in hamlets if (found := registry.hamlet(code)) is not None},
        "communes": {code: held.name for code in communes if (held := registry.commune(code)) is not None},
        "quotas": {code: {"minimum": q.minimum, "rule": q.rule} for code in communes if (q := registry.quota(code))},
        "operators": registry.operators(),
    }


def _places(registry: Registry, probe: str, sites: dict[str, list[Json]]) -> list[Json]:
    """Where a probe stood, span by span; nothing for the time when it stood nowhere."""
    assigned = registry.dated.history(AssignmentRow, probe=probe)
    moments = {0, *(row.valid_from_ms for row in assigned)}
    stood = [row for code in {one.site for one in assigned} for row in sites.get(code or "", ())]
    moments |= {row["valid_from_ms"] for row in stood}
    for hamlet in {row["hamlet"] for row in stood}:
        moments |= {row["valid_from_ms"] for row in registry.dated.versions(hamlet)}

    def at(t_ms: int) -> Json | None:
        found = registry.place(probe, t_ms)
        if found is None:
            return None
        names = ("site", "hamlet", "commune", "province", "lat_e7", "lon_e7")
        return {name: getattr(found, name) for name in names}

    return _spans(sorted(moments), at)


def _units(registry: Registry, code: str) -> list[Json]:
    def at(t_ms: int) -> Json | None:
        unit = registry.referral_unit(code, t_ms)
        return None if unit is None else {"unit": unit}

    moments = {0, *(row.valid_from_ms for row in registry.dated.history(ReferralRow, code=code))}
    return _spans(sorted(moments), at)


def _spans(moments: Sequence[int], at: Callable[[int], Json | None]) -> list[Json]:
    """Ask at each moment at which something may have changed; equal neighbours are one span."""
    found: list[Json] = []
    bounds: list[int | None] = [*moments[1:], None]
    for from_ms, until_ms in zip(moments, bounds, strict=True):
        value = at(from_ms)
        if value is None:
            continue
        if found and found[-1]["until_ms"] == from_ms and found[-1] | {"from_ms": 0, "until_ms": 0} == {
            **value, "from_ms": 0, "until_ms": 0,
        }:  # fmt: skip
            found[-1]["until_ms"] = until_ms
        else:
            found.append({"from_ms": from_ms, "until_ms": until_ms, **value})
    return found
