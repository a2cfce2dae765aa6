"""The grid that a configuration fixes: months of Vietnam, slots without holes, instants, and attempts for a quota."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.slots import (
    VIETNAM,
    certainty_ppm,
    divide,
    instant_ms,
    month_bounds,
    month_of,
    next_month,
    slot_at,
    slots_needed,
)

SEED = bytes(range(32))
months = st.builds(lambda year, month: f"{year}_{month:02d}", st.integers(2026, 2040), st.integers(1, 12))


def ms(*when: int) -> int:
    return round(datetime(*when, tzinfo=VIETNAM).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_a_month_is_vietnams() -> None:
    assert month_bounds("2026_11") == (ms(2026, 11, 1), ms(2026, 12, 1))
    assert month_bounds("2026_12")[1] == ms(2027, 1, 1)
    assert month_of(ms(2026, 12, 1) - 1) == "2026_11"
    assert month_of(ms(2026, 12, 1)) == "2026_12"
    assert next_month("2026_12") == "2027_01"


@given(month=months, slots=st.integers(1, 5000))
def test_slots_fill_the_month_without_hole_or_overlap(month: str, slots: int) -> None:
    begin_ms, end_ms = month_bounds(month)
    at_ms, count = begin_ms, 0
    while at_ms < end_ms:
        slot = slot_at((begin_ms, end_ms), slots, at_ms)
        assert slot.start_ms == at_ms
        assert slot_at((begin_ms, end_ms), slots, slot.end_ms - 1) == slot
        assert 0 <= slot.end_ms - slot.start_ms - slot.length_ms < slots
        at_ms, count = slot.end_ms, count + 1
    assert (at_ms, count) == (end_ms, slots)


@given(month=months, slots=st.integers(1, 5000), number=st.integers(0, 4999))
def test_an_instant_lies_in_its_slot_and_leaves_room_for_the_run(month: str, slots: int, number: int) -> None:
    begin_ms, end_ms = month_bounds(month)
    length_ms = (end_ms - begin_ms) // slots
    slot_ms = begin_ms + number % slots * length_ms
    offset_ms = instant_ms(SEED, "p-one", "m1", slot_ms, length_ms) - slot_ms
    assert 0 <= offset_ms < max(length_ms - 300_000, length_ms // 4)


def test_an_instant_is_frozen_so_that_anyone_can_check_it() -> None:
    # printf "p-dong-chuoi\nm1\n1795339296000" | openssl dgst -sha256 -mac HMAC -macopt hexkey:0001...1f: first 8 bytes
    assert instant_ms(SEED, "p-dong-chuoi", "m1", 1_795_339_296_000, 8_928_000, 90_000) == 1_795_347_131_101


@pytest.mark.parametrize(
    ("success_ppm", "attempts"), [(990_000, 308), (950_000, 326), (900_000, 348), (1_000_000, 300)]
)
def test_attempts_for_300_counted_samples(success_ppm: int, attempts: int) -> None:
    assert slots_needed(300, success_ppm) == attempts


@given(minimum=st.integers(1, 60), success=st.integers(30, 100))
def test_attempts_are_the_fewest_by_the_exact_binomial(minimum: int, success: int) -> None:
    attempts = slots_needed(minimum, success * 10_000)
    assert attempts is not None
    assert tail(attempts, success, minimum) >= Fraction(99, 100)
    assert attempts == minimum or tail(attempts - 1, success, minimum) < Fraction(99, 100)
    assert certainty_ppm(attempts, success * 10_000, minimum) == int(tail(attempts, success, minimum) * 1_000_000)


def tail(attempts: int, success: int, minimum: int) -> Fraction:
    """P(at least `minimum` of `attempts` succeed), by the definition."""
    p = Fraction(success, 100)
    short = sum(comb(attempts, k) * p**k * (1 - p) ** (attempts - k) for k in range(minimum))
    return 1 - short


def test_what_never_succeeds_is_never_enough() -> None:
    assert slots_needed(300, 0) is None
    assert slots_needed(300, 100) is None
    assert slots_needed(0, 0) == 0
    assert slots_needed(300, 50_000) is not None
    assert certainty_ppm(299, 1_000_000, 300) == 0


@given(total=st.integers(1, 5000), stations=st.integers(1, 100))
def test_a_communes_slots_are_divided_evenly(total: int, stations: int) -> None:
    shares = divide(total, stations)
    assert sum(shares) >= total
    assert max(shares) - min(shares) <= 1
