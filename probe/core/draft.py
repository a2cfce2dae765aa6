"""The head of a record before the spool has given it its place in the chain.

A draft is a whole record with place (epoch 1, seq 0, no `prev`); `probe.recorder` replaces the place when it signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from probe.core.beacon import Named

ClockState = Literal["trusted", "unsynced", "suspect"]
TimeSource = Literal["gnss", "nitz", "ntp", "rtc", "none"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment: boot id (32 hex digits), milliseconds since boot, and UTC if the clock was trusted then."""

    boot: str
    mono_ms: int
    clock: ClockState
    t_src: TimeSource
    t_ms: int | None
    t_err_ms: int | None


@dataclass(frozen=True, slots=True)
class Identity:
    """What every record of this probe says of itself. `config_rev` None: no signed configuration is in force."""

    probe: str
    fw: str
    simulated: bool
    site: str | None
    config_rev: int | None = None


class Head(TypedDict):
    """Keyword arguments of every record's head."""

    v: Literal[1]
    probe: str
    epoch: int
    seq: int
    prev: str
    boot: str
    mono_ms: int
    clock: ClockState
    t_src: TimeSource
    fw: str
    simulated: bool
    t_ms: int | None
    t_err_ms: int | None
    site: str | None
    config_rev: int | None
    beacon_size: int | None
    beacon_root: str | None


def head(identity: Identity, stamp: Stamp, beacon: Named | None = None) -> Head:
    """Return the head of a draft begun at `stamp`; `beacon`: the log's checkpoint that was known then."""
    return Head(
        v=1,
        probe=identity.probe,
        epoch=1,
        seq=0,
        prev="",
        boot=stamp.boot,
        mono_ms=stamp.mono_ms,
        clock=stamp.clock,
        t_src=stamp.t_src,
        fw=identity.fw,
        simulated=identity.simulated,
        t_ms=stamp.t_ms,
        t_err_ms=stamp.t_err_ms,
        site=identity.site,
        config_rev=identity.config_rev,
        beacon_size=beacon.size if beacon else None,
        beacon_root=beacon.root if beacon else None,
    )
