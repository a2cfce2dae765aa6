"""Coverage of one modem, live: the owner's polls and one echo a step in, a record a window and outage events out.

The windows lie on the wall clock while it is trusted and on monotonic time otherwise. What has been seen of a window
is on disk after each step, so a restart loses no letter of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256

import msgspec

from probe.core import coverage, outage
from probe.core.coverage import EchoSeen, Poll, Window
from probe.core.draft import Stamp
from probe.owner import Observed
from probe.recorder import Recorder
from wire.errors import Refused
from wire.records import CoverageRecord

log = logging.getLogger(__name__)
_JUMP_MS = 2_000


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
    """A window as it lies on disk between steps."""

    window: Window
    boot: str
    is_dated: bool


class CoverageKeeper:
    """Keeps the coverage of one modem; called by the modem's owner only, so it needs no lock.

    `echo` sends one echo (None: no echo is wanted now); `link_bytes` reads (rx, tx) of the modem's link, None if it
    is missing.
    """

    def __init__(
        self,
        terms: Terms,
        recorder: Recorder,
        *,
        echo: Callable[[], EchoSeen | None],
        link_bytes: Callable[[], tuple[int, int] | None],
        saved: str | None,
    ) -> None:
        self._terms, self._recorder = terms, recorder
        self._echo, self._link_bytes = echo, link_bytes
        self._outage = outage.Outage()
        self._polls: list[tuple[int, Poll]] = []
        self._last: Poll | None = None
        self._echo_seen: EchoSeen | None = None
        self._echo_step_ms: int | None = None
        self._zero: tuple[str, int] | None = None
        self._counted_from = link_bytes()
        self._window: Window | None = None
        self._saved = _load(saved)

    def on_poll(self, observed: Observed) -> None:
        """Take one poll of the modem. Raises Unavailable if the spool cannot take what follows from it."""
        stamp = self._recorder.stamp()
        self._tell_outage(observed)
        now_ms = self._timeline(stamp)
        at_ms = now_ms - (stamp.mono_ms - observed.ended_ms)
        began_ms = now_ms - (stamp.mono_ms - observed.began_ms)
        window = self._window or self._begin(now_ms, stamp)
        self._polls.append((began_ms, _poll(observed, at_ms)))
        self._send_echo(window, now_ms)
        self._window = self._close_steps(window, now_ms, stamp)

    def _timeline(self, stamp: Stamp) -> int:
        """Return the time that windows lie on; when it changes or jumps, the running window ends where it is."""
        now_ms = stamp.mono_ms if stamp.t_ms is None else stamp.t_ms
        zero = ("mono" if stamp.t_ms is None else "wall", now_ms - stamp.mono_ms)
        known, self._zero = self._zero, zero
        if known is not None and (known[0] != zero[0] or abs(known[1] - zero[1]) > _JUMP_MS):
            if self._window is not None and self._window.states:
                self._emit(self._window, stamp, stamp.mono_ms + known[1], is_dated=known[0] == "wall")
            self._window = coverage.begin_here(now_ms, self._terms.step_ms, self._terms.steps)
            self._polls.clear()
            self._last = None
        return now_ms

    def _begin(self, now_ms: int, stamp: Stamp) -> Window:
        """Begin the first window of this run: the one on disk goes on if it is still the same."""
        fresh = coverage.begin(now_ms, self._terms.step_ms, self._terms.steps)
        saved, self._saved = self._saved, None
        if saved is None or not saved.is_dated or stamp.t_ms is None:
            return fresh
        shape = (self._terms.step_ms, fresh.start_ms + self._terms.step_ms * self._terms.steps)
        if (saved.window.step_ms, _end_ms(saved.window)) == shape:
            return coverage.fill_off(saved.window, now_ms)
        if _end_ms(saved.window) <= fresh.start_ms:
            whole = coverage.fill_off(saved.window, _end_ms(saved.window))
            self._emit(whole, stamp, now_ms, is_dated=True)
        return fresh

    def _send_echo(self, window: Window, now_ms: int) -> None:
        """Send the step's echo once its instant has come; each probe has its own, or a fleet would knock at once.

        If no other poll is to be expected in this step, it is sent now.
        """
        step_ms = window.next_step_ms
        is_last_chance = now_ms + self._terms.poll_ms >= step_ms + window.step_ms
        if self._echo_step_ms == step_ms or (now_ms < step_ms + _offset_ms(self._terms) and not is_last_chance):
            return
        self._echo_step_ms, self._echo_seen = step_ms, self._echo()

    def _close_steps(self, window: Window, now_ms: int, stamp: Stamp) -> Window:
        is_changed = False
        while now_ms >= (end_ms := window.next_step_ms + window.step_ms):
            polls = [poll for began_ms, poll in self._polls if began_ms < end_ms and poll.at_ms >= window.next_step_ms]
            window = coverage.close_step(window, polls, self._echo_seen, self._carried(window.next_step_ms))
            self._echo_seen, is_changed = None, True
            self._last = next((poll for _, poll in reversed(self._polls) if poll.at_ms < end_ms), self._last)
            self._polls = [(began, poll) for began, poll in self._polls if poll.at_ms >= end_ms]
            if window.is_full:
                self._emit(window, stamp, now_ms, is_dated=stamp.t_ms is not None)
                window = Window(end_ms, self._terms.step_ms, self._terms.steps)
        if is_changed:
            saved = _Saved(window, stamp.boot, stamp.t_ms is not None)
            alive = {} if stamp.t_ms is None else {"alive_ms": str(stamp.t_ms)}
            self._recorder.remember({self._mark: msgspec.json.encode(saved).decode()} | alive)
        return window

    def _carried(self, step_ms: int) -> Poll | None:
        """The last poll before a step, if it is at most two intervals old: a step may fall between two polls."""
        last = self._last
        return last if last is not None and step_ms - last.at_ms <= 2 * self._terms.poll_ms else None

    @property
    def _mark(self) -> str:
        return f"coverage {self._terms.modem}"

    def _emit(self, window: Window, stamp: Stamp, now_ms: int, *, is_dated: bool) -> None:
        """Keep the record of a window, stamped with the moment at which its first letter begins."""
        rx_bytes, tx_bytes = self._moved()
        begun = Stamp(
            boot=stamp.boot,
            mono_ms=max(0, stamp.mono_ms - (now_ms - window.start_ms)),
            clock=stamp.clock if is_dated == (stamp.t_ms is not None) else "unsynced",
            t_src=stamp.t_src if is_dated else "none",
            t_ms=window.start_ms if is_dated and stamp.t_ms is not None else None,
            t_err_ms=stamp.t_err_ms if is_dated else None,
        )
        record = CoverageRecord(
            **self._recorder.head(begun),
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
        try:
            self._recorder.keep(record)
        except Refused:
            log.exception("coverage record of modem %s breaks the contract and is lost", self._terms.modem)

    def _moved(self) -> tuple[int | None, int | None]:
        """Bytes of the modem's link since the last record; None if the link was replaced or is missing."""
        before, now = self._counted_from, self._link_bytes()
        self._counted_from = now
        if before is None or now is None or now[0] < before[0] or now[1] < before[1]:
            return None, None
        return now[0] - before[0], now[1] - before[1]

    def _tell_outage(self, observed: Observed) -> None:
        self._outage, told = outage.step(self._outage, observed.cause, observed.ended_ms)
        for one in told:
            log.info("event=%s modem=%s cause=%s", one.event, self._terms.modem, one.cause.value)
            self._recorder.event(
                one.event, modem=self._terms.modem, stage=one.stage, cause=one.cause, duration_ms=one.duration_ms
            )


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
