"""What the fleet's pages show: rows of probes, troubles since a moment, groups and trips, within a login's scope.

Judgements come from `ProbeWatch`, common causes from `collector.core.common_cause`; this only gathers.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from collector.core.common_cause import Group, Station, Trouble, grouped
from collector.core.liveness import State, state_of
from collector.core.sample import Sample
from collector.core.visits import Trip, last_close_ms, trips
from collector.probe_watch import ProbeWatch, Watched
from collector.registry_dated import HolidayRow
from collector.registry_rows import CommuneEntry, HamletEntry, SiteEntry
from collector.web.present import Pages
from wire.fold import fold
from wire.records import BootRecord, EventRecord

KEEP_MS = 5_000
"""Pages asked for within this see the same state: ten thousand probes are not judged at every click."""
PAGE_ROWS = 100
MOST_RECORDS = 5_000
GOOD = frozenset({State.OK})
MILD = frozenset({State.LATE, State.BACKLOG, State.NETWORK})
UNKNOWN = frozenset({State.NEVER, State.QUARANTINE, State.REVOKED, State.UNHEARD})
NOT_LISTED = UNKNOWN - {State.UNHEARD} | {State.OK, State.LATE}
ENB_BITS = 8
"""An E-UTRAN cell identity is the mast's eNB number and eight bits for its cells (3GPP TS 36.413)."""


def shape_of(state: State) -> str:
    """The shape and colour of a state: good, weak, bad, none; the word stands beside it always."""
    if state in GOOD:
        return "good"
    return "weak" if state in MILD else "none" if state in UNKNOWN else "bad"


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A probe with the names of where it stands; None: it stands nowhere."""

    watched: Watched
    site: SiteEntry | None
    hamlet: HamletEntry | None
    commune: CommuneEntry | None

    @property
    def id(self) -> str:
        """The probe's id."""
        return self.watched.entry.id

    @property
    def state(self) -> State:
        """The kind of fault."""
        return self.watched.state

    @property
    def shape(self) -> str:
        """Its shape and colour."""
        return shape_of(self.state)

    @property
    def last_ms(self) -> int | None:
        """Receipt of its last record."""
        return self.watched.chain.last_received_ms if self.watched.chain else None

    @property
    def used_ppm(self) -> int | None:
        """Data used of the fullest SIM."""
        return max((m.used_ppm for m in self.watched.vitals.modems if m.used_ppm is not None), default=None)

    @property
    def rsrp(self) -> int | None:
        """The weakest modem's RSRP at its newest test, dBm x10."""
        heard = (m.rsrp_dbm_x10 for m in self.watched.vitals.modems if m.rsrp_dbm_x10 is not None)
        return min(heard, default=None)

    def cert_days(self, now_ms: int) -> int | None:
        """Days until its certificate runs out."""
        end_ms = self.watched.cert_ends_ms
        return None if end_ms is None else (end_ms - now_ms) // 86_400_000


def _least(value: int | None) -> tuple[bool, int]:
    return value is None, value or 0


SORTS: dict[str, Callable[[FleetRow], object]] = {
    "state": lambda r: (shape_of(r.state) == "good", -int(r.state), r.id),
    "probe": lambda r: r.id,
    "place": lambda r: (fold(r.commune.name) if r.commune else "~", fold(r.hamlet.name) if r.hamlet else "~"),
    "last": lambda r: (r.last_ms is None, -(r.last_ms or 0)),
    "spool": lambda r: _least(r.watched.vitals.spool_records),
    "temp": lambda r: _least(r.watched.vitals.cpu_temp_c_x10),
    "used": lambda r: _least(r.used_ppm),
    "cert": lambda r: _least(r.watched.cert_ends_ms),
    "rungs": lambda r: len(r.watched.vitals.rungs_ms),
    "rsrp": lambda r: _least(r.rsrp),
    "fw": lambda r: r.watched.vitals.fw or "~",
}
"""Columns by which the fleet can be put in order; with a `-` in front the other way round."""


@dataclass(frozen=True, slots=True)
class MondayList:
    """Everything since a moment: groups that go on, groups that are over, and the trips."""

    since_ms: int
    going_on: tuple[Group, ...]
    over: tuple[Group, ...]
    trips: tuple[Trip, ...]


