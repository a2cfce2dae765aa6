"""From byte counts and round trips to the figures of a record. Pure arithmetic on integers.

The rate is that of the payload after the ramp: the start of its window is fixed once and nothing is trimmed,
because sliding or trimming windows is biased on cellular links.
Source: facts note 03 §5 rules 4 to 6, and §3.5 (trimming +15 %, sliding start +8 to +13 %); RFC 5481 §4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

BEGIN_BYTES = 20_000
"""A transfer has begun once so much payload has moved."""

BIN_US = 200_000
RAMP_LIMIT_US = 1_500_000
LEAST_WINDOW_US = 300_000
LEAST_LINK_SHARE = 0.85
"""Payload of a bulk transfer is at least this share of the link's bytes; below it others use the link too."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Counters at one instant since the start of a transfer.

    `payload_bytes` is what TCP received in order (downlink) or what the far end acknowledged (uplink);
    `link_bytes` is the interface's counter in the same direction, None if it could not be read.
    """

    at_us: int
    payload_bytes: int
    link_bytes: int | None


@dataclass(frozen=True, slots=True)
class Rate:
    """A mean rate and the window that it was measured in."""

    bps: int
    window_us: int


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Statistics of echoes. The figures in microseconds are None if no echo came back."""

    sent: int
    received: int
    us_min: int | None
    us_median: int | None
    us_p95: int | None
    pdv_us_p95: int | None


def begin_us(ticks: Sequence[Tick]) -> int | None:
    """When the transfer had moved its first 20 KB; None if it never did."""
    return next((tick.at_us for tick in ticks if tick.payload_bytes >= BEGIN_BYTES), None)


def ramp_end_us(ticks: Sequence[Tick]) -> int | None:
    """The end of the first 200-ms bin that grew by at most 15 %, at most 1.5 s in. None if it never began."""
    start = begin_us(ticks)
    if start is None:
        return None
    for edge in range(start + BIN_US, start + RAMP_LIMIT_US - BIN_US, BIN_US):
        if edge + BIN_US > ticks[-1].at_us:
            break
        before, after = _moved(ticks, edge - BIN_US, edge), _moved(ticks, edge, edge + BIN_US)
        if before > 0 and after * 100 <= before * 115:
            return edge + BIN_US
    return start + RAMP_LIMIT_US


def rate(ticks: Sequence[Tick], *, link_is_last: bool) -> Rate | None:
    """The payload rate between the end of the ramp and the last tick; None if no payload moved.

    If the transfer ended before 300 ms of it lay behind the ramp (a small byte cap on a fast link), the window
    is the whole transfer and the rate reads low.

    `link_is_last` (downlink): the interface counts what the bottleneck let through, so its bytes give the shape
    and the payload its share, for a hole in the TCP stream holds payload back, not the link. In the uplink the
    interface counts what enters the modem's queue: there the payload alone is used (-7 % otherwise, at 50 ms).
    """
    if len(ticks) < 2 or ticks[-1].payload_bytes <= ticks[0].payload_bytes:
        return None
    start, end = ramp_end_us(ticks), ticks[-1].at_us
    if start is None or end - start < LEAST_WINDOW_US:
        start = ticks[0].at_us
    moved = _moved(ticks, start, end)
    share = _link_share([tick for tick in ticks if tick.at_us >= start]) if link_is_last else None
    if share is not None:
        moved = round(_moved_on_link(ticks, start, end) * share)
    return Rate(moved * 8_000_000 // (end - start), end - start)


def longest_silence_us(ticks: Sequence[Tick]) -> int:
    """The longest time without payload between the first payload and the last tick."""
    silence, last = 0, None
    for old, new in pairwise(ticks):
        if new.payload_bytes > old.payload_bytes:
            last = new.at_us
        elif last is not None:
            silence = max(silence, new.at_us - last)
    return silence


def final_silence_us(ticks: Sequence[Tick]) -> int:
    """The time without payload before the last tick."""
    final = ticks[-1]
    return final.at_us - next((t.at_us for t in ticks if t.payload_bytes >= final.payload_bytes), final.at_us)


def round_trips(echoes: Sequence[int | None]) -> RoundTrips:
    """Summarise round trips in microseconds; None is a lost echo.

    `pdv_us_p95` is the 95th percentile less the minimum. Percentiles are observed values (nearest rank).
    """
    seen = sorted(echo for echo in echoes if echo is not None)
    if not seen:
        return RoundTrips(len(echoes), 0, None, None, None, None)
    p95 = seen[-(-len(seen) * 95 // 100) - 1]
    return RoundTrips(len(echoes), len(seen), seen[0], round(median(seen)), p95, p95 - seen[0])


def median(ordered: Sequence[int]) -> float:
    """The median of sorted values. (The library's own module costs a child 3 ms of its start.)"""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _moved(ticks: Sequence[Tick], start_us: int, end_us: int) -> int:
    points = [(tick.at_us, tick.payload_bytes) for tick in ticks]
    return _at(points, end_us) - _at(points, start_us)


def _moved_on_link(ticks: Sequence[Tick], start_us: int, end_us: int) -> int:
    points = [(tick.at_us, tick.link_bytes or 0) for tick in ticks]
    return _at(points, end_us) - _at(points, start_us)


def _at(points: Sequence[tuple[int, int]], at_us: int) -> int:
    """Bytes at an instant, straight between the counts around it."""
    for (old_us, old), (new_us, new) in pairwise(points):
        if at_us <= new_us:
            return old + (new - old) * max(0, at_us - old_us) // max(1, new_us - old_us)
    return points[-1][1]


def _link_share(ticks: Sequence[Tick]) -> float | None:
    """Payload per byte on the link, where no hole held payload back; None if the two do not belong together."""
    if any(not tick.link_bytes for tick in ticks):
        return None
    share = max((tick.payload_bytes / tick.link_bytes for tick in ticks if tick.link_bytes), default=0.0)
    return share if LEAST_LINK_SHARE <= share <= 1.0 else None
