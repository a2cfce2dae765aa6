"""A commune's modems as they are now, with what was signed for them, and how its quota would best be divided over them.

The signed configurations lie in the state folder, where `receive` publishes them from; they are read here, never made.
Advice only, by `collector.core.allot`: a person approves, and the authority signs. Source: design §5, schedule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec

from collector.core.allot import Allotment, Remedy, Station, allot, month_slots, remedies
from collector.core.clock import DAY_MS
from collector.core.period import Period
from collector.core.sample import Sample
from collector.registry_rows import ProbeEntry, SiteEntry
from wire import codec, slots
from wire.errors import Refused
from wire.notes import Config
from wire.records import TestRecord

LOOK_BACK_MS = 28 * DAY_MS
MOST_TESTS = 3_000
USUAL_SUCCESS_PPM = 950_000
"""Of a modem that tried nothing yet."""
USUAL_TEST_BYTES = 40_000_000
"""Of a modem whose tests told no bytes yet."""
UPKEEP_PPM = 100_000
"""So much of a SIM's data is left for coverage records and the broker."""


class Reader(Protocol):
    """The part of the ledger's reader that is needed here."""

    def samples(
        self, *, probe: str | None = None, kind: str | None = None, since_ms: int | None = None, limit: int = 100
    ) -> Sequence[Sample]:
        """Records that match, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class ModemNow:
    """One modem. `slots`: as signed (None: nothing is); `illness`: what is wrong with its probe (None: well);
    `tried`, `counted`: its scheduled tests of four weeks; `station`: what the division works with."""

    probe: str
    modem: str
    hamlet: str
    plmn: str | None
    slots: int | None
    rev: int | None
    limit_bytes: int | None
    tried: int
    counted: int
    illness: str | None
    station: Station


@dataclass(frozen=True, slots=True)
class Proposal:
    """How the rest of the month should be divided. `slots`: of a whole month's grid, by (probe, modem)."""

    modems: tuple[ModemNow, ...]
    missing: int
    allotment: Allotment
    slots: Mapping[tuple[str, str], int]
    remedies: tuple[Remedy, ...]

    @property
    def digest(self) -> str:
        """Names this division: what was shown is what is approved."""
        told = json.dumps([(*key, value) for key, value in sorted(self.slots.items())])
        return sha256(told.encode()).hexdigest()[:16]

    @property
    def changes(self) -> bool:
        """Whether it differs from what is signed."""
        return any(one.slots != self.slots.get((one.probe, one.modem)) for one in self.modems if one.illness is None)


class Shelf:
    """Signed configurations by probe; a file is read again only when it changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, tuple[int, Config | None]] = {}

    def config(self, probe: str) -> Config | None:
        """What was signed for a probe last; None if nothing was."""
        path = self._folder / f"{probe}.note"
        try:
            stamp = path.stat().st_mtime_ns
            held = self._held.get(probe)
            if held is None or held[0] != stamp:
                body = codec.body_of(path.read_bytes())
                held = self._held[probe] = (stamp, msgspec.json.decode(body, type=Config))
        except (OSError, Refused, msgspec.DecodeError):
            return None
        return held[1]

    def slots_left(self, probe: str, now_ms: int) -> int | None:
        """Slots of this month's grid that begin after now, all modems together; None without a configuration."""
        config = self.config(probe)
        return None if config is None else sum(left(one.slots, now_ms) for one in config.modems.values())

    def by_hamlet(self, standing: Iterable[tuple[str, str | None]], now_ms: int) -> dict[str, int] | None:
        """Slots that are left by hamlet; None unless every one of these probes has a configuration."""
        sums: dict[str, int] = {}
        for probe, hamlet in standing:
            if hamlet is not None:
                found = self.slots_left(probe, now_ms)
                if found is None:
                    return None
                sums[hamlet] = sums.get(hamlet, 0) + found
        return sums


class Stations(Protocol):
    """The part of the registry that is needed here."""

    def probes(self) -> Sequence[ProbeEntry]:
        """All probes."""
        ...

    def sites(self) -> Sequence[SiteEntry]:
        """All sites."""
        ...


