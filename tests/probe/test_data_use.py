"""The prediction of data: it grows with what it must grow with, obeys every limit, and fits what was counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.data_use import Link, Terms, Upkeep, bytes_of_month, bytes_of_test, bytes_of_upkeep

HAMLET = Link(40_000_000 * 1448 // 1500, 15_000_000 * 1448 // 1500)


def test_a_month_of_the_default_mode_stays_under_four_gigabytes() -> None:
    assert 3_000_000_000 < bytes_of_month(HAMLET, Terms(), Upkeep(), 326) < 4_000_000_000


def test_what_costs_nothing_and_what_is_left_out() -> None:
    both, down = bytes_of_test(HAMLET, Terms()), bytes_of_test(HAMLET, Terms(uplink_s=0))
    neither = bytes_of_test(HAMLET, Terms(downlink_s=0, uplink_s=0))
    assert neither < 20_000 < down < both
    assert bytes_of_test(replace(HAMLET, downlink_bps=0, uplink_bps=0), Terms()) == neither
    assert bytes_of_upkeep(Upkeep(), 0) == 0


def test_an_unsteady_link_costs_up_to_the_cap_and_a_saver_less() -> None:
    restless = replace(HAMLET, downlink_window_us=20_000_000, uplink_window_us=20_000_000)
    full, saver = bytes_of_test(restless, Terms()), bytes_of_test(restless, Terms(cap_us=3_000_000))
    assert bytes_of_test(HAMLET, Terms()) * 2 < saver < full
    assert bytes_of_test(restless, Terms(downlink_s=2, uplink_s=2)) < saver
    assert full / saver == pytest.approx((5 + 0.15) / (3 + 0.15), rel=0.01), "ramp and window share the cap"


@given(
    st.integers(0, 10**9), st.integers(0, 10**9), st.integers(100_000, 10**9), st.integers(100_000, 10**9),
    st.integers(1, 8),
)  # fmt: skip
def test_limits_of_bytes_hold_and_more_rate_is_never_less_data(
    down_bps: int, up_bps: int, most_down: int, most_up: int, seconds: int
) -> None:
    terms = Terms(seconds, seconds, most_downlink_bytes=most_down, most_uplink_bytes=most_up)
    link = Link(down_bps, up_bps)
    slack = (most_down + most_up) // 50 + 20_000  # acknowledgements and the exchange around the transfers
    assert bytes_of_test(link, terms) <= most_down + most_up + slack
    if min(down_bps, up_bps) > 8_000_000:  # below, a slower link's longer window is the answer to its noise
        assert bytes_of_test(Link(down_bps + 10**6, up_bps), Terms()) >= bytes_of_test(link, Terms())


@pytest.mark.parametrize("hours", [1, 24, 720])
def test_upkeep_is_a_matter_of_steps_and_pings(hours: int) -> None:
    usual = bytes_of_upkeep(Upkeep(), hours)
    assert usual < hours * 60_000
    assert bytes_of_upkeep(Upkeep(step_s=30), hours) > usual
    assert bytes_of_upkeep(Upkeep(keepalive_s=1200), hours) < usual
