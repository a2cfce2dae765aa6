"""Periods that reports and quotas speak of, and when a report is due: days, weeks, months, campaigns of Vietnam.

Every period is half open, [start, end) in UTC milliseconds. A campaign's last day counts whole: "đến hết ngày 05/11"
ends where the 6th begins. "Trước ngày 15" and "trước 17 giờ" are strict: the last good minute is the one before.
Holidays are given by the caller, since they are data. Source: facts note 01 §1 (documents A, B, C); design §7, time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from collector.core.clock import DAY_MS, ICT, day_of, month_of

PeriodKind = Literal["day", "week", "month", "month_to_date", "campaign"]
DueRelation = Literal["before", "by"]
MINUTE_MS = 60_000
WEEK_MS = 7 * DAY_MS
_MONDAY = 4 * DAY_MS
"""1 January 1970 was a Thursday: the first Monday is four days later."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A span of time, [start_ms, end_ms)."""

    start_ms: int
    end_ms: int

    def holds(self, t_ms: int) -> bool:
        """Whether `t_ms` lies in it."""
        return self.start_ms <= t_ms < self.end_ms

    def met_by(self, other: Period) -> Period | None:
        """The part of it that lies in `other`; None if there is none."""
        start_ms, end_ms = max(self.start_ms, other.start_ms), min(self.end_ms, other.end_ms)
        return Period(start_ms, end_ms) if start_ms < end_ms else None


@dataclass(frozen=True, slots=True)
class ReportRule:
    """When a report is due: `day` of the month (None: every day), `minute` of that day, strictly before it or by it.

    A `month` report is due in the month after its period; a `month_to_date` report within its own month.
    """

    period: PeriodKind
    day: int | None
    minute: int
    relation: DueRelation


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A report that must be in before `due_ms` (not at it); `covers` is what it reports on."""

    due_ms: int
    covers: Period

    @property
    def last_minute_ms(self) -> int:
        """The start of the last minute that is still in time: 16:59 for "trước 17 giờ", 23:59 of the 14th."""
        return self.due_ms - MINUTE_MS


def start_of(day: date) -> int:
    """Return when a day of Vietnam begins (UTC, ms)."""
    return round(datetime(day.year, day.month, day.day, tzinfo=ICT).timestamp() * 1000)


def date_of(t_ms: int) -> date:
    """Return the day of Vietnam that holds `t_ms`."""
    return datetime.fromtimestamp(t_ms / 1000, ICT).date()


def window(first: date, last: date) -> Period:
    """Return a campaign from `first` to the end of `last`. Raises ValueError if it ends before it begins."""
    if last < first:
        raise ValueError(f"the campaign ends on {last:%d/%m/%Y}, before it begins on {first:%d/%m/%Y}")
    return Period(start_of(first), start_of(last) + DAY_MS)


def period_of(kind: PeriodKind, t_ms: int, campaign: Period) -> Period:
    """Return the period of this kind that holds `t_ms`; weeks begin on Monday. Not cut to the campaign's own bounds."""
    if kind == "day":
        return Period(*day_of(t_ms))
    if kind == "week":
        monday = (t_ms - _MONDAY + 7 * 3_600_000) // WEEK_MS * WEEK_MS + _MONDAY - 7 * 3_600_000
        return Period(monday, monday + WEEK_MS)
    if kind == "campaign":
        return campaign
    return Period(*month_of(t_ms))


def deadlines(rule: ReportRule, campaign: Period, seen: Period) -> Iterator[Deadline]:
    """Yield the deadlines of a rule that fall into `seen`, oldest first; only for periods that meet the campaign."""
    for due in _dues(rule, campaign, seen):
        covers = _covered(rule, due, campaign)
        if covers is not None and seen.holds(due):
            yield Deadline(due, covers)


def _dues(rule: ReportRule, campaign: Period, seen: Period) -> Iterator[int]:
    if rule.period == "campaign" and rule.day is None:
        yield _at(rule, date_of(campaign.end_ms - 1))
        return
    day, last = date_of(seen.start_ms) - timedelta(days=1), date_of(seen.end_ms)
    while day <= last:
        if (rule.day is None and (rule.period != "week" or day.weekday() == 6)) or rule.day == day.day:
            yield _at(rule, day)
        day += timedelta(days=1)


def _at(rule: ReportRule, day: date) -> int:
    """The first instant that is too late. "By" the 15th (no minute named) is good through all of that day."""
    if rule.relation == "before":
        return start_of(day) + rule.minute * MINUTE_MS
    return start_of(day) + (rule.minute + 1 if rule.minute else DAY_MS // MINUTE_MS) * MINUTE_MS


def _covered(rule: ReportRule, due_ms: int, campaign: Period) -> Period | None:
    """What a report that is due then covers, cut to the campaign; None: nothing of it."""
    if rule.period == "campaign":
        return Period(campaign.start_ms, min(campaign.end_ms, max(due_ms, campaign.start_ms + 1)))
    moment = due_ms - 1
    if rule.period == "month":
        moment = month_of(moment)[0] - 1
    whole = period_of(rule.period, moment, campaign)
    if rule.period in ("month_to_date", "day"):
        whole = Period(whole.start_ms, min(whole.end_ms, due_ms))
    return whole.met_by(campaign)


def working_day_before(due_ms: int, holidays: Collection[date], worked: Collection[date] = ()) -> date:
    """Return the last working day that ends before `due_ms`, or the day itself if work is done on it before that hour.

    Saturdays, Sundays and `holidays` are no working days, unless `worked` has them (made up for a holiday).
    Looks back 60 days at most; raises ValueError beyond.
    """
    day = date_of(due_ms - 1)
    for _ in range(60):
        if day in worked or (day.weekday() < 5 and day not in holidays):
            return day
        day -= timedelta(days=1)
    raise ValueError("no working day within 60 days before the deadline: check the list of holidays")
