"""When a transfer's ramp is over: its end is where the measured window begins. Pure.

It ends with the first 200 ms that grew by at most 15 % over the 200 ms before, looked at every 20 ms, 1.5 s after the
first 20 KB at the latest. Half of that time is enough where the connections themselves say that the link is full: once
every one of them waits in a queue, slow start has nothing left to find. On a long way, where slow start comes in bursts
that make queues of their own, the time is that of two round trips.
The end is fixed once: a start that slides while throughput grows is biased.
Source: facts note 03 §3.5, §5 rule 4; decision 0019.
"""

from __future__ import annotations

from dataclasses import dataclass

from probe.core.engine_sample import Sample
from probe.core.engine_stats import Curve
from wire.data_use import FULL_BIN_US

BEGIN_BYTES = 20_000
RAMP_BIN_US = 200_000
RAMP_LIMIT_US = 1_500_000
GROWTH_PERCENT = 115
QUEUE_US, QUEUE_SHARE, QUEUE_HOLD_US = 10_000, 4, 40_000
"""A round trip stands in a queue if it is longer by 10 ms, and a quarter, than the shortest; for 40 ms to be sure."""

SLACK_US = 5_000
"""A sample comes a little after or before its due time; a whole one more would be waited for otherwise."""


@dataclass(slots=True)
class Ramp:
    """Watches the samples of a transfer. `begin_us`: when 20 KB had come; `start_us`: the ramp's end; None until then.

    `start_step_us` is the `step_us` of the sample that ended it.
    """

    begin_us: int | None = None
    start_us: int | None = None
    start_step_us: int | None = None
    _queued_us: int | None = None

    def take(self, now: Sample, shape: Curve, opened_us: int) -> None:
        """Look at one more sample; `opened_us` is when connections were last opened."""
        if self.begin_us is None and now.payload_bytes >= BEGIN_BYTES:
            self.begin_us = now.at_us
        if not _stands_in_queue(now):
            self._queued_us = None
        elif self._queued_us is None:
            self._queued_us = now.at_us
        if self.start_us is None and self.begin_us is not None and self._is_over(now, shape, opened_us):
            self.start_us, self.start_step_us = now.at_us, now.step_us

    def _is_over(self, now: Sample, shape: Curve, opened_us: int) -> bool:
        since_us = self.begin_us or 0
        if now.at_us >= since_us + RAMP_LIMIT_US or _is_flat(now.at_us, shape, since_us, opened_us, RAMP_BIN_US):
            return True
        is_full = self._queued_us is not None and now.at_us + SLACK_US >= self._queued_us + QUEUE_HOLD_US
        return is_full and _is_flat(now.at_us, shape, since_us, opened_us, _full_bin_us(now))


def _is_flat(now_us: int, shape: Curve, since_us: int, opened_us: int, bin_us: int) -> bool:
    """Whether the last `bin_us` grew little over those before; not before two have passed, and one since opening."""
    late_us = now_us + SLACK_US
    if late_us < since_us + 2 * bin_us or late_us - bin_us < opened_us:
        return False
    before = shape.moved(now_us - 2 * bin_us, now_us - bin_us)
    return 0 < shape.moved(now_us - bin_us, now_us) * 100 <= before * GROWTH_PERCENT


def _full_bin_us(now: Sample) -> int:
    longest_us = max((flow.rtt_us_min or 0 for flow in now.flows), default=0)
    return min(RAMP_BIN_US, max(FULL_BIN_US, 2 * longest_us))


def _stands_in_queue(now: Sample) -> bool:
    """Whether every connection waits in a queue; one without a word on its shortest round trip does not say so."""
    return bool(now.flows) and all(
        flow.rtt_us_min is not None and flow.rtt_us > flow.rtt_us_min + max(QUEUE_US, flow.rtt_us_min // QUEUE_SHARE)
        for flow in now.flows
    )
