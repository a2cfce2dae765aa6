"""What looks after the probe itself, a look every few seconds: the disk, the supply, and a program that keeps dying.

What it finds becomes events, held in memory while the disk takes none. It decides nothing of its own: the rules are in
`probe.core.disk`, `probe.core.power` and `probe.core.guard`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from probe.core import disk, guard, power
from probe.core.draft import Stamp
from probe.recorder import Recorder
from probe.slate import Slate
from probe.spool import DiskFull, Spool
from wire.failure import Cause, Stage
from wire.records import EventName, EventRecord

log = logging.getLogger(__name__)
LOOK_MS = 10_000
GUARD = "guard"
REDUCED = "reduced_mode"
"""The rung's name in the event of a crash loop."""


@dataclass(frozen=True, slots=True)
class Senses:
    """How the caretaker sees: free bytes beside the spool, and the firmware's bits; None where not known."""

    free_bytes: Callable[[], int | None]
    throttled_bits: Callable[[], int | None]


class Caretaker:
    """Looks after one running probe. `tend` and `end` are called by the daemon's loop only."""

    def __init__(
        self, recorder: Recorder, spool: Spool, slate: Slate, senses: Senses, terms: guard.Terms | None = None
    ) -> None:
        self._recorder, self._spool, self._slate, self._senses = recorder, spool, slate, senses
        self._terms = terms or guard.Terms()
        self._disk, self._power = disk.Disk(), power.Power()
        self._guard = guard.begun(_load(slate.recall(GUARD)), self._terms)
        self._begun_ms: int | None = None
        self._looked_ms = -LOOK_MS
        alive = slate.recall("alive_ms")
        self.alive_ms = None if alive is None else int(alive)
        """When the last run was seen alive (UTC); None if that is not known."""
        slate.sync({GUARD: _text(self._guard)})

    @property
    def is_reduced(self) -> bool:
        """True while the program goes on with less: no tests, no receiver."""
        return self._guard.is_reduced

    def forbids(self) -> Cause | None:
        """Say why no test may start now; None if one may. Without its marks a test could be one too many."""
        if self.is_reduced:
            return Cause.ENGINE_ERROR
        return None if self._spool.knows_marks else _cause(self._spool)

    def tend(self, stamp: Stamp) -> None:
        """Look, if it is time."""
        if self._begun_ms is None:
            self._begun_ms = stamp.mono_ms
            if self.is_reduced:
                self._tell_guard("on", f"{self._guard.short_runs} starts in a row ended early")
        if stamp.mono_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = stamp.mono_ms
        self._watch_guard(stamp.mono_ms)
        self._watch_disk(stamp.mono_ms)
        self._watch_power(stamp.mono_ms)
        self._recorder.flush()

    def end(self) -> None:
        """The program ends on purpose."""
        self._guard = guard.ended(self._guard)
        self._slate.sync({GUARD: _text(self._guard)})

    def _watch_guard(self, now_ms: int) -> None:
        before = self._guard
        self._guard = guard.ran(before, now_ms - (self._begun_ms or 0), self._terms)
        if self._guard == before:
            return
        if before.is_reduced:
            self._begun_ms = now_ms
            self._tell_guard("off", "tests are tried again")
        self._slate.sync({GUARD: _text(self._guard)})

    def _tell_guard(self, now: str, note: str) -> None:
        log.warning("reduced=%s: %s", now, note)
        was = "off" if now == "on" else "on"
        self._event("recovery", stage=Stage.HOST, rung=REDUCED, was=was, now=now, note=note)

    def _watch_disk(self, now_ms: int) -> None:
        if self._spool.refusal is not None:
            self._spool.try_again()
        cause = None if self._spool.refusal is None else _cause(self._spool)
        look = disk.Look(now_ms, self._senses.free_bytes(), cause, self._recorder.lost)
        self._disk, told = disk.step(self._disk, look)
        for one in told:
            log.warning("disk=%s cause=%s", one.now, one.cause.value)
            fields = {"was": one.was, "now": one.now, "duration_ms": one.duration_ms, "note": one.note}
            self._event("disk_error", stage=Stage.HOST, cause=one.cause, **fields)
        if cause is None:
            self._recorder.relax()
            self._spool.keep_reserve()

    def _watch_power(self, now_ms: int) -> None:
        self._power, told = power.step(self._power, self._senses.throttled_bits(), now_ms)
        for one in told:
            log.warning("undervoltage=%s", "begins" if one.duration_ms is None else "ends")
            was, now = ("ok", "low") if one.duration_ms is None else ("low", "ok")
            fields = {"was": was, "now": now, "duration_ms": one.duration_ms}
            self._event("undervoltage", stage=Stage.HOST, cause=Cause.POWER, **fields)

    def _event(self, name: EventName, **fields: Any) -> None:
        self._recorder.keep_later(EventRecord(**self._recorder.head(), event=name, **fields))


def _cause(spool: Spool) -> Cause:
    return Cause.LOW_DISK if isinstance(spool.refusal, DiskFull) else Cause.DISK_ERROR


def _text(state: guard.Guard) -> str:
    return msgspec.json.encode(state).decode()


def _load(text: str | None) -> guard.Guard | None:
    """Read a saved guard; None if there is none, or another program wrote it in another form."""
    try:
        return None if text is None else msgspec.json.decode(text, type=guard.Guard)
    except msgspec.DecodeError:
        return None
