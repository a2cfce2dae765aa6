"""A pack's numbers again, from its records alone: which tests count and why not, and minutes of service.

Written a second time and on purpose apart from the collector's own counting (`collector.core.count`, `.coverage`), so
that neither can hide a mistake of the other; needs the standard library alone, as the one-file verifier does. What
records cannot say is stated in the pack: where probes stood, whose referral codes are, and reasons that only take a
sample out (`STATED`). Source: design §8; wire/SPEC.md §10; decisions 0022, 0027, 0031.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
VIETNAM_MS = 7 * HOUR_MS
STATED = frozenset({"fault", "fork", "broken_chain", "quarantine", "suspect"})
"""Reasons that the pack states: they need other records, or a person's word; they can take out, never count in."""
_CONFIRM_WITHIN_M = 200
_EARTH_RADIUS_M = 6_371_000
_LAST_WINDOWS = 8
_RANK = {"C": 0, "D": 1, "N": 2}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """One record of the pack in order of arrival. `obj` is its JSON; `fault`: the pack says that it is faulty."""

    where: str
    number: int
    obj: Json
    fault: bool = False

    @property
    def place(self) -> tuple[str, int, int]:
        """(probe, epoch, seq)."""
        return self.obj["probe"], self.obj["epoch"], self.obj["seq"]


@dataclass(frozen=True, slots=True)
class Known:
    """What the pack says of probes and codes, from the registry: spans with `from_ms`, `until_ms` (None: open)."""

    places: Mapping[str, Sequence[Json]]
    units: Mapping[str, Sequence[Json]]
    simulated: frozenset[str]

    def place(self, probe: str, t_ms: int | None) -> Json | None:
        """Where a probe stood; of an undated record where it stood last."""
        return _span(self.places.get(probe, ()), t_ms)

    def unit(self, code: str | None, t_ms: int | None) -> str | None:
        """Whose a referral code was."""
        found = None if code is None else _span(self.units.get(code, ()), t_ms)
        return None if found is None else found["unit"]


def _span(spans: Sequence[Json], t_ms: int | None) -> Json | None:
    if t_ms is None:
        return spans[-1] if spans and spans[-1]["until_ms"] is None else None
    for one in spans:
        if one["from_ms"] <= t_ms and (one["until_ms"] is None or t_ms < one["until_ms"]):
            return one
    return None


@dataclass(slots=True)
class Sample:
    """One test as it is counted again. `reasons` are those that its bytes and the registry give."""

    given: Given
    t_ms: int | None
    hamlet: str
    reasons: tuple[str, ...]
    is_of_unit: bool

    @property
    def slot(self) -> tuple[str, str, int] | None:
        """What at most one counted sample may have."""
        slot_ms = self.given.obj.get("slot_ms")
        return None if slot_ms is None else (self.given.obj["probe"], self.given.obj["modem"], slot_ms)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pack speaks of: a unit code of a level (`hamlet`, `commune`, `province`), and [start, end) in UTC ms."""

    level: str
    unit: str
    start_ms: int
    end_ms: int

    def holds(self, t_ms: int | None) -> bool:
        """Whether a moment lies in the period."""
        return t_ms is not None and self.start_ms <= t_ms < self.end_ms


@dataclass(slots=True)
class Figures:
    """Counts of one hamlet and operator: tests by outcome, and minutes by state (`unknown`: what is left)."""

    tests: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    skipped: int = 0
    counted: int = 0
    covered: int = 0
    degraded: int = 0
    no_service: int = 0
    unknown: int = 0

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(*(getattr(self, name) + getattr(other, name) for name in FIGURES))


FIGURES = tuple(Figures.__dataclass_fields__)


def clocks(records: Iterable[Given]) -> dict[tuple[str, str], tuple[int, int]]:
    """What dates the records of a boot: the first `clock_set` event that arrived, as (monotonic, wall) ms."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for one in records:
        obj = one.obj
        if obj["kind"] == "event" and obj.get("event") == "clock_set" and not one.fault:
            mono_ms, wall_ms = obj.get("set_mono_ms"), obj.get("set_t_ms")
            if mono_ms is not None and wall_ms is not None:
                found.setdefault((obj["probe"], obj["boot"]), (mono_ms, wall_ms))
    return found


