"""What has one cause is one line: troubles of many probes put together by collector, power, operator, tower, or house.

A trouble is a span in which a probe did not do its work; what began together and shares what could fail has one cause.
The order of the rules is the order of certainty: our own deafness, a supply seen sinking, an operator's network in
several communes, a tower, a house, and at last each probe alone. Nothing is said that the rules below do not show.
Source: issue 7 (Monday list); facts note 05 §4 (outages of the site).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from collector.core.liveness import State

TOGETHER_MS = 10 * 60_000
"""What begins within this began together: keep-alives and records tell an outage minutes apart."""
LONGEST_BURST_MS = 3 * TOGETHER_MS
MOST = 0.5
"""So much of what could fail must have failed: one of three that goes silent tells nothing of the other two."""
FEWEST_OF_OPERATOR = 3

Kind = Literal["collector", "power", "operator", "cell", "house", "single"]
KINDS: tuple[Kind, ...] = ("collector", "power", "operator", "cell", "house", "single")
QUIET = frozenset({State.SILENT, State.DARK})
OFF_AIR = frozenset({State.SILENT, State.NETWORK})


@dataclass(frozen=True, slots=True)
class Station:
    """A probe with all that it shares with others: place, house, operators, towers ((PLMN, eNB) pairs)."""

    probe: str
    province: str
    commune: str
    hamlet: str
    site: str
    plmns: frozenset[str] = frozenset()
    towers: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Trouble:
    """One probe did not do its work from `since_ms` (None: not known) until `until_ms` (None: still)."""

    station: Station
    word: str
    state: State
    since_ms: int | None
    until_ms: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is past: nobody need go."""
        return self.until_ms is not None


@dataclass(frozen=True, slots=True)
class Group:
    """Troubles with one cause.

    `key`: commune (power), PLMN (operator), "PLMN/eNB" (cell), site (house), probe (single), "" (collector).
    """

    kind: Kind
    key: str
    troubles: tuple[Trouble, ...]

    @property
    def since_ms(self) -> int | None:
        """When the first of them began."""
        return min((t.since_ms for t in self.troubles if t.since_ms is not None), default=None)

    @property
    def until_ms(self) -> int | None:
        """When the last of them ended; None while one goes on."""
        return None if any(not t.is_over for t in self.troubles) else max(t.until_ms or 0 for t in self.troubles)

    @property
    def probes(self) -> tuple[str, ...]:
        """Whose troubles they are."""
        return tuple(sorted({t.station.probe for t in self.troubles}))


def grouped(troubles: Iterable[Trouble], fleet: Sequence[Station]) -> tuple[Group, ...]:
    """Put troubles together by their common cause; still going ones first, the largest and the oldest first."""
    found: list[Group] = []
    waiting = sorted(troubles, key=lambda t: (t.is_over, t.since_ms or 0, t.station.probe))
    deaf = [t for t in waiting if t.state is State.UNHEARD]
    if deaf:
        found.append(Group("collector", "", tuple(deaf)))
    for burst in _bursts([t for t in waiting if t.state is not State.UNHEARD]):
        left = burst
        for rule in (_power, _operator, _cell, _quiet_commune, _house):
            groups = list(rule(left, fleet))
            taken = {id(t) for group in groups for t in group.troubles}
            left = [t for t in left if id(t) not in taken]
            found += groups
        found += [Group("single", t.station.probe, (t,)) for t in left]
    return tuple(sorted(found, key=_order))


def _order(group: Group) -> tuple[bool, int, int, int, str]:
    over = group.until_ms is not None
    return over, -len(group.probes), KINDS.index(group.kind), group.since_ms or 0, group.key


def _bursts(troubles: Sequence[Trouble]) -> Iterator[list[Trouble]]:
    """Cut what lies in order of its beginning where nothing began for a while; what is over stays apart."""
    burst: list[Trouble] = []
    for trouble in troubles:
        last = burst[-1] if burst else None
        apart = last is not None and (
            trouble.since_ms is None
            or last.since_ms is None
            or trouble.since_ms - last.since_ms > TOGETHER_MS
            or trouble.since_ms - (burst[0].since_ms or 0) > LONGEST_BURST_MS
            or trouble.is_over != last.is_over
        )
        if apart:
            yield burst
            burst = []
        burst.append(trouble)
    if burst:
        yield burst


