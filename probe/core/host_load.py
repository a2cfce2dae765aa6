"""How busy the host was while bytes moved over a link, and what it could move at most by that. Pure.

A transfer is a single thread's work plus the kernel's own for the link (USB, drivers), and neither can use more than
one core: so the rate at which the busiest core would be full is the rate divided by that core's busy share.
Source: issue of the measuring engine, item 6; proc(5), /proc/stat; USB 2.0 §5.8.4 for what a bulk pipe carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

FULL_SHARE = 0.8
"""Only moments count in which the link moved at least this share of its best one: ramps and pauses do not."""

LEAST_BUSY_PPM = 10_000
LEAST_BPS = 100_000
BUS_SHARE_PPM = 700_000
"""A USB pipe's payload of the bus's signalling rate, at most; assumed, drivers differ."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Counts at one instant: bytes of the link each way, and of each core the ticks that it was busy and in all."""

    at_us: int
    rx_bytes: int
    tx_bytes: int
    cores: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Load:
    """One direction at its fastest: bits a second on the link, and the busiest core's share of busy time."""

    link_bps: int
    busy_ppm: int

    @property
    def ceiling_bps(self) -> int:
        """What this host could move at most over that link, if work grows with the rate."""
        return self.link_bps * 1_000_000 // max(self.busy_ppm, LEAST_BUSY_PPM)


def cores_of(stat: str) -> tuple[tuple[int, int], ...]:
    """Busy and all ticks of each core from the text of /proc/stat; waiting for a disk is not busy."""
    found = []
    for line in stat.splitlines():
        words = line.split()
        if words and words[0][:3] == "cpu" and words[0] != "cpu":
            ticks = [int(word) for word in words[1:9]]
            found.append((sum(ticks) - ticks[3] - ticks[4], sum(ticks)))
    return tuple(found)


def load_of(moments: Sequence[Moment], *, is_uplink: bool) -> Load | None:
    """The load while the direction moved at its fastest; None if it moved next to nothing."""
    spans = [(old, new, _bps(old, new, is_uplink=is_uplink)) for old, new in pairwise(moments)]
    best_bps = max((bps for _, _, bps in spans), default=0)
    if best_bps < LEAST_BPS:
        return None
    full = [(old, new) for old, new, bps in spans if bps >= best_bps * FULL_SHARE]
    span_us = sum(new.at_us - old.at_us for old, new in full)
    moved = sum(_moved(old, new, is_uplink=is_uplink) for old, new in full)
    return Load(moved * 8_000_000 // span_us, _busiest_ppm(full))


def bus_ceiling_bps(speed_mbit: int | None) -> int | None:
    """What a USB port of this signalling rate carries at most; None if it is not known."""
    return None if speed_mbit is None else speed_mbit * BUS_SHARE_PPM


def _busiest_ppm(full: Sequence[tuple[Moment, Moment]]) -> int:
    shares = []
    for core in range(min(len(one.cores) for pair in full for one in pair)):
        busy = sum(new.cores[core][0] - old.cores[core][0] for old, new in full)
        in_all = sum(new.cores[core][1] - old.cores[core][1] for old, new in full)
        shares.append(busy * 1_000_000 // in_all if in_all > 0 else 0)
    return max(shares, default=0)


def _moved(old: Moment, new: Moment, *, is_uplink: bool) -> int:
    return new.tx_bytes - old.tx_bytes if is_uplink else new.rx_bytes - old.rx_bytes


def _bps(old: Moment, new: Moment, *, is_uplink: bool) -> int:
    span_us = new.at_us - old.at_us
    return _moved(old, new, is_uplink=is_uplink) * 8_000_000 // span_us if span_us > 0 else 0
