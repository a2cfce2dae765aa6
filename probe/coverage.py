"""Coverage of one modem, live: the owner's polls and one echo a step in, a record a window and outage events out.

The windows lie on the wall clock while it is trusted and on monotonic time otherwise. What has been seen of a window
is noted after each step, so a restart of the program loses no letter of it; a power cut costs what the slate says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

import msgspec

from probe.core import coverage, outage
from probe.core.coverage import EchoSeen, Poll, Window
from probe.core.draft import Stamp
from probe.diagnosis import Diagnosis
from probe.owner import Observed
from probe.recorder import Recorder
from probe.slate import Slate
from wire.errors import Refused
from wire.failure import Cause
from wire.records import CoverageRecord, EventRecord

log = logging.getLogger(__name__)
_JUMP_MS = 2_000
HELD_RECORDS = 100
"""Records kept in memory while the disk takes none: four days of windows."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What coverage of one modem needs to know."""

    probe: str
    modem: str
    step_ms: int
    steps: int
    poll_ms: int
    plmn: str | None = None
    referral: str | None = None


@dataclass(frozen=True, slots=True)
class _Saved:
    """A window as it lies on disk between steps, and the moment of its last one: its times are on that clock."""

    window: Window
    seen: Stamp
    turn: int = 0
    """Rises with every note, so that of two the newer is known."""


