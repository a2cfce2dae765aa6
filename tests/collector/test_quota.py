"""The quotas of the customer's three documents, with their figures."""

from __future__ import annotations

from datetime import date, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.clock import ICT, month_of
from collector.core.period import Period, start_of, window
from collector.core.quota import (
    Count,
    Counter,
    Duty,
    QuotaLine,
    Standing,
    Tries,
    expected,
    hamlets,
    pace,
    project_days,
    project_slots,
    share,
    standing,
)

AT_LEAST = QuotaLine("commune-month", "commune", "portal", 300, ">=", "month")
"""5691 and 81/KH-UBND: "tối thiểu 300 mẫu đo/tháng"."""
MORE_THAN = QuotaLine("commune-month-strict", "commune", "portal", 300, ">", "month")
"""5691 of Thái Nguyên: "> 300 mẫu đo/tháng"."""
NOVEMBER = Period(*month_of(start_of(date(2026, 11, 1))))


def test_the_counter_that_the_campaign_names_decides_and_no_other() -> None:
    found = standing(AT_LEAST, {"portal": Count(299, as_of_ms=1), "ours": Count(700), "people": Count(50)})
    assert (found.reached, found.missing) == (False, 1)
    assert found.others == (("ours", Count(700)), ("people", Count(50)))


def test_both_spellings_of_the_rule_and_the_rule_is_printed() -> None:
    by = {name: standing(line, {"portal": Count(300)}) for name, line in (("ge", AT_LEAST), ("gt", MORE_THAN))}
    assert (by["ge"].reached, by["ge"].missing, by["ge"].line.rule) == (True, 0, ">= 300")
    assert (by["gt"].reached, by["gt"].missing, by["gt"].line.rule) == (False, 1, "> 300")


def test_a_counter_that_nobody_read_is_unknown_and_never_nought() -> None:
    for counts in ({}, {"portal": None, "ours": Count(400)}):
        found = standing(AT_LEAST, counts)  # type: ignore[arg-type]
        assert (found.counted, found.missing, found.reached) == (None, None, None)
    assert set(get_args(Counter)) == {"portal", "ours", "people", "people_samples"}


def units(reached: int, all_units: int, unknown: int = 0) -> list[Standing]:
    counts = [Count(300)] * reached + [Count(12)] * (all_units - reached - unknown)
    return [standing(AT_LEAST, {"portal": one}) for one in [*counts, *[None] * unknown]]


@pytest.mark.parametrize(
    ("reached", "asked", "printed"),
    [(174, 705, 2468), (104, 10_035, 104), (66, 178, 3708), (63, 63, 10_000), (0, 124, 0)],
)
def test_shares_of_the_ministrys_letter_are_printed_to_the_hundredth(reached: int, asked: int, printed: int) -> None:
    """5691: districts 24,68 %, communes 1,04 %, communes of Thái Nguyên 37,08 %, provinces 100 %."""
    assert share(units(reached, asked)).hundredths_percent == printed


def test_units_of_which_nothing_is_known_have_not_reached_it_and_are_named() -> None:
    found = share(units(1, 4, unknown=2))
    assert (found.reached, found.units, found.unknown, found.hundredths_percent) == (1, 4, 2, 2500)
    assert share([]).hundredths_percent is None


def test_all_departments_together_bring_300() -> None:
    """81/KH-UBND II.1.1: "tổng số mẫu đo của các đơn vị cộng lại tối thiểu 300": one verdict on one sum."""
    line = QuotaLine("bodies", "bodies", "portal", 300, ">=", "month")
    assert standing(line, {"portal": Count(sum([12, 250, 38]))}).reached is True


def test_the_peak_counts_people_not_samples() -> None:
    """292/UBND-VH: 300 people a commune and 30 a hamlet, 01/11 to the end of 05/11/2024."""
    commune = QuotaLine("people", "commune", "people", 300, ">=", "campaign")
    hamlet = QuotaLine("people-hamlet", "hamlet", "people", 30, ">=", "campaign")
    assert standing(commune, {"people": Count(287), "portal": Count(5_000)}).missing == 13
    assert [standing(hamlet, {"people": Count(n)}).reached for n in (29, 30, 31)] == [False, True, True]


