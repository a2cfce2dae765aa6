"""One lane of the walk: a site, its probe under a supervisor as systemd is one, and a few faults one after the other.

A lane lives in one thread, for the site and its programs end with the thread that started them. It has few faults:
a power cut is played within each, and a probe that loses its power five times in ten minutes rests from tests.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sim import site, spool_copy, state, twin, walk_scene
from sim.walk_cases import CASES, Case, Row, Seen, is_cured, judge, seen, shows
from sim.walk_ledger import Kept
from sim.walk_scene import Setting, World
from wire.records import AnyRecord

RESTART_S = 1.0
NORMAL_S = 90.0
POLL_S = 0.5
LATE_S = 32.0
"""How long a fault lasts that records cannot tell before it is over: three looks of the probe's caretaker."""
SEND_S = 25.0
"""How long a lane stays after its last fault at most, so that its records are sent."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lane:
    """What one site walks through."""

    name: str
    faults: tuple[str, ...]
    setting: Setting = field(default_factory=Setting)
    modem: str = "m1"
    has_second: bool = False

    @property
    def probe(self) -> str:
        """Id of the lane's probe."""
        return f"p-{self.name}"


class Walker:
    """Walks one lane. All methods are called by the lane's thread."""

    def __init__(self, world: World, lane: Lane, say: Say, *, has_cuts: bool) -> None:
        self._world, self._lane, self._say, self._has_cuts = world, lane, say, has_cuts
        self._up = walk_scene.site_of(world, lane.name, lane.setting)
        setting = lane.setting
        if lane.has_second:
            second = twin.up(world.directory, self._up, modem="huawei-e3372", plmn=walk_scene.SECOND_PLMN)
            setting = replace(setting, plan=walk_scene.second_modem(second.modem))
        self._settings = walk_scene.write_settings(world, lane.probe, self._up, setting)
        self._log = world.root / "log" / f"{lane.probe}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._ended_s = 0.0
        self._has_power = True
        self.rows: list[Row] = []
        self._known: dict[tuple[int, int], AnyRecord] = {}
        self.kept = Kept(lane.probe, frozenset())

    def walk(self) -> None:
        """Go through all faults: a row for each, and at the end what the probe held."""
        try:
            if not CASES[self._lane.faults[0]].first:
                self._supervise()
                if self._back_s(0.0) is None:
                    self._say(f"{self._lane.name}: its probe never measured; see {self._log}")
            for name in self._lane.faults:
                self.rows.append(self._fault(name))
            self.kept = Kept(self._lane.probe, frozenset((r.epoch, r.seq) for r in self._records((0, -1))))
            self._until(lambda _: spool_copy.waiting(self._up) == 0, self._head(), SEND_S)
        finally:
            self._end()

    def _fault(self, name: str) -> Row:
        """Begin a fault, see it in the records, cut the power in it, see it again, end it, and wait for normal work."""
        case, began_s = CASES[name], self._world.now_s()
        since = self._head()
        self._begin(name, case)
        phases = [self._phase(case, since)]
        if case.cure_s:
            self._until(lambda found: is_cured(case, found), since, case.cure_s)
        if self._has_cuts:
            phases.append(self._cut(name, case))
        lasted_s = self._world.now_s() - began_s
        if not case.heals:
            self._play(site.end, name, case)
        going_on = seen(self._records(since), "m1")
        back_s = self._back_s(self._world.now_s())
        whole = self._until(lambda found: set(case.events) <= set(found.events), since, 15.0)
        wrong = judge(case, phases, whole, back_s=back_s)
        if case.second and not going_on.good_tests:
            wrong = (*wrong, "the other modem did not go on")
        row = Row(self._lane.name, name, began_s, lasted_s, whole, self._has_cuts, back_s, wrong)
        self._say(f"{row.began_s:5.0f} s  {row.lane:<8} {row.fault:<20} {row.verdict}")
        return row

    def _begin(self, name: str, case: Case) -> None:
        if case.boots:
            self._stop()
            self._power(on=False)
        self._play(site.begin, name, case)
        if case.boots:
            self._power(on=True)

    def _play(self, play: Callable[[state.RunDir, str, str], object], name: str, case: Case) -> None:
        where = twin.name_of(self._lane.name) if case.second else self._lane.name
        play(self._world.directory, where, case.second or name)

    def _phase(self, case: Case, since: tuple[int, int], *, is_again: bool = False) -> Seen:
        if case.late:
            return self._until(lambda _: False, since, LATE_S)
        return self._until(lambda found: shows(case, found, is_again=is_again), since, case.patience_s)

    def _cut(self, name: str, case: Case) -> Seen:
        """Cut the power in the fault; one that a new start of the modem cures is begun again, and seen, before that."""
        middle, found = self._head(), Seen()
        if case.cure_s:
            self._begin(name, case)
            found = self._phase(case, middle, is_again=True)
        self._power(on=False)
        self._power(on=True)
        return found if case.cure_s else self._phase(case, middle, is_again=True)

    def _power(self, *, on: bool) -> None:
        self._has_power = on
        site.control(self._world.directory, self._lane.name, "power", on=on)
        if not on and self._child:
            self._child.wait(10)
            self._child = None

    def _back_s(self, since_s: float) -> float | None:
        """Seconds from `since_s` until a good test that began after it is in the spool; None if none came in time."""
        from_mono_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        head = self._head()
        found = self._until(lambda seen_: seen_.good_tests > 0, head, NORMAL_S, from_mono_ms=from_mono_ms)
        return self._world.now_s() - since_s if found.good_tests else None

    def _until(
        self, is_so: Callable[[Seen], bool], since: tuple[int, int], patience_s: float, *, from_mono_ms: int = 0
    ) -> Seen:
        """Poll the spool until its records show it, or patience ends; what they showed last."""
        end_s = time.monotonic() + patience_s
        while True:
            self._supervise()
            found = seen((r for r in self._records(since) if r.mono_ms >= from_mono_ms), self._lane.modem)
            if is_so(found) or time.monotonic() >= end_s:
                return found
            time.sleep(POLL_S)

    def _records(self, since: tuple[int, int]) -> list[AnyRecord]:
        """What the spool held at any look: a full card has it free what is acknowledged."""
        self._known |= {(record.epoch, record.seq): record for record in spool_copy.records(self._up, since)}
        return [self._known[place] for place in sorted(self._known) if place > since]

    def _head(self) -> tuple[int, int]:
        found = self._records((0, -1))
        return (found[-1].epoch, found[-1].seq) if found else (0, -1)

    def _supervise(self) -> None:
        """Start the probe anew a second after it ended, while there is power."""
        if self._child is not None and self._child.poll() is not None:
            self._child, self._ended_s = None, time.monotonic()
        if self._child is None and self._has_power and time.monotonic() - self._ended_s >= RESTART_S:
            self._child = walk_scene.popen(self._world, self._up, self._settings, self._log)

    def _stop(self) -> None:
        """End the program as systemd does."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def _end(self) -> None:
        self._stop()
        if self._lane.has_second:
            site.down(self._world.directory, twin.name_of(self._lane.name))
        site.down(self._world.directory, self._lane.name)