def _by(troubles: Iterable[Trouble], keys: Callable[[Trouble], Iterable[str]]) -> dict[str, list[Trouble]]:
    found: dict[str, list[Trouble]] = {}
    for trouble in troubles:
        for key in keys(trouble):
            found.setdefault(key, []).append(trouble)
    return found


def _most(group: Sequence[Trouble], whole: int) -> bool:
    return len({t.station.probe for t in group}) >= MOST * whole


def _power(burst: Sequence[Trouble], fleet: Sequence[Station]) -> Iterator[Group]:
    """Most probes of a commune went quiet, and a supply was seen sinking, or operators failed that share nothing."""
    for commune, group in _communes(burst, fleet):
        plmns = {plmn for t in group for plmn in t.station.plmns}
        if any(t.state is State.DARK for t in group) or len(plmns) > 1:
            yield Group("power", commune, tuple(group))


def _quiet_commune(burst: Sequence[Trouble], fleet: Sequence[Station]) -> Iterator[Group]:
    """Most probes of a commune went quiet at once, and no tower or operator explains it."""
    for commune, group in _communes(burst, fleet):
        yield Group("power", commune, tuple(group))


def _communes(burst: Sequence[Trouble], fleet: Sequence[Station]) -> Iterator[tuple[str, list[Trouble]]]:
    for commune, group in _by((t for t in burst if t.state in QUIET), lambda t: (t.station.commune,)).items():
        here = sum(s.commune == commune for s in fleet)
        if len({t.station.site for t in group}) > 1 and _most(group, here):
            yield commune, group


def _operator(burst: Sequence[Trouble], fleet: Sequence[Station]) -> Iterator[Group]:
    """Most probes of one operator in a province are off the air, in several communes; other operators' are not."""
    keys = _by((t for t in burst if t.state in OFF_AIR), lambda t: sorted(t.station.plmns))
    for plmn, group in keys.items():
        provinces = {t.station.province for t in group}
        members = [s for s in fleet if plmn in s.plmns and s.province in provinces]
        others = {s.probe for s in fleet if s.province in provinces and plmn not in s.plmns}
        ill = {t.station.probe for t in burst if t.state in OFF_AIR} & others
        wide = len({t.station.commune for t in group}) > 1 and len(group) >= FEWEST_OF_OPERATOR
        if wide and _most(group, len(members)) and (not others or len(ill) < MOST * len(others)):
            yield Group("operator", plmn, tuple(group))


def _cell(burst: Sequence[Trouble], fleet: Sequence[Station]) -> Iterator[Group]:
    """Most probes that one tower served are off the air."""

    def towers(trouble: Trouble) -> list[str]:
        return sorted(f"{plmn}/{enb}" for plmn, enb in trouble.station.towers)

    taken: set[int] = set()
    groups = _by((t for t in burst if t.state in OFF_AIR), towers)
    for key, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        plmn, enb = key.split("/")
        served = sum((plmn, int(enb)) in s.towers for s in fleet)
        fresh = [t for t in group if id(t) not in taken]
        # Two that are quiet in one house tell more of the house than of the tower.
        apart = len({t.station.site for t in fresh}) > 1 or any(t.state is State.NETWORK for t in fresh)
        if len({t.station.probe for t in fresh}) > 1 and apart and _most(fresh, served):
            taken |= {id(t) for t in fresh}
            yield Group("cell", key, tuple(fresh))


def _house(burst: Sequence[Trouble], fleet: Sequence[Station]) -> Iterator[Group]:
    """All probes of one house went quiet together."""
    for site, group in _by((t for t in burst if t.state in QUIET), lambda t: (t.station.site,)).items():
        here = {s.probe for s in fleet if s.site == site}
        if len(here) > 1 and here <= {t.station.probe for t in group}:
            yield Group("house", site, tuple(group))
