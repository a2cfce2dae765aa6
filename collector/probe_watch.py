"""How every probe is now: vitals folded from the ledger as it grows, judged on demand, and the points of `probe_state`.

One `ProbeWatch` in `forward` writes the series once every half minute; one in the web serves the fleet's pages: both
are the same function of ledger, registry and what `receive` last said. At start the newest records of each probe are
read once; from then on only what is new. A ledger that was restored starts it over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from collector.core import points
from collector.core.liveness import Ears, Illness, State, illness, missing_records
from collector.core.place import Place
from collector.core.sample import ProbeState, Sample
from collector.core.vitals import KEPT_TIMES, ModemVitals, Vitals, fold
from collector.health import Health
from collector.registry_rows import ProbeEntry

PAGE = 500
WARM_BELOW = 20_000
"""With fewer new rows than this the ledger is read on; with more, each probe's newest records are read once."""
RECEIVE_GRACE_MS = 30_000
DAY_MS = 86_400_000


class LedgerSide(Protocol):
    """What is asked of the ledger."""

    def last_n(self) -> int: ...

    def samples(
        self, *, probe: str | None = None, after_n: int | None = None, limit: int = 100, newest_first: bool = True
    ) -> Sequence[Sample]: ...

    def probe_states(self) -> Sequence[ProbeState]: ...


class RegistrySide(Protocol):
    """What is asked of the registry."""

    def probes(self) -> Sequence[ProbeEntry]: ...

    def place(self, probe: str, at_ms: int | None = None, /) -> Place | None: ...

    def certificate_ends(self) -> Mapping[str, int]: ...

    def still(self) -> AbstractContextManager[None]: ...


class LeftSide(Protocol):
    """What is asked of the registry about places of before."""

    def probes(self) -> Sequence[ProbeEntry]: ...

    def places_left(self, probe: str) -> Sequence[Place]: ...


@dataclass(frozen=True, slots=True)
class Watched:
    """One probe of the registry, now. `place` None: it stands nowhere; `chain` None: it never sent anything.

    `cert_ends_ms`: when its newest certificate runs out, None if the registry holds none.
    """

    entry: ProbeEntry
    place: Place | None
    chain: ProbeState | None
    vitals: Vitals
    illness: Illness | None
    cert_ends_ms: int | None = None

    @property
    def state(self) -> State:
        """The kind of fault, OK if there is none."""
        return State.OK if self.illness is None else self.illness.state

    @property
    def missing(self) -> int:
        """Records missing in between."""
        return missing_records(self.chain) if self.chain is not None else 0


def ears_of(health: Health, now_ms: int) -> Ears:
    """Whether `receive` hears the broker now. A collector that was just started has not heard everybody yet."""
    receive = health.receive
    if receive is None:
        return Ears()
    if not health.receive_alive:
        return Ears(hears=False, deaf_since_ms=receive.at_ms)
    if not receive.broker_connected or now_ms - receive.broker_since_ms < RECEIVE_GRACE_MS:
        return Ears(hears=False, deaf_since_ms=receive.broker_since_ms)
    return Ears()


