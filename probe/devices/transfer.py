"""One transfer of our engine: a few TCP connections in one thread, woken by a 10-ms timer.

A timer costs a seventh of what a wake-up for every packet does. Beside what TCP says of the connections stands the
interface's own counter.
Source: facts note 03 §5 rules 1 to 3, 7.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from probe.core import engine_echo
from probe.core.engine import MOST_FLOWS, Estimator, Outcome
from probe.core.engine_ramp import BEGIN_BYTES
from probe.core.engine_sample import Sample
from probe.devices import links
from probe.devices.connection import READ_BYTES, Connection, Order
from probe.devices.ticket_echo import TicketEcho

TICK_S = 0.01
EARLY_TICK_S = 0.002
"""Before the first byte: what waits for a tick then makes the whole test longer."""

SAMPLE_S = 0.05
CLOSELY_BYTES = 3 * BEGIN_BYTES
"""Until so much has come every tick is a sample: when it began, and how it grows, decide what follows."""

RAMP_SAMPLE_S = 0.02
"""Until the ramp has ended."""

ECHO_S = 0.25
SETTLE_LIMIT_S = 3.0
SETTLE_STEP_S = 0.1
QUIET_BYTES = 4096
_ETHERNET_BYTES = 14
_SEND_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Moved:
    """What a transfer gave. `echoes` are loaded round trips in microseconds, `flows` connections that moved bytes.

    `cause` is None if the rate may be believed, else a word of `wire.failure`: why all connections ended, or the
    outcome's own.
    """

    cause: str | None
    outcome: Outcome
    estimator: Estimator
    flows: int
    echoes: tuple[int | None, ...]
    cpu_s: float
    wall_s: float


class Transfer:
    """Moves bytes one way until the estimator has enough. Used once.

    Connections are opened when it is made, while something else is waited for, and rest until `run`.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._echo: TicketEcho | None = None
        self._estimator = Estimator(order.terms)
        self._buffers = bytearray(READ_BYTES), memoryview(os.urandom(_SEND_BYTES if order.is_uplink else 1))
        self._connections = [Connection(order, self._buffers, number) for number in range(MOST_FLOWS)]
        self._place = 1 if order.is_uplink else 0
        self._base_link, self._base_echoes = 0, 0
        self._started_ns = 0

    def run(self, echo: TicketEcho | None = None) -> Moved:
        """Run to the end, a failure of the network included; returns when the tail has passed the link.

        `echo` tells the round trip under load.
        """
        self._echo = echo
        cpu_s, self._started_ns = time.process_time(), time.monotonic_ns()
        self._base_link, self._base_echoes = self._link_bytes() or 0, self._echoes()
        self._estimator.add(Sample(0, 0, 0))
        try:
            problem = self._loop()
            if self._echo is not None:
                self._echo.receive()
            flows = sum(connection.has_begun for connection in self._connections)
        finally:
            stand_ins = [one for connection in self._connections if (one := connection.end()) is not None]
        wall_s, used_s = (time.monotonic_ns() - self._started_ns) / 1e9, time.process_time() - cpu_s
        outcome = self._estimator.outcome()
        echoes = self._echo.take() if self._echo is not None else ()
        _settle(self._order.interface, _pause_us(outcome, is_uplink=self._order.is_uplink))
        for one in stand_ins:
            one.close()
        return Moved(problem or outcome.cause, outcome, self._estimator, flows, echoes, used_s, wall_s)

    def _loop(self) -> str | None:
        """Tick until a decision stops. Returns why no connection is left, None if one is."""
        tick_s = time.monotonic()
        sample_s, echo_s, gap_s = tick_s + TICK_S, tick_s, EARLY_TICK_S
        self._use(1)
        while True:
            for connection in self._connections:
                connection.step()
            now_s = time.monotonic()
            if self._echo is not None:
                self._echo.receive()
                if now_s >= echo_s:
                    self._echo.send()
                    echo_s = now_s + ECHO_S
            broken = self._broken()
            if now_s >= sample_s or broken:
                sample = self._sample()
                decision = self._estimator.add(sample)
                if decision.stop is not None or broken:
                    return broken
                self._use(decision.flows)
                gap_s = TICK_S if sample.payload_bytes else EARLY_TICK_S
                sample_s = max(sample_s + self._sample_gap_s(sample), now_s)
            tick_s = max(tick_s + gap_s, now_s)
            time.sleep(max(0.0, tick_s - time.monotonic()))

    def _use(self, wanted: int) -> None:
        for place, connection in enumerate(self._connections[:wanted]):
            if not connection.is_used and not connection.is_alive:
                connection.end()
                self._connections[place] = Connection(self._order, self._buffers, place)
            self._connections[place].begin()

    def close(self) -> None:
        """Give up what was opened, if `run` never was called."""
        for connection in self._connections:
            stand_in = connection.end()
            if stand_in is not None:
                stand_in.close()

    def _sample_gap_s(self, sample: Sample) -> float:
        if sample.payload_bytes < CLOSELY_BYTES:
            return TICK_S
        return SAMPLE_S if self._estimator.has_start else RAMP_SAMPLE_S

    def _broken(self) -> str | None:
        """Why the first connection that is used can do no more, if none of them can."""
        problems = [one.problem for one in self._connections if one.is_used]
        return problems[0] if all(problems) else None

    def _sample(self) -> Sample:
        """Payload first: what it counts has passed the link by the time that the link is read."""
        used = (connection for connection in self._connections if connection.is_used)
        looks = [look for connection in used if (look := connection.look()) is not None]
        at_us = (time.monotonic_ns() - self._started_ns) // 1000
        link = self._link_bytes()
        if link is not None:
            link = max(0, link - self._base_link - (self._echoes() - self._base_echoes) * _echo_bytes())
        sent = [look.sent_bytes for look in looks if look.sent_bytes is not None]
        return Sample(
            at_us,
            sum(look.payload_bytes for look in looks),
            link,
            tuple(look.flow for look in looks if look.flow.rtt_us),
            sum(sent) if self._order.is_uplink and len(sent) == len(looks) else None,
            max(0, at_us - looks[0].step_ms_ago * 1000) if len(looks) == 1 and self._order.is_uplink else None,
        )

    def _link_bytes(self) -> int | None:
        counters = links.read_bytes(self._order.interface)
        return None if counters is None else counters[self._place]

    def _echoes(self) -> int:
        if self._echo is None:
            return 0
        return self._echo.sent if self._order.is_uplink else self._echo.received


def _pause_us(outcome: Outcome, *, is_uplink: bool) -> int:
    """Two round trips; after an uplink a loaded one at least, for the modem's own queue is not in our counters."""
    twice_us = 2 * (outcome.rtt_us_min or 0)
    return max(twice_us, outcome.rtt_us or 0) if is_uplink else twice_us


def _settle(interface: str, pause_us: int) -> None:
    """Wait, then until the tail of the last transfer has passed the link, 3 s at most."""
    deadline_s = time.monotonic() + SETTLE_LIMIT_S
    time.sleep(min(pause_us / 1e6, SETTLE_LIMIT_S))
    before = links.read_bytes(interface)
    while before is not None and time.monotonic() < deadline_s:
        time.sleep(SETTLE_STEP_S)
        now = links.read_bytes(interface)
        if now is None or sum(now) - sum(before) < QUIET_BYTES:
            return
        before = now


def _echo_bytes() -> int:
    return engine_echo.WIRE_BYTES + _ETHERNET_BYTES
