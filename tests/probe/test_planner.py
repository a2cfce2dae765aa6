"""The ladder of tests and the plan: stated order, evenly spread, within the data; what a cut test says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core import planner
from probe.core.engine_terms import EngineRequest, EngineResult
from probe.core.planner import (
    LADDER,
    NONE,
    Forecast,
    Rates,
    Situation,
    cut,
    expected_bytes,
    granted,
    honest,
    limited,
    plan,
    price_vnd,
    rung_of,
    worst_bytes,
)

REQUEST = EngineRequest("cell0", "198.51.100.7", 7480, "x")
costs = st.lists(st.integers(0, 200_000_000), min_size=NONE, max_size=NONE).map(
    lambda found: (*sorted(found, reverse=True), 0)
)


def test_the_ladder_is_in_the_stated_order() -> None:
    names = [rung.name for rung in LADDER]
    assert names == ["full", "saver", "short", "downlink_only", "latency_only", "none"]
    assert [rung.is_complete for rung in LADDER] == [True, True, True, False, False, False]


@pytest.mark.parametrize("engine", ["dosong", "speedtest-cli"])
@given(down=st.integers(100_000, 300_000_000), up=st.integers(50_000, 100_000_000))
def test_each_rung_costs_no_more_than_the_one_above(engine: str, down: int, up: int) -> None:
    found = [sum(expected_bytes(engine, cut(REQUEST, rung), Rates(down, up))) for rung in LADDER[:NONE]]
    assert found == sorted(found, reverse=True)
    assert found[-1] == planner.SETUP_BYTES


def test_a_test_at_the_usual_rates_costs_what_the_facts_say() -> None:
    """Facts note 01 §7: 10 s each way at 40/15 Mbit/s is 50 + 19 MB."""
    moved = sum(expected_bytes("speedtest-cli", REQUEST, Rates(40_000_000, 15_000_000)))
    assert 69_000_000 <= moved <= 85_000_000


def test_a_cut_request_leaves_directions_out() -> None:
    by_name = {rung.name: cut(REQUEST, rung) for rung in LADDER}
    assert (by_name["full"].cap_ms, by_name["full"].downlink_s, by_name["full"].uplink_s) == (5_000, 10, 10)
    assert (by_name["saver"].cap_ms, by_name["saver"].uplink_s) == (3_000, 6)
    assert (by_name["short"].cap_ms, by_name["short"].uplink_s) == (1_500, 3)
    assert (by_name["downlink_only"].downlink_s, by_name["downlink_only"].uplink_s) == (3, 0)
    assert (by_name["latency_only"].downlink_s, by_name["latency_only"].uplink_s) == (0, 0)


@given(most=st.integers(0, 10**9), down=st.integers(10**5, 10**9), up=st.integers(10**5, 10**9), rung=st.integers(0, 4))
def test_no_run_may_move_more_than_is_configured(most: int, down: int, up: int, rung: int) -> None:
    request = limited("dosong", cut(REQUEST, LADDER[rung]), Rates(down, up), most)
    assert worst_bytes(request) <= max(most, planner.SETUP_BYTES)


@given(
    limit=st.integers(0, 50_000_000_000),
    used=st.integers(0, 50_000_000_000),
    slots=st.integers(0, 2_000),
    spare=st.integers(0, 100_000_000),
    costs=costs,
    margin=st.integers(0, 50_000_000),
)
def test_what_is_planned_fits_into_what_is_left(
    limit: int, used: int, slots: int, spare: int, costs: tuple[int, ...], margin: int
) -> None:
    worst = tuple(cost + margin for cost in costs)
    found = plan(Situation(limit, used, slots, spare, costs, worst))
    rungs = [rung_of(found, number) for number in range(slots)]
    assert set(rungs) <= {found.upper, found.upper + 1}
    assert found.complete + (0 if found.upper < 2 else sum(rung > 2 for rung in rungs)) >= slots - 12
    if slots and costs[0] * slots <= (limit - used - spare - margin) * 92 // 100:
        assert (found.upper, found.share_ppm) == (0, 1_000_000), "nothing is cut that need not be"
    if found.share_ppm or found.upper < NONE - 1:
        assert found.period_bytes <= max(limit, used + spare)


def test_tests_are_cut_in_the_stated_order_as_data_gets_less() -> None:
    costs = (45_000_000, 31_000_000, 21_000_000, 15_000_000, 60_000, 0)
    seen = []
    for limit in range(16_000_000_000, 0, -50_000_000):
        found = plan(Situation(limit, 0, 326, 30_000_000, costs, costs))
        seen.append(found.upper + (1 - found.share_ppm / 1_000_000))
        assert found.is_short == (found.complete < 326)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] > 3.99


def test_better_tests_are_spread_over_the_hours() -> None:
    """With ten slots a day, every tenth slot is one hour of the day: each must get its share."""
    found = Forecast(2, 500_000, 300, 150, 0, 0)
    for hour in range(10):
        share = sum(rung_of(found, number) == 2 for number in range(hour, 300, 10))
        assert 12 <= share <= 18


def test_a_rung_that_does_not_fit_makes_place_for_the_next() -> None:
    worst = (100, 80, 60, 40, 10)
    assert granted(0, 1_000, worst) == 0
    assert granted(0, 60, worst) == 2
    assert granted(3, 1_000, worst) == 3
    assert granted(0, 9, worst) == NONE


OK = EngineResult("ok", downlink_bps=1, uplink_bps=1)


def test_a_cut_test_is_partial_and_says_why() -> None:
    assert honest(OK, LADDER[2]) == OK
    without_uplink = honest(EngineResult("ok", downlink_bps=1), LADDER[3])
    assert (without_uplink.outcome, without_uplink.stage, without_uplink.cause) == ("partial", "uplink", "budget_spent")
    latency = honest(EngineResult("failed", rtt_us_min=5), LADDER[4])
    assert (latency.outcome, latency.stage, latency.cause) == ("partial", "downlink", "budget_spent")
    failed = EngineResult("failed", "connect", "timeout")
    assert honest(failed, LADDER[4]) == failed, "what really failed is said first"


def test_a_price_is_rounded_up() -> None:
    assert price_vnd(11_700_000_000, 3_000) == 35_100
    assert price_vnd(1, 3_000) == 1


def test_shorter_tests_end_sooner_than_configured_ones_only() -> None:
    assert cut(replace(REQUEST, downlink_s=1), LADDER[0]).downlink_s == 1