def time_of(obj: Json, known: Mapping[tuple[str, str], tuple[int, int]]) -> int | None:
    """When a record began (UTC ms): by its own clock, else by its boot's; None if by neither."""
    own: int | None = obj.get("t_ms")
    clock = known.get((obj["probe"], obj["boot"]))
    if own is not None or clock is None:
        return own
    found: int = clock[1] + obj["mono_ms"] - clock[0]
    return found if found >= 0 else None


def samples(records: Sequence[Given], known: Known, asked: Asked) -> list[Sample]:
    """Every test among the records, in the given order, with the reasons that can be found again."""
    dated = clocks(records)
    return [_sample(one, time_of(one.obj, dated), known, asked) for one in records if one.obj["kind"] == "test"]


def _sample(one: Given, t_ms: int | None, known: Known, asked: Asked) -> Sample:
    place = known.place(one.obj["probe"], t_ms)
    of_unit = place is not None and place[asked.level] == asked.unit and asked.holds(t_ms)
    found = tuple(_reasons(one.obj, t_ms, place, known))
    return Sample(one, t_ms, place["hamlet"] if place else "", found, of_unit)


def _reasons(obj: Json, t_ms: int | None, place: Json | None, known: Known) -> Iterator[str]:
    if obj["outcome"] != "ok":
        yield "outcome"
    if (obj.get("path") or {}).get("verdict") != "ok":
        yield "invalid_path"
    if bool(obj["simulated"]) != (obj["probe"] in known.simulated):
        yield "simulated"
    if t_ms is None:
        yield "undated"
    elif obj.get("t_ms") is not None and obj["clock"] != "trusted":
        yield "clock"
    if place is None:
        yield "no_place"
    elif known.unit(obj.get("referral"), t_ms) not in {place["hamlet"], place["commune"]}:
        yield "referral"
    if not _stands_there(obj.get("position"), place):
        yield "position"
    if obj.get("slot_ms") is None:
        yield "no_slot"


def _stands_there(position: Json | None, place: Json | None) -> bool:
    if position is None or position["source"] == "none":
        return False
    lat, lon = position.get("lat_e7"), position.get("lon_e7")
    offset_m = position.get("surveyed_offset_m")
    if lat is None or lon is None or (offset_m is not None and offset_m > _CONFIRM_WITHIN_M):
        return False
    if place is None or place["lat_e7"] is None or place["lon_e7"] is None:
        return bool(position["source"] == "surveyed")
    return _distance_m(lat, lon, place["lat_e7"], place["lon_e7"]) <= _CONFIRM_WITHIN_M


def _distance_m(lat_a_e7: int, lon_a_e7: int, lat_b_e7: int, lon_b_e7: int) -> float:
    """Great-circle distance by the haversine formula."""
    lat_a, lat_b = math.radians(lat_a_e7 / 1e7), math.radians(lat_b_e7 / 1e7)
    half_lat, half_lon = (lat_b - lat_a) / 2, math.radians((lon_b_e7 - lon_a_e7) / 1e7) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * _EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(chord)))


