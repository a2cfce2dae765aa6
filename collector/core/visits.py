"""Who must go where, with what: groups of troubles to visits, ranked, with the spare parts that their causes ask for.

A cause that is nobody's to mend on the spot (our own deafness, an operator's network, a tower, a commune without
power) is a call, not a visit. Visits of one commune make one trip. Source: issue 7 (Monday list).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from collector.core.common_cause import Group, Trouble
from collector.core.liveness import State
from collector.core.period import MINUTE_MS, start_of, working_day_before

HOUR_MS = 3_600_000
CLOSES_MINUTE = 17 * 60
"""Offices close at 17:00, Vietnam time."""
NO_VISIT = frozenset({State.OK, State.LATE, State.NETWORK, State.SERVER, State.BACKLOG, State.UNHEARD})
OFFICE = frozenset({State.QUARANTINE, State.REVOKED})
"""States that are put right at a desk."""

_BASE = ("phone",)
_SILENT = ("supply", "usb_cable", "card", "modem")
BRING: dict[str, tuple[str, ...]] = {
    "budget_spent": (),
    "sim_puk": ("puk",),
    "sim_locked": ("sim",),
    "undervoltage": ("supply", "usb_cable"),
    "overheated": ("vent",),
    "plan_expired": (),
    "plan_throttled": (),
    "data_exhausted": (),
}
"""What to bring for a word, where it differs from its state's."""
BRING_STATE: dict[State, tuple[str, ...]] = {
    State.SILENT: _SILENT,
    State.DARK: ("supply", "extension"),
    State.NEVER: (*_SILENT, "claim"),
    State.MODEM: ("modem", "usb_cable", "antenna"),
    State.SIM: ("sim",),
    State.CLOCK: ("gps",),
    State.DISK: ("card",),
    State.PATH: ("laptop",),
    State.MOVED: ("survey",),
    State.HOST: ("supply", "card"),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One house: the troubles there, what to bring (words), and the hours that its probes have lost."""

    site: str
    commune: str
    hamlet: str
    troubles: tuple[Trouble, ...]
    bring: tuple[str, ...]
    lost_hours: int


@dataclass(frozen=True, slots=True)
class Trip:
    """Visits in one commune, the most pressing first."""

    commune: str
    visits: tuple[Visit, ...]

    @property
    def lost_hours(self) -> int:
        """Hours lost so far by all probes that it would mend."""
        return sum(v.lost_hours for v in self.visits)


def bring(trouble: Trouble) -> tuple[str, ...]:
    """What one trouble asks for, besides what one always has along."""
    return BRING.get(trouble.word, BRING_STATE.get(trouble.state, ()))


def asks_for_visit(group: Group, trouble: Trouble) -> bool:
    """Whether somebody must go there for it."""
    if trouble.is_over or trouble.state in NO_VISIT | OFFICE or trouble.word in _AT_A_DESK:
        return False
    return group.kind in ("house", "single")


_AT_A_DESK = frozenset({"budget_spent", "plan_expired", "plan_throttled", "data_exhausted"})


def trips(groups: Iterable[Group], now_ms: int) -> tuple[Trip, ...]:
    """The trips, those that mend most first: by hours of probes lost so far, then by commune."""
    at: dict[str, list[Trouble]] = {}
    for group in groups:
        for trouble in group.troubles:
            if asks_for_visit(group, trouble):
                at.setdefault(trouble.station.site, []).append(trouble)
    visits = sorted((_visit(group, now_ms) for group in at.values()), key=lambda v: (-v.lost_hours, v.site))
    communes = dict.fromkeys(v.commune for v in visits)
    made = (Trip(commune, tuple(v for v in visits if v.commune == commune)) for commune in communes)
    return tuple(sorted(made, key=lambda trip: (-trip.lost_hours, trip.commune)))


def _visit(troubles: Sequence[Trouble], now_ms: int) -> Visit:
    station = troubles[0].station
    parts = dict.fromkeys((*_BASE, *(part for t in troubles for part in bring(t))))
    lost = sum(max(0, now_ms - t.since_ms) // HOUR_MS for t in troubles if t.since_ms is not None)
    return Visit(station.site, station.commune, station.hamlet, tuple(troubles), tuple(parts), lost)


def last_close_ms(now_ms: int, holidays: Collection[date] = (), worked: Collection[date] = ()) -> int:
    """When offices last closed after a working day: on a Monday morning, Friday 17:00. UTC ms.

    `holidays` are closed weekdays, `worked` weekend days that make up for one. Raises ValueError if there was no
    working day within 60 days.
    """
    day = working_day_before(now_ms - CLOSES_MINUTE * MINUTE_MS, holidays, worked)
    return start_of(day) + CLOSES_MINUTE * MINUTE_MS
