"""What the daemon tells a person who stands before it: the facts of a check, read from its parts without waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from probe.asked import Asked
from probe.control import Snapshot
from probe.core.doctor_facts import AckFacts, BrokerFacts, Facts, GpsFacts, ModemFacts, ShortTest
from probe.core.draft import Stamp
from probe.owner import Owner
from probe.spool import Spool
from wire import visit
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import Host

NEAR_S = 5.0
"""For how long one look keeps the modems polled each second: the next look is due long before."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One modem as a visit sees it: its owner, its SIM's network (None: any), and what its link suffers from."""

    owner: Owner
    plmn: str | None
    interface: Callable[[], str]
    diagnosed: Callable[[], Cause | None] = lambda: None


class Visit:
    """The desk behind the control socket. `gps` and `broker` read those parts; `host` is None if it cannot be read.

    `hasten`: somebody looks, for so many seconds; the way to the broker is then tried again soon.
    """

    def __init__(
        self,
        *,
        probe: str,
        site: str,
        modems: Mapping[str, Watched],
        spool: Spool,
        asked: Asked,
        stamp: Callable[[], Stamp],
        host: Callable[[], Host | None],
        gps: Callable[[], GpsFacts],
        broker: Callable[[], BrokerFacts],
        hasten: Callable[[float], None],
    ) -> None:
        self._probe, self._site, self._modems = probe, site, dict(modems)
        self._spool, self._asked, self._stamp = spool, asked, stamp
        self._host, self._gps, self._broker = host, gps, broker
        self._hasten = hasten
        self._ack_wait = _AckWait()

    def ask_test(self, modem: str) -> None:
        """Ask for a short test by one modem. Raises Refused."""
        self._asked.ask(modem)

    def look(self, *, near: bool) -> Snapshot:
        """Return what is known now; with `near`, poll the modems each second for the next seconds."""
        if near:
            self._hasten(NEAR_S)
            for watched in self._modems.values():
                watched.owner.hurry(NEAR_S)
        stamp = self._stamp()
        facts = self._facts(stamp)
        if self._spool.is_shut:
            facts = replace(facts, spool_said=str(self._spool.refusal or "the spool is shut"))
        try:
            place = self._spool.place()
            record = visit.Named(place.epoch, place.seq - 1, place.prev) if place.seq else None
            ack = self._ack(stamp.mono_ms)
        except Unavailable as error:
            return self._snapshot(stamp, replace(facts, spool_said=str(error)), None)
        return self._snapshot(stamp, replace(facts, ack=ack), record)

    def _snapshot(self, stamp: Stamp, facts: Facts, record: visit.Named | None) -> Snapshot:
        return Snapshot(probe=self._probe, site=self._site, mono_ms=stamp.mono_ms, facts=facts, record=record)

    def _facts(self, stamp: Stamp) -> Facts:
        host, tests = self._host(), self._asked.tests()
        return Facts(
            is_host_read=True,
            throttled_bits=host.throttled_bits if host else None,
            cpu_temp_c_x10=host.cpu_temp_c_x10 if host else None,
            disk_free_bytes=host.disk_free_bytes if host else None,
            modems=tuple(_modem(name, one, tests[name]) for name, one in self._modems.items()),
            clock=stamp.clock,
            clock_source=stamp.t_src,
            gps=self._gps(),
            broker=self._broker(),
        )

    def _ack(self, mono_ms: int) -> AckFacts:
        acked = (self._spool.mark("acked") or "").split()
        waiting = self._spool.depth().waiting
        epoch, seq = (int(acked[0]), int(acked[1])) if len(acked) == 2 else (None, None)
        waited_s = self._ack_wait.seconds(waiting, seq, mono_ms)
        return AckFacts(epoch=epoch, seq=seq, waiting=waiting, waited_s=waited_s)


class _AckWait:
    """For how long something has waited without any progress of the ledger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seq: int | None = None
        self._since_ms: int | None = None

    def seconds(self, waiting: int, seq: int | None, mono_ms: int) -> int:
        """Say it, for `waiting` records and the last acknowledged `seq`."""
        with self._lock:
            if waiting == 0:
                self._since_ms = None
            elif self._since_ms is None or seq != self._seq:
                self._since_ms = mono_ms
            self._seq = seq
            return 0 if self._since_ms is None else (mono_ms - self._since_ms) // 1000


def _modem(name: str, watched: Watched, test: ShortTest) -> ModemFacts:
    latest = watched.owner.latest
    return ModemFacts(
        id=name,
        interface=watched.interface(),
        plmn=watched.plmn,
        is_polled=latest is not None,
        polled_ms=latest.began_ms if latest else 0,
        cause=latest.cause if latest else None,
        reading=latest.reading if latest else None,
        plan=_of_plan(watched.diagnosed()),
        test=test,
    )


def _of_plan(cause: Cause | None) -> Cause | None:
    """Only what a walk along the link cannot see: why the operator holds the data back."""
    return cause if cause in (Cause.PLAN_EXPIRED, Cause.PLAN_THROTTLED, Cause.DATA_EXHAUSTED) else None