def _laid(obj: Json, t_ms: int, asked: Asked) -> Iterator[tuple[int, int | None]]:
    """Minutes of the period whose middle a window holds, each with its rank; None where it says unknown."""
    step_ms, states = obj["step_ms"], obj["states"]
    end_ms = min(t_ms + len(states) * step_ms, asked.end_ms)
    first = max(0, -(-(t_ms - asked.start_ms - MINUTE_MS // 2) // MINUTE_MS))
    for middle in range(asked.start_ms + first * MINUTE_MS + MINUTE_MS // 2, end_ms, MINUTE_MS):
        yield middle - MINUTE_MS // 2, _RANK.get(states[(middle - t_ms) // step_ms])


def minutes(records: Sequence[Given], known: Known, asked: Asked) -> dict[tuple[str, str], dict[int, int]]:
    """By hamlet and operator: minutes (UTC ms) with a known state, 0 covered, 1 degraded, 2 no service.

    Of several modems the best holds. Of one modem a later window beats an earlier one over the same minute. A window
    whose operator is not known keeps the one of the modem's window before.
    """
    dated = clocks(records)
    windows: dict[tuple[str, str, str], list[tuple[int, int, Json]]] = defaultdict(list)
    before: dict[str, list[tuple[int, Json]]] = defaultdict(list)
    for one in records:
        t_ms = time_of(one.obj, dated)
        if one.obj["kind"] != "coverage" or one.fault or t_ms is None:
            continue
        place = known.place(one.obj["probe"], t_ms)
        if t_ms < asked.start_ms:
            before[one.obj["probe"]].append((one.number, one.obj))
        if place is not None and place[asked.level] == asked.unit and asked.start_ms - HOUR_MS <= t_ms < asked.end_ms:
            windows[place["hamlet"], one.obj["probe"], one.obj["modem"]].append((t_ms, one.number, one.obj))
    found: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for (hamlet, probe, modem), held in sorted(windows.items()):
        for plmn, own in _of_modem(held, _carried(before[probe], modem), asked).items():
            joined = found[hamlet, plmn]
            for minute, rank in own.items():
                joined[minute] = min(rank, joined.get(minute, 3))
    return {key: one for key, one in sorted(found.items()) if one}


def _carried(before: Sequence[tuple[int, Json]], modem: str) -> str | None:
    """The operator of a modem's last window before the period, among the probe's last ones."""
    newest = sorted(before, key=lambda pair: pair[0])[-_LAST_WINDOWS:]
    return next((obj.get("plmn") for _, obj in reversed(newest) if obj["modem"] == modem), None)


def _of_modem(held: list[tuple[int, int, Json]], carried: str | None, asked: Asked) -> dict[str, dict[int, int]]:
    """One modem's minutes by operator; of two windows over one minute the later one holds, as it is laid last."""
    ordered = sorted(held, key=lambda one: one[:2])
    last = carried or next((obj["plmn"] for *_, obj in ordered if obj.get("plmn")), "")
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for t_ms, _, obj in ordered:
        last = obj.get("plmn") or last
        for minute, rank in _laid(obj, t_ms, asked):
            if rank is None:
                found[last].pop(minute, None)
            else:
                found[last][minute] = rank
    return found


def figures(
    counted: Sequence[tuple[Sample, bool]], states: Mapping[tuple[str, str], Mapping[int, int]], asked: Asked
) -> dict[tuple[str, str], Figures]:
    """Counts by hamlet and operator. `counted`: each test and whether it counts."""
    found: dict[tuple[str, str], Figures] = {}
    for sample, is_counted in counted:
        if sample.is_of_unit:
            obj = sample.given.obj
            one = found.setdefault((sample.hamlet, obj.get("plmn") or ""), Figures())
            one.tests += 1
            one.counted += is_counted
            setattr(one, obj["outcome"], getattr(one, obj["outcome"]) + 1)
    whole = (asked.end_ms - asked.start_ms) // MINUTE_MS
    for key, held in states.items():
        one, ranks = found.setdefault(key, Figures()), list(held.values())
        one.covered, one.degraded, one.no_service = (ranks.count(rank) for rank in (0, 1, 2))
        one.unknown = whole - len(ranks)
    return dict(sorted(found.items()))


def by_day(states: Mapping[tuple[str, str], Mapping[int, int]]) -> dict[tuple[str, str, int], tuple[int, int, int]]:
    """Known minutes by hamlet, operator and day of Vietnam (its first moment, UTC ms): covered, degraded, none."""
    found: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for (hamlet, plmn), held in states.items():
        for minute, rank in held.items():
            found[hamlet, plmn, (minute + VIETNAM_MS) // DAY_MS * DAY_MS - VIETNAM_MS][rank] += 1
    return {key: (one[0], one[1], one[2]) for key, one in sorted(found.items())}