class CoverageKeeper:
    """Keeps the coverage of one modem; called by the modem's owner only, so it needs no lock.

    `echo` sends one echo (None: no echo is wanted now); `link_bytes` reads (rx, tx) of the modem's link, None if it
    is missing. `diagnosis` says why a registered modem reaches nothing; without it a lost echo is all that is known.
    `is_closed`: the SIM's data is spent and no echo is sent, so what the link would do is unknown.
    """

    def __init__(
        self,
        terms: Terms,
        recorder: Recorder,
        *,
        echo: Callable[[], EchoSeen | None],
        link_bytes: Callable[[], tuple[int, int] | None],
        saved: str | None,
        slate: Slate | None = None,
        diagnosis: Diagnosis | None = None,
        is_closed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._terms, self._recorder = terms, recorder
        self._slate, self._diagnosis = slate, diagnosis
        self._is_closed = is_closed
        self._echo, self._link_bytes = echo, link_bytes
        self._outage = outage.Outage()
        self._polls: list[tuple[int, Poll]] = []
        self._last: Poll | None = None
        self._echo_seen: EchoSeen | None = None
        self._echo_step_ms: int | None = None
        self._counted_from = link_bytes()
        self._window: Window | None = None
        self._seen: Stamp | None = None
        notes = [_load(saved), _load(slate.recall(f"coverage {terms.modem}") if slate else None)]
        self._saved = max((note for note in notes if note), key=lambda note: note.turn, default=None)
        self._turn = self._saved.turn if self._saved else 0
        self._is_noted = True
        self._was_found = False
        self._due: list[CoverageRecord | EventRecord] = []

    def retell(self, plmn: str | None, referral: str | None) -> None:
        """Name another network or code from the next record on. One assignment: safe from another thread."""
        self._terms = replace(self._terms, plmn=plmn, referral=referral)

    def on_poll(self, observed: Observed) -> None:
        """Take one poll of the modem. Raises Unavailable if the spool cannot take what follows from it.

        Nothing is lost then: what was due is due again at the next poll.
        """
        stamp = self._recorder.stamp()
        now_ms = _timeline(stamp)
        window = self._window_at(now_ms, stamp)
        at_ms = now_ms - (stamp.mono_ms - observed.ended_ms)
        began_ms = now_ms - (stamp.mono_ms - observed.began_ms)
        self._polls.append((began_ms, _poll(observed, at_ms)))
        window = self._look(observed, window, now_ms, stamp)
        self._send_echo(window, now_ms, stamp)
        self._window = self._close_steps(window, now_ms, stamp)
        self._seen = stamp
        self._tell_outage(observed)
        self._put_down(self._window, stamp)

    def _window_at(self, now_ms: int, stamp: Stamp) -> Window:
        """Return the running window; where the clock changed or jumped it ends, and another begins."""
        if self._window is None or self._seen is None:
            return self._begin(now_ms, stamp)
        if not _has_jumped(self._seen, stamp):
            return self._window
        if self._window.states:
            self._end(self._window, self._seen)
        self._polls.clear()
        self._last = self._echo_seen = None
        return coverage.begin_here(now_ms, self._terms.step_ms, self._terms.steps)

    def _begin(self, now_ms: int, stamp: Stamp) -> Window:
        """Begin the first window of this run: the one on disk goes on if it is still the same.

        Any other one ends there, completed if its end has passed: no letter of it is lost by a restart.
        """
        fresh = coverage.begin(now_ms, self._terms.step_ms, self._terms.steps)
        saved, self._saved = self._saved, None
        if saved is None or not saved.window.states:
            return fresh
        is_same_time = saved.seen.t_ms is not None and stamp.t_ms is not None
        if is_same_time and (saved.window.step_ms, _end_ms(saved.window)) == (fresh.step_ms, _end_ms(fresh)):
            return coverage.fill_off(saved.window, now_ms)
        has_passed = is_same_time and _end_ms(saved.window) <= fresh.start_ms
        self._end(coverage.fill_off(saved.window, _end_ms(saved.window)) if has_passed else saved.window, saved.seen)
        return fresh

    def _look(self, observed: Observed, window: Window, now_ms: int, stamp: Stamp) -> Window:
        """Let the diagnosis go on; what it finds now also names the cause of steps that were closed meanwhile."""
        if self._diagnosis is None:
            return window
        before = self._diagnosis.cause
        self._diagnosis.on_poll(observed)
        if self._diagnosis.cause == before:
            return window
        since_ms = now_ms - (stamp.mono_ms - self._diagnosis.since_ms)
        return coverage.restate(window, since_ms, self._diagnosis.cause)

    def _link_cause(self) -> Cause | None:
        if self._is_closed():
            return Cause.DATA_EXHAUSTED
        return None if self._diagnosis is None else self._diagnosis.cause

    def _send_echo(self, window: Window, now_ms: int, stamp: Stamp) -> None:
        """Send the step's echo once its instant has come; each probe has its own, or a fleet would knock at once.

        If no other poll is to be expected in this step, it is sent now.
        """
        step_ms = window.next_step_ms
        is_last_chance = now_ms + self._terms.poll_ms >= step_ms + window.step_ms
        if self._echo_step_ms == step_ms or (now_ms < step_ms + _offset_ms(self._terms) and not is_last_chance):
            return
        self._echo_step_ms, self._echo_seen = step_ms, self._echo()
        if self._diagnosis is not None:
            self._diagnosis.on_echo(self._echo_seen, stamp.mono_ms)

    def _close_steps(self, window: Window, now_ms: int, stamp: Stamp) -> Window:
        """Give every step that has ended its letter. The last one of a window waits for a look that is under way."""
        while now_ms >= (end_ms := window.next_step_ms + window.step_ms):
            if len(window.states) + 1 == window.length and self._is_looking():
                break
            polls = [poll for began_ms, poll in self._polls if began_ms < end_ms and poll.at_ms >= window.next_step_ms]
            carried = self._carried(window.next_step_ms)
            window = coverage.close_step(window, polls, self._echo_seen, carried, self._link_cause())
            self._echo_seen, self._is_noted = None, False
            self._last = next((poll for _, poll in reversed(self._polls) if poll.at_ms < end_ms), self._last)
            self._polls = [(began, poll) for began, poll in self._polls if poll.at_ms >= end_ms]
            if window.is_full:
                self._end(window, stamp)
                window = Window(end_ms, self._terms.step_ms, self._terms.steps)
        return window

    def _is_looking(self) -> bool:
        """Whether a window's end is worth waiting for; a look that hangs is given up in 45 s."""
        return self._diagnosis is not None and self._diagnosis.is_pending

    def _put_down(self, window: Window, stamp: Stamp) -> None:
        """Keep what is due. The running window is noted in the same commit: a kill between tells no step twice."""
        if (over := len(self._due) - HELD_RECORDS) >= 0:
            del self._due[:over]
            self._recorder.press(over)
        alive = {} if stamp.t_ms is None else {"alive_ms": str(stamp.t_ms)}
        saved = _Saved(window, stamp, self._turn + 1)
        marks = {f"coverage {self._terms.modem}": msgspec.json.encode(saved).decode()} | alive
        while self._due:
            try:
                self._recorder.keep(self._due[0], marks)
                self._is_noted, self._turn = True, saved.turn
            except Refused:
                log.exception("record of modem %s breaks the contract and is lost", self._terms.modem)
            del self._due[0]
        if not self._is_noted:
            if self._slate is None:
                self._recorder.remember(marks)
            else:
                self._slate.note(marks)
            self._is_noted, self._turn = True, saved.turn

    def _carried(self, step_ms: int) -> Poll | None:
        """The last poll before a step, if it is at most two intervals old: a step may fall between two polls."""
        last = self._last
        return last if last is not None and step_ms - last.at_ms <= 2 * self._terms.poll_ms else None

    def _end(self, window: Window, seen: Stamp) -> None:
        """Make the record of a window, stamped with the moment at which its first letter begins."""
        rx_bytes, tx_bytes = self._moved()
        self._is_noted = False
        self._due.append(
            CoverageRecord(
                **self._recorder.head(_at(window.start_ms, seen)),
                modem=self._terms.modem,
                referral=self._terms.referral,
                plmn=self._terms.plmn,
                step_ms=window.step_ms,
                states=window.states,
                causes=window.causes,
                rx_bytes=rx_bytes,
                tx_bytes=tx_bytes,
                **asdict(coverage.figures(window)),
            )
        )

    def _moved(self) -> tuple[int | None, int | None]:
        """Bytes of the modem's link since the last record; None if the link was replaced or is missing."""
        before, now = self._counted_from, self._link_bytes()
        self._counted_from = now
        if before is None or now is None or now[0] < before[0] or now[1] < before[1]:
            return None, None
        return now[0] - before[0], now[1] - before[1]

    def _tell_outage(self, observed: Observed) -> None:
        """Tell begin and end of an outage: of the modem after two polls, of what lies behind it when it is found."""
        cause, found_ms = observed.cause, None
        was_found, self._was_found = self._was_found, False
        if cause is None and self._diagnosis is not None:
            cause = self._diagnosis.cause
            self._was_found = cause is not None
            if cause is not None:
                found_ms = self._diagnosis.since_ms
            elif was_found:
                found_ms = observed.ended_ms
        self._outage, told = outage.step(self._outage, cause, observed.ended_ms, sure_since_ms=found_ms)
        for one in told:
            log.info("event=%s modem=%s cause=%s", one.event, self._terms.modem, one.cause.value)
            self._due.append(
                EventRecord(
                    **self._recorder.head(),
                    event=one.event,
                    modem=self._terms.modem,
                    stage=one.stage,
                    cause=one.cause,
                    duration_ms=one.duration_ms,
                )
            )


def _timeline(stamp: Stamp) -> int:
    """Return now on the time that windows lie on: UTC while the clock is trusted, else time since boot."""
    return stamp.mono_ms if stamp.t_ms is None else stamp.t_ms


def _has_jumped(before: Stamp, now: Stamp) -> bool:
    """True if the two do not lie on one time."""
    if (before.t_ms is None) != (now.t_ms is None):
        return True
    return abs(_timeline(now) - now.mono_ms - (_timeline(before) - before.mono_ms)) > _JUMP_MS


def _at(start_ms: int, seen: Stamp) -> Stamp:
    """Return the stamp of an earlier moment, `start_ms` on the time of `seen`, by the clock that saw it."""
    mono_ms = max(0, seen.mono_ms - (_timeline(seen) - start_ms))
    return replace(seen, mono_ms=mono_ms, t_ms=None if seen.t_ms is None else start_ms)


def _end_ms(window: Window) -> int:
    return window.start_ms + window.length * window.step_ms


def _offset_ms(terms: Terms) -> int:
    """Where in a step this modem's echo goes out: in the first half."""
    drawn = sha256(f"{terms.probe} {terms.modem}".encode()).digest()[0]
    return terms.step_ms * drawn // 512


def _load(text: str | None) -> _Saved | None:
    """Read a saved window; None if there is none, or an older program wrote it in another form."""
    try:
        return None if text is None else msgspec.json.decode(text, type=_Saved)
    except msgspec.DecodeError:
        return None


def _poll(observed: Observed, at_ms: int) -> Poll:
    reading = observed.reading
    if reading is None:
        return Poll(at_ms, observed.cause)
    return Poll(
        at_ms=at_ms,
        cause=observed.cause,
        rat=reading.rat,
        eci=reading.eci,
        rsrp_dbm_x10=reading.rsrp_dbm_x10,
        rsrq_db_x10=reading.rsrq_db_x10,
        sinr_db_x10=reading.sinr_db_x10,
    )
