"""Periods and deadlines of the customer's three documents, to the minute."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from collector.core.clock import DAY_MS, ICT
from collector.core.period import (
    Deadline,
    Period,
    ReportRule,
    date_of,
    deadlines,
    period_of,
    start_of,
    window,
    working_day_before,
)

MINISTRY = ReportRule("month", 15, 0, "before")
"""5691/BTTTT-CVT: "báo cáo kết quả hàng tháng ... trước ngày 15 của tháng kế tiếp"."""
CITY = ReportRule("month_to_date", 20, 0, "before")
"""81/KH-UBND III.7: "định kỳ trước ngày 20 hàng tháng cập nhật kết quả"."""
COMMUNE = ReportRule("day", None, 17 * 60, "before")
"""292/UBND-VH: "hàng ngày ... trước 17 giờ 00 phút"."""
YEAR_2025 = window(date(2025, 1, 1), date(2025, 12, 31))
PEAK = window(date(2024, 11, 1), date(2024, 11, 5))
"""292/UBND-VH: "từ ngày 01/11/2024 đến hết ngày 05/11/2024"."""


def at(text: str) -> int:
    return round(datetime.strptime(text, "%H:%M %d/%m/%Y").replace(tzinfo=ICT).timestamp() * 1000)


def said(found: Deadline) -> tuple[str, str, str]:
    """Last good minute, and the first and last minute that it covers."""
    moments = (found.last_minute_ms, found.covers.start_ms, found.covers.end_ms - 60_000)
    first, second, third = (f"{datetime.fromtimestamp(one / 1000, ICT):%H:%M %d/%m/%Y}" for one in moments)
    return first, second, third


def test_the_ministrys_report_is_due_on_the_evening_of_the_14th_and_covers_the_month_before() -> None:
    found = list(deadlines(MINISTRY, YEAR_2025, Period(at("00:00 01/02/2025"), at("00:00 01/04/2025"))))
    assert [said(one) for one in found] == [
        ("23:59 14/02/2025", "00:00 01/01/2025", "23:59 31/01/2025"),
        ("23:59 14/03/2025", "00:00 01/02/2025", "23:59 28/02/2025"),
    ]


def test_decembers_report_is_due_after_the_plan_has_ended_and_nothing_after_it() -> None:
    found = list(deadlines(MINISTRY, YEAR_2025, Period(at("00:00 01/01/2026"), at("00:00 01/04/2026"))))
    assert [said(one) for one in found] == [("23:59 14/01/2026", "00:00 01/12/2025", "23:59 31/12/2025")]


def test_the_citys_report_is_month_to_date_and_due_on_the_evening_of_the_19th() -> None:
    found = list(deadlines(CITY, YEAR_2025, Period(at("00:00 01/03/2025"), at("00:00 01/05/2025"))))
    assert [said(one) for one in found] == [
        ("23:59 19/03/2025", "00:00 01/03/2025", "23:59 19/03/2025"),
        ("23:59 19/04/2025", "00:00 01/04/2025", "23:59 19/04/2025"),
    ]


def test_the_peaks_daily_report_is_due_at_16_59_on_each_of_its_five_days() -> None:
    found = list(deadlines(COMMUNE, PEAK, Period(at("00:00 20/10/2024"), at("00:00 20/11/2024"))))
    assert [said(one)[0] for one in found] == [f"16:59 0{day}/11/2024" for day in range(1, 6)]
    assert said(found[0])[1:] == ("00:00 01/11/2024", "16:59 01/11/2024")


def test_a_window_of_deadlines_has_each_of_them_once() -> None:
    whole = list(deadlines(COMMUNE, PEAK, PEAK))
    middle = at("17:00 03/11/2024")
    parts = [*deadlines(COMMUNE, PEAK, Period(PEAK.start_ms, middle))]
    parts += deadlines(COMMUNE, PEAK, Period(middle, PEAK.end_ms))
    assert parts == whole


def test_a_campaigns_last_day_counts_whole() -> None:
    assert PEAK.holds(at("23:59 05/11/2024"))
    assert not PEAK.holds(at("00:00 06/11/2024"))
    assert PEAK.end_ms - PEAK.start_ms == 5 * DAY_MS
    with pytest.raises(ValueError, match="ends on 01/11/2024, before it begins on 05/11/2024"):
        window(date(2024, 11, 5), date(2024, 11, 1))


def test_by_a_day_is_good_through_that_day() -> None:
    rule = ReportRule("month", 15, 0, "by")
    (found,) = deadlines(rule, YEAR_2025, Period(at("00:00 01/02/2025"), at("00:00 01/03/2025")))
    assert said(found)[0] == "23:59 15/02/2025"
    (found,) = deadlines(ReportRule("day", None, 1020, "by"), PEAK, Period(PEAK.start_ms, PEAK.start_ms + DAY_MS))
    assert said(found)[0] == "17:00 01/11/2024"


def test_weeks_begin_on_monday_at_midnight_in_vietnam() -> None:
    week = period_of("week", at("23:30 08/11/2026"), PEAK)  # a Sunday
    assert (date_of(week.start_ms), date_of(week.end_ms)) == (date(2026, 11, 2), date(2026, 11, 9))
    assert period_of("week", week.end_ms, PEAK).start_ms == week.end_ms
    assert period_of("month", at("00:00 01/11/2026"), PEAK).start_ms == at("00:00 01/11/2026")
    assert period_of("month", at("00:00 01/11/2026") - 1, PEAK).end_ms == at("00:00 01/11/2026")


def test_the_person_responsible_is_reminded_on_the_last_working_day() -> None:
    assert working_day_before(start_of(date(2026, 11, 15)), []) == date(2026, 11, 13)  # the 15th is a Sunday
    assert working_day_before(start_of(date(2026, 9, 3)), [date(2026, 9, 2)]) == date(2026, 9, 1)
    assert working_day_before(start_of(date(2026, 11, 15)), [], [date(2026, 11, 14)]) == date(2026, 11, 14)
    assert working_day_before(at("17:00 05/11/2026"), []) == date(2026, 11, 5)
    with pytest.raises(ValueError, match="list of holidays"):
        working_day_before(start_of(date(2026, 11, 15)), [date(2026, m, d) for m in (9, 10, 11) for d in range(1, 31)])