class Fleet:
    """Gathers for the fleet's pages. Safe for several threads."""

    def __init__(self, pages: Pages, watch: ProbeWatch) -> None:
        self._pages, self._watch = pages, watch
        self._lock = threading.Lock()
        self._held: tuple[int, list[Watched]] | None = None

    def watched(self) -> list[Watched]:
        """Every probe as it was judged at most a few seconds ago. Raises Unavailable."""
        with self._lock:
            now_ms = self._pages.now_ms()
            if self._held is None or not 0 <= now_ms - self._held[0] < KEEP_MS:
                self._held = now_ms, self._watch.now(now_ms)
            return self._held[1]

    def rows(self, scope: str) -> list[FleetRow]:
        """The fleet inside a unit; probes that stand nowhere are shown to those who see all units."""
        inside = {h.code: h for h in self._pages.hamlets_in(scope)}
        communes = {c.code: c for c in self._pages.registry.communes()}
        sites = {s.code: s for s in self._pages.registry.sites()}
        rows: list[FleetRow] = []
        for one in self.watched():
            place = one.place
            hamlet = inside.get(place.hamlet) if place else None
            if hamlet is not None or (not scope and place is None):
                commune = communes.get(hamlet.commune) if hamlet else None
                rows.append(FleetRow(one, sites.get(place.site) if place else None, hamlet, commune))
        return rows

    def row(self, scope: str, probe: str) -> FleetRow | None:
        """One probe inside a unit."""
        return next((row for row in self.rows(scope) if row.id == probe), None)

    @staticmethod
    def counts(rows: Sequence[FleetRow]) -> list[tuple[State, int]]:
        """How many probes are in each state that any is in, the ill ones first."""
        found = Counter(row.state for row in rows)
        return sorted(found.items(), key=lambda item: (shape_of(item[0]) == "good", -item[1], int(item[0])))

    @staticmethod
    def chosen(rows: Sequence[FleetRow], state: str, unit: str, text: str, sort: str) -> list[FleetRow]:
        """Filter by state word, unit code and text (tone marks ignored), and put in order."""
        key = SORTS.get(sort.removeprefix("-"), SORTS["state"])
        sought = fold(text)
        kept = [
            row
            for row in rows
            if (not state or row.state.word == state)
            and (not unit or unit in _units(row))
            and (not sought or sought in fold(" ".join(_names(row))))
        ]
        return sorted(kept, key=key, reverse=sort.startswith("-"))  # type: ignore[arg-type]

    def since(self) -> int:
        """When offices last closed, by the registry's holidays."""
        rows = self._pages.registry.dated.holding(HolidayRow, self._pages.now_ms())
        off = {date.fromisoformat(row.day) for row in rows if row.is_off}
        worked = {date.fromisoformat(row.day) for row in rows if not row.is_off}
        return last_close_ms(self._pages.now_ms(), off, worked)

    def monday(self, scope: str, since_ms: int) -> MondayList:
        """Everything since a moment, put together by common cause."""
        rows = self.rows(scope)
        stations = {row.id: station for row in rows if (station := _station(row)) is not None}
        now = [t for row in rows if row.id in stations for t in _now(row, stations[row.id])]
        groups = grouped([*now, *self._past(since_ms, stations)], list(stations.values()))
        going_on = tuple(group for group in groups if group.until_ms is None)
        over = tuple(group for group in groups if group.until_ms is not None)
        return MondayList(since_ms, going_on, over, trips(going_on, self._pages.now_ms()))

    def _past(self, since_ms: int, stations: dict[str, Station]) -> Iterator[Trouble]:
        """Troubles that ended since, as probes told them when they were back."""
        for kind in ("boot", "event"):
            for sample in self._pages.reader.samples(kind=kind, since_ms=since_ms, limit=MOST_RECORDS):
                told = _ended(sample)
                if told is not None and sample.probe in stations and sample.t_ms is not None:
                    word, length_ms = told
                    began_ms = sample.t_ms - length_ms
                    yield Trouble(stations[sample.probe], word, state_of(word), began_ms, sample.t_ms)


_BOOTS = {"power": "power", "crash": "crash", "watchdog": "crash"}
_ENDS = frozenset({"outage_end", "modem_back"})


def _ended(sample: Sample) -> tuple[str, int] | None:
    """A trouble that this record says is over: its word and how long it lasted (ms)."""
    record = sample.record
    if isinstance(record, BootRecord) and record.reason in _BOOTS and record.downtime_ms:
        return _BOOTS[record.reason], record.downtime_ms
    if isinstance(record, EventRecord) and record.event in _ENDS and record.duration_ms:
        return record.cause or "unknown", record.duration_ms
    return None


def _now(row: FleetRow, station: Station) -> Iterator[Trouble]:
    found = row.watched.illness
    if found is not None and row.state not in NOT_LISTED:
        yield Trouble(station, found.word, row.state, found.since_ms)


def _station(row: FleetRow) -> Station | None:
    place = row.watched.place
    if place is None:
        return None
    modems = row.watched.vitals.modems
    plmns = frozenset(m.plmn for m in modems if m.plmn)
    towers = frozenset((m.plmn, m.cell >> ENB_BITS) for m in modems if m.plmn and m.cell is not None)
    return Station(row.id, place.province, place.commune, place.hamlet, place.site, plmns, towers)


def _units(row: FleetRow) -> tuple[str, ...]:
    place = row.watched.place
    return () if place is None else (place.hamlet, place.commune, place.province)


def _names(row: FleetRow) -> tuple[str, ...]:
    named = (row.site.name if row.site else "", row.hamlet.label if row.hamlet else "")
    return (row.id, *named, row.commune.name if row.commune else "")
