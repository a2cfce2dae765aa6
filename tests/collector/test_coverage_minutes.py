"""The minute ledger against a plain model of the same minutes."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.coverage import (
    ClassRule,
    Minutes,
    Outage,
    Tally,
    Window,
    Witness,
    by_cause,
    calendar,
    confidence,
    longest_gap,
    merged,
    neighbours,
    outages,
    seen_by,
    signal_class,
    tally,
)
from collector.core.period import MINUTE_MS, Period, start_of, window

DAY = window(date(2026, 11, 1), date(2026, 11, 1))
START = DAY.start_ms
ALWAYS = (Period(0, 2**53),)


def minute(number: int) -> int:
    return START + number * MINUTE_MS


def hour(number: int, states: str, causes: str, late_ms: int = 0) -> Window:
    return Window(minute(60 * number) + late_ms, MINUTE_MS, states, causes)


def ledger(letters: str) -> Minutes:
    causes = letters.translate(str.maketrans("CDNU", ".esz"))
    return Minutes(START, letters.encode(), causes.encode())


def witness(
    *windows: Window, reported: int = 1440, stood: tuple[Period, ...] = ALWAYS, dark: tuple[Period, ...] = ()
) -> Witness:
    return Witness("p-1", "m1", stood, minute(reported), windows, dark)


def test_a_day_without_a_record_is_unknown_and_each_minute_says_why() -> None:
    found = seen_by(
        witness(reported=1200, stood=(Period(minute(100), 2**53),), dark=(Period(minute(300), minute(330)),)), DAY
    )
    assert tally(found) == Tally(0, 0, 0, 1440)
    assert by_cause(found) == {("U", "o"): 1070, ("U", "?"): 240, ("U", "-"): 100, ("U", "f"): 30}


def test_a_minute_has_the_state_of_the_step_that_holds_its_middle() -> None:
    for late_ms, first in ((0, 60), (29_999, 60), (30_000, 60), (30_001, 61), (-29_999, 60), (-30_001, 59)):
        found = seen_by(witness(hour(1, "N" * 60, "s" * 60, late_ms)), DAY)
        assert found.states.index(b"N") == first
        assert found.states.count(b"N") == 60


def test_steps_of_another_length_fall_on_their_minutes() -> None:
    found = seen_by(witness(Window(START, 20_000, "CCNNNC", "..sss.")), DAY)
    assert found.states[:3] == b"CNU"


def test_the_best_of_two_modems_holds_and_their_difference_is_counted() -> None:
    one, two = ledger("CCDNNUU"), ledger("NUNNUUC")
    joined = merged([one, two])
    assert joined.states == b"CCDNNUC"
    assert joined.differed == 1
    assert merged([two, one]).states == joined.states
    with pytest.raises(ValueError, match="different periods"):
        merged([one, ledger("C")])
    with pytest.raises(ValueError, match="needs a witness"):
        merged([])


def test_of_two_unknowns_the_one_that_says_most_is_kept() -> None:
    signed, silent = Minutes(START, b"UU", b"wo"), Minutes(START, b"UU", b"o-")
    assert merged([signed, silent]).causes == b"wo"
    assert merged([silent, signed]).causes == b"wo"


def test_unknown_is_in_no_share() -> None:
    found = tally(ledger("CCCNUUUUUU"))
    assert (found.known, found.covered_ppm) == (4, 750_000)
    assert Tally(0, 0, 0, 9).covered_ppm is None


def test_an_outage_says_what_is_sure_of_its_ends() -> None:
    assert outages(ledger("CNNC")) == [Outage(minute(1), minute(3), "s", True, True)]
    assert outages(ledger("UNNC"))[0].begin_is_known is False
    assert outages(ledger("CNNU"))[0].end_is_known is False
    assert outages(ledger("NN"))[0].begin_is_known is False
    assert [one.minutes for one in outages(ledger("NNCNUNNN"))] == [2, 1, 3]
    assert outages(ledger("NNCNUNNN"), at_least=2)[-1].minutes == 3


def test_the_longest_gap_has_two_bounds() -> None:
    found = longest_gap(ledger("CNNUUNCNNNCUUUUUUC"))
    assert (found.at_least, found.at_most) == (3, 6)
    assert longest_gap(ledger("CDC")).at_most == 0


def test_another_probe_makes_an_outage_corroborated_and_silence_does_not() -> None:
    (outage,) = outages(ledger("CNNNNC"))
    asked = neighbours(outage, [("p-2", ledger("CCNNCC")), ("p-3", ledger("UUUUUU")), ("p-4", ledger("CCCCCC"))])
    assert [(one.no_service, one.known, one.agrees) for one in asked] == [(2, 4, True), (0, 0, False), (0, 4, False)]
    assert confidence(outage, asked) == "corroborated"
    assert confidence(outage, asked[1:]) == "claimed"
    assert confidence(outage, []) == "claimed"


def test_classes_are_disjoint_and_need_enough_minutes() -> None:
    rule = ClassRule("test", 100, 950_000, 50_000)
    cases = {(0, 0, 99, 9999): None, (5, 0, 95, 0): "white", (6, 0, 94, 0): "hole", (95, 5, 0, 0): "hole"}
    cases |= {(96, 4, 0, 0): "neither", (100, 0, 0, 10**6): "neither"}
    assert {key: signal_class(Tally(*key), rule) for key in cases} == cases


def test_the_calendar_has_24_hours_a_day_in_vietnam_and_every_minute_once() -> None:
    two = Period(START + 90 * MINUTE_MS, START + 1440 * 2 * MINUTE_MS)
    found = calendar(seen_by(witness(hour(2, "C" * 60, "." * 60), reported=2880), two))
    assert [day for day, _ in found] == [start_of(date(2026, 11, 1)), start_of(date(2026, 11, 2))]
    hours = found[0][1]
    assert [len(one) for _, one in found] == [24, 24]
    assert (hours[0], hours[1], hours[2]) == (Tally(0, 0, 0, 0), Tally(0, 0, 0, 30), Tally(60, 0, 0, 0))


@given(st.lists(st.sampled_from("CDNU"), max_size=60), st.lists(st.sampled_from("CDNU"), max_size=60))
def test_joining_is_the_best_of_each_minute(left: list[str], right: list[str]) -> None:
    count = min(len(left), len(right))
    one, two = ledger("".join(left[:count])), ledger("".join(right[:count]))
    best = "".join(min(pair, key="CDNU".index) for pair in zip(left, right, strict=False))
    assert merged([one, two]).states.decode() == best
    found = tally(merged([one, two]))
    assert found.covered + found.degraded + found.no_service + found.unknown == count
    assert sum(one.minutes for one in outages(merged([one, two]))) == found.no_service


def test_parts_of_a_minute_are_refused() -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        seen_by(witness(), Period(START + 1, START + MINUTE_MS))