class ProbeWatch:
    """Keeps vitals in memory. `health` tells what the collector's processes last said. For use by several threads."""

    def __init__(self, reader: LedgerSide, registry: RegistrySide, health: Callable[[], Health]) -> None:
        self._reader, self._registry, self._health = reader, registry, health
        self._vitals: dict[str, Vitals] = {}
        self._position = 0
        self._lock = threading.Lock()

    def now(self, now_ms: int) -> list[Watched]:
        """Every probe of the registry, by id. Raises Unavailable if ledger or registry cannot be read."""
        with self._lock:
            self._read_on()
            vitals = dict(self._vitals)
        chains = {state.probe: state for state in self._reader.probe_states()}
        ears = ears_of(self._health(), now_ms)
        ends = self._registry.certificate_ends()
        made: list[Watched] = []
        with self._registry.still():
            for entry in sorted(self._registry.probes(), key=lambda e: e.id):
                chain, known = chains.get(entry.id), vitals.get(entry.id, Vitals())
                found = illness(entry.state, chain, known, now_ms, ears)
                place = self._registry.place(entry.id)
                made.append(Watched(entry, place, chain, known, found, ends.get(entry.id)))
        return made

    def _read_on(self) -> None:
        last = self._reader.last_n()
        if last < self._position:
            self._vitals, self._position = {}, 0
        if last - self._position > WARM_BELOW:
            self._warm(last)
        while samples := self._reader.samples(after_n=self._position, limit=PAGE, newest_first=False):
            for sample in samples:
                self._vitals[sample.probe] = fold(self._vitals.get(sample.probe, Vitals()), sample)
            self._position = samples[-1].n

    def _warm(self, last: int) -> None:
        """Each probe's newest records, once; what comes after `last` is read on by its number."""
        for state in self._reader.probe_states():
            vitals = Vitals()
            for sample in reversed(self._reader.samples(probe=state.probe, limit=2 * KEPT_TIMES)):
                vitals = fold(vitals, sample) if sample.n <= last else vitals
            self._vitals[state.probe] = vitals
        self._position = last


def state_lines(watched: Sequence[Watched], now_ms: int) -> Iterator[str]:
    """One point of `probe_state` for each probe that stands somewhere."""
    for one in watched:
        if one.place is not None:
            fields = {"here": 1, **_judged(one, now_ms), **_vital(one.vitals)}
            yield points.line(_series(one.place, one.entry.id), fields, now_ms * 1_000_000)


def left_lines(registry: LeftSide, now_ms: int) -> Iterator[str]:
    """The end of `probe_state` wherever a probe stood once: `here` 0, so that no board goes on counting it there."""
    for entry in registry.probes():
        for place in registry.places_left(entry.id):
            fields: dict[str, points.Field] = {"here": 0, "silent": 0, "ill": 0}
            yield points.line(_series(place, entry.id), fields, now_ms * 1_000_000)


def _series(place: Place, probe: str) -> str:
    tags = (("province", place.province), ("commune", place.commune), ("hamlet", place.hamlet), ("probe", probe))
    return points.series("probe_state", tags)


def _judged(one: Watched, now_ms: int) -> dict[str, points.Field]:
    chain, found = one.chain, one.illness
    last_ms = chain.last_received_ms if chain else None
    since_ms = found.since_ms if found else None
    return {
        "online": None if chain is None or chain.status is None else int(chain.status == "online"),
        "age_s": None if last_ms is None else max(0, now_ms - last_ms) // 1000,
        "upto": chain.upto if chain else None,
        "state": int(one.state),
        "word": one.state.word,
        "cause": found.word if found else "none",
        "ill": int(one.state not in (State.OK, State.LATE)),
        "silent": int(one.state in (State.SILENT, State.DARK)),
        "since_s": None if since_ms is None else max(0, now_ms - since_ms) // 1000,
        "missing": one.missing,
        "cert_days": None if one.cert_ends_ms is None else (one.cert_ends_ms - now_ms) // DAY_MS,
        "simulated": int(one.entry.simulated),
    }


def _vital(vitals: Vitals) -> dict[str, points.Field]:
    fullest = max(vitals.modems, key=lambda m: m.used_ppm or -1, default=ModemVitals("m1"))
    return {
        "spool_records": vitals.spool_records,
        "clock_trusted": None if vitals.clock is None else int(vitals.clock == "trusted"),
        "cpu_temp_c_x10": vitals.cpu_temp_c_x10,
        "undervoltage": int(vitals.undervoltage_ms is not None),
        "disk_free_bytes": vitals.disk_free_bytes,
        "data_used_bytes": fullest.used_bytes,
        "data_limit_bytes": fullest.limit_bytes,
        "data_used_ppm": fullest.used_ppm,
        "rsrp_dbm_x10": fullest.rsrp_dbm_x10,
        "recoveries": len(vitals.rungs_ms),
        "rung": vitals.rung,
        "fw": vitals.fw,
        "config_rev": vitals.config_rev,
    }