def signed_grid(folder: Path, registry: Stations) -> Callable[[int], Mapping[str, int] | None]:
    """What tells, at a moment, the slots that are left by hamlet, as pages and boards both ask."""
    shelf = Shelf(folder)

    def at(now_ms: int) -> Mapping[str, int] | None:
        sites = {one.code: one.hamlet for one in registry.sites()}
        active = [one for one in registry.probes() if one.state == "active"]
        return shelf.by_hamlet(((one.id, sites.get(one.site or "")) for one in active), now_ms) if active else None

    return at


def left(count: int, now_ms: int) -> int:
    """Slots of the month's grid that begin after `now_ms`."""
    start_ms, end_ms = slots.month_bounds(slots.month_of(now_ms))
    length_ms = (end_ms - start_ms) // count
    return max(0, count - 1 - (now_ms - start_ms) // length_ms)


def modems(
    reader: Reader, shelf: Shelf, standing: Mapping[str, str], ill: Mapping[str, str | None], now_ms: int
) -> list[ModemNow]:
    """The modems of some probes. `standing`: each probe's hamlet; `ill`: what is wrong with each (None: nothing)."""
    month = Period(*slots.month_bounds(slots.month_of(now_ms)))
    found: list[ModemNow] = []
    for probe, hamlet in sorted(standing.items()):
        tests = reader.samples(probe=probe, kind="test", since_ms=now_ms - LOOK_BACK_MS, limit=MOST_TESTS)
        config = shelf.config(probe)
        names = set(config.modems) if config else {s.record.modem for s in tests if isinstance(s.record, TestRecord)}
        for modem in sorted(names):
            own = [(s, s.record) for s in tests if isinstance(s.record, TestRecord) and s.record.modem == modem]
            found.append(_modem(probe, modem, hamlet, config, own, ill.get(probe), month, now_ms))
    return found


def _modem(
    probe: str,
    modem: str,
    hamlet: str,
    config: Config | None,
    own: Sequence[tuple[Sample, TestRecord]],
    illness: str | None,
    month: Period,
    now_ms: int,
) -> ModemNow:
    plan = config.modems.get(modem) if config is not None else None
    tried = [sample for sample, record in own if record.slot_ms is not None]
    counted = sum(sample.counted for sample in tried)
    success = (counted + 1) * 1_000_000 // (len(tried) + 2) if tried else USUAL_SUCCESS_PPM
    limit = plan.limit_bytes if plan is not None else None
    most = None if limit is None else _affordable(limit, [record for _, record in own], month, now_ms)
    plmn = (plan.plmn if plan else None) or next((record.plmn for _, record in own if record.plmn), None)
    return ModemNow(
        probe, modem, hamlet, plmn, plan.slots if plan else None, config.rev if config else None, limit, len(tried),
        counted, illness, Station(probe, modem, hamlet, success, most),
    )  # fmt: skip


def _affordable(limit_bytes: int, tests: Sequence[TestRecord], month: Period, now_ms: int) -> int:
    """Tests that the SIM's data is good for in the rest of the month: a month's data, evenly over its days."""
    moved = [t.path.rx_bytes + t.path.tx_bytes for t in tests if t.path is not None and t.outcome == "ok"]
    each = max(1, sum(moved) // len(moved)) if moved else USUAL_TEST_BYTES
    usable = limit_bytes * (1_000_000 - UPKEEP_PPM) // 1_000_000
    rest = month.end_ms - max(now_ms, month.start_ms)
    return int(usable * rest // (month.end_ms - month.start_ms) // each)


def propose(found: Sequence[ModemNow], missing: int, now_ms: int, *, people_count: bool) -> Proposal:
    """Divide what is missing over the working modems, for the rest of the month of now."""
    month = Period(*slots.month_bounds(slots.month_of(now_ms)))
    working = [one.station for one in found if one.illness is None]
    idle = [one.station for one in found if one.illness is not None]
    made = allot(missing, working)
    grid = {(s.station.probe, s.station.modem): month_slots(s.slots, month, now_ms) for s in made.shares}
    ways = remedies(missing, working, idle, people_count=people_count)
    return Proposal(tuple(found), missing, made, grid, tuple(ways))
