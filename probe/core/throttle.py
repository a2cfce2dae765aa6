"""Whether a SIM's plan is throttled: rates far below what they were, flat, test after test, while the radio is good.

A slow network is not a throttled plan, and calling it one would hide it: so three tests in a row must agree, and either
match the plan's known throttle rate or be both a twentieth of the usual rate and flat, as only a policer is.
Source: design §8 (throttled is unknown, never weak coverage); facts note 03 (what policers look like).
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

from probe.core.radio import RadioReading

LOW_TESTS = 3
KEPT_RATES = 60
ENOUGH_RATES = 8
FAR_BELOW = 20
FLAT_PER_CENT = 150
NEAR_PER_CENT = 125
NEW_NORMAL_TESTS = 300
"""After so many low tests (about a month) the rate is taken for the network's own."""
GOOD_RSRP_DBM_X10 = -1050
GOOD_SINR_DB_X10 = 50


@dataclass(frozen=True, slots=True)
class Rates:
    """Downlink rates of one SIM, bits per second: the usual ones, and those of the last low tests in a row."""

    usual_bps: tuple[int, ...] = ()
    low_bps: tuple[int, ...] = ()

    def is_throttled(self, throttle_bps: int | None) -> bool:
        """Say whether the plan is throttled. `throttle_bps`: the plan's known rate after its data is used, or None."""
        last = self.low_bps[-LOW_TESTS:]
        if len(last) < LOW_TESTS:
            return False
        if throttle_bps is not None and all(_is_near(rate, throttle_bps) for rate in last):
            return True
        return max(last) * 100 <= max(min(last), 1) * FLAT_PER_CENT


def after(rates: Rates, downlink_bps: int, reading: RadioReading | None, throttle_bps: int | None) -> Rates:
    """Take the rate of one more test. A low one under a bad radio says nothing."""
    if not _is_low(rates, downlink_bps, throttle_bps):
        return Rates((*rates.usual_bps, downlink_bps)[-KEPT_RATES:])
    if not is_good(reading):
        return rates
    low = (*rates.low_bps, downlink_bps)
    return Rates(low[-KEPT_RATES:]) if len(low) >= NEW_NORMAL_TESTS else replace(rates, low_bps=low)


def is_good(reading: RadioReading | None) -> bool:
    """Say whether the radio is good enough to carry far more than a throttled plan gives."""
    if reading is None or not reading.is_registered or reading.rat not in ("LTE", "NR_NSA", "NR_SA"):
        return False
    if reading.rsrp_dbm_x10 is None or reading.rsrp_dbm_x10 < GOOD_RSRP_DBM_X10:
        return False
    return reading.sinr_db_x10 is None or reading.sinr_db_x10 >= GOOD_SINR_DB_X10


def _is_low(rates: Rates, downlink_bps: int, throttle_bps: int | None) -> bool:
    if throttle_bps is not None and _is_near(downlink_bps, throttle_bps):
        return True
    usual = rates.usual_bps
    return len(usual) >= ENOUGH_RATES and downlink_bps * FAR_BELOW <= statistics.median_low(usual)


def _is_near(downlink_bps: int, throttle_bps: int) -> bool:
    return downlink_bps * 100 <= throttle_bps * NEAR_PER_CENT
