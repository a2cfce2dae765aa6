"""Survey, moved watch and the receiver's clock: pure, over made fixes, with the faults that real receivers show."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core import moved, survey
from probe.core.clock import ROLLOVER_MS, ClockReading, GnssTime, judge, unrolled
from probe.core.tpv import Fix, distance_m

LAT_E7, LON_E7 = 216_020_000, 1_057_640_000
FLOOR_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
GOOD = Fix(
    lat_e7=LAT_E7, lon_e7=LON_E7, alt_mm=None, eph_mm=8_000, fix_mode=3, sats_used=7, hdop_x100=120, age_ms=0, t_ms=0
)


def fixes(count: int, spread_m: float, seed: int = 1) -> list[Fix]:
    """Fixes around the place, a second apart, with a normal error of `spread_m` each way."""
    drawn = random.Random(seed)
    north, east = 1e7 / 111_195, 1e7 / (111_195 * math.cos(math.radians(LAT_E7 / 1e7)))
    return [
        replace(
            GOOD,
            lat_e7=LAT_E7 + round(drawn.gauss(0, spread_m) * north),
            lon_e7=LON_E7 + round(drawn.gauss(0, spread_m) * east),
            t_ms=i * 1000,
        )
        for i in range(count)
    ]


def taken(them: list[Fix], every_ms: int = 1000) -> survey.Survey:
    state = survey.Survey()
    for at, fix in enumerate(them):
        state = survey.after(state, fix, at * every_ms)
    return state


def off_m(found: survey.Surveyed) -> float:
    return distance_m(LAT_E7, LON_E7, found.lat_e7, found.lon_e7)


def test_five_minutes_give_the_place_and_an_honest_radius() -> None:
    found = survey.result(taken(fixes(301, 4.0)))
    assert found is not None
    assert off_m(found) < 1.5
    assert (found.radius_mm, found.window_ms) == (10_000, 300_000), "never better than 10 m"
    wide = survey.result(taken(fixes(301, 15.0)))
    assert wide is not None
    assert 20_000 < wide.radius_mm < 45_000


def test_reflections_are_cut_and_do_not_pull_the_place() -> None:
    them = fixes(320, 3.0)
    for at in range(40, 120):
        them[at] = replace(them[at], lat_e7=LAT_E7 + 40_000)  # 445 m north, a quarter of all
    found = survey.result(taken(them))
    assert found is not None
    assert found.cut >= 80
    assert off_m(found) < 2.5


def test_too_few_or_too_short_is_no_survey() -> None:
    assert survey.result(taken(fixes(299, 4.0))) is None, "not five minutes"
    assert survey.result(taken(fixes(59, 4.0), every_ms=10_000)) is None, "not sixty"
    assert survey.result(taken(fixes(60, 4.0), every_ms=10_000)) is not None
    assert survey.share(survey.Survey()) == 0


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (replace(GOOD, fix_mode=2), "mode"),
        (replace(GOOD, sats_used=4), "satellites"),
        (replace(GOOD, hdop_x100=301), "hdop"),
        (replace(GOOD, eph_mm=50_001), "error"),
    ],
)
def test_a_poor_fix_is_left_out_and_says_why(bad: Fix, word: str) -> None:
    assert survey.why_not(bad) == word
    state = survey.after(survey.Survey(), bad, 0)
    assert (state.fixes, state.refused) == ((), 1)


def test_a_receiver_that_repeats_itself_gives_one_fix() -> None:
    state = taken([replace(GOOD, t_ms=5000)] * 400)
    assert len(state.fixes) == 1
    assert survey.result(state) is None


def watched(offsets: list[tuple[int, int | None]]) -> list[moved.Told]:
    state, told = moved.Watch(), []
    for now_ms, offset in offsets:
        state, one = moved.step(state, offset, now_ms)
        told += [one] if one else []
    return told


def test_a_probe_that_stays_away_for_an_hour_moved_and_says_so_once() -> None:
    away = [(i * 60_000, 300) for i in range(200)]
    assert watched(away) == [moved.Told(True, 300)]
    back = [(away[-1][0] + i * 60_000, 30) for i in range(1, 100)]
    assert watched(away + back) == [moved.Told(True, 300), moved.Told(False, 30)]


def test_neither_a_jump_nor_a_silent_receiver_moves_a_probe() -> None:
    assert watched([(i * 60_000, 5_000 if i % 59 else 10) for i in range(600)]) == [], "a near fix each hour"
    assert watched([(i * 60_000, None) for i in range(600)]) == []
    assert watched([(0, 300), (30 * 60_000, None), (59 * 60_000, 300)]) == []
    assert watched([(i * 60_000, 200) for i in range(600)]) == [], "200 m is still there"


@given(st.lists(st.sampled_from([None, 10, 190, 201, 9_000]), max_size=300))
def test_away_and_back_are_always_told_in_turn(offsets: list[int | None]) -> None:
    told = watched([(i * 600_000, offset) for i, offset in enumerate(offsets)])
    assert [one.is_away for one in told] == [i % 2 == 0 for i in range(len(told))]


def reading(wall_ms: int, mono_ms: int = HOUR_MS, error_us: int | None = None) -> ClockReading:
    return ClockReading("b" * 32, mono_ms, wall_ms, error_us)


@pytest.mark.parametrize("wall_ms", [0, FLOOR_MS - HOUR_MS, FLOOR_MS + HOUR_MS, FLOOR_MS + 40 * 365 * 86_400_000])
def test_the_receiver_dates_records_while_the_clock_was_never_set(wall_ms: int) -> None:
    stamp = judge(reading(wall_ms), "adjtimex", FLOOR_MS, GnssTime(FLOOR_MS + 5_000, HOUR_MS - 60_000))
    assert (stamp.clock, stamp.t_src, stamp.t_ms) == ("trusted", "gnss", FLOOR_MS + 65_000)
    assert stamp.t_err_ms == 1_012


def test_a_synchronised_clock_needs_no_receiver() -> None:
    wall = FLOOR_MS + 86_400_000
    stamp = judge(reading(wall, error_us=20_000), "adjtimex", FLOOR_MS, GnssTime(FLOOR_MS, HOUR_MS))
    assert (stamp.t_src, stamp.t_ms) == ("ntp", wall)


@pytest.mark.parametrize(
    "gnss",
    [
        None,
        GnssTime(FLOOR_MS, HOUR_MS - 3_600_001),
        GnssTime(FLOOR_MS, HOUR_MS + 1),
        GnssTime(FLOOR_MS + 16 * 31_557_600_000, HOUR_MS),
    ],
)
def test_no_late_old_or_impossible_time_dates_anything(gnss: GnssTime | None) -> None:
    stamp = judge(reading(0), "adjtimex", FLOOR_MS, gnss)
    assert (stamp.clock, stamp.t_ms, stamp.t_src) == ("suspect", None, "none")


@pytest.mark.parametrize("rollovers", [1, 2])
def test_a_receiver_behind_its_week_rollover_is_put_right(rollovers: int) -> None:
    true_ms = FLOOR_MS + 200 * 86_400_000
    assert unrolled(true_ms - rollovers * ROLLOVER_MS, FLOOR_MS) == true_ms
    assert unrolled(true_ms, FLOOR_MS) == true_ms
    stamp = judge(reading(0), "adjtimex", FLOOR_MS, GnssTime(true_ms - rollovers * ROLLOVER_MS, HOUR_MS))
    assert stamp.t_ms == true_ms
