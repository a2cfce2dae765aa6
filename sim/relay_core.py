"""What a radio link does to packets, one direction at a time. Pure: packets in, packets out, times handed in.

    offer ─► loss ─► drop-tail queue ─► served at the link's rate ─► one-way delay ─► take

Times are nanoseconds of one monotonic clock and never go back. Nothing is early and nothing is rounded; how late a
packet leaves depends only on how often `take` is called. `offered = delivered + dropped + lost + held`, always.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sim.rates import NANOBITS_A_BYTE, NEVER, Rates

Draw = Callable[[], float]
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """One direction: its rates, one-way delay, room in the queue (bytes, the packet being sent included) and loss."""

    rates: Rates
    delay_ns: int
    queue_bytes: int
    loss_ppm: int = 0


class Radio:
    """A radio that sleeps after `idle_ns` without a packet either way, and takes a while to wake: RRC promotion."""

    def __init__(self, idle_ns: int, low_ns: int, high_ns: int, draw: Draw) -> None:
        self._idle_ns, self._low_ns, self._high_ns, self._draw = idle_ns, low_ns, high_ns, draw
        self._last_ns: int | None = None
        self._ready_ns = 0

    def ready_ns(self, now_ns: int) -> int:
        """When a packet that comes now may be sent at the earliest."""
        if self._last_ns is None or now_ns - self._last_ns >= self._idle_ns:
            self._ready_ns = now_ns + self._low_ns + round(self._draw() * (self._high_ns - self._low_ns))
        self._last_ns = now_ns
        return max(now_ns, self._ready_ns)


class Plan:
    """A data plan: after `limit_bytes` in both directions together no rate is above `throttled_bps`."""

    def __init__(self, limit_bytes: int, throttled_bps: int) -> None:
        self.limit_bytes, self.throttled_bps, self.used_bytes = limit_bytes, throttled_bps, 0

    @property
    def is_spent(self) -> bool:
        """Whether the limit has been reached."""
        return self.used_bytes >= self.limit_bytes


class Direction:
    """One direction of a link. `origin_ns` is when its rates begin; `draw` gives numbers in [0, 1) for the loss."""

    def __init__(
        self, shape: Shape, origin_ns: int, draw: Draw, radio: Radio | None = None, plan: Plan | None = None
    ) -> None:
        self._draw, self._radio, self._plan = draw, radio, plan
        self._shape, self._rates, self._origin_ns = shape, shape.rates, origin_ns
        self._queue: deque[tuple[bytes, int]] = deque()  # packet, earliest begin of its sending
        self._flight: deque[tuple[int, bytes]] = deque()  # when it arrives, packet
        self._on, self._capped = True, False
        self._begin_ns = self._finish_ns = NEVER  # of the packet being sent
        # Until when the link has been used, and the same in nanobits of its rates.
        self._free_ns, self._used_nanobits = origin_ns, 0
        self._epochs: deque[tuple[int, Rates | None, int]] = deque([(origin_ns, shape.rates, origin_ns)])
        self.queued_bytes = self.flying_bytes = 0
        self.offered_bytes = self.delivered_bytes = self.dropped_bytes = self.lost_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes that wait or are on their way."""
        return self.queued_bytes + self.flying_bytes

    @property
    def delay_ns(self) -> int:
        """One-way delay."""
        return self._shape.delay_ns

    def offer(self, packets: Iterable[bytes], now_ns: int) -> None:
        """Packets enter the link, in this order."""
        self._serve(now_ns)
        begin_ns = now_ns if self._radio is None or not self._on else self._radio.ready_ns(now_ns)
        loss, limit = self._shape.loss_ppm / _PPM, self._shape.queue_bytes
        for packet in packets:
            size = len(packet)
            self.offered_bytes += size
            if not self._on or (loss and self._draw() < loss):
                self.lost_bytes += size
            elif self.queued_bytes + size > limit:
                self.dropped_bytes += size
            else:
                self._queue.append((packet, begin_ns))
                self.queued_bytes += size
        self._serve(now_ns)

    def take(self, now_ns: int) -> list[bytes]:
        """Packets that have arrived at the far end by now, in the order in which they were offered."""
        self._serve(now_ns)
        arrived: list[bytes] = []
        while self._flight and self._flight[0][0] <= now_ns:
            arrived.append(self._flight.popleft()[1])
        size = sum(map(len, arrived))
        self.flying_bytes -= size
        self.delivered_bytes += size
        return arrived

    def next_ns(self) -> int:
        """When the next packet arrives if nothing changes; NEVER if none does."""
        if self._flight:
            return self._flight[0][0]
        return min(NEVER, self._finish_ns + self._shape.delay_ns)

    def undeliverable(self, size: int) -> None:
        """A packet that was taken could not be handed over: the far end is down. It counts as lost."""
        self.delivered_bytes -= size
        self.lost_bytes += size

    def block(self, now_ns: int) -> None:
        """The network is lost: what is held is lost, and so is what is offered until `unblock`."""
        if not self._on:
            return
        self._serve(now_ns)
        self._on = False
        self.lost_bytes += self.held_bytes
        self.queued_bytes = self.flying_bytes = 0
        self._queue.clear()
        self._flight.clear()
        self._begin_ns = self._finish_ns = NEVER
        self._epochs.append((now_ns, None, 0))

    def unblock(self, now_ns: int) -> None:
        """The network is back; a trace has gone on meanwhile."""
        if not self._on:
            self._on = True
            self._install(self._rates, self._origin_ns, now_ns)

    def reshape(self, shape: Shape, origin_ns: int, now_ns: int) -> None:
        """Changes rates, delay, queue and loss; what is held stays, even if the queue is smaller now."""
        self._serve(now_ns)
        self._shape = shape
        rates = shape.rates.capped(self._plan.throttled_bps) if self._capped and self._plan else shape.rates
        self._install(rates, origin_ns, now_ns)

    def replan(self, plan: Plan | None, radio: Radio | None, now_ns: int) -> None:
        """Another data plan and another radio; call `reshape` after it."""
        self._serve(now_ns)
        self._plan, self._radio, self._capped = plan, radio, False

    def capacity_bytes(self, begin_ns: int, end_ns: int) -> int:
        """Bytes that the link could have delivered in [begin, end): its rates one delay earlier.

        Zero without service; a radio's promotion is not deducted. What was before `begin` is forgotten.
        """
        begin_ns, end_ns = begin_ns - self._shape.delay_ns, end_ns - self._shape.delay_ns
        while len(self._epochs) > 1 and self._epochs[1][0] <= begin_ns:
            self._epochs.popleft()
        total, until_ns = 0, end_ns
        for from_ns, rates, origin_ns in reversed(self._epochs):
            since_ns = max(from_ns, begin_ns)
            if rates is not None and until_ns > since_ns:
                total += rates.carried(until_ns - origin_ns) - rates.carried(since_ns - origin_ns)
            until_ns = min(until_ns, since_ns)
        return total // NANOBITS_A_BYTE

    def _serve(self, now_ns: int) -> None:
        """Sends what can be sent by now."""
        if self._plan is not None and self._plan.is_spent and not self._capped:
            self._cap(now_ns)
        while self._queue:
            if self._begin_ns == NEVER:
                self._begin()
            if self._finish_ns > now_ns:
                return
            self._sent()

    def _begin(self) -> None:
        """The first packet of the queue begins to be sent, right behind the last one if it waited for it."""
        packet, earliest_ns = self._queue[0]
        if earliest_ns > self._free_ns:
            self._free_ns = earliest_ns
            self._used_nanobits = self._rates.carried(earliest_ns - self._origin_ns)
        self._begin_ns = self._free_ns
        self._used_nanobits += len(packet) * NANOBITS_A_BYTE
        self._finish_ns = min(NEVER, self._origin_ns + self._rates.reached(self._used_nanobits))

    def _sent(self) -> None:
        packet = self._queue.popleft()[0]
        size, finish_ns = len(packet), self._finish_ns
        self.queued_bytes -= size
        self.flying_bytes += size
        # A delay that became shorter lets nobody overtake: who is behind waits for who is before.
        self._flight.append((finish_ns + self._shape.delay_ns, packet))
        self._free_ns, self._begin_ns, self._finish_ns = finish_ns, NEVER, NEVER
        if self._plan is not None:
            self._plan.used_bytes += size
            if self._plan.is_spent and not self._capped:
                self._cap(finish_ns)

    def _cap(self, at_ns: int) -> None:
        assert self._plan is not None  # noqa: S101 - both callers have looked
        self._capped = True
        self._install(self._rates.capped(self._plan.throttled_bps), self._origin_ns, at_ns)

    def _install(self, rates: Rates, origin_ns: int, at_ns: int) -> None:
        """Other rates from `at_ns` on; of the packet being sent only what is left is sent at them."""
        sending = self._begin_ns != NEVER
        since_ns = max(self._begin_ns, at_ns) if sending else at_ns
        left = self._used_nanobits - self._rates.carried(since_ns - self._origin_ns) if sending else 0
        self._rates, self._origin_ns = rates, origin_ns
        self._free_ns = since_ns
        self._used_nanobits = rates.carried(since_ns - origin_ns) + left
        if sending:
            self._begin_ns = since_ns
            self._finish_ns = min(NEVER, origin_ns + rates.reached(self._used_nanobits))
        if self._on:
            self._epochs.append((at_ns, rates, origin_ns))
