"""A commune's quota divided over its working modems: who takes how many slots, so that it is reached with 99 %.

Each modem takes as many as the others (water-filling), never more than its SIM's data allows, and one at least,
so that every hamlet with a modem is measured. The sum of successes is computed exactly: each modem's successes are
binomial with its own rate. In mid-month the same is done with what is missing and the time that is left; the answer
is then turned into slots of a whole month, since a grid divides the whole month. Advice only: a person approves it.
Source: design §5, schedule; issue "Evidence for officials", 1; decision 0009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p

from collector.core.period import Period

CERTAINTY_PPM = 990_000
MOST_SLOTS = 2_976
"""Of one modem in a month: a test each quarter of an hour of 31 days."""
_NOTHING = 1e-15
"""Chances below it are left out: all of them together are far below one in a million."""


@dataclass(frozen=True, slots=True)
class Station:
    """A working modem. `most_slots`: what its SIM's data is good for in the time left; None: the plan has no limit."""

    probe: str
    modem: str
    hamlet: str
    success_ppm: int
    most_slots: int | None = None

    @property
    def most(self) -> int:
        """Slots that it can take at all."""
        return MOST_SLOTS if self.most_slots is None else min(self.most_slots, MOST_SLOTS)


@dataclass(frozen=True, slots=True)
class Share:
    """What one modem is to take."""

    station: Station
    slots: int


@dataclass(frozen=True, slots=True)
class Allotment:
    """Who takes what. `certainty_ppm`: how sure the quota then is; `is_enough`: it is as sure as was asked for."""

    shares: tuple[Share, ...]
    certainty_ppm: int
    is_enough: bool

    @property
    def slots(self) -> int:
        """All slots together."""
        return sum(one.slots for one in self.shares)


def allot(missing: int, stations: Sequence[Station], certainty_ppm: int = CERTAINTY_PPM) -> Allotment:
    """Divide what is missing. Without a station, or if all their data is too little, `is_enough` is False.

    With nothing missing every modem still takes one slot: a hamlet stays measured.
    """
    ordered = sorted(stations, key=lambda one: (one.probe, one.modem))
    low, high = len(ordered), sum(one.most for one in ordered)
    best = _divided(ordered, high)
    if not ordered or _certainty(missing, best) < certainty_ppm:
        return _answer(missing, best, certainty_ppm)
    while low < high:
        middle = (low + high) // 2
        if _certainty(missing, _divided(ordered, middle)) >= certainty_ppm:
            high = middle
        else:
            low = middle + 1
    return _answer(missing, _divided(ordered, high), certainty_ppm)


def month_slots(slots: int, month: Period, now_ms: int) -> int:
    """Slots of a month's grid so that at least `slots` of them lie after `now_ms`. Raises ValueError at its end."""
    left = month.end_ms - max(now_ms, month.start_ms)
    if left <= 0:
        raise ValueError("the month is over: allot the next one")
    return -(-slots * (month.end_ms - month.start_ms) // left)


def _answer(missing: int, shares: tuple[Share, ...], wanted_ppm: int) -> Allotment:
    sure = _certainty(missing, shares)
    return Allotment(shares, sure, sure >= wanted_ppm)


def _divided(stations: Sequence[Station], total: int) -> tuple[Share, ...]:
    """Fill all to the same height, each to its own brim; the smallest first, so that the others share what is left."""
    given, rest = [0] * len(stations), total
    smallest_first = sorted(range(len(stations)), key=lambda i: stations[i].most)
    for done, i in enumerate(smallest_first):
        given[i] = min(-(-rest // (len(stations) - done)), stations[i].most)
        rest -= given[i]
    return tuple(Share(one, given[i]) for i, one in enumerate(stations))


def _certainty(missing: int, shares: Sequence[Share]) -> int:
    """How sure at least `missing` successes are, in ppm rounded down; exact but for floating point."""
    if missing <= 0:
        return 1_000_000
    chances = [1.0] + [0.0] * missing  # the last place: that many or more
    for one in shares:
        chances = _joined(chances, _binomial(one.slots, one.station.success_ppm / 1_000_000), missing)
    return min(int(chances[missing] * 1_000_000 + 1e-6), 1_000_000)


def _joined(left: list[float], right: list[float], cap: int) -> list[float]:
    joined = [0.0] * (cap + 1)
    some = [(k, b) for k, b in enumerate(right) if b > _NOTHING]
    for i, a in enumerate(left):
        if a > _NOTHING:
            for k, b in some:
                joined[min(i + k, cap)] += a * b
    return joined


def _binomial(tries: int, chance: float) -> list[float]:
    if chance <= 0 or tries == 0:
        return [1.0] + [0.0] * tries
    if chance >= 1:
        return [0.0] * tries + [1.0]
    return [
        exp(lgamma(tries + 1) - lgamma(k + 1) - lgamma(tries - k + 1) + k * log(chance) + (tries - k) * log1p(-chance))
        for k in range(tries + 1)
    ]


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to close what is missing. `kind`: `slots` (more tests on working modems), `idle` (bring an idle modem
    into service), `people` (samples that people must bring; only where people's samples satisfy the quota)."""

    kind: str
    stations: tuple[Share, ...]
    people_samples: int | None
    certainty_ppm: int
    is_enough: bool


def remedies(missing: int, working: Sequence[Station], idle: Sequence[Station], *, people_count: bool) -> list[Remedy]:
    """Say what would close it, cheapest first: more slots, then idle modems too, then people. Empty: nothing misses."""
    if missing <= 0:
        return []
    found = []
    for kind, stations in (("slots", [*working]), ("idle", [*working, *idle])):
        if kind == "slots" or idle:
            one = allot(missing, stations)
            found.append(Remedy(kind, one.shares, None, one.certainty_ppm, one.is_enough))
            if one.is_enough:
                return found
    if people_count:
        found.append(Remedy("people", (), missing, 1_000_000, True))
    return found
