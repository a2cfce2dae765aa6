"""Admission control: may one more test begin now, and if not, when should it come back?

A test's rate is not known before it has run. So the first guess is capacity shared by the most tests at once, and
each finished test corrects it (mean and mean deviation as for TCP's timer: RFC 6298). A test that is refused gets a
turn: turns are dealt at the pace at which running tests end, so that refused probes do not come back all at once.
Pure: times are given, monotonic seconds.
"""

from __future__ import annotations

import math

HEADROOM = 0.9
LONGEST_WAIT_S = 60
_FIRST_TEST_S = 10.0
_GAIN = 1 / 8


class Admission:
    """Decides by slots and by the capacity of the point's link."""

    def __init__(self, capacity_bps: int, max_tests: int) -> None:
        self._capacity_bps = capacity_bps
        self._max_tests = max_tests
        self._mean_bps = capacity_bps * HEADROOM / max_tests
        self._deviation_bps = 0.0
        self._mean_test_s = _FIRST_TEST_S
        self._next_turn_s = 0.0

    @property
    def expected_bps(self) -> int:
        """What the next test is expected to take; never more than the whole link."""
        return int(min(self._mean_bps + self._deviation_bps, self._capacity_bps * HEADROOM))

    def finished(self, rate_bps: int, test_s: float) -> None:
        """A test ended: its busier direction ran at `rate_bps`, and it held its place for `test_s`."""
        error_bps = rate_bps - self._mean_bps
        self._mean_bps += _GAIN * error_bps
        self._deviation_bps += _GAIN * (abs(error_bps) - self._deviation_bps)
        self._mean_test_s += _GAIN * (test_s - self._mean_test_s)

    def has_room(self, active: int, resting: int, used_bps: int) -> bool:
        """Whether one more fits beside `active` tests, of which `resting` move no bytes at present.

        One test alone always fits: it would otherwise never be known what it takes.
        """
        if active == 0:
            return True
        reserved_bps = (resting + 1) * self.expected_bps
        return active < self._max_tests and used_bps + reserved_bps <= HEADROOM * self._capacity_bps

    def come_back_s(self, active: int, now_s: float) -> int:
        """Whole seconds until the turn of a test that is refused now: 1 to 60."""
        gap_s = self._mean_test_s / max(1, active)
        self._next_turn_s = min(max(self._next_turn_s, now_s) + gap_s, now_s + LONGEST_WAIT_S)
        return max(1, math.ceil(self._next_turn_s - now_s))