def test_every_hamlet_is_measured_at_least_once() -> None:
    found = hamlets(["a", "b", "c"], {"a": 300, "c": 0, "gone": 5})
    assert (found.measured, found.registered, found.without, found.is_complete) == (1, 3, ("b", "c"), False)
    assert hamlets([], {}).is_complete is None


def test_the_plans_manual_duties_alone_do_not_reach_300() -> None:
    """50 people once a month and 50 members once a week: 264 in November, 271 in a month of 31 days."""
    each = (Duty(50, 1, "month"), Duty(50, 1, "week"))
    october = Period(*month_of(start_of(date(2026, 10, 1))))
    assert [sum(expected(duty, month) for duty in each) for month in (NOVEMBER, october)] == [264, 271]
    assert expected(Duty(10, 3, "day"), window(date(2024, 11, 1), date(2024, 11, 5))) == 150


def test_pace_is_even_and_due_is_due() -> None:
    tenth = start_of(date(2026, 11, 11))
    assert pace(300, 95, NOVEMBER, tenth).due_by_now == 100
    assert pace(300, 95, NOVEMBER, tenth).ahead == -5
    assert pace(300, 0, NOVEMBER, NOVEMBER.start_ms - 5).due_by_now == 0
    assert pace(300, 0, NOVEMBER, NOVEMBER.end_ms + 5).due_by_now == 300


def test_projection_of_slots_is_exact() -> None:
    """Laplace: with s of n tried, the next one succeeds with (s + 1) / (n + 2)."""
    one = project_slots(1, Tries(8, 7, 1), 0)
    assert one.certainty_ppm == 800_000
    none_tried = project_slots(2, Tries(0, 0, 3), 0)
    assert none_tried.certainty_ppm == 500_000, "uniform: 0, 1, 2 or 3 successes are equally likely"
    assert (none_tried.low, none_tried.high) == (0, 3)


def test_outlook_is_said_only_where_it_is_sure() -> None:
    assert project_slots(300, Tries(300, 295, 30), 295).outlook == "will_reach"
    assert project_slots(300, Tries(100, 60, 226), 60).outlook == "will_miss"
    assert project_slots(300, Tries(300, 285, 16), 285).outlook == "open"
    assert project_slots(300, Tries(326, 300, 0), 300).outlook == "reached"
    assert project_slots(300, Tries(326, 299, 0), 299).outlook == "missed"
    assert project_slots(300, Tries(10, 10, 9), 10).certainty_ppm == 0, "more is missing than slots are left"


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 400), st.integers(1, 400))
def test_any_projection_is_in_order_and_within_its_slots(good: int, bad: int, left: int, needed: int) -> None:
    found = project_slots(needed, Tries(good + bad, good, left), good)
    assert good <= found.low <= found.middle <= found.high <= good + left
    assert 0 <= found.certainty_ppm <= 1_000_000
    assert (found.outlook == "reached") == (good >= needed)
    more = project_slots(needed, Tries(good + bad, good, left + 1), good)
    assert more.certainty_ppm >= found.certainty_ppm - 2


def test_projection_of_people_follows_the_days_gone_by() -> None:
    half = (NOVEMBER.start_ms + NOVEMBER.end_ms) // 2
    found = project_days(300, 140, NOVEMBER, half)
    assert abs(found.middle - 280) <= 2
    assert found.low < 260
    assert found.high > 300
    assert found.outlook == "open"
    assert project_days(300, 20, NOVEMBER, half).outlook == "will_miss"
    assert project_days(300, 299, NOVEMBER, NOVEMBER.end_ms).outlook == "missed"
    before = project_days(300, 0, NOVEMBER, NOVEMBER.start_ms - 1)
    assert (before.low, before.high, before.certainty_ppm) == (0, 0, 0), "nothing is known before it begins"


def test_what_cannot_be_is_refused() -> None:
    for tries in (Tries(1, 2, 0), Tries(1, -1, 0), Tries(0, 0, 100_001)):
        with pytest.raises(ValueError, match="cannot be"):
            project_slots(300, tries, 0)


def test_the_month_is_vietnams() -> None:
    assert datetime.fromtimestamp(NOVEMBER.start_ms / 1000, ICT) == datetime(2026, 11, 1, tzinfo=ICT)
