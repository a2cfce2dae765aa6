"""The clock and scales of one transfer: samples counters every 50 ms and ends the transfer when it is due.

It runs beside the library that moves the bytes and does not trust its figures: payload is what TCP counts
(received in order; acknowledged by the far end), next to it stands the modem link's own counter.
Source: facts note 03 §4 (link that dies mid-test, uplink counted when given to the kernel) and §5.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import Enum

from probe.core.estimate import Tick, begin_us
from probe.devices import links
from probe.devices.bound import Traffic

TICK_S = 0.05
START_LIMIT_US = 3_000_000
SILENCE_LIMIT_US = 2_000_000
TAIL_TICKS = 4  # 200 ms of bytes are still under way when a transfer is stopped


class Direction(Enum):
    """Which of the two counters counts: the value is its place in `Traffic.totals` and `links.read_bytes`."""

    DOWNLINK = 0
    UPLINK = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """When a transfer ends: `duration_us` after it began, or before the link has moved `most_bytes`."""

    duration_us: int
    most_bytes: int | None


class StopFlag:
    """What speedtest-cli asks before each read and write whether to go on (its name for it is not ours)."""

    def __init__(self) -> None:
        self.is_set = False

    def isSet(self) -> bool:  # noqa: N802
        """Whether the transfer is over."""
        return self.is_set


class Meter(threading.Thread):
    """Measures one transfer from `start()` to `finish()`.

    `stop` is why it ended: time, bytes, or error (silent for 2 s, or never begun); None while the library ends
    by itself. `ticks` are the samples, times in microseconds since the start.
    """

    def __init__(self, traffic: Traffic, direction: Direction, iface: str, limits: Limits, flag: StopFlag) -> None:
        super().__init__(daemon=True)
        self.ticks: list[Tick] = []
        self.stop: str | None = None
        self._traffic = traffic
        self._place = direction.value
        self._iface = iface
        self._limits = limits
        self._flag = flag
        self._over = threading.Event()
        self._base_payload = self._base_link = 0
        self._start_ns = 0
        self._moved_us = 0

    def run(self) -> None:
        """Sample until finished. After the stop it keeps aborting: a thread may open one more connection."""
        self._start_ns = time.monotonic_ns()
        self._base_link = self._link() or 0
        self._base_payload = self._payload()
        self._sample()
        while not self._over.wait(TICK_S):
            if self._flag.is_set:
                self._traffic.abort()
                continue
            self._sample()
            self.stop = self._why_stop()
            if self.stop is not None:
                self._flag.is_set = True
                self._traffic.abort()

    def finish(self) -> None:
        """The library is done: stop sampling, with one last sample if it ended by itself."""
        self._over.set()
        self.join()
        if not self._flag.is_set:
            self._sample()
        self._flag.is_set = True
        self._traffic.abort()

    @property
    def payload_bytes(self) -> int:
        """Payload moved so far, the tail after the stop included."""
        return self._payload() - self._base_payload

    def _payload(self) -> int:
        return self._traffic.totals()[self._place]

    def _link(self) -> int | None:
        counters = links.read_bytes(self._iface)
        return None if counters is None else counters[self._place]

    def _sample(self) -> None:
        # Payload first: what it counts has passed the link by the time that the link is read.
        payload = self._payload() - self._base_payload
        at_us = (time.monotonic_ns() - self._start_ns) // 1000
        link = self._link()
        if not self.ticks or payload > self.ticks[-1].payload_bytes:
            self._moved_us = at_us
        self.ticks.append(Tick(at_us, payload, None if link is None else link - self._base_link))

    def _why_stop(self) -> str | None:
        now = self.ticks[-1]
        begun_us = begin_us(self.ticks)
        if self._is_full():
            return "bytes"
        if begun_us is not None and now.at_us - begun_us >= self._limits.duration_us:
            return "time"
        if now.at_us >= self._limits.duration_us + START_LIMIT_US:
            return "time" if now.payload_bytes else "error"
        silent_us = now.at_us - self._moved_us
        return "error" if now.payload_bytes and silent_us >= SILENCE_LIMIT_US else None

    def _is_full(self) -> bool:
        """Whether the bytes of the next 200 ms could pass the limit."""
        if self._limits.most_bytes is None or len(self.ticks) < 2:
            return False
        old, now = (max(tick.payload_bytes, tick.link_bytes or 0) for tick in self.ticks[-2:])
        return now + TAIL_TICKS * (now - old) >= self._limits.most_bytes
