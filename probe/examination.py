"""A check under way: asks the daemon each second, walks the link beside it, asks for the short test when it is time.

Both `dosong-probe doctor` and the technician's page are views of this.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from probe.control import Request, Snapshot
from probe.core import doctor
from probe.core.doctor import Finding
from probe.core.doctor_facts import Facts, ModemFacts, ShortTest, Step
from probe.devices import link_walk
from probe.devices.link_walk import Way
from wire import visit
from wire.errors import Refused, Unavailable

AGAIN_GOOD_S, AGAIN_BAD_S = 120.0, 5.0
"""Until the link is walked again: data costs money while it is well, and a person waits while it is not."""

Ask = Callable[[Request], Snapshot | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: who this is, what was found, the code (None while anything is open), RSRP by modem in tenths of dBm."""

    probe: str
    site: str
    findings: tuple[Finding, ...]
    code: str | None
    rsrp_dbm_x10: Mapping[str, int | None]

    @property
    def is_green(self) -> bool:
        """Nothing is red, nothing is open."""
        return doctor.is_green(self.findings)

    @property
    def is_settled(self) -> bool:
        """Nothing is open."""
        return doctor.is_settled(self.findings)


class Examination:
    """One visit's check. `look` is called each second or so; `close` ends the walk along the links.

    `way`: what each modem's link must reach; its interface is what the daemon says.
    """

    def __init__(self, ask: Ask, way: Way, *, wants_test: bool) -> None:
        self._ask, self._wants_test = ask, wants_test
        self._way = way
        self._walks: dict[str, _Walk] = {}
        self._asked: set[str] = set()
        self._begun_ms: int | None = None
        self.refusal: str | None = None
        """Why the last test was not taken on; None if it was."""

    def close(self) -> None:
        """End the walks."""
        for walk in self._walks.values():
            walk.close()

    def look(self) -> Seen:
        """Ask the daemon once and judge. Raises Unavailable if it does not answer."""
        snapshot = self._ask(Request("look", near=True))
        if snapshot is None:
            raise Unavailable("the daemon gave no snapshot; restart dosong-probe")
        if self._begun_ms is None:
            self._begun_ms = snapshot.mono_ms
        facts = replace(snapshot.facts, modems=tuple(self._completed(modem) for modem in snapshot.facts.modems))
        findings = doctor.examine(facts)
        if self._wants_test:
            self.ask_tests(modem.id for modem in facts.modems if self._is_due(modem, findings))
        return Seen(
            snapshot.probe,
            snapshot.site,
            findings,
            doctor.code(snapshot.probe, findings, _named(facts, snapshot)),
            {modem.id: modem.reading.rsrp_dbm_x10 if modem.reading else None for modem in facts.modems},
        )

    def want_tests(self) -> None:
        """Have every modem tested once more, each as soon as all that it needs is green."""
        self._wants_test = True
        self._asked.clear()

    def ask_tests(self, modems: Iterable[str]) -> bool:
        """Ask for the first of these tests that the daemon takes on; False if it takes none, `refusal` says why."""
        for modem in modems:
            try:
                self._ask(Request("test", modem))
            except Refused as refusal:
                self.refusal = refusal.detail
                continue
            self._asked.add(modem)
            self.refusal = None
            return True
        return False

    def _is_due(self, modem: ModemFacts, findings: tuple[Finding, ...]) -> bool:
        return modem.test.word == "none" and doctor.may_test(findings, modem.id)

    def _completed(self, modem: ModemFacts) -> ModemFacts:
        """Add what this side knows: the link's steps, and that what was seen before this visit is none of it."""
        test = modem.test
        is_theirs = test.word == "done" and modem.id not in self._asked
        if is_theirs or test.word == "none":
            test = ShortTest(word="none" if self._wants_test else "not_wanted")
        if modem.polled_ms < (self._begun_ms or 0):
            modem = replace(modem, is_polled=False, cause=None, reading=None)
        if modem.id not in self._walks:
            self._walks[modem.id] = _Walk(self._way)
        walk = self._walks[modem.id]
        is_served = modem.reading is not None and modem.reading.is_registered
        apn, dns, portal = walk.steps(
            modem.interface, is_served=is_served, is_free=test.word not in ("asked", "running")
        )
        return replace(modem, test=test, apn=apn, dns=dns, portal=portal)


def _named(facts: Facts, snapshot: Snapshot) -> visit.Named | None:
    """The record that the code names: this visit's last test, else the newest one."""
    made = [modem.test.record for modem in facts.modems if modem.test.record is not None]
    return max(made, key=lambda one: (one.epoch, one.seq), default=snapshot.record)


class _Walk:
    """The walk along one modem's link, in a thread of its own: a silent server must not hold up the signal's bar."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._steps: tuple[Step | None, Step | None, Step | None] = (None, None, None)
        self._go, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="walk", daemon=True)
        self._thread.start()

    def steps(self, interface: str, *, is_served: bool, is_free: bool) -> tuple[Step | None, Step | None, Step | None]:
        """What was found on the last walk; it is walked only while the modem is served and no test runs."""
        if interface != self._way.interface:
            self._way, self._steps = replace(self._way, interface=interface), (None, None, None)
        if is_served and is_free:
            self._go.set()
        else:
            self._go.clear()
        if not is_served:
            self._steps = (None, None, None)
        return self._steps

    def close(self) -> None:
        """End the thread as soon as it can."""
        self._stop.set()
        self._go.set()

    def _run(self) -> None:
        while True:
            self._go.wait()
            if self._stop.is_set():
                return
            way = self._way
            apn = link_walk.check_apn(way)
            dns = link_walk.check_dns(way) if apn.cause is None else None
            portal = link_walk.check_portal(way) if dns is not None and dns.cause is None else None
            if way is self._way:
                self._steps = (apn, dns, portal)
            is_good = portal is not None and portal.cause is None
            self._stop.wait(AGAIN_GOOD_S if is_good else AGAIN_BAD_S)
