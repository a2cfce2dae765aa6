"""A commune's quota divided over its modems."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.allot import Station, _divided, allot, month_slots, remedies
from collector.core.allot import _certainty as _sure
from collector.core.clock import month_of
from collector.core.period import Period, start_of
from wire.slots import certainty_ppm, slots_needed

NOVEMBER = Period(*month_of(start_of(date(2026, 11, 1))))


def stations(count: int, success_ppm: int = 950_000, most: int | None = None) -> list[Station]:
    return [Station(f"p-{n:02d}", "m1", f"h{n}", success_ppm, most) for n in range(count)]


@pytest.mark.parametrize(("success_ppm", "attempts"), [(990_000, 308), (950_000, 326), (900_000, 348)])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_it_agrees_with_the_exact_binomial_however_it_is_divided(success_ppm: int, attempts: int, count: int) -> None:
    found = allot(300, stations(count, success_ppm))
    assert found.slots == attempts == slots_needed(300, success_ppm)
    assert abs(found.certainty_ppm - certainty_ppm(attempts, success_ppm, 300)) <= 1
    assert max(s.slots for s in found.shares) - min(s.slots for s in found.shares) <= 1
    assert found.is_enough


def test_a_full_sim_takes_what_it_can_and_the_others_take_the_rest() -> None:
    few = [*stations(3), Station("p-99", "m1", "h", 950_000, most_slots=20)]
    found = allot(300, few)
    by = {one.station.probe: one.slots for one in found.shares}
    assert by["p-99"] == 20
    assert {by[f"p-0{n}"] for n in range(3)} == {102}
    assert found.slots == 326


def test_a_poor_link_makes_everybody_measure_more() -> None:
    poor = [*stations(2), Station("p-99", "m1", "h", 400_000)]
    found = allot(300, poor)
    assert found.slots > 326
    assert found.certainty_ppm >= 990_000
    assert allot(300, [replace(one, success_ppm=0) for one in poor]).is_enough is False


def test_too_little_data_is_said_with_what_it_gives() -> None:
    found = allot(300, stations(2, most=150))
    assert (found.slots, found.is_enough) == (300, False)
    assert 0 <= found.certainty_ppm < 990_000
    assert allot(300, []).is_enough is False
    assert allot(0, []).is_enough is True


def test_every_hamlet_stays_measured_when_nothing_is_missing() -> None:
    assert [one.slots for one in allot(0, stations(4)).shares] == [1, 1, 1, 1]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 120),
    st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.integers(0, 200)), min_size=1, max_size=6),
)
def test_nobody_gets_more_than_it_has_and_one_less_would_not_do(
    missing: int, each: list[tuple[int, int | None]]
) -> None:
    found = allot(missing, [Station(f"p-{n}", "m1", "h", ppm, most) for n, (ppm, most) in enumerate(each)])
    assert all(0 <= one.slots <= one.station.most for one in found.shares)
    assert found.is_enough == (found.certainty_ppm >= 990_000)
    if found.is_enough and missing:
        fewer = found.slots - 1
        assert fewer < len(each) or _sure(missing, _divided([one.station for one in found.shares], fewer)) < 990_000


def test_in_mid_month_slots_are_those_of_a_whole_grid() -> None:
    middle = (NOVEMBER.start_ms + NOVEMBER.end_ms) // 2
    assert month_slots(100, NOVEMBER, middle) == 200
    assert month_slots(100, NOVEMBER, NOVEMBER.start_ms - 9) == 100
    with pytest.raises(ValueError, match="the month is over"):
        month_slots(1, NOVEMBER, NOVEMBER.end_ms)


def test_remedies_go_from_cheap_to_dear_and_stop_at_the_first_that_does_it() -> None:
    assert remedies(0, stations(1), [], people_count=True) == []
    (enough,) = remedies(200, stations(2), stations(1), people_count=True)
    assert (enough.kind, enough.is_enough) == ("slots", True)
    first, second = remedies(200, stations(1, most=90), [Station("p-idle", "m1", "h", 950_000)], people_count=True)
    assert [(one.kind, one.is_enough) for one in (first, second)] == [("slots", False), ("idle", True)]
    kinds = [one.kind for one in remedies(200, stations(1, most=90), [], people_count=True)]
    assert kinds == ["slots", "people"]
    assert [one.kind for one in remedies(200, [], [], people_count=False)] == ["slots"]
