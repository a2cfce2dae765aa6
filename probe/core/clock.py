"""Whether the wall clock may date a record, and when it has been set.

The test is the kernel's own bound of its error (`adjtimex.maxerror` below 16 s, as timedatectl does), never the
STA_UNSYNC bit; and a floor of sanity, since a receiver past its week rollover is wrong by decades.
A Pi has no clock of its own: with the receiver alone it still dates its records, a second wrong at most.
Source: facts note 05 §3.4; adjtimex(2); design §5, Clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from probe.core.draft import ClockState, Stamp, TimeSource

MAX_ERROR_US = 16_000_000
JUMP_MS = 2_000
_YEAR_MS = 31_557_600_000
SANE_YEARS = 15
ROLLOVER_MS = 1024 * 7 * 86_400_000
GNSS_HOLDS_MS = 3_600_000
GNSS_ERROR_MS = 1_000
"""USB, gpsd and our polls together: the receiver's time is at most this old when it is read."""
DRIFT_PPM = 200

Trust = Literal["adjtimex", "always"]


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the kernel said at one moment. `max_error_us` None: it would not tell."""

    boot: str
    mono_ms: int
    wall_ms: int
    max_error_us: int | None


@dataclass(frozen=True, slots=True)
class GnssTime:
    """The receiver's time at one moment: UTC milliseconds as it said them, and the monotonic clock then."""

    t_ms: int
    mono_ms: int


def unrolled(t_ms: int, floor_ms: int) -> int:
    """Undo the week rollover of an old receiver: it is wrong by whole 1,024 weeks, and never before the floor."""
    behind = floor_ms - t_ms
    return t_ms if behind <= 0 else t_ms + -(-behind // ROLLOVER_MS) * ROLLOVER_MS


def judge(reading: ClockReading, trust: Trust, floor_ms: int, gnss: GnssTime | None = None) -> Stamp:
    """Make a stamp of a reading; `floor_ms` is the build date of this program.

    While the kernel's clock cannot be believed, a satellite receiver that told the time within the last hour dates the
    record (`gnss`). `trust` "always" takes the host's clock as it is (a container or a demonstration whose host keeps
    the time): its error is then unknown (None), and its source `rtc`.
    """
    state, source = _state(reading, trust, floor_ms)
    if state != "trusted" and (by_gnss := _by_gnss(reading, gnss, floor_ms)) is not None:
        return by_gnss
    is_trusted = state == "trusted"
    error_us = reading.max_error_us if trust == "adjtimex" else None
    return Stamp(
        boot=reading.boot,
        mono_ms=reading.mono_ms,
        clock=state,
        t_src=source,
        t_ms=reading.wall_ms if is_trusted else None,
        t_err_ms=None if error_us is None or not is_trusted else -(-error_us // 1000),
    )


def _by_gnss(reading: ClockReading, gnss: GnssTime | None, floor_ms: int) -> Stamp | None:
    """The stamp that the receiver's time gives; None if it told none of late, or one that cannot be."""
    if gnss is None or not 0 <= reading.mono_ms - gnss.mono_ms <= GNSS_HOLDS_MS:
        return None
    age_ms = reading.mono_ms - gnss.mono_ms
    t_ms = unrolled(gnss.t_ms, floor_ms) + age_ms
    if t_ms > floor_ms + SANE_YEARS * _YEAR_MS:
        return None
    return Stamp(
        boot=reading.boot,
        mono_ms=reading.mono_ms,
        clock="trusted",
        t_src="gnss",
        t_ms=t_ms,
        t_err_ms=GNSS_ERROR_MS + age_ms * DRIFT_PPM // 1_000_000,
    )


def _state(reading: ClockReading, trust: Trust, floor_ms: int) -> tuple[ClockState, TimeSource]:
    if not floor_ms <= reading.wall_ms <= floor_ms + SANE_YEARS * _YEAR_MS:
        return "suspect", "none"
    if trust == "always":
        return "trusted", "rtc"
    if reading.max_error_us is None or reading.max_error_us >= MAX_ERROR_US:
        return "unsynced", "none"
    return "trusted", "ntp"


@dataclass(frozen=True, slots=True)
class ClockWatch:
    """What the watch remembers: the wall time at boot, as the last trusted stamp implied it; None before one."""

    boot_wall_ms: int | None = None


def watch(state: ClockWatch, stamp: Stamp) -> tuple[ClockWatch, bool]:
    """Return the next state, and whether a `clock_set` event is due.

    It is due when the clock becomes trusted for the first time in this boot, and when it jumped by more than 2 s
    against monotonic time: records of this boot are then dated by the event.
    """
    if stamp.t_ms is None:
        return state, False
    boot_wall_ms = stamp.t_ms - stamp.mono_ms
    known = state.boot_wall_ms
    is_set = known is None or abs(boot_wall_ms - known) > JUMP_MS
    return replace(state, boot_wall_ms=boot_wall_ms), is_set
