"""What lies between a site's modem and the core: rates, delay, queue, loss, promotion, policing. Pure but for traces.

A trace is named in words: `cellular:SEED` (a generated 4G link around the direction's rate; `cellular:SEED:own` around
a mean of the seed's own), `steps:20mbit*2s,5mbit*500ms`, or the path of a file in mahimahi's format.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from sim import cellular, rates
from sim.relay_core import Plan, Radio, Shape
from wire.errors import Misconfigured

DIRECTIONS = ("downlink", "uplink")
PACKET_BYTES = 1_500
_MS_NS, _S_NS = 1_000_000, 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """The link of a site. All but the two rates is for the shaper `relay`; `tbf` has no delay and a queue of 150 ms.

    `delay_ms` is one way, the same both ways unless `uplink_delay_ms` says otherwise. The queue of a direction is
    `queue_ms` of its (mean) rate, or `queue_bytes`. `promotion_*_ms`: how long a radio takes to wake that had no packet
    for `idle_s`; 0 is never asleep. `police_bytes` counts both directions; None polices nothing.
    """

    downlink_bps: int = 20_000_000
    uplink_bps: int = 8_000_000
    delay_ms: float = 25.0
    uplink_delay_ms: float | None = None
    queue_ms: float = 250.0
    queue_bytes: int | None = None
    loss_ppm: int = 0
    downlink_trace: str | None = None
    uplink_trace: str | None = None
    trace_offset_s: float = 0.0
    promotion_low_ms: float = 0.0
    promotion_high_ms: float = 0.0
    idle_s: float = 10.0
    police_bytes: int | None = None
    police_bps: int = 1_000_000
    seed: int = 1

    @property
    def rtt_ms(self) -> float:
        """Round trip over an empty link, ms."""
        return self.delay_ms + (self.delay_ms if self.uplink_delay_ms is None else self.uplink_delay_ms)


FIELDS = tuple(field.name for field in fields(Air))
# What only the relay can do.
RELAY_ONLY = (
    *("uplink_delay_ms", "queue_bytes", "loss_ppm", "downlink_trace", "uplink_trace", "promotion_low_ms"),
    *("promotion_high_ms", "police_bytes"),
)
_RANGES: dict[str, tuple[float, float]] = {
    "downlink_bps": (10_000, 10_000_000_000),
    "uplink_bps": (10_000, 10_000_000_000),
    "delay_ms": (0, 10_000),
    "uplink_delay_ms": (0, 10_000),
    "queue_ms": (1, 60_000),
    "queue_bytes": (PACKET_BYTES, 1_000_000_000),
    "loss_ppm": (0, 1_000_000),
    "trace_offset_s": (0, 86_400),
    "promotion_low_ms": (0, 60_000),
    "promotion_high_ms": (0, 60_000),
    "idle_s": (0.1, 86_400),
    "police_bytes": (0, 1 << 50),
    "police_bps": (10_000, 10_000_000_000),
}


def of(whole: Any) -> Air:
    """The link part of a site's specification."""
    return Air(**{name: getattr(whole, name) for name in FIELDS})


def check(air: Air) -> None:
    """Raises Misconfigured, in one sentence, if no link can be like this."""
    for name, (low, high) in _RANGES.items():
        value = getattr(air, name)
        if value is not None and not low <= value <= high:
            raise Misconfigured(f"{name} {value:g} is out of range; it is {low:g} to {high:g}")
    if air.promotion_high_ms < air.promotion_low_ms:
        raise Misconfigured("the longest promotion is shorter than the shortest; write it like 300-600")
    for direction in DIRECTIONS:
        rates_of(air, direction)


def rates_of(air: Air, direction: str) -> rates.Rates:
    """The rates of a direction. Raises Misconfigured if its trace cannot be read."""
    rate_bps = int(getattr(air, f"{direction}_bps"))
    trace: str | None = getattr(air, f"{direction}_trace")
    if trace is None:
        return rates.constant(rate_bps)
    kind, _, rest = trace.partition(":")
    try:
        if kind == "cellular":
            return fading_of(air, direction).rates
        return rates.stepped(rest) if kind == "steps" else _file(trace)
    except (ValueError, OSError) as error:
        raise Misconfigured(f"trace {trace!r} cannot be used: {error}") from error


def fading_of(air: Air, direction: str) -> cellular.Fading:
    """The generated link of a direction whose trace is `cellular:...`; the directions of one seed are independent.

    Raises ValueError if the words are wrong.
    """
    words = str(getattr(air, f"{direction}_trace")).split(":")[1:]
    if not words or not words[0].isdecimal() or words[1:] not in ([], ["own"]):
        raise ValueError("write it like cellular:7, or cellular:7:own for a mean that the seed chooses")
    return _fading(f"{words[0]}:{direction}", None if words[1:] else int(getattr(air, f"{direction}_bps")))


def shape_of(air: Air, direction: str) -> Shape:
    """One direction as the relay plays it."""
    its_rates = rates_of(air, direction)
    delay_ms = air.uplink_delay_ms if direction == "uplink" and air.uplink_delay_ms is not None else air.delay_ms
    room = air.queue_bytes or max(2 * PACKET_BYTES, round(its_rates.mean_bps * air.queue_ms / 8_000))
    return Shape(its_rates, round(delay_ms * _MS_NS), room, air.loss_ppm)


def radio_of(air: Air) -> Radio | None:
    """The radio that falls asleep, or None if it never does."""
    if air.promotion_high_ms <= 0:
        return None
    draw = random.Random(f"radio:{air.seed}").random  # noqa: S311 - a repeatable link, nothing secret
    low_ns, high_ns = round(air.promotion_low_ms * _MS_NS), round(air.promotion_high_ms * _MS_NS)
    return Radio(round(air.idle_s * _S_NS), low_ns, high_ns, draw)


def plan_of(air: Air) -> Plan | None:
    """The data plan that is policed, or None."""
    return None if air.police_bytes is None else Plan(air.police_bytes, air.police_bps)


@lru_cache(maxsize=8)
def _fading(seed: str, mean_bps: int | None) -> cellular.Fading:
    return cellular.fading(seed, mean_bps)


def _file(path: str) -> rates.Rates:
    with Path(path).open(encoding="ascii") as lines:
        return rates.mahimahi(lines)
